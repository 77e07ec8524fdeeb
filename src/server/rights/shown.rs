//! Stored events as one reader is shown them. What a reader may see whole goes out as the log's own bytes.

use std::sync::Arc;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

use crate::model::filter::{Filter, OnServer};
use crate::model::grant::{Glance, Lens};
use crate::model::id::Sequence;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::server::beside::beside;
use crate::server::core::Durable;
use crate::server::house::House;
use crate::server::resume::encoded;
use crate::store::{Answer, Log, Page, Row, Sift, StoreError, Test};
use crate::wire::{Encoding, EventBytes, Snapshot, SnapshotReason, decode_event, glimpse, peek};

/// Rows that are looked at in one go.
const LOOK: usize = 200_000;

/// Hits of a search that are looked at in one go.
const SEARCHED: usize = 1_000;

/// What of a row is shown. Nothing, too, where it cannot be read: nobody knows what it is about.
pub fn row(lens: &Lens, row: &Row) -> Option<Bytes> {
    match lens.glance(row.system.as_ref().map(|system| system.as_str()), &row.kind) {
        Glance::Whole => Some(row.bytes.clone()),
        Glance::Perhaps => looked_into(lens, &row.bytes),
        Glance::Nothing => None,
    }
}

fn looked_into(lens: &Lens, bytes: &[u8]) -> Option<Bytes> {
    let event = decode_event(bytes).ok()?;
    EventBytes::of(&*lens.project(&event)?).ok().map(|bytes| bytes.0)
}

fn glance(lens: &Lens, bytes: &[u8]) -> Glance {
    let Ok(fields) = peek::fields(bytes) else { return Glance::Nothing };
    let system = match fields.system.map(std::str::from_utf8) {
        Some(Ok(system)) => Some(system),
        Some(Err(_)) => return Glance::Nothing,
        None => None,
    };
    std::str::from_utf8(fields.kind).map_or(Glance::Nothing, |kind| lens.glance(system, kind))
}

/// Whether an event is shown and a filter leaves what is shown of it: a filter that asked what is hidden
/// would tell it.
pub fn test(lens: Arc<Lens>, filter: Option<Filter>, server: Arc<str>) -> Test {
    Arc::new(move |_: Severity, event| match (glance(&lens, event), &filter) {
        (Glance::Nothing, _) => false,
        (Glance::Whole, None) => true,
        (Glance::Whole, Some(filter)) => glimpse::matches(event, filter, &server),
        (Glance::Perhaps, filter) => {
            looked_into(&lens, event).is_some_and(|shown| filter.as_ref().is_none_or(|filter| glimpse::matches(&shown, filter, &server)))
        }
    })
}

/// Takes note of rows as they come. True: the reader needs the world anew.
pub fn moved(lens: &mut Lens, rows: &[Row]) -> bool {
    let mut moved = false;
    for row in rows.iter().filter(|row| Lens::watches(&row.kind)) {
        moved |= decode_event(&row.bytes).is_ok_and(|event| lens.moves(&event));
    }
    moved
}

/// Rows as they are shown; none of those that are not.
pub fn rows(lens: &Lens, rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().filter_map(|one| row(lens, &one).map(|bytes| Row { bytes, ..one })).collect()
}

/// As [`Log::page`], of what is shown: fewer than asked for only where there is no more.
pub fn page(log: Arc<dyn Log>, lens: Arc<Lens>, mut page: Page, most: usize) -> Answer<Vec<Row>> {
    Box::pin(async move {
        let mut out = Vec::new();
        let wanted = test(lens.clone(), None, "".into());
        while out.len() < most {
            let found = log.sift(Sift { page, since: None, most: most - out.len(), look: LOOK, test: wanted.clone(), scale: None }).await?;
            out.extend(rows(&lens, found.rows));
            page = match (found.complete, found.reached, page) {
                (true, _, _) | (_, None, _) => break,
                (false, reached, Page::Before(_)) => Page::Before(reached),
                (false, reached, Page::After(_)) => Page::After(reached),
            };
        }
        Ok(out)
    })
}

/// As [`Log::search`], of what is shown whole.
pub fn search(log: Arc<dyn Log>, lens: Arc<Lens>, words: Arc<str>, mut before: Option<(Time, Sequence)>, most: usize) -> Answer<Vec<Row>> {
    Box::pin(async move {
        let mut out: Vec<Row> = Vec::new();
        let some = most.max(SEARCHED);
        while out.len() < most {
            let found = log.search(&words, before, some).await?;
            let last = found.len() < some;
            before = found.last().map(|row| (row.at, row.sequence));
            let whole = |row: &Row| lens.glance(row.system.as_ref().map(|system| system.as_str()), &row.kind) == Glance::Whole;
            out.extend(found.into_iter().filter(whole));
            if last {
                break;
            }
        }
        out.truncate(most);
        Ok(out)
    })
}

/// Whether a filter leaves what is shown. What cannot be read is passed on: leaving it out would hide it.
pub fn matches(filter: Option<&Filter>, server: &str, bytes: &Bytes) -> bool {
    filter.is_none_or(|filter| EventBytes(bytes.clone()).decode().map_or(true, |event| filter.matches(&OnServer { subject: &event, server })))
}

/// The world as it is seen, with the newest `history` events of those that are.
pub async fn snapshot(durable: &Durable, house: &House, lens: &Lens, history: u32, why: SnapshotReason, encoding: Encoding) -> Result<Message, String> {
    let most = usize::try_from(history).unwrap_or(usize::MAX);
    let newest = match history {
        0 => Ok(Vec::new()),
        _ => page(house.log.clone(), Arc::new(lens.clone()), Page::Before(None), most).await,
    };
    let newest = newest.map_err(|error: StoreError| error.to_string())?;
    // What became durable since comes through the stream.
    let events = newest.into_iter().rev().filter(|row| row.sequence <= durable.world.head).map(|row| EventBytes(row.bytes)).collect();
    let (whole, lens, base, lag) = (durable.world.clone(), lens.clone(), durable.base, house.lag());
    let made = move || {
        let world = Arc::new(lens.world(&whole));
        encoded(Snapshot { incarnation: world.incarnation, head: world.head, base, why, world, events, lag, sealed: None }, encoding)
    };
    beside(&durable.world, || None, made).await
}
