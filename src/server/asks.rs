//! Asks for history and searches: answered in order, a page at a time, in step with what the reader
//! takes. The next page is fetched while one is sent.

use std::collections::VecDeque;

use super::hub::message;
use super::resume::{BYTES, ROWS};
use super::rights::need::ask_of;
use super::rights::shown;
use super::session::{Asked, MOVED, Over, Wire};
use crate::store::{Answer, Page, Row, StoreError};
use crate::wire::codec::encode;
use crate::wire::{self, EventBytes, HistoryAsk, Paging, Place, ProblemCode, ToClient, ToServer};

#[derive(Default)]
pub(super) struct Asks {
    waiting: VecDeque<Asked>,
    fetching: Option<Fetch>,
}

struct Fetch {
    of: Asked,
    id: u64,
    rows: Answer<Vec<Row>>,
    asked: usize,
    /// What is left of it then, with the place of the last row.
    rest: Option<HistoryAsk>,
}

type Said = Result<(), Over>;

impl Asks {
    /// For history or for words.
    pub(super) async fn queue(&mut self, wire: &mut Wire, ask: Asked) -> Said {
        if self.waiting.len() >= wire.shared.limits.asks {
            return wire.problem(ProblemCode::Limit, ask_of(&ask.ask), "too many asks wait already").await;
        }
        self.waiting.push_back(ask);
        self.fetch_next(wire);
        Ok(())
    }

    fn fetch_next(&mut self, wire: &Wire) {
        if self.fetching.is_none() {
            self.fetching = self.waiting.pop_front().and_then(|ask| fetch(wire, ask));
        }
    }

    /// Of what the rows that come next were read.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.fetching.as_ref().map(|fetch| &fetch.of)
    }

    /// Whoever asked for them does not get them.
    pub(super) fn forget(&mut self, wire: &Wire) {
        self.fetching = None;
        self.fetch_next(wire);
    }

    /// What was fetched; for ever when nothing was asked. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Vec<Row>, StoreError> {
        match &mut self.fetching {
            Some(fetch) => (&mut fetch.rows).await,
            None => std::future::pending().await,
        }
    }

    /// `holds`: what may be seen is still what they were made of.
    pub(super) async fn answer(&mut self, wire: &mut Wire, rows: Result<Vec<Row>, StoreError>, holds: &Holds<'_>) -> Said {
        let Some(fetch) = self.fetching.take() else { return Ok(()) };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.fetch_next(wire);
                return wire.problem(ProblemCode::Unavailable, Some(fetch.id), error.to_string()).await;
            }
        };
        let complete = rows.len() < fetch.asked;
        let rest = fetch.rest.filter(|rest| !complete && rest.limit > 0);
        let last = rest.is_none();
        if let (Some(rest), Some(row)) = (rest, rows.last()) {
            let place = Some(Place { at: row.at, sequence: row.sequence });
            let page = match rest.page {
                Paging::Before(_) => Paging::Before(place),
                Paging::After(_) => Paging::After(place),
            };
            self.waiting.push_front(fetch.of.going_on(ToServer::History(HistoryAsk { page, ..rest })));
        }
        self.fetch_next(wire);
        let sent = send(wire, fetch.id, rows, last, complete, None, holds).await?;
        if sent == Sent::Part {
            // What was to follow is not asked for any more.
            self.waiting.retain(|ask| ask_of(&ask.ask) != Some(fetch.id));
            if self.asked().is_some_and(|of| ask_of(&of.ask) == Some(fetch.id)) {
                self.forget(wire);
            }
        }
        Ok(())
    }
}

/// Reads what is asked for.
fn fetch(wire: &Wire, of: Asked) -> Option<Fetch> {
    let log = &wire.house.log;
    match of.ask.clone() {
        ToServer::History(ask) => {
            let place = |place: Option<Place>| place.map(|place| (place.at, place.sequence));
            let page = match ask.page {
                Paging::Before(before) => Page::Before(place(before)),
                Paging::After(after) => Page::After(place(after)),
            };
            let asked = usize::try_from(ask.limit).unwrap_or(usize::MAX).min(ROWS);
            let rows = match &of.lens {
                Some(lens) => shown::page(log.clone(), lens.clone(), page, asked),
                None => log.page(page, asked),
            };
            let left = ask.limit.saturating_sub(u64::try_from(asked).unwrap_or(0));
            Some(Fetch { of, id: ask.id, rows, asked, rest: Some(HistoryAsk { limit: left, ..ask }) })
        }
        ToServer::Search(ask) => {
            let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX).min(ROWS * 10);
            let before = ask.before.map(|place| (place.at, place.sequence));
            let rows = match &of.lens {
                Some(lens) => shown::search(log.clone(), lens.clone(), ask.words, before, limit),
                None => log.search(&ask.words, before, limit),
            };
            Some(Fetch { of, id: ask.id, rows, asked: limit, rest: None })
        }
        // Nothing else is asked here.
        _ => None,
    }
}

/// Whether what may be seen is still what it was.
pub(super) type Holds<'a> = dyn Fn() -> bool + Send + Sync + 'a;

/// How much of a page was told.
#[derive(PartialEq, Eq)]
pub(super) enum Sent {
    All,
    /// Its reader may see something else since: they are told so.
    Part,
}

/// In as many frames as their size asks for. `reached`: with a filter, how far it looked.
pub(super) async fn send(
    wire: &mut Wire,
    id: u64,
    rows: Vec<Row>,
    last: bool,
    complete: bool,
    reached: Option<Option<Place>>,
    holds: &Holds<'_>,
) -> Result<Sent, Over> {
    let mut rows = rows.into_iter().peekable();
    loop {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next_if(|row| bytes == 0 || bytes + row.bytes.len() <= BYTES) {
            bytes += row.bytes.len();
            events.push(EventBytes(row.bytes));
        }
        let ends = rows.peek().is_none();
        let page =
            wire::Page { id, events, last: last && ends, complete: complete && ends, filtered: reached.is_some(), reached: reached.flatten().filter(|_| ends) };
        match encode(&ToClient::Page(page), wire.encoding()) {
            Ok(frame) => wire.send(message(frame)).await?,
            Err(error) => {
                tracing::error!(%error, "a page cannot be encoded");
                return Err(Over);
            }
        }
        if ends {
            return Ok(Sent::All);
        }
        if !holds() {
            wire.problem(ProblemCode::Unavailable, Some(id), MOVED).await?;
            return Ok(Sent::Part);
        }
    }
}
