//! What a hostile peer tells: worlds and batches, through all that a server and a console make of them.

use std::sync::Arc;

use midwatch::model::event::Event;
use midwatch::model::fold::fold;
use midwatch::model::grant::{Pattern, Rights, Scope};
use midwatch::model::id::{Incarnation, Origin, Sequence};
use midwatch::model::time::Span;
use midwatch::model::view::entries::entries;
use midwatch::model::view::graph::Graph;
use midwatch::model::view::now::Now;
use midwatch::model::view::{Freshness, Seen, Sky, alerts, detail, glossary, systems};
use midwatch::model::world::World;
use midwatch::server::peer::take::{NO_SEALS, Place, Sealed, Seals, take};
use midwatch::server::world_of;
use midwatch::store::{Log, MemoryLog, Row};
use midwatch::trust::seal;
use midwatch::wire::codec::{Frame, decode_to_client, encode};
use midwatch::wire::{Batch, Encoding, EventBytes, Packed, Raw, SealedWorld, Snapshot, SnapshotReason, ToClient};

use crate::fuzz;
use crate::trust::key;

const LIFE: Incarnation = Incarnation(1_790_000_000_000);

/// What happened on a night, as the server with the key 8 would have it in its log.
fn night(name: &str, most: usize) -> Vec<Event> {
    let text = std::fs::read_to_string(format!("tests/nights/{name}.jsonl")).unwrap();
    let events = text.lines().take(most).map(|line| serde_json::from_str::<Event>(line).unwrap());
    events
        .zip(1..)
        .map(|(mut event, sequence)| {
            event.id = midwatch::model::id::EventId { origin: origin(), incarnation: LIFE, sequence: Sequence(sequence) };
            event
        })
        .collect()
}

fn origin() -> Origin {
    key(8).public().origin()
}

fn world(events: &[Event]) -> World {
    let mut world = World::new(origin(), LIFE);
    events.iter().for_each(|event| fold(&mut world, event));
    world
}

fn scope(systems: &[&str], rights: &str) -> Scope {
    Scope::new(systems.iter().map(|text| text.parse::<Pattern>().unwrap()), Rights::parse(rights).unwrap(), None)
}

/// All that a console makes of a world.
fn shown(world: Arc<World>) -> usize {
    let now = world.recorded.plus(Span::from_hours(1));
    let sky = Sky::new(vec![Seen { name: "peer".into(), world, freshness: Freshness::Live { age: Span::ZERO } }]);
    let rows = alerts::rows(&sky, now);
    let _ = Now::of(&sky, &rows).headline();
    let _ = entries(&rows, &(0..rows.len()).collect::<Vec<_>>());
    let _ = Graph::of(&sky);
    let _ = glossary::entries(&sky);
    for row in systems::tree(&sky, |_| true).iter().take(30) {
        let _ = systems::inside(&sky, &row.system);
    }
    for row in rows.iter().take(30) {
        let _ = (row.who(), detail::detail(&sky, &rows, row.alert, now));
    }
    rows.len()
}

fn message(bytes: &[u8]) -> Result<ToClient, String> {
    let frame = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('{') => Frame::Text(text.to_owned()),
        _ => Frame::Binary(bytes.to_vec().into()),
    };
    decode_to_client(&frame).map_err(|error| error.to_string())
}

/// In both shapes that a frame has.
fn both(message: &ToClient) -> [Vec<u8>; 2] {
    [Encoding::MessagePack, Encoding::Json].map(|encoding| match encode(message, encoding).unwrap() {
        Frame::Binary(bytes) => bytes.to_vec(),
        Frame::Text(text) => text.into_bytes(),
    })
}

#[test]
fn f4_worlds() {
    let (events, later) = (night("network", 40), night("network", 60).split_off(40));
    let snapshot = |events: &[Event], history: &[Event]| {
        let world = world(events);
        let (head, events) = (world.head, history.iter().map(|event| EventBytes::of(event).unwrap()).collect());
        let (why, base) = (SnapshotReason::First, Sequence(1));
        let at = midwatch::model::time::Time::from_secs(1_790_000_100);
        let sealed = SealedWorld { incarnation: LIFE, head, at, world: Packed::of(&world).unwrap(), signature: Raw(vec![8; 64]) };
        both(&ToClient::Snapshot(Snapshot { incarnation: LIFE, head, base, why, world: Arc::new(world), events, lag: Span::ZERO, sealed: Some(sealed) }))
    };
    let seeds = [snapshot(&events, &events[30..]), snapshot(&night("deploy", 25), &[]), snapshot(&[], &[])].concat();
    let scopes = [scope(&["shop/**", "net/*"], "read"), scope(&["nowhere"], "read,respond,federate"), Scope::all(), Scope::none()];
    fuzz!("worlds", trees: seeds, |bytes: &[u8]| {
        let snapshot = match message(bytes) {
            Ok(ToClient::Snapshot(snapshot)) => snapshot,
            Ok(_) => return "another message".to_owned(),
            Err(error) => return error,
        };
        if let Some(Ok(world)) = snapshot.sealed.as_ref().map(|sealed| sealed.world.open()) {
            let _ = shown(Arc::new(world));
        }
        let place = Place { origin: origin(), incarnation: None, after: Sequence(0), to: snapshot.head };
        let mut told = (*snapshot.world).clone();
        for event in &snapshot.events {
            for row in take(place, None, std::slice::from_ref(event), Sealed::Direct(None, NO_SEALS)).rows {
                if let Ok(event) = EventBytes(row.bytes).decode() {
                    fold(&mut told, &event);
                }
            }
        }
        later.iter().for_each(|event| fold(&mut told, event));
        for scope in &scopes {
            let seen = told.seen_by(scope);
            for alert in seen.alerts.values().filter(|alert| !scope.sees(Some(&alert.system), "alert.opened")) {
                assert!(alert.labels.is_empty() && alert.links.is_empty() && alert.text.is_empty(), "more than an outline: {alert:?}");
            }
            shown(Arc::new(seen));
        }
        let (systems, alerts) = (told.systems.len().min(3), told.alerts.len().min(3));
        let rows = shown(Arc::new(told)).min(3);
        format!("a world of {} with {}, {}", ["no system", "one system", "two systems", "systems"][systems], ["nothing", "one", "two", "many"][alerts], ["none", "one", "two", "many"][rows])
    });
}

