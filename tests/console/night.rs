//! A night on two servers, told through the production core, and a console that looks at it.

use std::sync::Arc;

use midwatch::console::effect::Effect;
use midwatch::console::keymap::Keymap;
use midwatch::console::keymap::key::read_sequence;
use midwatch::console::message::{Entry, Message, News};
use midwatch::console::past::Wanted;
use midwatch::console::sight::Link;
use midwatch::console::state::{Setup, State};
use midwatch::console::theme::{Depth, Theme};
use midwatch::model::event::{Event, Link as Web};
use midwatch::model::fold::fold;
use midwatch::model::id::{Incarnation, Origin, RequestId};
use midwatch::model::intent::{Intent, Request};
use midwatch::model::labels::Labels;
use midwatch::model::observation::{AgentHello, Observation};
use midwatch::model::primary::{Primary, Rules};
use midwatch::model::report::{Report, Reported, ReportedState};
use midwatch::model::severity::{Severity, Status};
use midwatch::model::system::{Contact, SystemSpec};
use midwatch::model::time::{Span, Time};
use midwatch::model::view::today::reading::Page;
use midwatch::model::world::World;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// 2026-11-21T01:57:00Z: the moment at which the console looks.
pub const NOW: Time = Time::from_secs(1_795_226_220);

/// Minutes before now.
pub fn ago(minutes: i64) -> Time {
    NOW.minus(Span::from_mins(minutes))
}

/// One server as its primary has it, with all that it wrote.
pub struct Told {
    pub primary: Primary,
    pub log: Vec<Event>,
}

impl Told {
    pub fn new(origin: u8, name: &str, systems: &[SystemSpec]) -> Told {
        let mut world = World::new(Origin([origin; 16]), Incarnation(1));
        world.name = name.into();
        let began = ago(40 * 24 * 60);
        let mut told = Told { primary: Primary::new(world, Rules::default(), began), log: Vec::new() };
        let events = told.primary.configure(systems, began);
        told.log.extend(events);
        told
    }

    pub fn agent(&mut self, agent: &str, system: &str, at: Time) {
        let hello = AgentHello {
            agent: agent.into(),
            system: system.parse().unwrap(),
            version: "0.1.0".into(),
            keepalive: Span::from_secs(20),
            checks: Vec::new(),
            facts: [("kernel".into(), "6.1.0".into()), ("memory".into(), "64 GiB".into())].into(),
        };
        let events = self.primary.hello(&hello, at);
        self.log.extend(events);
    }

    pub fn sees(&mut self, agent: &str, system: &str, check: &str, at: Time, status: Status, text: &str) {
        let observation = Observation {
            agent: agent.into(),
            check: check.into(),
            system: system.parse().unwrap(),
            at,
            status,
            text: text.into(),
            details: "".into(),
            metrics: Vec::new(),
            every: Span::from_mins(1),
            attempts: 1,
            runbook: None,
        };
        let events = self.primary.observe(&observation, at);
        self.log.extend(events);
    }

    pub fn fires(&mut self, system: &str, check: &str, severity: Severity, title: &str, at: Time) {
        let reported = Reported {
            system: system.parse().unwrap(),
            check: check.into(),
            severity,
            title: title.into(),
            text: "".into(),
            labels: Labels::new([("alertname", check)]),
            links: vec![Web { name: "query".into(), url: "https://prometheus.example/graph".into() }],
            expr: Some("hit / (hit + miss) < 0.6".into()),
            value: None,
            starts: at,
            state: ReportedState::Firing { until: Some(NOW.plus(Span::from_days(9))) },
        };
        let events = self.primary.report(&Report { source: "prometheus".into(), at, alerts: vec![reported], complete: false }, at);
        self.log.extend(events);
    }

    pub fn asks(&mut self, by: &str, at: Time, intent: Intent) {
        let id = RequestId(std::array::from_fn(|i| u8::try_from((self.log.len() >> (8 * (i % 4))) & 255).unwrap()));
        let events = self.primary.request(&Request { id, by: by.into(), made: at, intent, signed: None }, at).unwrap();
        self.log.extend(events);
    }

    pub fn change(&mut self, by: &str, system: &str, at: Time, title: &str) {
        self.asks(by, at, Intent::Change { system: system.parse().unwrap(), title: title.into(), text: "".into(), version: None, links: Vec::new() });
    }

    /// What its events say was so at a time.
    pub fn at(&self, at: Time) -> World {
        let known = &self.primary.world;
        let mut world = World { name: known.name.clone(), ..World::new(known.origin, known.incarnation) };
        self.log.iter().filter(|event| event.recorded <= at || event.at <= at).for_each(|event| fold(&mut world, event));
        world
    }

