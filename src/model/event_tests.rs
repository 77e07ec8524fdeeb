//! Events survive their encodings, and what is not known of them is kept.

use super::*;
use crate::model::id::Origin;

fn opened() -> Event {
    let id = EventId { origin: Origin([1; 16]), incarnation: Incarnation(5), sequence: Sequence(7) };
    let kind = AlertOpened { alert: Fingerprint([2; 16]), check: "disk".into(), by: Actor::Agent("web-1".into()), condition: Condition::Problem, expr: None };
    let mut draft = Draft::new(Time::from_secs(1_790_000_000), Actor::Agent("web-1".into()), kind, "disk 96 %")
        .on("shop/varnish".parse().unwrap())
        .severity(Severity::Critical);
    draft.labels = Labels::new([("mount", "/var")]);
    draft.links = vec![Link { name: "graph".into(), url: "https://example.org".into() }];
    draft.stamp(id, Time::from_secs(1_790_000_001))
}

#[test]
fn an_event_survives_json_and_messagepack() {
    let event = opened();
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
    let bytes = rmp_serde::to_vec_named(&event).unwrap();
    assert_eq!(rmp_serde::from_slice::<Event>(&bytes).unwrap(), event);
}

#[test]
fn data_may_stand_before_kind_in_json() {
    let json = r#"{"data":{"version":"4f3a2c"},"id":"01010101010101010101010101010101.1.1","at":"2026-11-21T02:39:00Z","title":"deploy","kind":"change","actor":"user:ci"}"#;
    let event: Event = serde_json::from_str(json).unwrap();
    assert_eq!(event.kind, Kind::Change(Change::of(Some("4f3a2c".into()))));
}

#[test]
fn unknown_kinds_and_fields_are_kept() {
    let json =
        r#"{"id":"01010101010101010101010101010101.1.1","at":"2026-11-21T02:39:00Z","kind":"match.result","title":"2:1","data":{"home":2},"moon":"full"}"#;
    let event: Event = serde_json::from_str(json).unwrap();
    let again: Value = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
    assert_eq!(again.pointer("/data/home"), Some(&Value::from(2)));
    assert_eq!(again.pointer("/moon"), Some(&Value::from("full")));
    assert_eq!(again.pointer("/kind"), Some(&Value::from("match.result")));
}

#[test]
fn an_unknown_kind_s_binary_is_kept_as_hexadecimal_digits() {
    #[derive(Serialize)]
    struct Later<'a> {
        id: EventId,
        at: Time,
        kind: &'a str,
        title: &'a str,
        data: BTreeMap<&'a str, Bin<'a>>,
        seal: Bin<'a>,
    }
    struct Bin<'a>(&'a [u8]);
    impl Serialize for Bin<'_> {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(self.0)
        }
    }
    let id = opened().id;
    let data = BTreeMap::from([("photo", Bin(&[0, 0xff, 0x1b])), ("empty", Bin(&[]))]);
    let later = Later { id, at: Time::from_secs(1_790_000_000), kind: "door.opened", title: "door 3", data, seal: Bin(&[0xab]) };
    let event: Event = rmp_serde::from_slice(&rmp_serde::to_vec_named(&later).unwrap()).unwrap();
    let Kind::Other(other) = &event.kind else { panic!("{event:?}") };
    assert_eq!((&*other.kind, &other.data), ("door.opened", &serde_json::json!({ "photo": "00ff1b", "empty": "" })));
    assert_eq!(event.extra.get("seal"), Some(&Value::from("ab")));
    // What is written here is read here again, and by JSON too.
    assert_eq!(rmp_serde::from_slice::<Event>(&rmp_serde::to_vec_named(&event).unwrap()).unwrap(), event);
    assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
}
