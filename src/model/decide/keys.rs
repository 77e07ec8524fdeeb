//! A person's several keys: one is added that another one of theirs vouches for, one is lost, one takes the
//! place of another. All that they did stands under their name, and stays.

use std::sync::Arc;

use crate::model::event::{Actor, Draft, TrustKeyAdded, TrustKeyRemoved};
use crate::model::grant::{Asker, Grant, Key, Right, Vouched, Who};
use crate::model::intent::{Intent, Refusal, RefusalCode};
use crate::model::time::Time;
use crate::model::world::World;

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Invalid, why)
}

fn unknown(key: &Key) -> Refusal {
    Refusal::new(RefusalCode::Unknown, format!("no grant here is for the key {} (any more), or it is not yours", key.fingerprint()))
}

/// The person's grant that this key is for.
fn person<'w>(world: &'w World, key: &Key, now: Time) -> Result<&'w Grant, Refusal> {
    let grant = world.grant_of(key, now).ok_or_else(|| unknown(key))?;
    if grant.who != Who::Person {
        let words = format!("that key is the {} {}'s: a person has several keys, and a machine or a server is invited anew", grant.who, grant.name);
        return Err(invalid(words));
    }
    Ok(grant)
}

/// Nobody has it yet.
fn free(world: &World, key: &Key, now: Time) -> Result<(), Refusal> {
    match world.grant_of(key, now) {
        Some(grant) => Err(invalid(format!("the key {} is {}'s here already", key.fingerprint(), grant.name))),
        None => Ok(()),
    }
}

fn adds(actor: &Actor, grant: &Grant, key: &Key, vouched: Option<&Vouched>, now: Time) -> Draft {
    let by = match vouched {
        Some(vouched) => format!("the key {} vouches for it", vouched.by.short()),
        None => format!("{} says so", actor.name()),
    };
    let title = format!("{} has a further key, {}: {by}", grant.name, key.short());
    let whole = vouched.map_or_else(|| key.fingerprint(), |vouched| format!("{}, and {} vouches for it", key.fingerprint(), vouched.by.fingerprint()));
    let said = TrustKeyAdded { grant: grant.id, key: key.clone(), name: grant.name.clone(), vouched: vouched.cloned() };
    Draft::new(now, actor.clone(), said, title).text(whole)
}

fn removes(actor: &Actor, grant: &Grant, key: &Key, why: &Arc<str>, now: Time) -> Draft {
    let (by, key_words) = (actor.name(), key.short());
    let title =
        if by == &*grant.name { format!("{by} removed a key of theirs, {key_words}") } else { format!("{by} took the key {key_words} from {}", grant.name) };
    let said = TrustKeyRemoved { grant: grant.id, key: key.clone(), name: grant.name.clone() };
    Draft::new(now, actor.clone(), said, title).text(if why.is_empty() { key.fingerprint() } else { format!("{}\n{why}", key.fingerprint()) })
}

/// One key more, for no more than the others, and no longer.
pub fn added(world: &World, actor: &Actor, key: &Key, vouched: &Vouched, now: Time) -> Result<Vec<Draft>, Refusal> {
    let grant = person(world, &vouched.by, now)?;
    free(world, key, now)?;
    if grant.keys().count() >= Grant::KEYS {
        return Err(invalid(format!("{} has {} keys already, which is what one may have; remove one that is not used", grant.name, Grant::KEYS)));
    }
    Ok(vec![adds(actor, grant, key, Some(vouched), now)])
}

/// One key less. The last one goes with its grant.
pub fn removed(world: &World, actor: &Actor, key: &Key, why: &Arc<str>, now: Time) -> Result<Vec<Draft>, Refusal> {
    let grant = world.grant_of(key, now).ok_or_else(|| unknown(key))?;
    if grant.further.is_empty() {
        let words = format!(
            "that is the only key of {}: put another in its place (`midwatch keys replace`), or revoke the grant (`midwatch revoke {}`)",
            grant.name,
            grant.id.short()
        );
        return Err(invalid(words));
    }
    Ok(vec![removes(actor, grant, key, why, now)])
}

