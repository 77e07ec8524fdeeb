//! A filter asked about an event's bytes: most questions are answered without decoding it.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::{decode_event, peek};
use crate::model::event::{Actor, Event};
use crate::model::filter::{Filter, OnServer, States, Subject};
use crate::model::severity::Severity;
use crate::model::time::Time;

/// Whether a filter leaves an event, which is decoded only when its bytes do not tell.
pub fn matches(bytes: &[u8], filter: &Filter, server: &str) -> bool {
    // What must be in title or text stands in the bytes as it is.
    if let Some(needle) = filter.needle()
        && needle.holds_within()
        && needle.find(bytes, 0).is_none()
    {
        return false;
    }
    match peek::fields(bytes) {
        Ok(fields) => filter.matches(&OnServer { subject: &Glimpse { bytes, fields, event: OnceCell::new() }, server }),
        Err(_) => false,
    }
}

/// An event as its bytes say it; decoded for what is asked rarely.
struct Glimpse<'a> {
    bytes: &'a [u8],
    fields: peek::Fields<'a>,
    event: OnceCell<Option<Box<Event>>>,
}

impl Glimpse<'_> {
    fn event(&self) -> Option<&Event> {
        self.event.get_or_init(|| decode_event(self.bytes).ok().map(Box::new)).as_deref()
    }
}

impl Subject for Glimpse<'_> {
    fn at(&self) -> Time {
        self.fields.header.at
    }

    fn severity(&self) -> Severity {
        self.fields.header.severity
    }

    fn kind(&self) -> &str {
        std::str::from_utf8(self.fields.kind).unwrap_or("")
    }

    fn system(&self) -> Option<&str> {
        std::str::from_utf8(self.fields.system?).ok()
    }

    fn server(&self) -> Option<&str> {
        None
    }

    fn states(&self) -> States {
        self.event().map_or(States::NONE, Subject::states)
    }

    fn check(&self) -> Option<&str> {
        self.event()?.check()
    }

    fn agent(&self) -> Option<&str> {
        self.event()?.agent()
    }

    fn source(&self) -> Option<&str> {
        self.event()?.source()
    }

    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        self.event().is_some_and(|event| event.any_actor(test))
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        self.event()?.label(name)
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        test(self.fields.title) || test(self.fields.text)
    }
}
