//! The world with which a log that is passed on begins: as its own server signed it for this one, since this one
//! asked for it; nobody else's word is taken for how things stand.
//!
//! No older one takes the place of what is known: within a life of the log none of before, and no life of before.
//! What a relay can still do is wait: with asking, and with what came since.

use std::sync::Arc;

use super::follow::{Ended, Follower, later};
use super::leased::Leased;
use crate::model::grant::Key;
use crate::model::id::{Origin, Sequence};
use crate::model::peer::Line;
use crate::model::world::World;
use crate::server::house::House;
use crate::store::Head;
use crate::trust::grant::lease::Held;
use crate::trust::world::{NONCE, Said, holds};
use crate::wire::{SealedWorld, Snapshot};

/// Who may begin with a world, and what it asked with.
struct Reader<'a> {
    own: &'a Key,
    held: &'a Held,
    nonce: &'a [u8; NONCE],
}

/// The world, if its own server signed it for this reader.
fn opened(reader: &Reader<'_>, origin: Origin, sealed: &SealedWorld) -> Result<World, String> {
    let said = Said {
        origin,
        incarnation: sealed.incarnation,
        head: sealed.head,
        at: sealed.at,
        bearer: reader.own,
        scope: &reader.held.scope,
        nonce: reader.nonce,
        bytes: &sealed.world.0,
    };
    if !reader.held.server().is_some_and(|server| holds(&server, &said, &sealed.signature.0)) {
        return Err("a world that its server did not sign for this one, as it is leased now".to_owned());
    }
    if sealed.at > reader.held.until() {
        return Err(format!("a world as of {}, where it was leased until {}", sealed.at, reader.held.until()));
    }
    let world = sealed.world.open().map_err(|error| format!("a world that cannot be read: {error}"))?;
    if (world.origin, world.incarnation, world.head) == (origin, sealed.incarnation, sealed.head) {
        Ok(world)
    } else {
        Err("a world that is another one than was signed".to_owned())
    }
}

/// Whether this world is no older than what is known up to there.
fn goes_on(known: Head, world: &World) -> bool {
    let descends = || world.lives.iter().any(|(life, _)| *life == known.incarnation) || world.incarnation > known.incarnation;
    known.sequence == Sequence(0) || if world.incarnation == known.incarnation { world.head >= known.sequence } else { descends() }
}

impl Follower {
    pub(super) fn passed_on(&self) -> bool {
        !self.route.through.is_empty()
    }

    /// The world of a snapshot. `leased`: what of it may be received, where it is passed on.
    pub(super) fn told_world(&self, house: &House, leased: Option<&Leased>, snapshot: &Snapshot) -> Result<Arc<World>, Ended> {
        let Some(leased) = leased else { return Ok(snapshot.world.clone()) };
        let (Some(own), Some(nonce)) = (&self.peers.around.key, &self.nonce) else {
            return Err(later("this server has no key that a world could be signed for"));
        };
        let Some(sealed) = &snapshot.sealed else {
            if !self.seals {
                return Err(later(format!("{} is of a version that passes on no signed worlds, and its own word is not taken", self.route.neighbour.name)));
            }
            self.malformed(house, &["a world without its own server's signature".to_owned()]);
            return Err(later("the world that it begins with does not bear its own server's signature"));
        };
        let known = house.log.head();
        let world = opened(&Reader { own, held: &leased.held, nonce }, known.origin, sealed);
        let world = world.and_then(|world| match goes_on(known, &world) {
            true => Ok(world),
            false => Err(format!("a world as of event {} of the life {}, which is older than what is known", world.head.0, world.incarnation.0)),
        });
        match world {
            // What marks it is an affair of those two who tell it and go on from there.
            Ok(world) => Ok(Arc::new(World { epoch: snapshot.world.epoch, ..world })),
            Err(why) => {
                self.malformed(house, std::slice::from_ref(&why));
                Err(later(format!("the world that it begins with is not taken: {why}")))
            }
        }
    }

    /// Nothing comes for now: whoever passes it on says why.
    pub(super) fn pauses(&mut self, why: &str) {
        self.paused = true;
        let why = format!("at {}: {why}", self.route.neighbour.name);
        self.peers.line(&self.route, self.origin(), Line::Lost, Some(why.into()));
    }

