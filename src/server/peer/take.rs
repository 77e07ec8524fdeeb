//! What of a peer's batch is taken: events of the log that the link is about, each in its place. Whatever
//! else is among them is set aside, and the rest goes on; what somebody who passes it on
//! altered is asked for again first.
//!
//! An event that this version cannot understand whole is kept as it came, as long as it says where it
//! belongs: a later version of this server, and those that it is passed on to, may.

use std::fmt;

use bytes::Bytes;

use crate::model::event::Kind;
use crate::model::grant::{Right, Scope, has_outline};
use crate::model::id::{Incarnation, Origin, Sequence, SystemId};
use crate::store::Row;
use crate::trust::{PublicKey, seal};
use crate::wire::{EventBytes, Raw, decode_event, depth, outline_of, peek};

/// Letters of a kind's name, and of a system's.
const LONGEST: usize = 500;
/// Bytes of one event: more than any intake takes.
const LARGEST: usize = 1 << 20;

/// What was taken of a batch, and why the rest was not.
#[derive(Debug, Default)]
pub struct Taken {
    pub rows: Vec<Row>,
    pub refused: Vec<String>,
    /// Something is not as the server whose log it is told it: whoever passed it on did that.
    pub altered: bool,
}

/// Why an event is not taken.
struct Refused {
    why: String,
    /// Who tells it is to blame, and not the server whose event it is.
    altered: bool,
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused { why, altered: false }
    }
}

impl Refused {
    fn altered(why: String) -> Refused {
        Refused { why, altered: true }
    }
}

/// The place where events must lie: in (`after`, `to`] of one origin's log.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub origin: Origin,
    /// The one life that they may be of; history may be of several.
    pub incarnation: Option<Incarnation>,
    pub after: Sequence,
    pub to: Sequence,
}

/// What of a log that is passed on may be received, by its lease.
#[derive(Clone, Copy)]
pub struct Allowed<'a> {
    pub scope: &'a Scope,
    /// Whether a system is used by one that it names: of its troubles the outline may be received.
    pub uses: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.scope, f)
    }
}

/// Whether an event is about what may be received: its envelope, and what it declares (F3).
fn covers(allowed: Allowed<'_>, system: Option<&str>, kind: &str, bytes: &[u8]) -> bool {
    if !allowed.scope.sees_named(system, kind) {
        let outlined = has_outline(kind) && allowed.scope.rights.has(Right::Read) && system.is_some_and(|system| (allowed.uses)(system));
        return outlined && outline_of(bytes).is_some_and(|outline| *outline.0 == *bytes);
    }
    kind != "system.declared"
        || decode_event(bytes).is_ok_and(|event| matches!(&event.kind, Kind::SystemDeclared(declared) if Some(declared.spec.id.as_str()) == system))
}

/// Whether events must bear their server's signature, and with what key that is made.
#[derive(Clone, Copy, Debug)]
pub enum Sealed<'a> {
    /// They come from the server itself, which the line has proved: its signatures are kept as they come, for those
    /// who are passed the events and must look at them anyway. The key is what it makes outlines' signatures with.
    Direct(Option<&'a PublicKey>, Seals<'a>),
    /// They were passed on: without its signature an event is anybody's.
    Must(&'a PublicKey, Seals<'a>),
}

/// What stands beside events: for each its server's signature of it, and of its outline.
#[derive(Clone, Copy, Debug)]
pub struct Seals<'a> {
    pub whole: &'a [Raw],
    pub outlines: &'a [Raw],
}

