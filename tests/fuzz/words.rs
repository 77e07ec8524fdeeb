//! What people and programs say: frames, filters, bodies that are pushed.

use std::path::Path;

use midwatch::model::filter::Filter;
use midwatch::model::time::Time;
use midwatch::wire::codec::{Frame, decode_to_client, decode_to_server, encode};
use midwatch::wire::{Encoding, decode_event};

use crate::bend::seeds_of;
use crate::{fuzz, http};

fn frame(bytes: &[u8]) -> String {
    let mut frames = vec![Frame::Binary(bytes.to_vec().into())];
    frames.extend(std::str::from_utf8(bytes).ok().map(|text| Frame::Text(text.to_owned())));
    let mut words = String::new();
    for frame in frames {
        words = match decode_to_server(&frame) {
            Ok(message) => {
                let again = encode(&message, Encoding::MessagePack).expect("what was read can be written");
                assert_eq!(decode_to_server(&again).expect("what was written can be read"), message);
                format!("{message:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
            }
            Err(error) => error.to_string(),
        };
        if let Ok(message) = decode_to_client(&frame) {
            let again = encode(&message, Encoding::Zstd).expect("what was read can be written");
            assert_eq!(decode_to_client(&again).expect("what was written can be read"), message);
            words.extend(format!("{message:?}").chars().take_while(|c| c.is_alphanumeric()));
        }
    }
    // An event among others: whatever it is, it is one or it is not.
    let _ = decode_event(bytes);
    words
}

#[test]
fn b1_frames() {
    fuzz!("frames", trees: seeds_of(Path::new("tests/server/golden")), frame);
}

#[test]
fn b5_filter() {
    let seeds = [
        "system:shop/** severity:warning+ kind:alert.* varnish \"exact words\" /reg.x/ label.env=prod since:3h not state:acked (a or b)",
        "not (a or not b) c",
        "/(a|b)*c/ until:2026-11-21T03:00 by:kim",
    ];
    fuzz!("filter", seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let now = Time::from_secs(1_795_300_000);
        match Filter::new(&text, now, &jiff::tz::TimeZone::UTC) {
            Ok(filter) => {
                let printed = filter.to_string();
                let again = Filter::new(&printed, now, &jiff::tz::TimeZone::UTC).unwrap_or_else(|error| panic!("`{printed}`: {error}"));
                assert_eq!(again.to_string(), printed, "what is printed is what is read");
                "a filter".to_owned()
            }
            Err(error) => error.to_string(),
        }
    });
}

#[test]
fn b1_bodies() {
    let server = http::Served::start();
    let look = |bytes: &[u8]| {
        let mut words = String::new();
        for path in ["/api/v2/alerts", "/api/v1/webhook/alertmanager", "/api/v1/events"] {
            let (status, said) = server.post(path, bytes);
            assert!((200..500).contains(&status), "{path}: {status}");
            words = said;
        }
        words
    };
    fuzz!("bodies", trees: http::examples(), look);
}
