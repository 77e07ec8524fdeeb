//! Messages survive both encodings; what is hostile is refused before it is parsed.

use std::sync::Arc;

use bytes::Bytes;

use super::codec::{Frame, decode_to_client, decode_to_server, encode};
use super::depth::{check_json, check_messagepack};
use super::*;
use crate::model::event::{Actor, Change, Draft, Event};
use crate::model::id::{EventId, Fingerprint, Incarnation, Origin, RequestId, Sequence};
use crate::model::intent::{Intent, Request};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::World;

fn event(sequence: u64) -> Event {
    let id = EventId { origin: Origin([1; 16]), incarnation: Incarnation(1_790_000_000_000), sequence: Sequence(sequence) };
    Draft::new(Time::from_secs(-5), Actor::User("kim".into()), Change::of(Some("4f3a2c".into())), "deploy")
        .on("shop/varnish".parse().unwrap())
        .severity(Severity::Warning)
        .stamp(id, Time::from_secs(1_790_000_000))
}

fn both_ways(message: &ToClient) {
    for encoding in [Encoding::Json, Encoding::MessagePack, Encoding::Zstd] {
        let frame = encode(message, encoding).unwrap();
        assert_eq!(&decode_to_client(&frame).unwrap(), message, "{encoding:?}");
    }
}

#[test]
fn batches_and_snapshots_survive_all_encodings() {
    let events: Vec<EventBytes> = (1..200).map(|s| EventBytes::of(&event(s)).unwrap()).collect();
    let incarnation = Incarnation(1_790_000_000_000);
    both_ways(&ToClient::Batch(Batch {
        incarnation,
        from: Sequence(0),
        to: Sequence(199),
        events: events.clone(),
        lag: Span::from_millis(3),
        seals: Vec::new(),
        outlines: Vec::new(),
        claim: None,
    }));
    let mut world = World::new(Origin([1; 16]), incarnation);
    (1..200).for_each(|s| crate::model::fold::fold(&mut world, &event(s)));
    let snapshot = Snapshot {
        incarnation,
        head: Sequence(199),
        base: Sequence(1),
        why: SnapshotReason::First,
        world: Arc::new(world),
        events,
        lag: Span::ZERO,
        sealed: None,
    };
    both_ways(&ToClient::Snapshot(snapshot));
}

#[test]
fn requests_survive_both_encodings() {
    let episode = event(3).id;
    for intent in [
        Intent::Acknowledge { alert: Fingerprint([2; 16]), episode, note: "on it".into() },
        Intent::Snooze { alert: Fingerprint([2; 16]), episode, until: Time::from_secs(5), note: "".into() },
        Intent::Assign { alert: Fingerprint([2; 16]), episode, to: None },
        Intent::WithdrawNote { note: episode },
    ] {
        let message = ToServer::Do(Request { id: RequestId([9; 16]), by: "kim".into(), made: Time::from_secs(7), intent, signed: None });
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let frame = encode(&message, encoding).unwrap();
            assert_eq!(decode_to_server(&frame).unwrap(), message, "{encoding:?}");
        }
    }
}

#[test]
fn a_peek_finds_what_decoding_finds() {
    for sequence in [1, 200, 70_000, 5_000_000_000] {
        let event = event(sequence);
        let bytes = EventBytes::of(&event).unwrap();
        let header = peek::peek(&bytes.0).unwrap();
        assert_eq!((header.sequence, header.at, header.recorded, header.severity), (event.id.sequence, event.at, event.recorded, event.severity));
        for cut in 0..bytes.0.len() {
            // Whatever is cut off: an answer, never a panic.
            let _ = peek::peek(bytes.0.get(..cut).unwrap());
        }
    }
}

#[test]
fn b1_nesting_is_counted_before_parsing() {
    let bomb = vec![0x91_u8; 1_000_000];
    assert!(matches!(check_messagepack(&bomb, 32), Err(WireError::TooDeep(32))));
    let mut inside = vec![0x81, 0xa2, b'd', b'o'];
    inside.extend([0x81, 0xa1, b'a'].repeat(200_000));
    assert!(matches!(decode_to_server(&Frame::Binary(inside.into())), Err(WireError::TooDeep(_))));
    let json = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert!(matches!(decode_to_server(&Frame::Text(json.clone())), Err(WireError::TooDeep(_))));
    assert!(check_json(r#""[[[[[[[[[[[[""#, 3).is_ok(), "brackets within a string are no nesting");
    // A count that promises more than there is.
    assert!(check_messagepack(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0], 32).is_err());
    assert!(check_messagepack(&[0xdb, 0xff, 0xff, 0xff, 0xff, 0xc0], 32).is_err());
    let mut nested = EventBytes(Bytes::from([vec![0x81, 0xa4], b"data".to_vec(), vec![0x91; 5_000]].concat()));
    assert!(matches!(nested.decode(), Err(WireError::TooDeep(_))));
    nested.0 = Bytes::from_static(&[0xc1]);
    assert!(nested.decode().is_err());
}

#[test]
fn b2_a_compressed_bomb_is_stopped_at_the_cap() {
    let bomb = zstd::bulk::compress(&vec![0_u8; codec::MAX_TO_SERVER * 8], 19).unwrap();
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    assert_eq!(decode_to_server(&Frame::Binary(bomb.into())), Err(WireError::TooLarge(codec::MAX_TO_SERVER)));
}

#[test]
fn no_message_begins_like_a_compressed_frame() {
    let frame = encode(&ToServer::Ping(Ping { id: 1 }), Encoding::MessagePack).unwrap();
    let Frame::Binary(bytes) = frame else { panic!("text") };
    assert_eq!(bytes.first(), Some(&0x81), "a map of one entry");
}

#[test]
fn b1_b2_frames_for_clients_are_bounded_as_those_for_servers_are() {
    let nested = Frame::Binary([vec![0x91; 40], vec![0xc0]].concat().into());
    assert_eq!(decode_to_client(&nested), Err(WireError::TooDeep(depth::MESSAGE)));
    let Frame::Binary(ping) = encode(&ToServer::Ping(Ping { id: 1 }), Encoding::MessagePack).unwrap() else { panic!() };
    assert!(decode_to_server(&Frame::Binary(ping.clone())).is_ok());
    let more = [&ping[..], &[0xc0]].concat();
    assert!(matches!(decode_to_server(&Frame::Binary(more.into())), Err(WireError::Malformed(_))), "something stands behind it");
    // Packed or not, so much and no more.
    for bytes in [vec![7; 1_001], zstd::bulk::compress(&[7; 1_001], 1).unwrap()] {
        assert_eq!(codec::unpack(bytes.clone().into(), 1_000), Err(WireError::TooLarge(1_000)));
        assert_eq!(codec::unpack(bytes.into(), 1_001).map(|unpacked| unpacked.len()), Ok(1_001));
    }
    // What wants more memory to be unpacked than it will ever fill.
    let mut wide = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(26).unwrap();
    std::io::Write::write_all(&mut wide, &[7; 1_000]).unwrap();
    assert!(matches!(codec::unpack(wide.finish().unwrap().into(), 1_000), Err(WireError::Malformed(_))));
}