#[test]
fn f3_f4_batches() {
    let (signer, other) = (key(8), key(9));
    let events = night("storage", 12);
    let head = Sequence(4);
    let batch = |events: &[Event], signed: bool| {
        let to = events.last().map_or(head, |event| event.id.sequence);
        let events: Vec<EventBytes> = events.iter().map(|event| EventBytes::of(event).unwrap()).collect();
        let seals = if signed { events.iter().map(|event| seal::seal(&signer, &event.0).unwrap()).collect() } else { Vec::new() };
        let claim = signed.then(|| seal::claim(&signer, origin(), LIFE, to, midwatch::model::time::Time::from_secs(1_790_000_100)).unwrap());
        both(&ToClient::Batch(Batch { incarnation: LIFE, from: head, to, events, lag: Span::ZERO, seals, outlines: Vec::new(), claim }))
    };
    let before: Vec<Row> = take(
        Place { origin: origin(), incarnation: Some(LIFE), after: Sequence(0), to: head },
        None,
        &events[..4].iter().map(|event| EventBytes::of(event).unwrap()).collect::<Vec<_>>(),
        Sealed::Direct(None, NO_SEALS),
    )
    .rows;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seeds = [batch(&events[4..], true), batch(&events[4..8], false), batch(&[], true)].concat();
    fuzz!("batches", trees: seeds, |bytes: &[u8]| {
        let batch = match message(bytes) {
            Ok(ToClient::Batch(batch)) => batch,
            Ok(_) => return "another message".to_owned(),
            Err(error) => return error,
        };
        let place = Place { origin: origin(), incarnation: Some(batch.incarnation), after: batch.from, to: batch.to };
        let seals = Seals { whole: &batch.seals, outlines: &batch.outlines };
        let claimed = batch.claim.as_ref().and_then(|claim| seal::claimed(claim, origin(), batch.incarnation));
        assert!(claimed.is_none() || claimed == Some(signer.public()), "nobody else speaks for it");
        // Passed on by somebody: what is taken is what its own server signed, byte for byte.
        for row in take(place, None, &batch.events, Sealed::Must(&signer.public(), seals)).rows {
            assert!(row.seal.as_ref().is_some_and(|seal| seal::holds(&signer.public(), &row.bytes, &seal[..64])));
            assert!(events.iter().any(|event| EventBytes::of(event).unwrap().0 == row.bytes), "made up");
        }
        assert!(take(place, None, &batch.events, Sealed::Must(&other.public(), seals)).rows.is_empty());
        // From itself: whatever it likes, about its own log, in its place.
        let taken = take(place, None, &batch.events, Sealed::Direct(claimed.as_ref(), seals));
        assert_eq!(taken.rows.len() + taken.refused.len(), batch.events.len());
        let mut last = batch.from;
        for row in &taken.rows {
            assert!(row.sequence > last && row.sequence <= batch.to);
            last = row.sequence;
            if let Ok(event) = EventBytes(row.bytes.clone()).decode() {
                assert_eq!((event.id.origin, event.id.sequence, event.id.incarnation), (origin(), row.sequence, batch.incarnation));
            }
        }
        let words = taken.refused.first().cloned().unwrap_or_else(|| format!("{} taken", ["none", "one", "many"][taken.rows.len().min(2)]));
        // A log takes it whole or not at all, and what it tells after a start anew is all of it.
        runtime.block_on(async {
            let log = MemoryLog::new(origin(), LIFE);
            log.claim(Sequence(0), head, before.clone()).await.unwrap();
            let kept = log.claim(batch.from, batch.to, taken.rows.clone()).await;
            assert_eq!(log.head().sequence, if kept.is_ok() { batch.to } else { head });
            let world = world_of(&log).await.unwrap();
            assert_eq!(world.head, log.head().sequence);
            shown(Arc::new(world));
        });
        words
    });
}
