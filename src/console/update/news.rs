//! What servers say.

use std::sync::Arc;

use crate::console::effect::Effect;
use crate::console::message::{News, PastRefusal};
use crate::console::sight::{Barred, Link, LinkState};
use crate::console::state::{State, Tone};
use crate::console::timeline::Paged;
use crate::console::travel::Then;
use crate::model::event::Event;
use crate::model::fold::fold;
use crate::model::intent::Refusal;
use crate::model::reading::Readings;
use crate::model::skew::Skew;
use crate::model::time::Span;
use crate::model::view::{Freshness, Seen};
use crate::model::world::Alert;

impl State {
    /// What is shown of the selected alert follows at once; nothing else changes.
    fn readings(&mut self, server: usize, readings: Readings) {
        let sky = self.live_mut();
        let latest = sky.readings.entry(server).or_default();
        if latest.is_full()
            && let Some(seen) = sky.servers.get(server)
        {
            latest.retain(|alert| seen.world.alert(alert).is_some_and(Alert::is_open));
        }
        latest.take(readings);
        if let Some(detail) = &mut self.detail {
            detail.numbers = self.sky.numbers(detail.alert);
        }
    }

    pub(super) fn news(&mut self, server: usize, news: News) -> Vec<Effect> {
        let mono = self.mono;
        if let News::Behind { name, address, through } = &news {
            self.behind(server, name, address, *through);
        }
        let Some(link) = self.links.get_mut(server) else { return Vec::new() };
        let name = link.name.clone();
        match news {
            News::Behind { .. } => {}
            News::Superseded { by } => {
                link.superseded = true;
                link.known = false;
                link.heard = None;
                let by = self.links.get(by).map(|link| link.name.clone()).unwrap_or_default();
                if let Some(seen) = self.live_mut().servers.get_mut(server) {
                    seen.world = Arc::default();
                }
                self.timeline.forget(server);
                self.strip.forget(server);
                self.past.forget(server);
                self.presence_lost(server);
                self.dirty = true;
                self.say(Tone::Plain, format!("{name} is {by}, which answers itself"));
                return self.wanted();
            }
            News::Peers(peers) => {
                link.peers = peers;
                self.judge();
                self.dirty = true;
            }
            News::Barred(barred) => {
                self.barred(server, barred);
                self.judge();
            }
            News::Key(key) => link.key = Some(key),
            News::Held(held) => {
                link.held = Some(held);
                self.judge();
                self.dirty = true;
            }
            News::Connecting => {
                if link.state == LinkState::Up {
                    link.state = LinkState::Connecting;
                }
            }
            News::Connected { version, environment, skew, patience, .. } => {
                let was_lost = matches!(link.state, LinkState::Lost { .. }) && link.known;
                link.state = LinkState::Up;
                (link.barred, link.asked_held) = (None, None);
                link.version = version;
                // An older one says nothing, and what was said before the break counts no more.
                link.health = None;
                link.presence = false;
                link.skew = skew;
                link.clock = Skew::default();
                link.patience = patience;
                if link.environment.is_none() {
                    link.environment = environment;
                }
                let known = link.known;
                self.live_mut().readings.remove(&server);
                self.presence_lost(server);
                self.pending.link_up(server);
                self.judge();
                self.dirty = true;
                if was_lost {
                    self.say(Tone::Fine, format!("{name} answers again"));
                }
                if known {
                    return self.came(server);
                }
            }
            News::Lost { why, retry } => {
                let was_up = link.state == LinkState::Up;
                link.state = LinkState::Lost { why: why.clone(), retry };
                // What bars us is said anew with each attempt; what stands already is not asked about again.
                if !matches!(link.barred, Some(Barred::Unmet(_))) {
                    link.barred = None;
                }
                self.pending.link_down(server);
                let arrival = self.timeline.lost(server);
                self.strip.lost(server);
                self.landed(arrival);
                self.went_away(server);
                self.presence_lost(server);
                self.past.lost(server);
                self.dirty = true;
                if was_up {
                    self.say(Tone::Wrong, format!("{name} is lost: {why}. What you see of it is how it was"));
                }
            }
            News::Snapshot { world, why } => {
                link.heard = Some((mono, Span::ZERO));
                link.known = true;
                if why.is_some() {
                    // With other rights, perhaps.
                    link.asked_held = None;
                }
                link.remark = why.clone();
                if let Some(seen) = self.live_mut().servers.get_mut(server) {
                    seen.world = world;
                }
                // Another life of the log: what was held of it is not its past.
                if why.is_some() {
                    self.timeline.forget(server);
                    self.strip.forget(server);
                }
                // What happened between the last word and this snapshot was not heard.
                self.past.forget(server);
                self.dirty = true;
                if let Some(why) = why {
                    self.say(Tone::Wrong, format!("{name}: {why}"));
                }
                self.recount();
                let mut effects = self.came(server);
                effects.extend(self.wanted());
                return effects;
            }
            News::Events { events, lag } => return self.events(server, &events, lag),
            News::Claim { lag } => {
                let was_live = link.is_live(mono);
                link.heard = Some((mono, lag));
                let changed = was_live != link.is_live(mono);
                self.dirty |= changed;
                if changed {
                    self.judge();
                }
            }
            News::Latest(_) => {}
            News::Clock(answer) => {
                link.clock.hear(answer);
                link.skew = link.clock.offset(mono).map(|offset| offset.micros).or(link.skew);
            }
            News::Health(health) => {
                link.health = Some(health);
                self.judge();
            }
            News::Readings(readings) => self.readings(server, readings),
            News::TakesPresence => link.presence = true,
            News::Presence(told) => self.live_mut().presence.entry(server).or_default().take(told),
            News::Answer { request, result } => {
                let verb = self.pending.answered(&request);
                self.dirty = true;
                match (result, verb) {
                    (Ok(()), Some(verb)) => self.say(Tone::Fine, format!("{}: {}", done(verb.word), verb.what)),
                    (Ok(()), None) => {}
                    (Err(Refusal { why, .. }), verb) => {
                        self.undo.retain(|undo| !undo.notes.contains(&request));
                        let what = verb.map_or_else(String::new, |verb| format!("   ({} {})", verb.word, verb.what));
                        self.say(Tone::Wrong, format!("refused by {name}: {why}{what}"));
                    }
                }
            }
            News::Found { words, entries } => self.hunted(&words, &entries),
            News::Past { generation, entries, last, complete } => {
                self.past.take(server, generation, &entries, last, complete);
                return self.wanted();
            }
            News::Older { entries, complete } => self.timeline.add_older(server, entries, complete),
            News::More { entries } => self.timeline.add_more(server, entries),
            News::Then { at, then } => {
                let then = match then {
                    Ok(world) => Then::World(world),
                    Err(PastRefusal::KnownFrom(from)) => Then::Unknown(format!("knows its past from {} on", self.day_and_time(from)).into()),
                    Err(PastRefusal::Nothing) => Then::Unknown("holds no events yet".into()),
                    Err(PastRefusal::Other(why)) => Then::Unknown(why),
                };
                self.then(server, at, then);
            }
            News::Page { ask, entries, last, complete, filtered, reached } => {
                let arrival = self.timeline.page(ask, Paged { entries, last, complete, filtered, reached });
                self.landed(arrival);
                return self.wanted();
            }
            News::Refused { ask, page } => {
                if page {
                    self.refused(ask);
                } else {
                    self.strip.refused(server, ask);
                }
            }
            News::Counts(counted) => {
                self.strip.counted(server, counted);
                return self.wanted();
            }
            News::Looked { marks, remark } => {
                self.looked_elsewhere(&marks);
                if let Some(remark) = remark {
                    self.say(Tone::Wrong, format!("{name}: {remark}"));
                }
            }
            News::Problem(words) => self.say(Tone::Wrong, format!("{name}: {words}")),
        }
        Vec::new()
    }

