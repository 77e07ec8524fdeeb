//! What one server may receive of another's log, and pass on, until when: a token that the server whose log
//! it is mints for its peer, and that travels with the log. Each that passes the log on hands the token on to
//! the next one, narrowed to what it grants that one itself; so whoever receives it knows, by the key of the
//! server whose log it is, which systems it may be told of, through whom, and for how long.
//!
//! A lease is short and told anew while the line is up. When a grant is revoked behind a partition, what was
//! leased is over by itself: an honest relay stops, and of another nothing is taken any more.
//!
//! Times are those of the server whose log it is. Whoever holds a lease gives it up at its end; whoever is
//! passed something takes it for [`SKEW`] longer by their own clock, and nothing that is signed later than
//! the lease's end whatever clock they have.

use std::sync::Arc;

use super::{NoToken, Shown, hand, mint, read_of};
use crate::model::grant::{Key, Right, Scope, is_name};
use crate::model::id::{GrantId, Origin};
use crate::model::time::{Span, Time};
use crate::trust::{PublicKey, Signer};
use crate::wire::{Lease, Raw};

/// By how much clocks may differ without anything being lost.
pub const SKEW: Span = Span::from_mins(5);
/// How long one lasts unless configured: renewed after half of it.
pub const LASTS: Span = Span::from_hours(1);
/// Bytes of a lease's token: it names as many systems as a grant may.
pub(super) const LONGEST: usize = 64 << 10;

/// A lease that was looked at whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub lease: Lease,
    /// What may be received. Its end is that of the lease.
    pub scope: Scope,
}

/// Why a lease is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoLease {
    #[error("it is of another server's key")]
    Other,
    #[error(transparent)]
    Token(#[from] NoToken),
    #[error("it is a grant's token, and no lease")]
    Grant,
    #[error("it is bound to another key than this server's")]
    NotOurs,
    #[error("it was not handed on by those through whom it came")]
    Way,
    #[error("it was not handed on by the one who shows it")]
    NotTheirs,
    #[error("one of those through whom it came may not pass it on: its grant does not hold `{}`", Right::Federate)]
    NotOnward,
}

impl Held {
    /// When it is over, by the clock of the server whose log it is.
    pub fn until(&self) -> Time {
        self.scope.expires.unwrap_or(Time::from_secs(0))
    }

    /// The key of the server whose log it is.
    pub fn server(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(self.lease.key.0.as_slice().try_into().ok()?).ok()
    }

    /// Whether its holder may pass on what it covers.
    pub fn onward(&self) -> bool {
        self.scope.rights.has(Right::Federate)
    }
}

/// No grant has this id: shown in a `hello`, a lease opens nothing.
fn none() -> GrantId {
    GrantId::of("midwatch lease 1", &[])
}

/// For a peer's key, of the log of the server that signs.
pub fn lease(server: &Signer, key: &Key, scope: &Scope, until: Time) -> Result<Lease, NoToken> {
    let scope = Scope { expires: Some(scope.expires.map_or(until, |expires| expires.min(until))), ..scope.clone() };
    let token: Arc<str> = mint(server, none(), key, &scope)?.into();
    Ok(Lease { key: Raw(server.public().bytes().to_vec()), token })
}

/// Its holder hands it on to the next one, within what that one was granted. Where that is no system of this log,
/// what is passed on is what belongs to none: that the server is there, and how far its log goes.
pub fn pass(held: &Held, holder: &Signer, to: &Key, name: &str, scope: &Scope) -> Result<Lease, NoToken> {
    let scope = held.scope.narrow(scope);
    if scope.rights.is_empty() {
        return Err(NoToken::Nothing);
    }
    let token = hand(&held.lease.token, holder, to, if is_name(name) { name } else { "peer" }, &scope)?;
    Ok(Lease { key: held.lease.key.clone(), token: token.into() })
}

/// What a lease of this log says, whose ever it is.
fn shown(lease: &Lease, origin: Origin, now: Time) -> Result<Shown, NoLease> {
    let key: [u8; 32] = lease.key.0.as_slice().try_into().map_err(|_| NoLease::Other)?;
    let server = PublicKey::from_bytes(key).map_err(|_| NoLease::Other)?;
    if server.origin() != origin {
        return Err(NoLease::Other);
    }
    let shown = read_of(&lease.token, &server, now, LONGEST)?;
    if shown.grant == none() { Ok(shown) } else { Err(NoLease::Grant) }
}

/// For whom somebody with the key `by` handed a lease on, and what it covers. `own`: who is asked, where that is not
/// the server whose log it is: then it had handed the lease on to `by`.
pub fn handed(lease: &Lease, origin: Origin, own: Option<&Key>, by: &Key, now: Time) -> Result<(Key, Scope), NoLease> {
    let shown = shown(lease, origin, now)?;
    let place = match own {
        None => Some(0),
        Some(own) => shown.hands.iter().position(|hand| hand == own).map(|place| place.saturating_add(1)),
    };
    if place.and_then(|place| shown.hands.get(place)) != Some(by) {
        return Err(NoLease::NotTheirs);
    }
    if shown.onward { Ok((shown.bearer, shown.scope)) } else { Err(NoLease::NotOnward) }
}