    /// The server as it was then.
    pub fn then(&self, at: Time) -> Told {
        let primary = Primary { world: self.at(at), ..self.primary.clone() };
        Told { primary, log: self.log.iter().filter(|event| event.recorded <= at || event.at <= at).cloned().collect() }
    }

    /// What a console gets on its first connection.
    pub fn snapshot(&self) -> Vec<News> {
        let entries = self.log.iter().map(|event| Entry::known(&Arc::new(event.clone())));
        let world = Arc::new(self.primary.world.clone());
        vec![
            News::Connected { version: "0.1.0".into(), environment: None, skew: Some(0), patience: Span::from_secs(15) },
            News::Snapshot { world, why: None },
            News::Older { entries: entries.collect(), complete: true },
        ]
    }
}

pub fn system(id: &str, title: &str, category: &str, uses: &[&str]) -> SystemSpec {
    SystemSpec {
        title: title.into(),
        category: category.into(),
        owner: "web team".into(),
        contacts: vec![Contact { name: "robin".into(), reach: "+49 30 555 0142".into(), when: "nights".into() }],
        runbooks: vec![Web { name: "flushing varnish".into(), url: "https://runbooks.example/varnish".into() }],
        dashboards: vec![Web { name: "varnish overview".into(), url: "https://graphs.example/varnish".into() }],
        uses: uses.iter().map(|address| address.parse().unwrap()).collect(),
        ..SystemSpec::bare(id.parse().unwrap())
    }
}

/// Something new, something rare with effects elsewhere, something chronic, something that somebody has.
pub fn night() -> (Told, Told) {
    let mut infra = Told::new(1, "infra", &[system("dc1/ceph", "Ceph, the storage", "storage", &[])]);
    let mut shop = Told::new(
        2,
        "shop",
        &[
            system("shop", "The shop", "service", &["infra:dc1/ceph"]),
            system("shop/varnish", "Varnish in front of the shop", "cache", &[]),
            system("shop/db", "The shop's database", "database", &["infra:dc1/ceph"]),
        ],
    );
    infra.agent("store-1", "dc1/store-1", ago(30 * 24 * 60));
    shop.agent("web-1", "shop/web-1", ago(30 * 24 * 60));
    for day in (1..30).rev() {
        // A disk that fills up every night, and is full on most days.
        shop.sees("web-1", "shop/web-1", "disk", ago(day * 24 * 60), Status::Warning, "/ 91 % full (> 90 %)");
        shop.sees("web-1", "shop/web-1", "disk", ago(day * 24 * 60 - 600), Status::Ok, "/ 60 % full");
    }
    shop.sees("web-1", "shop/web-1", "disk", ago(100), Status::Warning, "/ 91 % full (> 90 %)");
    infra.sees("store-1", "dc1/ceph", "osd", ago(20 * 24 * 60), Status::Critical, "osd.7 down");
    infra.sees("store-1", "dc1/ceph", "osd", ago(20 * 24 * 60 - 30), Status::Ok, "all osds are up");
    shop.change("jo", "shop/varnish", ago(46 + 16), "config ttl 60 → 5");
    shop.change("ci", "shop", ago(18), "deploy shop 4f3a2c");
    shop.fires("shop/varnish", "HitRateLow", Severity::Critical, "hit rate 12 % (< 60 %)", ago(16));
    infra.sees("store-1", "dc1/ceph", "osd", ago(4), Status::Critical, "osd.12 down");
    for (check, title) in [("ReplicationLag", "replication 40 s behind"), ("SlowQueries", "p99 2.1 s (> 1.5 s)")] {
        shop.fires("shop/db", check, Severity::Warning, title, ago(3));
    }
    shop.fires("shop/checkout", "PaymentsLate", Severity::Warning, "payments 12 min late", ago(31));
    let late = shop.primary.world.open_alerts().find(|(_, alert)| alert.check.as_str() == "PaymentsLate").map(|(id, alert)| (id, alert.now.unwrap().episode));
    let (alert, episode) = late.unwrap();
    shop.asks("kim", ago(29), Intent::Acknowledge { alert, episode, note: "the bank knows".into() });
    (infra, shop)
}

pub struct Desk {
    pub state: State,
    /// What each server keeps, for those who page through it.
    kept: Vec<Vec<Arc<Event>>>,
    pub effects: Vec<Effect>,
    pub mono: Span,
    /// When it began to look.
    pub began: Time,
}

