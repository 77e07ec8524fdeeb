//! From what the client says to the console's own words.

use std::sync::Arc;
use std::time::Instant;

use super::{Runtime, wall};
use crate::client::page::Packed;
use crate::client::{self, HistoryPage, Holding, Outcome, Problem, ProblemCode, SnapshotReason, Update};
use crate::console::message::{Counted, Decode, Entry, Lazy, Message, News, PastRefusal};
use crate::console::overlay::meet::Meeting;
use crate::console::sight::Barred;
use crate::model::event::Event;
use crate::model::filter::Filter;
use crate::model::id::EventId;
use crate::model::skew::Answer;
use crate::model::time::Span;
use crate::model::view::holding::Held;
use crate::model::words::counted;

/// Silence is staleness after this many of the server's promised claims.
const CLAIMS: i64 = 3;

impl Runtime {
    pub(super) fn understand(&mut self, server: usize, update: Update) -> Vec<Message> {
        if let Some(message) = self.hear_marks(server, &update) {
            return vec![message];
        }
        let news = match update {
            Update::Connecting { .. } => vec![News::Connecting],
            Update::Found { config, through, peer } => {
                while self.incarnations.len() <= server {
                    self.incarnations.push(Default::default());
                    self.shelf.add();
                }
                let through = through.0;
                let by = self.state.links.get(through).map(|link| link.name.clone()).unwrap_or_default();
                vec![News::Behind { name: config.name.clone(), address: format!("{} through {by}", peer.origin.short()).into(), through }]
            }
            Update::Superseded { by } => vec![News::Superseded { by: by.0 }],
            Update::Peers(peers) => vec![News::Peers(peers)],
            Update::Connected(welcome) => {
                if let Some(incarnation) = self.incarnations.get_mut(server) {
                    *incarnation = welcome.incarnation;
                }
                let skew = welcome.now.micros().saturating_sub(wall().micros());
                let patience = welcome.claim_every.times(CLAIMS).max(Span::from_secs(3));
                self.unmet.remove(&server);
                let mut news = vec![News::Connected { version: welcome.version.clone(), environment: welcome.env.clone(), skew: Some(skew), patience }];
                let own = welcome.key.as_ref().filter(|_| self.state.links.get(server).is_some_and(|link| link.through.is_none()));
                news.extend(own.map(|key| News::Key(key.fingerprint().into())));
                news.extend(welcome.presence.then_some(News::TakesPresence));
                news
            }
            Update::Disconnected { why, retry_at, barred } => {
                let wait = Span::from(retry_at.saturating_duration_since(Instant::now()));
                self.asked_held.remove(&server);
                let mut news = vec![News::Lost { why: why.into(), retry: Some(wall().plus(wait)) }];
                news.extend(barred.map(|barred| News::Barred(self.bars(server, barred))));
                news
            }
            Update::Holding(holding) => {
                self.asked_held.remove(&server);
                let Holding { name, scope, grant, role, .. } = &*holding;
                vec![News::Held(Arc::new(Held { name: name.clone(), scope: scope.clone(), grant: *grant, role: role.clone() }))]
            }
            Update::Snapshot { world, why, events, broken, base, fresh } => {
                if let Some(incarnation) = self.incarnations.get_mut(server) {
                    *incarnation = world.incarnation;
                }
                let complete = events.first().is_some_and(|first| first.id.sequence <= base) || world.head.0 == 0;
                let entries = events.iter().map(Entry::known).collect();
                let mut news = vec![News::Snapshot { world, why: reason(why) }, News::Older { entries, complete }];
                if fresh.lag > Span::ZERO {
                    news.push(News::Claim { lag: fresh.lag });
                }
                news.extend(unreadable(broken));
                news
            }
            Update::Events { events, broken, fresh, .. } => {
                let mut news = if events.is_empty() { vec![News::Claim { lag: fresh.lag }] } else { vec![News::Events { events, lag: fresh.lag }] };
                news.extend(unreadable(broken));
                news
            }
            Update::Health(health) => vec![News::Health(health)],
            Update::Readings(readings) => vec![News::Readings(readings)],
            Update::Presence(told) => vec![News::Presence(told)],
            Update::Clock { theirs, delay, heard } => {
                let age = Span::from(heard.elapsed());
                let mono = Span::from_micros(self.mono().micros().saturating_sub(age.micros()));
                vec![News::Clock(Answer { theirs, ours: wall().minus(age), delay: delay.into(), mono })]
            }
            Update::Vitals(observations) => vec![News::Latest(observations)],
            Update::Answered { request, outcome } => {
                let result = match outcome {
                    Outcome::Done(_) => Ok(()),
                    Outcome::Refused(refusal) => Err(refusal),
                };
                vec![News::Answer { request, result }]
            }
            Update::History { id, page, last, complete, filtered, reached } => {
                let origin = self.state.live().server(server).map(|seen| seen.world.origin).unwrap_or_default();
                let incarnation = self.incarnations.get(server).copied().unwrap_or_default();
                let HistoryPage { entries, broken } = page;
                let page = Arc::new(Page(Packed::of(&entries)));
                let place = |(index, entry): (u32, crate::client::page::Entry)| Entry {
                    at: entry.at,
                    id: EventId { origin, incarnation, sequence: entry.sequence },
                    severity: entry.severity,
                    likeness: entry.likeness,
                    event: Lazy::Later(page.clone(), index),
                };
                let entries = (0_u32..).zip(entries).map(place).collect();
                let past = if last { self.past.remove(&id) } else { self.past.get(&id).copied() };
                let mut news = match (past, self.searched.get(&id).cloned()) {
                    (Some(generation), _) => vec![News::Past { generation, entries, last, complete }],
                    (None, Some(words)) => vec![News::Found { words, entries }],
                    (None, None) => {
                        let reached = reached.map(|place| (place.at, place.sequence.0));
                        vec![News::Page { ask: id >> 1, entries, last, complete: complete && last, filtered, reached }]
                    }
                };
                if last {
                    self.searched.remove(&id);
                }
                news.extend(unreadable(broken));
                news
            }
            Update::Then(then) => {
                self.looking.remove(&then.id);
                let known = match (then.world, then.known_from) {
                    (Some(world), _) => Ok(world),
                    (None, Some(from)) => Err(PastRefusal::KnownFrom(from)),
                    (None, None) => Err(PastRefusal::Nothing),
                };
                vec![News::Then { at: then.at, then: known }]
            }
            Update::Problem(problem) if self.looks_back(server, &problem).is_some() => {
                let asked = self.looks_back(server, &problem).and_then(|id| self.looking.remove(&id));
                // One that cannot read the question is older than it.
                let old = problem.id.is_none();
                let why = if old { "this server's version cannot tell how things were".to_owned() } else { problem.words };
                asked.map(|(_, at)| News::Then { at, then: Err(PastRefusal::Other(why.into())) }).into_iter().collect()
            }
            // One that cannot read the question is older than it.
            Update::Problem(problem) if problem.id.is_none() && problem.code == ProblemCode::Malformed && self.asked_held.remove(&server) => Vec::new(),
            // Of a server that is nobody's home.
            Update::Marks(_) => Vec::new(),
            Update::Counts(counts) => vec![News::Counts(Counted {
                ask: counts.id >> 1,
                from: counts.from,
                step: counts.step,
                counts: counts.counts,
                held: counts.held,
                oldest: counts.oldest,
                newest: counts.newest,
                last: counts.last,
            })],
            Update::Problem(problem) => match problem.id {
                // Counts that cannot be had are not worth words.
                Some(id) if id & 1 == 1 => vec![News::Refused { ask: id >> 1, page: false }],
                Some(id) => vec![News::Refused { ask: id >> 1, page: true }, News::Problem(problem.words.into())],
                None => vec![News::Problem(problem.words.into())],
            },
        };
        news.into_iter().map(|news| Message::Server(server, news)).collect()
    }
}

