//! What the timeline costs with many events held: memory for each (G13), going to a time, the next error, and
//! a filter as one types. `cargo bench --bench timeline -- 1000000` (events; 1 M without).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use midwatch::client::HistoryPage;
use midwatch::client::page::Packed;
use midwatch::console::message::{Decode, Entry, Lazy};
use midwatch::console::timeline::Timeline;
use midwatch::model::event::{Actor, Draft, Event, LogLine};
use midwatch::model::filter::Filter;
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::wire::EventBytes;

struct Page(Packed);

impl Decode for Page {
    fn decode(&self, index: u32) -> Option<Arc<Event>> {
        self.0.event(index).map(Arc::new)
    }

    fn matches(&self, index: u32, filter: &Filter, server: &str) -> bool {
        self.0.matches(index, filter, server)
    }
}

fn event(server: u8, n: u64) -> Event {
    let id = EventId { origin: Origin([server + 1; 16]), incarnation: Incarnation(1), sequence: Sequence(n + 1) };
    let at = Time::from_secs(1_790_000_000).plus(Span::from_millis(i64::try_from(n * 40).unwrap() + i64::from(server) * 7));
    // Some hundred different lines of the length that logs have, with numbers that make each its own.
    let words =
        ["GET /checkout", "POST /cart", "varnish miss", "replica lag", "queue depth", "osd heartbeat", "lease renewed"][usize::try_from(n % 7).unwrap()];
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let title =
        format!("{words} {mixed} took {} ms for tenant-{} on node-{} (trace {:08x}{:08x})", mixed % 997, mixed % 89, n % 31, mixed, mixed.rotate_left(13));
    let severity = match n % 5_000 {
        0 => Severity::Error,
        1..100 => Severity::Warning,
        _ => Severity::Info,
    };
    Draft::new(at, Actor::Source("app".into()), LogLine {}, title).severity(severity).on("shop/varnish".parse().unwrap()).stamp(id, at)
}

fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let count: u64 = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    let mut timeline = Timeline::new((0..4).map(|n| format!("server-{n}").into()).collect());
    timeline.hold_at_most(usize::MAX);
    let before = rss();
    let (mut filling, mut text) = (std::time::Duration::ZERO, 0_usize);
    for first in (0..count / 4).step_by(1_000) {
        for server in 0..4_u8 {
            let events: Vec<EventBytes> = (first..(first + 1_000).min(count / 4))
                .map(|n| event(server, n))
                .map(|event| {
                    text += event.title.len();
                    EventBytes::of(&event).unwrap()
                })
                .collect();
            let began = Instant::now();
            let page = HistoryPage::read(events);
            let packed = Arc::new(Page(Packed::of(&page.entries)));
            let entries = (0..).zip(page.entries).map(|(index, entry)| Entry {
                at: entry.at,
                id: EventId { origin: Origin([server + 1; 16]), incarnation: Incarnation(1), sequence: entry.sequence },
                severity: entry.severity,
                likeness: entry.likeness,
                event: Lazy::Later(packed.clone(), index),
            });
            timeline.add_older(usize::from(server), entries.collect(), true);
            filling += began.elapsed();
        }
    }
    let held = timeline.held();
    println!(
        "held      {held} events, {} B each, of which text {} B; taken in at {:.0} a second",
        (rss() - before) / held.max(1),
        text / held.max(1),
        f64::from(u32::try_from(held).unwrap()) / filling.as_secs_f64()
    );
    let mut typed = |words: &str| {
        let filter = Filter::new(words, Time::from_secs(0), &TimeZone::UTC).unwrap();
        let began = Instant::now();
        timeline.set_filter(Some(filter));
        let mut first = None;
        while timeline.is_searching() {
            timeline.work();
            if first.is_none() && (timeline.len() >= 40 || began.elapsed().as_millis() >= 12) {
                first = Some(began.elapsed());
            }
        }
        let all = began.elapsed();
        println!(
            "{words:<24} a screenful after {:>8.2} ms, all {:>8.1} ms, {} hits",
            first.unwrap_or(all).as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
            timeline.hits()
        );
    };
    for words in ["v", "va", "var", "varn", "varnish", "varnish tenant-7", "severity:error+", "system:shop/**", "/took 99[0-9] ms/", "nothing-has-this"] {
        typed(words);
    }
    timeline.set_filter(None);
    let began = Instant::now();
    let mut found = 0;
    for step in 0..1_000_i64 {
        let at = Time::from_secs(1_790_000_000).plus(Span::from_millis(step * i64::try_from(count / 100).unwrap()));
        found += timeline.find((at, EventId::default()));
    }
    println!("to a time {:.2} µs ({found})", began.elapsed().as_secs_f64() * 1e6 / 1_000.0);
    let (mut row, mut errors, began) = (timeline.len(), 0, Instant::now());
    while let Some(found) = timeline.seek(row, false, Severity::Error) {
        (row, errors) = (found, errors + 1);
    }
    println!("by error  {:.2} µs a step, {errors} errors", began.elapsed().as_secs_f64() * 1e6 / f64::from(errors.max(1)));
}