impl Desk {
    /// A console that has just started, on servers of these names.
    pub fn new(names: &[&str], theme: &str, width: u16, height: u16) -> Desk {
        let mut next = 0_u8;
        let setup = Setup {
            servers: names.iter().map(|name| Link::new((*name).into(), format!("unix:/run/{name}.sock").into(), None)).collect(),
            keymap: Keymap::shipped().unwrap(),
            theme: Theme::shipped(theme, Depth::True, false).unwrap(),
            zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
            me: "robin".into(),
            shifts: vec![jiff::civil::time(8, 0, 0, 0), jiff::civil::time(20, 0, 0, 0)],
            read_only: false,
            request_id: Box::new(move || {
                next += 1;
                RequestId([next; 16])
            }),
        };
        let mut desk = Desk { kept: vec![Vec::new(); names.len()], state: State::new(setup, NOW), effects: Vec::new(), mono: Span::from_secs(1), began: NOW };
        desk.state.size = (width, height);
        desk
    }

    /// A console on the night.
    pub fn on_the_night(theme: &str, width: u16, height: u16) -> Desk {
        let (infra, shop) = night();
        let mut desk = Desk::new(&["infra", "shop"], theme, width, height);
        desk.hear(0, infra.snapshot());
        desk.hear(1, shop.snapshot());
        // Long enough for what came under the cursor to have been seen.
        desk.wait(Span::from_secs(2));
        desk.wait(Span::from_millis(100));
        // What each server is asked as it comes is nothing that anybody did.
        desk.effects.retain(|effect| !matches!(effect, Effect::AskHeld { .. }));
        desk
    }

    pub fn tell(&mut self, message: Message) {
        self.state.clock(self.began.plus(self.mono), self.mono);
        let effects = self.state.update(message);
        for effect in &effects {
            if let Effect::Past(wanted) = effect {
                let answer = self.page(*wanted);
                self.tell(Message::Server(wanted.server, answer));
            }
        }
        self.effects.extend(effects);
        self.settle();
    }

    /// As a server answers.
    fn page(&self, wanted: Wanted) -> News {
        let mut rows = self.kept[wanted.server].clone();
        rows.sort_by_key(|event| (event.at, event.id.sequence));
        match wanted.page {
            Page::Before(at, sequence) => {
                rows.retain(|event| (event.at, event.id.sequence) < (at, sequence));
                rows.reverse();
            }
            Page::After(at, sequence) => rows.retain(|event| (event.at, event.id.sequence) > (at, sequence)),
        }
        let complete = rows.len() < wanted.most;
        let entry = |event: Arc<Event>| Entry::known(&event);
        News::Past { generation: wanted.generation, entries: rows.into_iter().take(wanted.most).map(entry).collect(), last: true, complete }
    }

    fn settle(&mut self) {
        let mono = self.mono;
        self.state.settle(|| mono);
    }

    pub fn hear(&mut self, server: usize, news: Vec<News>) {
        for news in news {
            match &news {
                News::Older { entries, .. } => self.kept[server].extend(entries.iter().filter_map(|entry| entry.event.event())),
                News::Events { events, .. } => self.kept[server].extend(events.iter().cloned()),
                _ => {}
            }
            self.tell(Message::Server(server, news));
        }
    }

    /// Time passes; nothing else happens.
    pub fn wait(&mut self, span: Span) {
        self.mono = Span::from_micros(self.mono.micros() + span.micros());
        self.tell(Message::Tick(self.began.plus(self.mono)));
        self.settle();
    }

    /// Keys as the keymap writes them: `j`, `g g`, `C-d`.
    pub fn press(&mut self, keys: &str) {
        for key in read_sequence(keys).unwrap() {
            self.tell(Message::Key(key));
        }
        self.wait(Span::from_millis(100));
    }

    /// A command by its line, as the palette runs it.
    pub fn run(&mut self, line: &str) {
        self.press(":");
        self.type_text(line);
        self.press("Enter");
    }

    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.tell(Message::Key(if c == ' ' { read_sequence("Space").unwrap()[0] } else { midwatch::console::keymap::Key::char(c) }));
        }
    }

    pub fn buffer(&self) -> Buffer {
        let (width, height) = self.state.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        self.state.draw(&mut buffer);
        buffer
    }

    /// The screen as text, without the spaces at the lines' ends.
    pub fn screen(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width.max(1));
        let lines = buffer.content.chunks(width).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n");
        lines.collect()
    }

    #[track_caller]
    pub fn shows(&self, words: &str) {
        let screen = self.screen();
        assert!(screen.contains(words), "`{words}` is not on the screen:\n{screen}");
    }

    #[track_caller]
    pub fn hides(&self, words: &str) {
        let screen = self.screen();
        assert!(!screen.contains(words), "`{words}` is on the screen:\n{screen}");
    }

    /// The requests that were to be sent.
    pub fn sent(&self) -> Vec<(usize, Request)> {
        let sent = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send { server, request } => Some((*server, request.clone())),
            _ => None,
        });
        sent.collect()
    }
}
