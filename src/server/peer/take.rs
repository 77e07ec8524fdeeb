//! What of a peer's batch is taken: events of the log that the link is about, each in its place. Whatever
//! else is among them is set aside, and the rest goes on.
//!
//! An event that this version cannot understand whole is kept as it came, as long as it says where it
//! belongs: a later version of this server, and those that it is passed on to, may.

use bytes::Bytes;

use crate::model::id::{Incarnation, Origin, Sequence, SystemId};
use crate::store::Row;
use crate::trust::{PublicKey, seal};
use crate::wire::{EventBytes, Raw, depth, peek};

/// Letters of a kind's name, and of a system's.
const LONGEST: usize = 500;
/// Bytes of one event: more than any intake takes.
const LARGEST: usize = 1 << 20;

/// What was taken of a batch, and why the rest was not.
#[derive(Debug, Default)]
pub struct Taken {
    pub rows: Vec<Row>,
    pub refused: Vec<String>,
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

/// Whether events must bear their server's signature, and with what key that is made.
#[derive(Clone, Copy, Debug)]
pub enum Sealed<'a> {
    /// They come from the server itself; its signatures are kept where there are any that hold.
    Perhaps(Option<&'a PublicKey>, &'a [Raw]),
    /// They were passed on: without its signature an event is anybody's.
    Must(&'a PublicKey, &'a [Raw]),
}

impl Sealed<'_> {
    fn of(self, index: usize, event: &[u8]) -> Result<Option<Bytes>, String> {
        match self {
            Sealed::Perhaps(key, seals) => {
                let seal = seals.get(index).filter(|seal| key.is_some_and(|key| seal::holds(key, event, &seal.0)));
                Ok(seal.map(|seal| seal.0.clone().into()))
            }
            Sealed::Must(key, seals) => match seals.get(index).filter(|seal| seal::holds(key, event, &seal.0)) {
                Some(seal) => Ok(Some(seal.0.clone().into())),
                None => Err("an event that its server did not sign".to_owned()),
            },
        }
    }
}

pub fn take(place: Place, events: &[EventBytes], sealed: Sealed<'_>) -> Taken {
    let mut taken = Taken::default();
    let mut known = place.after;
    for (index, event) in events.iter().enumerate() {
        let found = row(place, known, event).and_then(|row| Ok(Row { seal: sealed.of(index, &event.0)?, ..row }));
        match found {
            Ok(row) => {
                known = row.sequence;
                taken.rows.push(row);
            }
            Err(why) => taken.refused.push(why),
        }
    }
    taken
}

fn row(place: Place, known: Sequence, event: &EventBytes) -> Result<Row, String> {
    let bytes = &event.0;
    if bytes.len() > LARGEST {
        return Err(format!("an event of {} bytes", bytes.len()));
    }
    depth::check_messagepack(bytes, depth::EVENT).map_err(|error| error.to_string())?;
    let id = peek::id(bytes).map_err(|error| error.to_string())?;
    // F3: what the link is about, and what the event itself says, are one.
    if id.origin != place.origin {
        return Err(format!("an event of another server ({})", id.origin.short()));
    }
    if place.incarnation.is_some_and(|incarnation| incarnation != id.incarnation) {
        return Err(format!("event {} of another life of the log ({})", id.sequence.0, id.incarnation.0));
    }
    if id.sequence <= known || id.sequence > place.to {
        return Err(format!("event {} where those after {} up to {} were claimed", id.sequence.0, known.0, place.to.0));
    }
    let fields = peek::fields(bytes).map_err(|error| error.to_string())?;
    let word = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|word| !word.is_empty() && word.len() <= LONGEST).map(str::to_owned);
    let kind = word(fields.kind).ok_or_else(|| format!("event {} of no kind", id.sequence.0))?;
    let system = match fields.system {
        Some(name) => Some(word(name).ok_or_else(|| format!("event {} of a system without a name", id.sequence.0))?),
        None => None,
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::id::EventId;
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
        let taken = take(PLACE, events, Sealed::Perhaps(None, &[]));
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
            let taken = take(PLACE, events, Sealed::Must(&key, seals));
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
        let taken = take(PLACE, &[event], Sealed::Perhaps(None, &[]));
        assert_eq!((taken.rows.len(), taken.refused.len()), (1, 0), "{:?}", taken.refused);
        assert_eq!((&taken.rows[0].bytes[..], &*taken.rows[0].kind), (&bytes[..], "alert.opened"));
    }
}
