//! How an event is written and read: one map, in JSON and in MessagePack.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{Actor, DataOf, Event, Kind, KindNamed};
use crate::model::labels::Labels;
use crate::model::loose::Loose;
use crate::model::severity::Severity;

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // `kind` always stands before `data`, so that readers need not hold data back.
        let optional = [self.system.is_some(), !self.text.is_empty(), !self.labels.is_empty(), !self.links.is_empty(), self.request.is_some()];
        let fields = 8 + optional.iter().filter(|present| **present).count() + self.extra.len();
        let mut map = s.serialize_map(Some(fields))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("recorded", &self.recorded)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("kind", self.kind.name())?;
        if let Some(system) = &self.system {
            map.serialize_entry("system", system)?;
        }
        map.serialize_entry("actor", &self.actor)?;
        map.serialize_entry("title", &self.title)?;
        if !self.text.is_empty() {
            map.serialize_entry("text", &self.text)?;
        }
        if !self.labels.is_empty() {
            map.serialize_entry("labels", &self.labels)?;
        }
        if !self.links.is_empty() {
            map.serialize_entry("links", &self.links)?;
        }
        if let Some(request) = &self.request {
            map.serialize_entry("request", request)?;
        }
        map.serialize_entry("data", &DataOf(&self.kind))?;
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Event, D::Error> {
        d.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event: a map with id, at, recorded, severity, kind, actor, title, data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        use serde::de::Error;
        let (mut id, mut at, mut recorded, mut actor) = (None, None, None, None);
        let mut severity = Severity::Info;
        let (mut name, mut kind, mut early): (Option<Arc<str>>, Option<Kind>, Option<Value>) = (None, None, None);
        let (mut title, mut text): (Arc<str>, Arc<str>) = ("".into(), "".into());
        let (mut system, mut request) = (None, None);
        let (mut labels, mut links) = (Labels::default(), Vec::new());
        let mut extra = BTreeMap::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "id" => id = Some(map.next_value()?),
                "at" => at = Some(map.next_value()?),
                "recorded" => recorded = Some(map.next_value()?),
                "severity" => severity = map.next_value()?,
                "kind" => name = Some(map.next_value()?),
                "system" => system = map.next_value()?,
                "actor" => actor = Some(map.next_value()?),
                "title" => title = map.next_value()?,
                "text" => text = map.next_value()?,
                "labels" => labels = map.next_value()?,
                "links" => links = map.next_value()?,
                "request" => request = map.next_value()?,
                "data" => match &name {
                    Some(name) => kind = Some(map.next_value_seed(KindNamed(name))?),
                    None => early = Some(map.next_value::<Loose>()?.0),
                },
                _ if extra.len() < 64 => {
                    extra.insert(key.into_owned(), map.next_value::<Loose>()?.0);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let name = name.ok_or_else(|| A::Error::missing_field("kind"))?;
        let kind = match (kind, early) {
            (Some(kind), _) => kind,
            (None, data) => KindNamed(&name)
                .deserialize(data.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
                .map_err(|error| A::Error::custom(format_args!("data of `{name}`: {error}")))?,
        };
        let at = at.ok_or_else(|| A::Error::missing_field("at"))?;
        Ok(Event {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            at,
            recorded: recorded.unwrap_or(at),
            severity,
            system,
            actor: actor.unwrap_or(Actor::Server),
            title,
            text,
            labels,
            links,
            request,
            kind,
            extra,
        })
    }
}