    /// Something came.
    pub(super) fn resumes(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.peers.line(&self.route, self.origin(), Line::Up, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grant::{Rights, Scope};
    use crate::model::id::Incarnation;
    use crate::model::time::{Span, Time};
    use crate::trust::grant::lease::{self, LASTS};
    use crate::trust::{Signer, world};
    use crate::wire::Packed;

    const AT: Time = Time::from_secs(1_790_000_000);
    const NONCE_OF: [u8; NONCE] = [9; NONCE];

    fn signer(number: u8) -> Signer {
        Signer::from_seed([number; 32])
    }

    fn key(number: u8) -> Key {
        Key::of(signer(number).public().bytes())
    }

    fn scope(systems: &str) -> Scope {
        Scope::new([systems.parse().unwrap()], Rights::parse("read,federate").unwrap(), None)
    }

    /// From 1 through 2 to 3.
    fn held(systems: &str) -> Held {
        let of_two = lease::lease(&signer(1), &key(2), &scope("web/**"), AT.plus(LASTS)).unwrap();
        let of_two = lease::read(&of_two, origin(), &key(2), [].into_iter(), AT).unwrap();
        let passed = lease::pass(&of_two, &signer(2), &key(3), "three", &scope(systems)).unwrap();
        lease::read(&passed, origin(), &key(3), [signer(2).public().origin()].into_iter(), AT).unwrap()
    }

    fn origin() -> Origin {
        signer(1).public().origin()
    }

    fn whole() -> World {
        World { head: Sequence(40), name: "one".into(), ..World::new(origin(), Incarnation(7)) }
    }

    struct Sealed {
        by: u8,
        bearer: u8,
        systems: &'static str,
        nonce: [u8; NONCE],
        at: Time,
        world: World,
    }

    fn honest() -> Sealed {
        Sealed { by: 1, bearer: 3, systems: "web/**", nonce: NONCE_OF, at: AT, world: whole() }
    }

    impl Sealed {
        fn seal(&self) -> SealedWorld {
            let packed = Packed::of(&self.world).unwrap();
            let (incarnation, head) = (Incarnation(7), Sequence(40));
            let said = world::Said {
                origin: origin(),
                incarnation,
                head,
                at: self.at,
                bearer: &key(self.bearer),
                scope: &scope(self.systems),
                nonce: &self.nonce,
                bytes: &packed.0,
            };
            SealedWorld { incarnation, head, at: self.at, signature: world::seal(&signer(self.by), &said).unwrap(), world: packed }
        }

        fn taken(&self) -> Result<World, String> {
            taken(&self.seal())
        }
    }

    fn taken(sealed: &SealedWorld) -> Result<World, String> {
        opened(&Reader { own: &key(3), held: &held("web/**"), nonce: &NONCE_OF }, origin(), sealed)
    }

    #[test]
    fn a_world_is_taken_that_its_own_server_signed_for_this_reader_and_this_ask() {
        assert_eq!(honest().taken().unwrap(), whole());
        let lies = [
            ("by the relay itself", Sealed { by: 2, ..honest() }),
            ("for another reader", Sealed { bearer: 4, ..honest() }),
            ("of another part", Sealed { systems: "web/front", ..honest() }),
            ("from before it was asked for", Sealed { nonce: [8; NONCE], ..honest() }),
        ];
        for (what, lie) in lies {
            assert!(lie.taken().unwrap_err().contains("did not sign"), "{what}");
        }
        assert!(Sealed { at: AT.plus(LASTS).plus(Span::from_secs(1)), ..honest() }.taken().unwrap_err().contains("leased until"));
        assert!(Sealed { world: World { head: Sequence(41), ..whole() }, ..honest() }.taken().unwrap_err().contains("another one"));
    }

    #[test]
    fn what_a_relay_changed_in_a_world_is_seen() {
        let good = honest().seal();
        let other = Packed::of(&World { name: "all is well".into(), ..whole() }).unwrap();
        let mut bytes = good.world.0.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let bent = [
            SealedWorld { incarnation: Incarnation(8), ..good.clone() },
            SealedWorld { head: Sequence(41), ..good.clone() },
            SealedWorld { at: AT.plus(Span::from_secs(1)), ..good.clone() },
            SealedWorld { world: other, ..good.clone() },
            SealedWorld { world: Packed(bytes.into()), ..good.clone() },
            SealedWorld { signature: crate::wire::Raw(vec![0; 64]), ..good.clone() },
            SealedWorld { signature: crate::wire::Raw(Vec::new()), ..good },
        ];
        for bent in bent {
            assert!(taken(&bent).unwrap_err().contains("did not sign"), "{bent:?}");
        }
    }

    #[test]
    fn nobody_goes_back_in_time_by_a_world_of_before() {
        let known = |life, sequence| Head { origin: origin(), incarnation: Incarnation(life), sequence: Sequence(sequence), base: Sequence(1) };
        let world = |life, head, lives: &[u64]| World {
            head: Sequence(head),
            lives: lives.iter().map(|life| (Incarnation(*life), Sequence(5))).collect(),
            ..World::new(origin(), Incarnation(life))
        };
        // Nothing is known yet: whatever life it says.
        assert!(goes_on(known(9, 0), &world(7, 1, &[])));
        for (head, goes) in [(39, false), (40, true), (50, true)] {
            assert_eq!(goes_on(known(7, 40), &world(7, head, &[])), goes, "{head}");
        }
        // Restored from a backup, and once more from one of before that.
        assert!(goes_on(known(7, 40), &world(8, 10, &[7])));
        assert!(goes_on(known(8, 40), &world(9, 10, &[7])));
        // Its clock was set back in between: it knows of the life that is known here.
        assert!(goes_on(known(8, 40), &world(6, 10, &[7, 8])));
        // What was before that.
        assert!(!goes_on(known(8, 10), &world(7, 40, &[])) && !goes_on(known(8, 10), &world(7, 40, &[6])));
    }
}