impl Runtime {
    /// Why a server is not spoken to. The key that it shows is kept until somebody has said what it is.
    fn bars(&mut self, server: usize, barred: client::Barred) -> Barred {
        match barred {
            client::Barred::Unmet(unmet) => {
                let meeting = Meeting {
                    name: unmet.name().clone(),
                    address: self.state.links.get(server).map(|link| link.address.clone()).unwrap_or_default(),
                    fingerprint: unmet.fingerprint(),
                    words: unmet.words(),
                    file: unmet.file(),
                };
                self.unmet.insert(server, unmet);
                Barred::Unmet(Arc::new(meeting))
            }
            client::Barred::Changed => Barred::Changed,
            client::Barred::NotLetIn => Barred::NotLetIn,
        }
    }

    /// The look back that a problem answers.
    fn looks_back(&self, server: usize, problem: &Problem) -> Option<u64> {
        let asked = self.looking.iter().find(|(id, (of, _))| *of == server && problem.id.is_none_or(|named| named == **id));
        asked.map(|(id, _)| *id).filter(|_| problem.id.is_some() || problem.code == ProblemCode::Malformed)
    }
}

struct Page(Packed);

impl Decode for Page {
    fn decode(&self, index: u32) -> Option<Arc<Event>> {
        self.0.event(index).map(Arc::new)
    }

    fn matches(&self, index: u32, filter: &Filter, server: &str) -> bool {
        self.0.matches(index, filter, server)
    }

    fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        self.0.called(index, tell);
    }
}

fn unreadable(broken: u32) -> Option<News> {
    (broken > 0).then(|| News::Problem(format!("set aside, since unreadable: {}", counted(broken, "event")).into()))
}

/// Why everything came anew, when it was not because one asked for the first time.
fn reason(why: SnapshotReason) -> Option<Arc<str>> {
    let words = match why {
        SnapshotReason::First => return None,
        SnapshotReason::OtherServer => "this is another server than before; what you see is its own",
        SnapshotReason::OtherIncarnation => "its log was restored or begun anew; what was known beyond that is not in it",
        SnapshotReason::Beyond => "its log ends before what we had seen of it: it went back in time",
        SnapshotReason::TooOld => "much happened meanwhile; here is how things stand now",
        SnapshotReason::Scope => "what you may see here is not what it was; here is how things stand now",
        SnapshotReason::Slow => "this line was too slow to follow; here is how things stand now",
    };
    Some(words.into())
}
