//! What happens on the systems, and what persons ask for and look at.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use midwatch::link::{Clock, Random};
use midwatch::model::event::{Actor, Draft, Link, LogLine};
use midwatch::model::intent::{Intent, Request};
use midwatch::model::labels::Labels;
use midwatch::model::presence::Focus;
use midwatch::model::report::{Report, Reported, ReportedState};
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;
use midwatch::server::Input;
use midwatch::wire::{CountAsk, HistoryAsk, Paging, SearchAsk};

use super::super::fleet::NAMES;
use super::super::net::BEGIN;
use super::super::truth::{SYSTEMS, mark, system};
use super::{Asked, Night};

impl Night {
    pub(super) fn act(&mut self) {
        let place = self.below(self.ships.len());
        match self.below(40) {
            0..=5 => self.ask(),
            6..=12 => self.alert(place),
            13..=16 => self.tell(place),
            17..=24 => self.look(),
            25 | 26 => self.change_grant(),
            27..=29 => self.fault(),
            30..=32 => self.disk(place),
            33 => self.skew(place),
            34 if self.below(2) == 0 => self.lose_power(place),
            35 if self.below(3) == 0 => self.stop(place),
            36 if self.below(4) == 0 => self.restore(place),
            37 | 38 => {
                if let Some(liar) = &self.liar {
                    liar.lying.store(self.below(3) > 0, Ordering::SeqCst);
                }
            }
            39 if self.below(2) == 0 => self.end_console(),
            _ => {}
        }
    }

    pub(super) fn write(&mut self, place: usize, input: Input) {
        if let Some(core) = self.ships[place].core() {
            // Its disk may refuse.
            self.jobs.push(Box::pin(async move { drop(core.write(input).await) }));
        }
    }

    /// A source's alert begins or ends.
    pub(super) fn alert(&mut self, place: usize) {
        let number = self.below(SYSTEMS);
        let mark = |kind, number_of| mark(place, number, kind, number_of);
        let now = self.ships[place].clock.now();
        let title = u64::try_from(self.below(3)).unwrap();
        let firing = ReportedState::Firing { until: None };
        let alert = Reported {
            system: system(place, number).parse().unwrap(),
            check: ["Hot", "Cold"][self.below(2)].into(),
            severity: [Severity::Warning, Severity::Critical][self.below(2)],
            title: format!("{} is hot", mark('t', title)).into(),
            text: format!("ask {}", mark('x', 0)).into(),
            labels: Labels::new([("alertname", "Hot".to_owned()), ("rack", mark('l', 0))]),
            links: vec![Link { name: "dashboard".into(), url: format!("https://example.org/{}", mark('u', 0)).into() }],
            expr: Some(format!("temperature{{rack=\"{}\"}} > 1", mark('e', 0)).into()),
            value: Some(7.5),
            starts: now,
            state: if self.below(3) == 0 { ReportedState::Resolved { at: now } } else { firing },
        };
        let source = format!("prom-{}", NAMES[place]);
        self.write(place, Input::Report(Report { source: source.as_str().into(), at: now, alerts: vec![alert], complete: false }));
    }

    /// Something of a system, or of none, is told by the server itself.
    pub(super) fn tell(&mut self, place: usize) {
        let number = self.below(SYSTEMS);
        let now = self.ships[place].clock.now();
        let mut draft = Draft::new(now, Actor::Source("ci".into()), LogLine {}, format!("built {}", mark(place, number, 'c', 0)));
        draft.text = mark(place, number, 'x', 1).into();
        if self.below(4) > 0 {
            draft.system = Some(system(place, number).parse().unwrap());
        } else {
            (draft.title, draft.text) = ("a line of nobody's".into(), "".into());
        }
        self.write(place, Input::Record(vec![draft]));
    }

    /// A person asks for something, of a system that they may or may not see.
    pub(super) fn ask(&mut self) {
        let by = self.below(self.posts.len());
        let post = self.posts[by].clone();
        let glasses = post.glasses.lock().unwrap();
        let Some(glass) = glasses.get(self.below(post.consoles)) else { return };
        let seen: Vec<usize> = (0..self.ships.len()).filter(|place| glass.place(self.ships[*place].origin).is_some()).collect();
        if seen.is_empty() {
            return;
        }
        let origin = seen[self.below(seen.len())];
        let number = self.below(SYSTEMS);
        let words = format!("looked at it, {}", mark(origin, number, 'n', 0));
        let world = glass.world(self.ships[origin].origin).unwrap();
        let open: Vec<_> = world.open_alerts().filter(|(_, alert)| alert.system.as_str() == system(origin, number)).collect();
        let intent = match open.first() {
            Some((alert, known)) if self.below(2) == 0 => Intent::Acknowledge { alert: *alert, episode: known.now.unwrap().episode, note: words.into() },
            _ => Intent::NoteSystem { system: system(origin, number).parse().unwrap(), text: words.into() },
        };
        let id = self.sea.random.request_id();
        let made = self.ships[origin].clock.now();
        let request = Request { id, by: post.name.into(), made, intent, signed: None };
        let place = glass.place(self.ships[origin].origin).unwrap();
        if glass.servers.handle.request(place, request).is_ok() {
            self.asked.insert(id, Asked { by, origin, system: number });
        }
    }

    /// A person looks into the past, searches, counts.
    pub(super) fn look(&mut self) {
        let post = self.posts[self.below(self.posts.len())].clone();
        let glasses = post.glasses.lock().unwrap();
        let Some(glass) = glasses.get(self.below(post.consoles)) else { return };
        let places: Vec<_> = glass.replicas.keys().copied().collect();
        if places.is_empty() {
            return;
        }
        let place = places[self.below(places.len())];
        let id = self.sea.random.below(1 << 40);
        let handle = &glass.servers.handle;
        let filter = (self.below(2) == 0).then(|| Arc::from(["severity>=warning", "zq", "kind:note"][self.below(3)]));
        // While the line is away nothing is asked.
        let _ = match self.below(6) {
            0 => {
                let page = if self.below(2) == 0 { Paging::Before(None) } else { Paging::After(None) };
                handle.history(place, HistoryAsk { id, page, limit: 400, filter })
            }
            1 => {
                let words = mark(self.below(self.ships.len()), self.below(SYSTEMS), 'x', 0);
                handle.search(place, SearchAsk { id, words: ["zqa", &words, "hot"][self.below(3)].into(), before: None, limit: 300 })
            }
            2 => handle.count(place, CountAsk { id, from: Some(BEGIN.minus(Span::from_days(2))), step: Span::from_days(2), buckets: 4, filter: None }),
            3 => {
                handle.count(place, CountAsk { id, from: Some(BEGIN.minus(Span::from_days(2))), step: Span::from_days(2), buckets: 4, filter: Some("".into()) })
            }
            4 => {
                let origin = glass.replicas[&place].world.as_ref().and_then(|world| self.ships.iter().position(|ship| ship.origin == world.origin));
                let system = system(origin.unwrap_or_default(), self.below(SYSTEMS));
                handle.looking_at(place, Some(Focus::System(system.parse().unwrap())))
            }
            _ => handle.world_at(place, id, BEGIN.plus(Span::from_micros(i64::try_from(self.sea.random.below(self.sea.elapsed.get() + 1)).unwrap()))),
        };
    }
}
