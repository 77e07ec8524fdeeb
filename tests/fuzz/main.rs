//! What comes from outside, bent at random: nothing panics, and what is taken is what was meant.
//!
//! Each target runs for a short while over kept inputs (`__fuzz__/TARGET/corpus`; what once failed is kept in `crashes`), over
//! random bytes, and over good examples that are bent. `MIDWATCH_FUZZ_SECONDS` makes it longer; `cargo bolero test TARGET`
//! looks for what is not covered yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bend;
mod http;

use std::path::Path;
use std::time::{Duration, Instant};

use bend::{Bent, seeds_of};
use midwatch::model::filter::Filter;
use midwatch::model::time::Time;
use midwatch::trust::handshake::{self, Binding, Client, Server};
use midwatch::trust::{AuthorizedKeys, ServerKey, Signer};
use midwatch::wire::codec::{Frame, decode_to_client, decode_to_server, encode};
use midwatch::wire::{Encoding, Role, decode_event};

/// How long one way of making inputs goes on.
fn time() -> Duration {
    let seconds = std::env::var("MIDWATCH_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.5);
    Duration::from_secs_f64(seconds)
}

/// Random bytes and kept inputs, then bent examples.
macro_rules! fuzz {
    ($seeds:expr, $look:expr) => {{
        let look = $look;
        bolero::check!().with_test_time(time()).with_iterations(10_000_000).with_max_len(4_096).for_each(|bytes: &[u8]| look(bytes));
        let seeds: Vec<Vec<u8>> = $seeds;
        assert!(!seeds.is_empty(), "there are good examples");
        bolero::check!().with_test_time(time()).with_iterations(10_000_000).with_type::<Bent>().for_each(|bent: &Bent| look(&bent.of(&seeds)));
    }};
}

fn key(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

fn frame(bytes: &[u8]) {
    let mut frames = vec![Frame::Binary(bytes.to_vec().into())];
    frames.extend(std::str::from_utf8(bytes).ok().map(|text| Frame::Text(text.to_owned())));
    for frame in frames {
        if let Ok(message) = decode_to_server(&frame) {
            let again = encode(&message, Encoding::MessagePack).expect("what was read can be written");
            assert_eq!(decode_to_server(&again).expect("what was written can be read"), message);
        }
        if let Ok(message) = decode_to_client(&frame) {
            let again = encode(&message, Encoding::Zstd).expect("what was read can be written");
            assert_eq!(decode_to_client(&again).expect("what was written can be read"), message);
        }
    }
    // An event among others: whatever it is, it is one or it is not.
    let _ = decode_event(bytes);
}

#[test]
fn b1_frames() {
    fuzz!(seeds_of(Path::new("tests/server/golden")), frame);
}

#[test]
fn n7_handshake() {
    let (server, client) = (key(1), key(2));
    let deadline = Instant::now() + Duration::from_secs(3_600);
    let (_, opening) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
    let met = |opening: &[u8]| Server::answer(&server, [4; 32], Binding::None, Instant::now(), deadline, opening);
    let (_, reply) = met(&opening).unwrap();
    let (asked, _) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
    let proved = asked.reply(Instant::now(), &reply).unwrap();
    let proof = proved.proof(Instant::now(), &proved.sign(&client).unwrap()).unwrap();
    let look = |bytes: &[u8]| {
        // A server takes what it was told as what was meant, and then only the proof of that.
        if let Ok((meeting, _)) = met(bytes) {
            assert!(meeting.finish(Instant::now(), &proof).is_err() || bytes == opening, "a proof opens what it was made for");
        }
        let (asked, _) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
        assert!(asked.reply(Instant::now(), bytes).is_err() || bytes == reply, "one reply is the server's");
        let (meeting, _) = met(&opening).unwrap();
        assert!(meeting.finish(Instant::now(), bytes).is_err() || bytes == proof, "one proof is the client's");
    };
    assert_eq!((opening.len(), reply.len(), proof.len()), (handshake::OPENING, handshake::REPLY, handshake::PROOF));
    fuzz!(vec![opening.clone(), reply.clone(), proof.clone()], look);
}

#[test]
fn b5_filter() {
    let seeds = [
        "system:shop/** severity:warning+ kind:alert.* varnish \"exact words\" /reg.x/ label.env=prod since:3h not state:acked (a or b)",
        "not (a or not b) c",
        "/(a|b)*c/ until:2026-11-21T03:00 by:kim",
    ];
    fuzz!(seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let now = Time::from_secs(1_795_300_000);
        if let Ok(filter) = Filter::new(&text, now, &jiff::tz::TimeZone::UTC) {
            let printed = filter.to_string();
            let again = Filter::new(&printed, now, &jiff::tz::TimeZone::UTC).unwrap_or_else(|error| panic!("`{printed}`: {error}"));
            assert_eq!(again.to_string(), printed, "what is printed is what is read");
        }
    });
}

#[test]
fn n9_authorized_keys() {
    let line = key(5).public().line();
    let seeds = [format!("{line} kim\n"), format!("agent=\"web-1\" {line}\n# a comment\n\n{line} jo@home\n")];
    fuzz!(seeds.map(String::into_bytes).to_vec(), |bytes: &[u8]| {
        let _ = AuthorizedKeys::parse(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn b1_bodies() {
    let server = http::Served::start();
    let look = |bytes: &[u8]| {
        for path in ["/api/v2/alerts", "/api/v1/webhook/alertmanager", "/api/v1/events"] {
            let status = server.post(path, bytes);
            assert!((200..500).contains(&status), "{path}: {status}");
        }
    };
    fuzz!(http::examples(), look);
}
