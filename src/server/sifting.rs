//! Asks that go through many rows: history that a filter was named for, and counts. They are answered apart
//! from pages, so that they hold up none; each ask for history looks at a part of the log, and says how far
//! it came; a new ask for counts takes the place of the one before.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;

use super::asks::{Holds, send};
use super::rights::shown;
use super::session::{Asked, Over, Wire};
use crate::model::filter::{Filter, FilterError};
use crate::model::grant::Lens;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::store::{Extent, Log, Page, Scale, Sift, Sifted, StoreError, Test};
use crate::wire::{Counts, Paging, Place, ProblemCode, ToClient, ToServer, glimpse};

/// Rows that one ask for history goes through, and an ask for counts before it tells a part.
const LOOK: usize = 200_000;
/// Rows of one answer.
const ROWS: usize = 5_000;
const MOST_BUCKETS: u32 = 1_000;
const MINUTE: i64 = 60_000_000;

/// With the number of the ask, and of what it was made.
type Looked = (u64, Asked, Result<Sifted, StoreError>);

#[derive(Default)]
pub(super) struct Sifts {
    waiting: VecDeque<(u64, Sift, Asked)>,
    looking: Option<BoxFuture<'static, Looked>>,
    counting: Option<BoxFuture<'static, (Counting, Result<Counts, StoreError>)>>,
}

/// Counts under way.
pub(super) struct Counting {
    id: u64,
    of: Asked,
    scale: Option<Scale>,
    filter: Option<Filter>,
    test: Test,
    /// Not all that there is counts: no index can answer.
    partly: bool,
    extent: Option<Extent>,
    counts: Vec<[u64; 6]>,
    /// Where the next part begins; nothing: all has been gone through.
    next: Option<Page>,
}

/// What has come.
pub(super) enum Come {
    Rows(u64, Box<Asked>, Result<Sifted, StoreError>),
    Counts(Box<Counting>, Result<Counts, StoreError>),
}

impl Come {
    /// Of what it was made.
    pub(super) fn asked(&self) -> &Asked {
        match self {
            Come::Rows(_, of, _) => of,
            Come::Counts(counting, _) => &counting.of,
        }
    }
}

type Said = Result<(), Over>;

impl Sifts {
    pub(super) async fn history(&mut self, wire: &mut Wire, asked: Asked) -> Said {
        let ToServer::History(ask) = &asked.ask else { return Ok(()) };
        let filter = match compile(wire, ask.filter.as_deref()) {
            Ok(filter) => filter,
            Err(error) => return wire.problem(ProblemCode::Invalid, Some(ask.id), format!("the filter: {error}")).await,
        };
        if self.waiting.len() >= wire.shared.limits.asks {
            return wire.problem(ProblemCode::Limit, Some(ask.id), "too many asks wait already").await;
        }
        let (since, until) = filter.bounds();
        let place = |place: Option<Place>| place.map(|place| (place.at, place.sequence));
        let page = match ask.page {
            // Nothing matches at the filter's end or behind it.
            Paging::Before(before) => Page::Before([place(before), until.map(|until| (until, Default::default()))].into_iter().flatten().min()),
            Paging::After(after) => Page::After(place(after)),
        };
        let most = usize::try_from(ask.limit).unwrap_or(usize::MAX).clamp(1, ROWS);
        let test = test(wire, filter, asked.lens.clone());
        self.waiting.push_back((ask.id, Sift { page, since, most, look: LOOK, test, scale: None }, asked));
        self.go_on(wire);
        Ok(())
    }

    pub(super) async fn count(&mut self, wire: &mut Wire, asked: Asked) -> Said {
        let ToServer::Count(ask) = &asked.ask else { return Ok(()) };
        let filter = match compile(wire, ask.filter.as_deref()) {
            Ok(filter) => filter,
            Err(error) => return wire.problem(ProblemCode::Invalid, Some(ask.id), format!("the filter: {error}")).await,
        };
        if ask.buckets > MOST_BUCKETS {
            return wire.problem(ProblemCode::Limit, Some(ask.id), format!("more than {MOST_BUCKETS} spans")).await;
        }
        let scale = ask.from.filter(|_| ask.buckets > 0).map(|from| Scale {
            from: Time::from_micros(from.micros().div_euclid(MINUTE).saturating_mul(MINUTE)),
            step: Span::from_mins(ask.step.micros().saturating_add(MINUTE - 1).div_euclid(MINUTE).clamp(1, 60 * 24 * 366 * 1_000)),
            buckets: usize::try_from(ask.buckets).unwrap_or(0),
        });
        let partly = asked.lens.is_some();
        let test = test(wire, filter.clone(), asked.lens.clone());
        let filter = Some(filter).filter(|filter| !filter.is_all());
        let id = ask.id;
        let counting = Counting { id, of: asked, scale, filter, test, partly, extent: None, counts: Vec::new(), next: None };
        self.counting = Some(Box::pin(step(wire.house.log.clone(), counting)));
        Ok(())
    }