/// A key in the place of one that was lost.
pub fn replaced(world: &World, actor: &Actor, (old, new): (&Key, &Key), vouched: Option<&Vouched>, why: &Arc<str>, now: Time) -> Result<Vec<Draft>, Refusal> {
    let grant = person(world, old, now)?;
    free(world, new, now)?;
    // By a key of the same grant: what a lesser one allows would grow by it.
    if let Some(vouched) = vouched
        && !grant.has(&vouched.by)
    {
        return Err(invalid(format!("the key {} is for another grant than {}", vouched.by.fingerprint(), old.fingerprint())));
    }
    Ok(vec![adds(actor, grant, new, vouched, now), removes(actor, grant, old, why, now)])
}

/// Whether somebody may say that of a key: of their own by a key of their own, or, having the right to
/// administer everywhere, of anybody's.
pub(super) fn permit(world: &World, intent: &Intent, asker: &Asker, now: Time) -> Result<(), Refusal> {
    let administers = asker.scope.may(Right::Administer, None);
    let own = asker.key.as_ref().and_then(|key| world.grant_of(key, now)).filter(|grant| grant.who == Who::Person);
    // A person may hold several grants, each by keys of its own.
    let owns = |key: &Key| own.zip(world.grant_of(key, now)).is_some_and(|(own, other)| (other.who, &other.name) == (own.who, &own.name));
    let vouches = |vouched: &Vouched| {
        if asker.key.as_ref() != Some(&vouched.by) {
            return Err(Refusal::new(RefusalCode::Forbidden, "a key is vouched for by the key that one comes by, and by no other"));
        }
        Ok(())
    };
    let listed = |key: &Key| match asker.listed.iter().find(|listed| listed.key == *key) {
        Some(listed) => Err(invalid(format!("the key {} is {}'s by this server's authorized_keys", key.fingerprint(), listed.name))),
        None => Ok(()),
    };
    match intent {
        Intent::AddKey { key, vouched } => {
            if asker.listed.iter().any(|listed| Some(&listed.key) == asker.key.as_ref()) {
                let words = "your key is in this server's authorized_keys: a further key is a further line there, with the same name";
                return Err(invalid(words));
            }
            vouches(vouched)?;
            listed(key)
        }
        Intent::RemoveKey { key, .. } if administers || owns(key) => Ok(()),
        Intent::RemoveKey { key, .. } => Err(unknown(key)),
        Intent::ReplaceKey { old, new, vouched, .. } => {
            match vouched {
                Some(vouched) if owns(old) => vouches(vouched)?,
                _ if administers => {}
                Some(_) | None => return Err(unknown(old)),
            }
            listed(new)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decide::Rules;
    use crate::model::event::{Kind, TrustUsed};
    use crate::model::grant::{Lens, Listed, Rights, Scope};
    use crate::model::id::{Incarnation, Origin, RequestId};
    use crate::model::intent::Request;
    use crate::model::primary::Primary;
    use crate::model::time::Span;

    const NOW: Time = Time::from_secs(1_790_000_000);

    fn named(number: u8) -> Key {
        Key::of(&[number; 32])
    }

    fn vouched(by: u8) -> Vouched {
        Vouched { by: named(by), at: NOW, signature: "".into() }
    }

    struct Yard {
        primary: Primary,
        asked: u8,
    }

    impl Yard {
        fn new() -> Yard {
            Yard { primary: Primary::new(World::new(Origin([1; 16]), Incarnation(1)), Rules::default(), NOW), asked: 0 }
        }

        fn asks(&mut self, asker: &Asker, by: &str, intent: Intent) -> Result<Vec<crate::model::event::Event>, Refusal> {
            self.asked += 1;
            let request = Request { id: RequestId([self.asked; 16]), by: by.into(), made: NOW, intent, signed: None };
            self.primary.request_within(&request, asker, NOW)
        }

        fn grant(&mut self, key: u8, name: &str, role: &str) {
            let intent = Intent::Grant {
                key: named(key),
                name: name.into(),
                role: role.into(),
                systems: vec!["**".parse().unwrap()],
                rights: None,
                until: Some(NOW.plus(Span::from_hours(8))),
            };
            self.asks(&owner(), "op", intent).unwrap();
        }

        fn held(&self, key: u8) -> Option<&Grant> {
            self.primary.world.grant_of(&named(key), NOW)
        }
    }

    fn used(key: Option<u8>, name: &str, from: &str) -> TrustUsed {
        let way = key.is_none().then(|| "owner's socket".into());
        let (key, name, from) = (key.map(named), name.into(), from.into());
        TrustUsed { what: "".into(), key, way, name, who: Who::Person, from, grant: None, handed: None, through: None, on_behalf_of: None }
    }

    fn owner() -> Asker {
        Asker { scope: Arc::new(Scope::all()), key: None, used: used(None, "op", "the socket"), listed: [].into() }
    }

    fn by(key: u8) -> Asker {
        let scope = Arc::new(Scope::everywhere(Rights::parse("read,respond").unwrap()));
        Asker { scope, key: Some(named(key)), used: used(Some(key), "robin", "10.0.0.1"), listed: [].into() }
    }

    fn add(key: u8, by: u8) -> Intent {
        Intent::AddKey { key: named(key), vouched: vouched(by) }
    }

    fn remove(key: u8) -> Intent {
        Intent::RemoveKey { key: named(key), why: "lost".into() }
    }

    fn replace(old: u8, new: u8, by: Option<u8>) -> Intent {
        Intent::ReplaceKey { old: named(old), new: named(new), vouched: by.map(vouched), why: "".into() }
    }

    #[test]
    fn a_further_key_has_the_same_grant_and_ends_with_it() {
        let mut yard = Yard::new();
        yard.grant(1, "robin", "responder");
        let told = yard.asks(&by(1), "robin", add(2, 1)).unwrap();
        let [event, _] = &told[..] else { panic!("{told:?}") };
        assert!(event.title.starts_with("robin has a further key, SHA256:") && event.title.contains("vouches for it"), "{}", event.title);
        let grant = yard.held(2).unwrap();
        assert_eq!((grant.id, &*grant.name, grant.scope.expires), (yard.held(1).unwrap().id, "robin", Some(NOW.plus(Span::from_hours(8)))));
        // It vouches in its turn; what is granted to one of them later, all have.
        yard.asks(&by(2), "robin", add(3, 2)).unwrap();
        yard.grant(1, "robin", "reader");
        assert_eq!([1, 2, 3].map(|key| yard.held(key).map(|grant| &*grant.role)), [Some("reader"); 3]);
        let id = yard.held(3).unwrap().id;
        yard.asks(&owner(), "op", Intent::Revoke { grant: id, why: "".into() }).unwrap();
        assert!([1, 2, 3].iter().all(|key| yard.held(*key).is_none()));
    }

    #[test]
    fn a_lost_key_is_replaced_by_another_own_one_or_by_an_administrator() {
        let mut yard = Yard::new();
        yard.grant(1, "robin", "responder");
        assert!(yard.asks(&by(1), "robin", remove(1)).unwrap_err().why.contains("the only key of robin"));
        yard.asks(&by(1), "robin", add(2, 1)).unwrap();
        yard.asks(&by(2), "robin", replace(1, 3, Some(2))).unwrap();
        assert_eq!([1, 2, 3].map(|key| yard.held(key).is_some()), [false, true, true]);
        assert!(yard.held(2).unwrap().lost(&named(1)).is_some_and(|lost| lost.by == Actor::User("robin".into())));
        yard.asks(&by(3), "robin", remove(2)).unwrap();
        // The last one is lost: nobody of their own can say so.
        yard.asks(&owner(), "op", replace(3, 4, None)).unwrap();
        assert_eq!((yard.held(3), yard.held(4).map(|grant| &*grant.name)), (None, Some("robin")));
    }

    #[test]
    fn nobody_says_that_of_a_key_who_may_not() {
        let mut yard = Yard::new();
        yard.grant(1, "robin", "responder");
        yard.grant(2, "sam", "administrator");
        yard.grant(3, "robin-2", "reader");
        yard.asks(
            &owner(),
            "op",
            Intent::Grant { key: named(4), name: "web-1".into(), role: "agent".into(), systems: vec!["**".parse().unwrap()], rights: None, until: None },
        )
        .unwrap();
        let without = Asker { key: None, ..by(1) };
        let listed = |key: u8| Listed { key: named(key), who: Who::Person, name: "ada".into() };
        let near = Asker { listed: [listed(9)].into(), ..by(1) };
        let line = Asker { listed: [listed(1)].into(), ..by(1) };
        for (asker, intent, code, words) in [
            (&without, add(5, 1), RefusalCode::Forbidden, "by the key that one comes by"),
            (&by(3), add(5, 1), RefusalCode::Forbidden, "by the key that one comes by"),
            (&owner(), add(5, 1), RefusalCode::Forbidden, "by the key that one comes by"),
            (&by(1), add(2, 1), RefusalCode::Invalid, "is sam's here already"),
            (&by(1), add(1, 1), RefusalCode::Invalid, "is robin's here already"),
            (&by(7), add(5, 7), RefusalCode::Unknown, "no grant here is for the key"),
            (&by(4), add(5, 4), RefusalCode::Invalid, "a person has several keys"),
            (&near, add(9, 1), RefusalCode::Invalid, "is ada's by this server's authorized_keys"),
            (&line, add(5, 1), RefusalCode::Invalid, "a further line there"),
            (&by(1), remove(2), RefusalCode::Unknown, "or it is not yours"),
            (&by(1), remove(8), RefusalCode::Unknown, "or it is not yours"),
            (&by(1), replace(2, 5, Some(1)), RefusalCode::Unknown, "or it is not yours"),
            (&by(1), replace(1, 5, None), RefusalCode::Unknown, "or it is not yours"),
            (&without, replace(1, 5, Some(1)), RefusalCode::Unknown, "or it is not yours"),
            (&owner(), replace(1, 2, None), RefusalCode::Invalid, "is sam's here already"),
            (&owner(), replace(4, 5, None), RefusalCode::Invalid, "is invited anew"),
        ] {
            let refused = yard.asks(asker, "x", intent.clone()).unwrap_err();
            assert!(refused.code == code && refused.why.contains(words), "{intent:?}: {refused:?}");
        }
        for key in 10..17 {
            yard.asks(&by(1), "robin", add(key, 1)).unwrap();
        }
        assert!(yard.asks(&by(1), "robin", add(17, 1)).unwrap_err().why.contains("8 keys already"));
    }

    #[test]
    fn a_name_is_one_persons_unless_it_is_said_to_be_the_same() {
        let mut yard = Yard::new();
        yard.grant(1, "robin", "responder");
        let invite = |number: u8, name: &str, same: bool| Intent::Invite {
            invite: crate::model::id::GrantId([number; 16]),
            role: "reader".into(),
            systems: vec!["**".parse().unwrap()],
            rights: None,
            name: Some(name.into()),
            same,
            until: None,
            lasts: None,
            closes: NOW.plus(Span::from_hours(1)),
        };
        let refused = yard.asks(&owner(), "op", invite(1, "robin", false)).unwrap_err();
        assert!(refused.why.contains("there is a person called robin here already") && refused.why.contains("--for"), "{refused}");
        let refused = yard.asks(&owner(), "op", invite(2, "robyn", true)).unwrap_err();
        assert!(refused.why.contains("no person called robyn") && refused.why.contains("did you mean `robin`?"), "{refused}");
        let listed = Asker { listed: [Listed { key: named(9), who: Who::Person, name: "ada".into() }].into(), ..owner() };
        assert!(yard.asks(&listed, "op", invite(3, "ada", false)).unwrap_err().why.contains("called ada here already"));
        yard.asks(&listed, "op", invite(4, "ada", true)).unwrap();
        yard.asks(&owner(), "op", invite(5, "robin", true)).unwrap();
        let code = crate::model::id::GrantId([5; 16]);
        yard.primary.redeem(code, Who::Person, &named(2), "whoever", &[], NOW).unwrap();
        assert_eq!(yard.held(2).map(|grant| &*grant.name), Some("robin"));
        // Brought again by the same key it gives nothing new, and says so.
        let again = yard.primary.redeem(code, Who::Person, &named(2), "whoever", &[], NOW).unwrap_err();
        assert!(again.code == RefusalCode::Over && again.why.contains("by this very key: you are robin"), "{again}");
        // Two invites for one name were open: the second one finds it taken.
        yard.asks(&owner(), "op", invite(6, "kim", false)).unwrap();
        yard.asks(&owner(), "op", invite(7, "kim", false)).unwrap();
        yard.primary.redeem(crate::model::id::GrantId([6; 16]), Who::Person, &named(6), "x", &[], NOW).unwrap();
        let late = yard.primary.redeem(crate::model::id::GrantId([7; 16]), Who::Person, &named(7), "x", &[], NOW).unwrap_err();
        assert!(late.why.contains("called kim here already"), "{late}");
    }

    #[test]
    fn what_was_done_by_which_key_is_beside_it_and_shown_to_whose_key_it_is() {
        let mut yard = Yard::new();
        yard.grant(1, "robin", "responder");
        yard.grant(2, "sam", "responder");
        yard.asks(&by(1), "robin", add(3, 1)).unwrap();
        let note = || Intent::NoteSystem { system: "shop".parse().unwrap(), text: "four bells".into() };
        let mut log = Vec::new();
        for (key, name, from) in [(1, "robin", "10.0.0.1"), (3, "robin", "10.0.0.3"), (2, "sam", "10.0.0.2")] {
            let asker = Asker { used: used(Some(key), name, from), ..by(key) };
            let told = yard.asks(&asker, name, note()).unwrap();
            assert_eq!((told.len(), told[0].request, told[0].kind.name()), (2, told[1].request, "note"));
            assert!(told[1].title.starts_with(&format!("{name}: note, by the key SHA256:")) && told[1].title.ends_with(from), "{}", told[1].title);
            assert!(matches!(&told[1].kind, Kind::TrustUsed(said) if &*said.what == "note" && said.key == Some(named(key)) && said.way.is_none()));
            assert!(!serde_json::to_string(&told[0]).unwrap().contains("10.0.0"), "what everybody sees says nothing of it");
            log.extend(told);
        }
        // Nobody proved whose that is: who administers all reads it, and nobody else.
        let asker = Asker { used: used(None, "robin", "10.0.0.4"), ..owner() };
        let told = yard.asks(&asker, "robin", note()).unwrap();
        assert_eq!(&*told[1].title, "robin: note, by the owner's socket, from 10.0.0.4");
        assert_eq!((told[1].key(), &*told[1].text), (None, "no key: the name is what they call themselves"));
        log.extend(told);
        let world = &yard.primary.world;
        let scope = Scope::everywhere(Rights::parse("read").unwrap());
        let text = |key: Option<u8>| {
            let lens = Lens::of(world, &scope).owned(world, key.map(named));
            let shown: Vec<_> = log.iter().filter_map(|event| lens.project(event)).collect();
            serde_json::to_string(&shown).unwrap()
        };
        let sees = |key: Option<u8>| ["10.0.0.1", "10.0.0.3", "10.0.0.2", "10.0.0.4"].map(|from| text(key).contains(from));
        let theirs = [true, true, false, false];
        assert_eq!((sees(Some(1)), sees(Some(3)), sees(Some(2)), sees(None)), (theirs, theirs, [false, false, true, false], [false; 4]));
        let all = Lens::of(world, &Scope::all());
        assert!(log.iter().all(|event| all.project(event).is_some()), "who administers all");
        // Asked once more it is done already, and leaves nothing.
        let request = Request { id: RequestId([4; 16]), by: "robin".into(), made: NOW, intent: note(), signed: None };
        let asker = by(1);
        assert!(yard.primary.request_within(&request, &asker, NOW).unwrap().is_empty());
    }
}
