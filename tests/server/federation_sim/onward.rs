//! What the judge holds of what is told to servers, which may tell it on: the lease that comes before it, the
//! signatures beside it, and what fills a gap.

use super::decode::Value;
use super::judge::{Ear, Reader, State};
use super::signed;
use super::truth::{SYSTEMS, Truth, Window, system};

/// By how much the end of a lease may be misjudged: how long a message is under way, and how far clocks are set in
/// nights in which leases end.
const SLACK: i64 = 7_000_000;

impl Ear {
    /// What is told to a server lies within the lease that was told before it, which is not over, and within which
    /// nothing lies that was not granted; of another's log it bears that one's signature.
    pub(super) fn passes_on(&self, state: &mut State, reader: &Reader, name: &str, body: &Value, window: Window) {
        if reader.role != "peer" {
            return;
        }
        let homes = &self.truth.homes;
        let Some(to) = homes.iter().find(|home| home.name == reader.name) else { return self.wrong(reader, "a peer that is no server") };
        let (origin, server) = (&homes[reader.origin], &homes[self.server]);
        if name == "lease" {
            self.truth.count("leases");
            match signed::lease(body, &origin.key, reader.origin, &server.key, &to.key) {
                Ok(lease) => {
                    self.granted(reader, &lease, window);
                    state.lease = Some(lease);
                }
                Err(why) => self.wrong(reader, &format!("a lease that is none: {why}")),
            }
        }
        let told = body.get("events").list();
        let of_the_log = match name {
            "snapshot" => body.get("world").get("systems").fields().len() + body.get("world").get("alerts").fields().len() > 0 || !told.is_empty(),
            "batch" => body.get("from") != body.get("to"),
            "backfilled" => !told.is_empty(),
            "vitals" | "readings" => true,
            _ => false,
        };
        if !of_the_log {
            return;
        }
        let Some(lease) = &state.lease else { return self.wrong(reader, &format!("a {name} without a lease")) };
        // Who received the log from its own server knows that one's clock; who did not goes by its own.
        let relayed = self.server != reader.origin;
        let clock = if lease.hands > 1 { &server.clock } else { &origin.clock };
        let then = midwatch::link::Clock::now(clock).micros() - i64::try_from(window.to - window.from).unwrap();
        // What a server tells of its own log it may, as long as the grant holds. Where clocks are set by minutes, the end of
        // a grant by one clock is nothing by another.
        if relayed && self.truth.leases_end && then > lease.until + SLACK {
            self.wrong(reader, &format!("a {name} {} us after the end of the lease", then - lease.until));
        }
        if name == "batch" {
            let number = |key: &str| body.get(key).int().unwrap_or_default();
            let claim = signed::claim(&origin.key, &origin.origin, number("incarnation"), body.get("claim"));
            if relayed && claim.is_none_or(|(furthest, _)| number("to") > furthest) {
                self.wrong(reader, "a part of a log without its own server's word on how far it goes");
            }
        }
        for (index, event) in told.iter().enumerate() {
            let bytes = event.bytes().unwrap_or_default();
            let seal = body.get("seals").list().get(index).and_then(Value::bytes).unwrap_or_default();
            if relayed && name != "snapshot" && !signed::signed(&origin.key, "midwatch-event", bytes, seal) {
                self.wrong(reader, "an event without its own server's signature");
            }
            let event = Value::read(bytes).unwrap_or(Value::Nil);
            let Some(id) = event.get("system").text() else { continue };
            let number = (0..SYSTEMS).find(|number| id == system(reader.origin, *number));
            let used = || number.is_some_and(|number| Truth::users(reader.origin, number).any(|user| lease.sees(&user)));
            if !lease.sees(id) && !used() {
                self.wrong(reader, &format!("a {} of {id}, which its lease does not hold: {lease:?}", event.get("kind").text().unwrap_or_default()));
            }
        }
    }

    /// A lease allows no more than what was granted: here, and on the way.
    fn granted(&self, reader: &Reader, lease: &signed::Told, window: Window) {
        for id in (0..SYSTEMS).map(|number| system(reader.origin, number)).filter(|id| lease.sees(id)) {
            if !self.may(reader, &id, window) {
                self.wrong(reader, &format!("a lease of {id}: {lease:?}"));
            }
        }
        if lease.has("federate") && !self.truth.may(self.server, &reader.name, "federate", window) {
            self.wrong(reader, &format!("a lease to pass it on: {lease:?}"));
        }
    }

    /// What was missed comes afterwards: within what was asked for, in its order, and nothing left out.
    pub(super) fn filled(&self, state: &mut State, reader: &Reader, body: &Value, window: Window) {
        self.truth.count("fills");
        let Some((after, until)) = state.fills.remove(&body.get("id").int().unwrap_or_default()) else {
            return self.wrong(reader, "what nobody asked for");
        };
        let to = body.get("to").int().unwrap_or_default();
        let places: Vec<u64> = self.events(reader, body.get("events").list(), window).into_iter().map(|(_, place)| place).collect();
        if !places.is_sorted_by(|a, b| a < b) || places.iter().any(|place| *place <= after || *place > to) || to > until {
            self.wrong(reader, &format!("events {places:?} and all up to {to}, where those in ({after}, {until}] were asked for"));
        }
        if self.server != reader.origin {
            return;
        }
        for row in super::truth::rows(&self.truth.homes[reader.origin].log) {
            let place = row.sequence.0;
            let Some(id) = row.system.as_ref().filter(|_| place > after && place <= to && !places.contains(&place)) else { continue };
            if self.must(reader, id.as_str(), &row.kind, window) {
                self.wrong(reader, &format!("({after}, {to}] filled in without event {place}, a {} of {id}", row.kind));
            }
        }
    }
}
