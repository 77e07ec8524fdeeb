//! Asks for history and searches: answered in order, a page at a time, in step with what the reader
//! takes. The next page is fetched while one is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use super::hub::message;
use super::resume::{BYTES, ROWS};
use super::rights::shown;
use super::session::{Over, Wire};
use crate::model::grant::Lens;
use crate::store::{Answer, Page, Row, StoreError};
use crate::wire::codec::encode;
use crate::wire::{self, EventBytes, HistoryAsk, Paging, Place, ProblemCode, SearchAsk, ToClient};

#[derive(Default)]
pub(super) struct Asks {
    waiting: VecDeque<Ask>,
    fetching: Option<Fetch>,
}

/// With a lens: of what it shows.
enum Ask {
    History { id: u64, page: Page, left: u64, lens: Option<Arc<Lens>> },
    Search { id: u64, words: String, before: Option<Place>, limit: usize, lens: Option<Arc<Lens>> },
}

struct Fetch {
    id: u64,
    rows: Answer<Vec<Row>>,
    asked: usize,
    /// History: which way, and how many more than `asked`.
    page: Option<Page>,
    left: u64,
    lens: Option<Arc<Lens>>,
}

type Said = Result<(), Over>;

impl Asks {
    pub(super) async fn history(&mut self, wire: &mut Wire, ask: &HistoryAsk, lens: Option<Arc<Lens>>) -> Said {
        let place = |place: Option<Place>| place.map(|place| (place.at, place.sequence));
        let page = match ask.page {
            Paging::Before(before) => Page::Before(place(before)),
            Paging::After(after) => Page::After(place(after)),
        };
        self.queue(wire, ask.id, Ask::History { id: ask.id, page, left: ask.limit, lens }).await
    }

    pub(super) async fn search(&mut self, wire: &mut Wire, ask: &SearchAsk, lens: Option<Arc<Lens>>) -> Said {
        if ask.words.len() > 1_000 {
            return wire.problem(ProblemCode::Limit, Some(ask.id), "a search of more than 1000 bytes").await;
        }
        let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX).min(ROWS * 10);
        self.queue(wire, ask.id, Ask::Search { id: ask.id, words: ask.words.to_string(), before: ask.before, limit, lens }).await
    }

    async fn queue(&mut self, wire: &mut Wire, id: u64, ask: Ask) -> Said {
        if self.waiting.len() >= wire.shared.limits.asks {
            return wire.problem(ProblemCode::Limit, Some(id), "too many asks wait already").await;
        }
        self.waiting.push_back(ask);
        self.fetch_next(wire);
        Ok(())
    }

    fn fetch_next(&mut self, wire: &Wire) {
        if self.fetching.is_some() {
            return;
        }
        let log = &wire.house.log;
        self.fetching = self.waiting.pop_front().map(|ask| match ask {
            Ask::History { id, page, left, lens } => {
                let asked = usize::try_from(left).unwrap_or(usize::MAX).min(ROWS);
                let left = left.saturating_sub(u64::try_from(asked).unwrap_or(0));
                let rows = match &lens {
                    Some(lens) => shown::page(log.clone(), lens.clone(), page, asked),
                    None => log.page(page, asked),
                };
                Fetch { id, rows, asked, page: Some(page), left, lens }
            }
            Ask::Search { id, words, before, limit, lens } => {
                let before = before.map(|place| (place.at, place.sequence));
                let rows = match lens {
                    Some(lens) => shown::search(log.clone(), lens, words.into(), before, limit),
                    None => log.search(&words, before, limit),
                };
                Fetch { id, rows, asked: limit, page: None, left: 0, lens: None }
            }
        });
    }

    /// What was fetched; for ever when nothing was asked. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Vec<Row>, StoreError> {
        match &mut self.fetching {
            Some(fetch) => (&mut fetch.rows).await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn answer(&mut self, wire: &mut Wire, rows: Result<Vec<Row>, StoreError>) -> Said {
        let Some(fetch) = self.fetching.take() else { return Ok(()) };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.fetch_next(wire);
                return wire.problem(ProblemCode::Unavailable, Some(fetch.id), error.to_string()).await;
            }
        };
        let complete = rows.len() < fetch.asked;
        let last = complete || fetch.left == 0;
        if let (false, Some(page), Some(row)) = (last, fetch.page, rows.last()) {
            let place = Some((row.at, row.sequence));
            let page = match page {
                Page::Before(_) => Page::Before(place),
                Page::After(_) => Page::After(place),
            };
            self.waiting.push_front(Ask::History { id: fetch.id, page, left: fetch.left, lens: fetch.lens });
        }
        self.fetch_next(wire);
        send(wire, fetch.id, rows, last, complete, None).await
    }
}

/// In as many frames as their size asks for. `reached`: with a filter, how far it looked.
pub(super) async fn send(wire: &mut Wire, id: u64, rows: Vec<Row>, last: bool, complete: bool, reached: Option<Option<Place>>) -> Said {
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
            return Ok(());
        }
    }
}