impl<'a> Sealed<'a> {
    /// What stands beside the events after the first so many.
    pub(super) fn after(self, count: usize) -> Sealed<'a> {
        let rest = |seals: Seals<'a>| Seals { whole: seals.whole.get(count..).unwrap_or_default(), outlines: seals.outlines.get(count..).unwrap_or_default() };
        match self {
            Sealed::Direct(key, seals) => Sealed::Direct(key, rest(seals)),
            Sealed::Must(key, seals) => Sealed::Must(key, rest(seals)),
        }
    }

    /// As it is kept: the signature, and behind it that of the outline, where there is one.
    fn of(self, index: usize, event: &[u8]) -> Result<Option<Bytes>, String> {
        let (key, seals) = match self {
            Sealed::Direct(Some(key), seals) | Sealed::Must(key, seals) => (key, seals),
            Sealed::Direct(None, _) => return Ok(None),
        };
        let good = |seal: &&Raw| match self {
            Sealed::Direct(..) => seal.0.len() == seal::LENGTH,
            Sealed::Must(..) => seal::holds(key, event, &seal.0),
        };
        let Some(seal) = seals.whole.get(index).filter(good) else {
            return match self {
                Sealed::Direct(..) => Ok(None),
                Sealed::Must(..) => Err("an event that its server did not sign".to_owned()),
            };
        };
        let outline = seals.outlines.get(index).filter(|outline| !outline.0.is_empty());
        // Of another version it may be another one than we make: then it is not passed on.
        let outline = outline.filter(|outline| outline_of(event).is_some_and(|told| seal::holds(key, &told.0, &outline.0)));
        Ok(Some(seal.0.iter().chain(outline.iter().flat_map(|outline| &outline.0)).copied().collect()))
    }
}

/// `allowed`: what of the log may be received, where it is passed on; what its own server tells is its own affair.
pub fn take(place: Place, allowed: Option<Allowed<'_>>, events: &[EventBytes], sealed: Sealed<'_>) -> Taken {
    let mut taken = Taken::default();
    let mut known = place.after;
    for (index, event) in events.iter().enumerate() {
        let found = row(place, allowed, known, event).and_then(|row| Ok(Row { seal: sealed.of(index, &event.0).map_err(Refused::altered)?, ..row }));
        match found {
            Ok(row) => {
                known = row.sequence;
                taken.rows.push(row);
            }
            Err(Refused { why, altered }) => {
                // What bears no signature of its server is nobody's fault but the teller's, whatever else is wrong with it.
                taken.altered |= matches!(sealed, Sealed::Must(..)) && (altered || sealed.of(index, &event.0).is_err());
                taken.refused.push(why);
            }
        }
    }
    taken
}

fn row(place: Place, allowed: Option<Allowed<'_>>, known: Sequence, event: &EventBytes) -> Result<Row, Refused> {
    let bytes = &event.0;
    if bytes.len() > LARGEST {
        return Err(format!("an event of {} bytes", bytes.len()).into());
    }
    depth::check_messagepack(bytes, depth::EVENT).map_err(|error| error.to_string())?;
    let id = peek::id(bytes).map_err(|error| error.to_string())?;
    // F3: what the link is about, and what the event itself says, are one.
    if id.origin != place.origin {
        return Err(Refused::altered(format!("an event of another server ({})", id.origin.short())));
    }
    if place.incarnation.is_some_and(|incarnation| incarnation != id.incarnation) {
        return Err(Refused::altered(format!("event {} of another life of the log ({})", id.sequence.0, id.incarnation.0)));
    }
    if id.sequence <= known || id.sequence > place.to {
        return Err(Refused::altered(format!("event {} where those after {} up to {} were claimed", id.sequence.0, known.0, place.to.0)));
    }
    let fields = peek::fields(bytes).map_err(|error| error.to_string())?;
    let word = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|word| !word.is_empty() && word.len() <= LONGEST).map(str::to_owned);
    let kind = word(fields.kind).ok_or_else(|| format!("event {} of no kind", id.sequence.0))?;
    let system = match fields.system {
        Some(name) => Some(word(name).ok_or_else(|| format!("event {} of a system without a name", id.sequence.0))?),
        None => None,
    };
    if allowed.is_some_and(|allowed| !covers(allowed, system.as_deref(), &kind, bytes)) {
        // Without its system's name: that is not for those who read this.
        return Err(format!("event {} about what its server did not grant onwards ({kind})", id.sequence.0).into());
    }
    Ok(Row {
        sequence: id.sequence,
        at: fields.header.at,
        recorded: fields.header.recorded,
        severity: fields.header.severity,
        kind: kind.into(),
        system: system.as_deref().map(SystemId::lenient),
        bytes: bytes.clone(),
        seal: None,
    })
}

