//! A core in memory for tests of intakes and sources: the real primary, a clock that stands still, no log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Core, Unavailable};
use crate::model::event::{Draft, Event, Silence};
use crate::model::id::{Incarnation, Origin, SourceId};
use crate::model::primary::{Primary, Rules};
use crate::model::report::{Memory, Report};
use crate::model::time::{Span, Time};
use crate::model::world::World;

#[derive(Clone)]
pub struct Fake(Arc<Mutex<State>>);

struct State {
    primary: Primary,
    events: Vec<Event>,
    now: Time,
    full: bool,
}

impl Fake {
    pub fn new(now: Time) -> Fake {
        let world = World::new(Origin([1; 16]), Incarnation(1));
        Fake(Arc::new(Mutex::new(State { primary: Primary::new(world, Rules::default(), now), events: Vec::new(), now, full: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, decide: impl FnOnce(&mut Primary, Time) -> Vec<Event>) -> Result<(), Unavailable> {
        let mut state = self.state();
        if state.full {
            return Err(Unavailable("the disk is full".to_owned()));
        }
        let now = state.now;
        let events = decide(&mut state.primary, now);
        state.events.extend(events);
        Ok(())
    }

    /// Lets time pass, minute by minute: a server that sees it jump takes it for a sleep.
    pub fn at(&self, until: Time) {
        let mut state = self.state();
        while state.now < until {
            state.now = until.min(state.now.plus(Span::from_mins(1)));
            let now = state.now;
            let events = state.primary.tick(now);
            state.events.extend(events);
        }
    }

    pub fn full(&self, full: bool) {
        self.state().full = full;
    }

    pub fn world(&self) -> World {
        self.state().primary.world.clone()
    }

    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.state().events.iter().map(|event| event.kind.name().to_owned()).collect()
    }

    /// System, title and severity of what is open.
    pub fn open(&self) -> Vec<(String, String)> {
        self.state().primary.world.open_alerts().map(|(_, alert)| (alert.system.to_string(), alert.title.to_string())).collect()
    }
}

impl Core for Fake {
    async fn report(&self, report: Report) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.report(&report, now))
    }

    async fn remember(&self, memory: Memory) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.remember(&memory, now))
    }

    async fn record(&self, drafts: Vec<Draft>) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.record(drafts, now))
    }

    async fn silences(&self, source: SourceId, silences: Vec<Silence>) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.silences(&source, &silences, now))
    }

    async fn source_failed(&self, source: SourceId, why: String) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.source_failed(&source, &why, now))
    }

    async fn source_recovered(&self, source: SourceId) -> Result<(), Unavailable> {
        self.write(|primary, now| primary.source_recovered(&source, now))
    }

    async fn look<T: Send + 'static>(&self, read: impl FnOnce(&Primary) -> T + Send + 'static) -> Result<T, Unavailable> {
        Ok(read(&self.state().primary))
    }

    fn now(&self) -> Time {
        self.state().now
    }
}