/// What this lease allows the server with the key `own`. `through`: who passes the log on, from the nearest on.
pub fn read(lease: &Lease, origin: Origin, own: &Key, through: impl DoubleEndedIterator<Item = Origin>, now: Time) -> Result<Held, NoLease> {
    let shown = shown(lease, origin, now)?;
    if shown.bearer != *own {
        return Err(NoLease::NotOurs);
    }
    let hands = shown.hands.iter().map(|key| PublicKey::from_bytes(key.bytes()).map(|key| key.origin()).ok());
    if !hands.eq(through.rev().map(Some)) {
        return Err(NoLease::Way);
    }
    if !shown.onward {
        return Err(NoLease::NotOnward);
    }
    Ok(Held { lease: lease.clone(), scope: shown.scope })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::grant::{Pattern, Rights};

    const AT: Time = Time::from_secs(1_790_000_000);

    fn signer(number: u8) -> Signer {
        Signer::from_seed([number; 32])
    }

    fn key(number: u8) -> Key {
        Key::of(signer(number).public().bytes())
    }

    fn origin(number: u8) -> Origin {
        signer(number).public().origin()
    }

    fn scope(rights: &str, systems: &str) -> Scope {
        Scope::new(systems.split(',').map(|system| system.parse().unwrap()), Rights::parse(rights).unwrap(), None)
    }

    fn held(number: u8, lease: &Lease, through: &[u8], now: Time) -> Result<Held, NoLease> {
        read(lease, origin(1), &key(number), through.iter().map(|number| origin(*number)), now)
    }

    /// From 1 to 2, and from 2 on to 3.
    fn passed(first: &Scope, second: &Scope) -> Result<Held, NoLease> {
        let of_two = held(2, &lease(&signer(1), &key(2), first, AT.plus(LASTS)).unwrap(), &[], AT)?;
        held(3, &pass(&of_two, &signer(2), &key(3), "three", second).unwrap(), &[2], AT)
    }

    #[test]
    fn what_is_passed_on_is_what_both_grant_and_says_through_whom() {
        let of_three = passed(&scope("read,federate", "web/**"), &scope("read", "web/front,lab")).unwrap();
        assert_eq!((&of_three.scope.systems[..], of_three.onward()), (&["web/front".parse::<Pattern>().unwrap()][..], false));
        assert_eq!(of_three.until(), AT.plus(LASTS));
        for through in [&[][..], &[4], &[2, 4], &[4, 2], &[1]] {
            assert_eq!(held(3, &of_three.lease, through, AT), Err(NoLease::Way), "{through:?}");
        }
        assert_eq!(held(4, &of_three.lease, &[2], AT), Err(NoLease::NotOurs));
        assert_eq!(read(&of_three.lease, origin(4), &key(3), [origin(2)].into_iter(), AT), Err(NoLease::Other));
    }

    #[test]
    fn who_may_not_pass_on_passes_nothing_on_nor_does_who_comes_after() {
        assert_eq!(passed(&scope("read", "web/**"), &scope("read", "web/**")), Err(NoLease::NotOnward));
        let of_three = passed(&scope("read,federate", "web/**"), &scope("read", "web/**")).unwrap();
        let further = pass(&of_three, &signer(3), &key(4), "four", &Scope::all()).unwrap();
        assert_eq!(held(4, &further, &[3, 2], AT), Err(NoLease::NotOnward));
        let of_three = passed(&scope("read,federate", "web/**"), &scope("read,federate", "web/front")).unwrap();
        let further = pass(&of_three, &signer(3), &key(4), "four", &Scope::all()).unwrap();
        let of_four = held(4, &further, &[3, 2], AT).unwrap();
        assert_eq!(of_four.scope, of_three.scope);
    }

    #[test]
    fn a_lease_is_over_at_its_end_and_nobody_makes_it_longer() {
        let mine = lease(&signer(1), &key(2), &scope("read,federate", "**"), AT.plus(Span::from_secs(60))).unwrap();
        let of_two = held(2, &mine, &[], AT).unwrap();
        let later = Scope { expires: Some(AT.plus(Span::from_days(9))), ..Scope::all() };
        let of_three = held(3, &pass(&of_two, &signer(2), &key(3), "three", &later).unwrap(), &[2], AT).unwrap();
        assert_eq!(of_three.until(), AT.plus(Span::from_secs(60)));
        assert!(matches!(held(3, &of_three.lease, &[2], AT.plus(Span::from_secs(60))), Err(NoLease::Token(NoToken::Over(_)))));
        // A grant that is over earlier is over then.
        let until = Scope { expires: Some(AT.plus(Span::from_secs(9))), ..scope("read", "**") };
        assert_eq!(held(2, &lease(&signer(1), &key(2), &until, AT.plus(LASTS)).unwrap(), &[], AT).unwrap().until(), AT.plus(Span::from_secs(9)));
    }

    #[test]
    fn a_lease_is_of_the_server_whose_log_it_is_and_no_grant() {
        let forged = lease(&signer(2), &key(3), &scope("read,federate", "**"), AT.plus(LASTS)).unwrap();
        assert_eq!(held(3, &forged, &[], AT), Err(NoLease::Other));
        let forged = Lease { key: Raw(signer(1).public().bytes().to_vec()), ..forged };
        assert_eq!(held(3, &forged, &[], AT), Err(NoLease::Token(NoToken::Damaged)));
        let until = Scope { expires: Some(AT.plus(LASTS)), ..scope("read,federate", "**") };
        let grant = mint(&signer(1), GrantId([5; 16]), &key(2), &until).unwrap();
        let grant = Lease { token: grant.into(), ..forged };
        assert_eq!(held(2, &grant, &[], AT), Err(NoLease::Grant));
    }

    #[test]
    fn who_handed_a_lease_on_may_show_it_and_nobody_else() {
        let all = scope("read,federate", "**");
        let of_two = held(2, &lease(&signer(1), &key(2), &all, AT.plus(LASTS)).unwrap(), &[], AT).unwrap();
        let of_three = held(3, &pass(&of_two, &signer(2), &key(3), "three", &all).unwrap(), &[2], AT).unwrap();
        let of_four = pass(&of_three, &signer(3), &key(4), "four", &scope("read", "web/**")).unwrap();
        let shown = |lease: &Lease, own: Option<u8>, by: u8, now| handed(lease, origin(1), own.map(key).as_ref(), &key(by), now);
        // The server itself is asked by the second, which the third asked.
        for (own, by) in [(None, 2), (Some(2), 3)] {
            let (bearer, covered) = shown(&of_four, own, by, AT).unwrap();
            assert_eq!((bearer, &covered.systems, covered.rights), (key(4), &scope("read", "web/**").systems, Rights::parse("read").unwrap()));
        }
        for (own, by) in [(None, 3), (None, 4), (None, 5), (Some(2), 2), (Some(2), 4), (Some(3), 2), (Some(3), 4), (Some(5), 2), (Some(5), 5)] {
            assert_eq!(shown(&of_four, own, by, AT), Err(NoLease::NotTheirs), "{own:?} by {by}");
        }
        // For oneself one asks by subscribing.
        assert_eq!(shown(&of_two.lease, None, 2, AT), Err(NoLease::NotTheirs));
        assert!(matches!(shown(&of_four, None, 2, AT.plus(LASTS)), Err(NoLease::Token(NoToken::Over(_)))));
        assert_eq!(handed(&of_four, origin(2), None, &key(2), AT), Err(NoLease::Other));
        // One that may not pass on handed it on all the same.
        let mine = held(2, &lease(&signer(1), &key(2), &scope("read", "**"), AT.plus(LASTS)).unwrap(), &[], AT).unwrap();
        let further = pass(&mine, &signer(2), &key(3), "three", &all).unwrap();
        assert_eq!(shown(&further, None, 2, AT), Err(NoLease::NotOnward));
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let systems = proptest::collection::vec(prop_oneof!["web/front", "web/[*]", "web/[*][*]", "lab", "[*][*]"], 1..4);
        (systems, prop_oneof![Just("read"), Just("read,federate"), Just("federate"), Just("read,respond,federate")])
            .prop_map(|(systems, rights)| scope(rights, &systems.join(",")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Law: what one may receive at the end of a way is what all on it allow together, and nothing where one
        /// of them may not pass on.
        #[test]
        fn a_way_allows_what_all_on_it_allow_together(scopes in proptest::collection::vec(any_scope(), 1..5)) {
            let mut now_held = None;
            let mut all = Scope::all();
            for (scope, number) in scopes.iter().zip(2_u8..) {
                let onward = number == 2 || all.rights.has(Right::Federate);
                all = all.narrow(scope);
                let through: Vec<u8> = (2..number).rev().collect();
                let told = match &now_held {
                    None => lease(&signer(1), &key(2), scope, AT.plus(LASTS)).unwrap(),
                    Some(before) => match pass(before, &signer(number - 1), &key(number), "next", scope) {
                        Ok(lease) => lease,
                        Err(why) => {
                            prop_assert!(why == NoToken::Nothing && all.rights.is_empty(), "{}", why);
                            break;
                        }
                    },
                };
                match held(number, &told, &through, AT) {
                    Ok(held) => {
                        prop_assert!(onward);
                        prop_assert_eq!((&held.scope.systems, held.scope.rights), (&all.systems, all.rights));
                        now_held = Some(held);
                    }
                    Err(why) => {
                        prop_assert!(!onward && why == NoLease::NotOnward, "{}", why);
                        break;
                    }
                }
            }
        }
    }
}