/// Nothing stands beside them.
pub const NO_SEALS: Seals<'static> = Seals { whole: &[], outlines: &[] };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, AlertOpened, Condition, Draft, LogLine, SystemDeclared};
    use crate::model::grant::Rights;
    use crate::model::id::{EventId, Fingerprint};
    use crate::model::system::SystemSpec;
    use crate::model::time::Time;
    use crate::trust::ServerKey;

    const ORIGIN: Origin = Origin([7; 16]);
    const LIFE: Incarnation = Incarnation(3);
    const PLACE: Place = Place { origin: ORIGIN, incarnation: Some(LIFE), after: Sequence(10), to: Sequence(20) };

    fn event(origin: Origin, life: Incarnation, sequence: u64) -> EventBytes {
        let id = EventId { origin, incarnation: life, sequence: Sequence(sequence) };
        let draft = Draft::new(Time::from_secs(50), Actor::Server, LogLine {}, format!("line {sequence}")).on("shop/varnish".parse().unwrap());
        EventBytes::of(&draft.stamp(id, Time::from_secs(50))).unwrap()
    }

    fn taken(events: &[EventBytes]) -> (Vec<u64>, usize) {
        let taken = take(PLACE, None, events, Sealed::Direct(None, NO_SEALS));
        assert!(!taken.altered, "its own server's word is its own affair");
        (taken.rows.iter().map(|row| row.sequence.0).collect(), taken.refused.len())
    }

    #[test]
    fn f4_one_malformed_event_is_set_aside_and_the_rest_goes_on() {
        let mut bent = event(ORIGIN, LIFE, 13).0.to_vec();
        bent.truncate(bent.len() - 3);
        let nested = [vec![0x81, 0xa4, b'd', b'a', b't', b'a'], vec![0x91; 5_000], vec![0xc0]].concat();
        for bad in [vec![], b"nonsense".to_vec(), bent, nested, vec![0x80], vec![0; 2 << 20]] {
            assert_eq!(taken(&[event(ORIGIN, LIFE, 11), EventBytes(bad.into()), event(ORIGIN, LIFE, 15)]), (vec![11, 15], 1));
        }
    }

    #[test]
    fn f3_an_event_of_another_log_is_none_of_this_one() {
        // Each in a place of its own: whichever was taken would be seen.
        assert_eq!(taken(&[event(Origin([8; 16]), LIFE, 11), event(ORIGIN, Incarnation(2), 12), event(ORIGIN, LIFE, 13)]), (vec![13], 2));
    }

    #[test]
    fn what_a_relay_forged_altered_or_put_elsewhere_is_not_taken() {
        let signer = ServerKey::from_seed([7; 32]).signer().unwrap();
        let (key, other) = (signer.public(), ServerKey::from_seed([8; 32]).signer().unwrap());
        let at = |sequence| event(ORIGIN, LIFE, sequence);
        let sealed = |event: &EventBytes| seal::seal(&signer, &event.0).unwrap();
        let taken = |events: &[EventBytes], seals: &[Raw]| {
            let taken = take(PLACE, None, events, Sealed::Must(&key, Seals { whole: seals, outlines: &[] }));
            assert_eq!(taken.altered, !taken.refused.is_empty());
            (taken.rows.iter().map(|row| row.sequence.0).collect::<Vec<_>>(), taken.refused.len())
        };
        let events = [at(11), at(12), at(13)];
        let seals: Vec<Raw> = events.iter().map(sealed).collect();
        assert_eq!(taken(&events, &seals), (vec![11, 12, 13], 0));
        // Left out: that cannot be seen.
        assert_eq!(taken(&[at(11), at(13)], &[seals[0].clone(), seals[2].clone()]), (vec![11, 13], 0));
        // Made up, signed by the relay itself, without any signature, with another's, changed, exchanged.
        assert_eq!(taken(&[at(14)], &[seal::seal(&other, &at(14).0).unwrap()]), (vec![], 1));
        assert_eq!(taken(&events, &seals[..2]), (vec![11, 12], 1));
        assert_eq!(taken(&[at(14)], &[seals[0].clone()]), (vec![], 1));
        let mut bent = at(12).0.to_vec();
        let last = bent.len() - 1;
        bent[last] ^= 1;
        assert_eq!(taken(&[EventBytes(bent.into())], &[seals[1].clone()]), (vec![], 1));
        assert_eq!(taken(&[at(13), at(12)], &[seals[2].clone(), seals[1].clone()]), (vec![13], 1), "in another order");
        // What its own server signed, and had no right to be told, is no alteration.
        let (scope, seals) = (Scope::new(["lab".parse().unwrap()], Rights::parse("read").unwrap(), None), Seals { whole: &seals, outlines: &[] });
        let taken = take(PLACE, Some(Allowed { scope: &scope, uses: &|_| false }), &events[..1], Sealed::Must(&key, seals));
        assert_eq!((taken.rows.len(), taken.refused.len(), taken.altered), (0, 1, false));
    }

    #[test]
    fn f3_what_its_server_did_not_grant_onwards_is_not_taken() {
        let scope = |systems: &str| Scope::new([systems.parse().unwrap()], Rights::parse("read").unwrap(), None);
        let taken = |scope: &Scope, events: &[EventBytes]| {
            let taken = take(PLACE, Some(Allowed { scope, uses: &|_| false }), events, Sealed::Direct(None, NO_SEALS));
            (taken.rows.len(), taken.refused.len())
        };
        let about = event(ORIGIN, LIFE, 11);
        assert_eq!(taken(&scope("shop/**"), std::slice::from_ref(&about)), (1, 0));
        assert_eq!(taken(&scope("lab"), std::slice::from_ref(&about)), (0, 1));
        assert_eq!(taken(&Scope { rights: Rights::NONE, ..scope("**") }, &[about]), (0, 1));
        // F3: the envelope names one system, what it declares is another.
        let declares = |of: &str| {
            let id = EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(12) };
            let draft = Draft::new(Time::from_secs(50), Actor::Server, SystemDeclared { spec: SystemSpec::bare(of.parse().unwrap()) }, "declared");
            EventBytes::of(&draft.on("shop/varnish".parse().unwrap()).stamp(id, Time::from_secs(50))).unwrap()
        };
        assert_eq!(taken(&scope("shop/**"), &[declares("shop/varnish")]), (1, 0));
        assert_eq!(taken(&scope("shop/**"), &[declares("lab")]), (0, 1));
    }

    #[test]
    fn of_what_a_granted_system_uses_the_outline_alone_is_taken() {
        let scope = Scope::new(["web/**".parse().unwrap()], Rights::parse("read").unwrap(), None);
        let id = EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(12) };
        let opened = AlertOpened { alert: Fingerprint([1; 16]), check: "disk".into(), by: Actor::Server, condition: Condition::Problem, expr: None };
        let draft = Draft::new(Time::from_secs(50), Actor::Agent("db-1".into()), opened, "disk full").on("lab/db".parse().unwrap());
        let whole = EventBytes::of(&draft.text("/var 98 %").stamp(id, Time::from_secs(50))).unwrap();
        let outline = outline_of(&whole.0).unwrap();
        let taken = |uses: &dyn Fn(&str) -> bool, event: &EventBytes| {
            let taken = take(PLACE, Some(Allowed { scope: &scope, uses }), std::slice::from_ref(event), Sealed::Direct(None, NO_SEALS));
            taken.rows.len()
        };
        assert_eq!((taken(&|system| system == "lab/db", &outline), taken(&|_| false, &outline)), (1, 0));
        assert_eq!(taken(&|_| true, &whole), 0, "and no more than that");
        // The outline's own signature is kept behind the event's, if it is one.
        let signer = ServerKey::from_seed([7; 32]).signer().unwrap();
        let (key, seal) = (signer.public(), seal::seal(&signer, &whole.0).unwrap());
        let kept = |told: Raw| {
            let seals = Seals { whole: std::slice::from_ref(&seal), outlines: &[told] };
            take(PLACE, None, std::slice::from_ref(&whole), Sealed::Must(&key, seals)).rows[0].seal.clone().unwrap()
        };
        let good = seal::outline(&signer, &whole.0);
        assert_eq!(kept(good.clone())[..], [&seal.0[..], &good.0[..]].concat());
        assert_eq!(kept(Raw(Vec::new()))[..], seal.0[..]);
        assert_eq!(kept(seal.clone())[..], seal.0[..], "of something else");
        assert_eq!(seal::outline(&signer, &outline.0), Raw(Vec::new()), "an outline has none of its own");
    }

    #[test]
    fn what_comes_from_the_server_itself_is_kept_with_its_signatures_for_others_to_look_at() {
        let signer = ServerKey::from_seed([7; 32]).signer().unwrap();
        let event = event(ORIGIN, LIFE, 11);
        let kept = |told: Raw| {
            let seals = Seals { whole: &[told], outlines: &[] };
            take(PLACE, None, std::slice::from_ref(&event), Sealed::Direct(Some(&signer.public()), seals)).rows[0].seal.clone()
        };
        let good = seal::seal(&signer, &event.0).unwrap();
        assert_eq!(kept(good.clone()).unwrap()[..], good.0[..]);
        // Neither is one: the events are its own all the same, and nobody is passed them.
        assert_eq!(kept(Raw(good.0[1..].to_vec())), None);
        assert_eq!(kept(Raw(Vec::new())), None);
    }

    #[test]
    fn what_is_not_in_its_place_is_not_taken() {
        let at = |sequence| event(ORIGIN, LIFE, sequence);
        assert_eq!(taken(&[at(10), at(12), at(12), at(11), at(20), at(21)]), (vec![12, 20], 4));
    }

    #[test]
    fn what_a_later_version_says_is_kept_as_it_came() {
        // A kind of ours whose data are others than we know, with a field beside them that we do not know.
        let later = serde_json::json!({
            "id": null, "at": 50_000_000, "recorded": 50_000_000, "severity": "warning", "kind": "alert.opened", "system": "shop/varnish",
            "actor": "server", "title": "later", "mood": {"deep": [1]}, "data": {"alert": 7}
        });
        let mut map: Vec<(String, serde_json::Value)> = later.as_object().unwrap().clone().into_iter().filter(|(key, _)| key != "id").collect();
        map.sort_by_key(|(key, _)| key.clone());
        let mut bytes = vec![0x80 + u8::try_from(map.len() + 1).unwrap()];
        bytes.extend(rmp_serde::to_vec_named("id").unwrap());
        bytes.extend(rmp_serde::to_vec_named(&EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(12) }).unwrap());
        for (key, value) in map {
            bytes.extend(rmp_serde::to_vec_named(&key).unwrap());
            bytes.extend(rmp_serde::to_vec_named(&value).unwrap());
        }
        let event = EventBytes(bytes.clone().into());
        assert!(event.decode().is_err(), "this version does not understand it");
        let taken = take(PLACE, None, &[event], Sealed::Direct(None, NO_SEALS));
        assert_eq!((taken.rows.len(), taken.refused.len()), (1, 0), "{:?}", taken.refused);
        assert_eq!((&taken.rows[0].bytes[..], &*taken.rows[0].kind), (&bytes[..], "alert.opened"));
    }
}