    /// A server that another one passes on has the next place.
    fn behind(&mut self, server: usize, name: &Arc<str>, address: &Arc<str>, through: usize) {
        if server != self.links.len() {
            return;
        }
        let environment = self.links.get(through).and_then(|link| link.environment.clone());
        let mut name = name.clone();
        if self.links.iter().any(|link| link.name == name) {
            let by = self.links.get(through).map(|link| link.name.clone()).unwrap_or_default();
            name = format!("{name}-{by}").into();
        }
        self.links.push(Link { through: Some(through), ..Link::new(name.clone(), address.clone(), environment) });
        self.live_mut().servers.push(Seen { name: name.clone(), world: Arc::default(), freshness: Freshness::Never });
        self.timeline.add_server(name);
        self.strip.add_server();
        self.one_more_then();
        self.dirty = true;
    }

    fn events(&mut self, server: usize, events: &[Arc<Event>], lag: Span) -> Vec<Effect> {
        let mono = self.mono;
        if let Some(link) = self.links.get_mut(server) {
            link.heard = Some((mono, lag));
            if events.iter().any(|event| event.kind.name().starts_with("trust.")) {
                link.asked_held = None;
            }
        }
        if let Some(seen) = self.live_mut().servers.get_mut(server) {
            let world = Arc::make_mut(&mut seen.world);
            events.iter().for_each(|event| fold(world, event));
        }
        for event in events {
            if let Some(request) = event.request {
                // Our own verbs are known by their events; the answer clears the pending mark with words.
                if self.became.len() > 500 {
                    self.became.pop_first();
                }
                self.became.insert(request, event.id);
            }
        }
        self.timeline.add_live(server, events);
        self.count_live(server, events);
        self.past.hear(server, events);
        self.dirty = true;
        Vec::new()
    }
}

/// The verb as it reads when it is done.
fn done(word: &str) -> &'static str {
    match word {
        "acknowledge" => "acknowledged",
        "take back" => "taken back",
        "snooze" => "snoozed",
        "wake" => "awake again",
        "assign" => "assigned",
        "take" => "taken",
        "resolve" => "resolved",
        "note" => "noted",
        "set apart" => "set apart",
        "revoke" => "revoked",
        "put back" => "put back under its cause",
        _ => "done",
    }
}