    fn go_on(&mut self, wire: &Wire) {
        if self.looking.is_none()
            && let Some((id, sift, asked)) = self.waiting.pop_front()
        {
            let rows = wire.house.log.sift(sift);
            self.looking = Some(Box::pin(async move {
                let mut found = rows.await;
                if let (Some(lens), Ok(found)) = (&asked.lens, &mut found) {
                    found.rows = shown::rows(lens, std::mem::take(&mut found.rows));
                }
                (id, asked, found)
            }));
        }
    }

    /// What comes next; for ever when nothing was asked. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Come {
        let looking = async {
            match &mut self.looking {
                Some(looking) => looking.await,
                None => std::future::pending().await,
            }
        };
        let counting = async {
            match &mut self.counting {
                Some(counting) => counting.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (id, asked, rows) = looking => Come::Rows(id, Box::new(asked), rows),
            (counting, counts) = counting => Come::Counts(Box::new(counting), counts),
        }
    }

    /// Whoever asked for it does not get it.
    pub(super) fn forget(&mut self, wire: &Wire, come: &Come) {
        match come {
            Come::Rows(..) => {
                self.looking = None;
                self.go_on(wire);
            }
            Come::Counts(..) => self.counting = None,
        }
    }

    /// `holds`: what may be seen is still what it was made of.
    pub(super) async fn answer(&mut self, wire: &mut Wire, come: Come, holds: &Holds<'_>) -> Said {
        match come {
            Come::Rows(id, _, rows) => {
                self.looking = None;
                self.go_on(wire);
                match rows {
                    Ok(Sifted { rows, reached, complete, .. }) => {
                        let reached = reached.map(|(at, sequence)| Place { at, sequence });
                        send(wire, id, rows, true, complete, Some(reached), holds).await.map(|_| ())
                    }
                    Err(error) => wire.problem(ProblemCode::Unavailable, Some(id), error.to_string()).await,
                }
            }
            Come::Counts(counting, counts) => {
                self.counting = None;
                match counts {
                    Ok(counts) => {
                        if !counts.last {
                            self.counting = Some(Box::pin(step(wire.house.log.clone(), *counting)));
                        }
                        wire.say(&ToClient::Counts(counts)).await
                    }
                    Err(error) => wire.problem(ProblemCode::Unavailable, Some(counting.id), error.to_string()).await,
                }
            }
        }
    }
}

fn compile(wire: &Wire, text: Option<&str>) -> Result<Filter, FilterError> {
    Filter::new(text.unwrap_or(""), wire.shared.clock.now(), &TimeZone::UTC)
}

/// What cannot be read matches nothing here: a filter's answer names its hits.
fn test(wire: &Wire, filter: Filter, lens: Option<Arc<Lens>>) -> Test {
    let name = wire.house.name.clone();
    if let Some(lens) = lens {
        return shown::test(lens, Some(filter), name);
    }
    let only = filter.severities();
    Arc::new(move |severity, bytes| match only {
        Some((least, worst)) => least <= severity && severity <= worst,
        None => glimpse::matches(bytes, &filter, &name),
    })
}

/// One answer more.
async fn step(log: Arc<dyn Log>, mut counting: Counting) -> (Counting, Result<Counts, StoreError>) {
    let outcome = part(&*log, &mut counting).await;
    let extent = counting.extent.unwrap_or_default();
    let counts = outcome.map(|()| Counts {
        id: counting.id,
        from: counting.scale.map_or(Time::from_secs(0), |scale| scale.from),
        step: counting.scale.map_or(Span::ZERO, |scale| scale.step),
        counts: counting.counts.clone(),
        held: extent.held,
        oldest: extent.oldest,
        newest: extent.newest,
        last: counting.next.is_none(),
    });
    (counting, counts)
}

async fn part(log: &dyn Log, counting: &mut Counting) -> Result<(), StoreError> {
    if counting.extent.is_none() {
        counting.extent = Some(log.extent().await?);
        let Some(scale) = counting.scale else { return Ok(()) };
        let severities = counting.filter.as_ref().map_or(Some((Severity::Debug, Severity::Critical)), Filter::severities);
        if let Some((least, worst)) = severities.filter(|_| !counting.partly) {
            counting.counts = log.density(scale).await?;
            for cell in &mut counting.counts {
                for (severity, count) in Severity::ALL.into_iter().zip(cell) {
                    *count = if least <= severity && severity <= worst { *count } else { 0 };
                }
            }
            return Ok(());
        }
        counting.counts = vec![[0; 6]; scale.buckets];
        let end = scale.from.plus(scale.step.times(i64::try_from(scale.buckets).unwrap_or(i64::MAX)));
        counting.next = Some(Page::Before(Some((end, Default::default()))));
    }
    if let (Some(page), Some(scale)) = (counting.next.take(), counting.scale) {
        let sift = Sift { page, since: Some(scale.from), most: usize::MAX, look: LOOK, test: counting.test.clone(), scale: Some(scale) };
        let found = log.sift(sift).await?;
        for (cell, more) in counting.counts.iter_mut().zip(found.counts) {
            for (count, more) in cell.iter_mut().zip(more) {
                *count = count.saturating_add(more);
            }
        }
        counting.next = found.reached.filter(|_| !found.complete).map(|place| Page::Before(Some(place)));
    }
    Ok(())
}
