//! The one time cursor: all panes at another time than now.
//!
//! While away, `State::sky` and `State::now` are those of that time, so that whatever a pane shows, it
//! shows of then; the live sky lies beneath, where events go on arriving. The switch waits a moment for
//! the servers' answers, so that a step of an hour is one frame and not two.

use std::sync::Arc;

use crate::command::Command;
use crate::model::fold::fold;
use crate::model::time::{Span, Time};
use crate::model::view::{Freshness, Seen, Sky};
use crate::model::world::World;

use super::effect::Effect;
use super::message::PastRefusal;
use super::sight::LinkState;
use super::state::{State, Tone};
use super::timeline::Place;

/// Events of one file that are folded while one waits, some tenths of a second.
const HELD: usize = 200_000;
/// How long the panes stay as they are while servers look up how things were.
const MOMENT: Span = Span::from_millis(150);

/// Where all panes are, when that is not now.
#[derive(Debug)]
pub struct Away {
    pub at: Time,
    /// What each server knows of it.
    pub known: Vec<Then>,
    /// The live world, which goes on.
    live: Sky,
}

/// On the way to a time.
#[derive(Debug)]
pub struct Going {
    at: Time,
    known: Vec<Then>,
    since: Span,
    /// What the timeline stands on then: the last that had happened, unless one goes to an event.
    place: Option<Place>,
}

/// The timeline's events (of a filter: its hits) on both sides of the time cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divided {
    pub by: u64,
    pub later: u64,
    /// All of them are counted, and not only what is held here.
    pub sure: bool,
}

/// What one server knows of a time.
#[derive(Clone, Debug)]
pub enum Then {
    /// It was asked.
    Asked,
    World(Arc<World>),
    /// Why it cannot tell, in words.
    Unknown(Arc<str>),
}

impl State {
    /// The live world, wherever the panes are.
    pub fn live(&self) -> &Sky {
        self.away.as_ref().map_or(&self.sky, |away| &away.live)
    }

    pub(super) fn live_mut(&mut self) -> &mut Sky {
        self.away.as_mut().map_or(&mut self.sky, |away| &mut away.live)
    }

    /// One server more: nothing is known yet of how it was.
    pub(super) fn one_more_then(&mut self) {
        let known = self.going.iter_mut().map(|going| &mut going.known).chain(self.away.iter_mut().map(|away| &mut away.known));
        known.for_each(|known| known.push(Then::Unknown("nothing is known of it yet".into())));
    }

    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// The time that is shown, or that is on its way.
    pub(super) fn moment(&self) -> Time {
        self.going.as_ref().map_or(self.now, |going| going.at)
    }

    /// Takes all panes to a time. The present, or what is ahead, is the live world.
    pub(super) fn travel(&mut self, at: Time) -> Vec<Effect> {
        self.travel_to(at, None)
    }

    pub(super) fn travel_to(&mut self, at: Time, place: Option<Place>) -> Vec<Effect> {
        if at >= self.present {
            self.come_back();
            if let Some(place) = place {
                self.stand_at(place, false);
            }
            return Vec::new();
        }
        let mut effects = Vec::new();
        let known = self.links.iter().enumerate().map(|(server, link)| match &link.state {
            _ if !link.known => Then::Unknown("nothing is known of it yet".into()),
            LinkState::Up => {
                effects.push(self.look_back(server, at));
                Then::Asked
            }
            LinkState::Connecting | LinkState::Lost { .. } => Then::Unknown("its past cannot be asked for while it is away".into()),
        });
        self.going = Some(Going { at, known: known.collect(), since: self.mono, place });
        self.arrive();
        effects
    }

    /// A server has said how things were, or why it cannot.
    pub(super) fn then(&mut self, server: usize, at: Time, then: Then) {
        let name = self.links.get(server).map(|link| link.name.clone()).unwrap_or_default();
        let at = self.here(server, at);
        let known = match (&mut self.going, &mut self.away) {
            (Some(going), _) if going.at == at => &mut going.known,
            (_, Some(away)) if away.at == at => &mut away.known,
            // An answer to what nobody asks any more.
            _ => return,
        };
        if let Some(place) = known.get_mut(server) {
            if let Then::Unknown(why) = &then {
                let words = format!("{name}: {why}");
                *place = then;
                self.say(Tone::Wrong, words);
            } else {
                *place = then;
            }
        }
        if self.going.is_some() {
            self.arrive();
        } else {
            self.show_past();
        }
    }

    /// A server has come, or come back, while the panes are at another time: it is asked how things were.
    pub(super) fn came(&mut self, server: usize) -> Vec<Effect> {
        let unknown = |known: &mut Vec<Then>, at: Time| {
            let then = known.get_mut(server).filter(|then| matches!(then, Then::Unknown(_)))?;
            *then = Then::Asked;
            Some(at)
        };
        let going = self.going.as_mut().and_then(|going| unknown(&mut going.known, going.at));
        let away = self.away.as_mut().filter(|_| going.is_none()).and_then(|away| unknown(&mut away.known, away.at));
        going.or(away).map(|at| self.look_back(server, at)).into_iter().collect()
    }

    /// Asks a server how things were, by its own clock where that is corrected.
    fn look_back(&self, server: usize, at: Time) -> Effect {
        Effect::LookBack { server, at: at.minus(Span::from_micros(self.timeline.shift(server))) }
    }

    /// A server's own time as it is shown here.
    fn here(&self, server: usize, own: Time) -> Time {
        own.plus(Span::from_micros(self.timeline.shift(server)))
    }

    /// A server that was asked went away before it answered.
    pub(super) fn went_away(&mut self, server: usize) {
        let asked = |at: Time, known: &[Then]| matches!(known.get(server), Some(Then::Asked)).then_some(at);
        let going = self.going.as_ref().and_then(|going| asked(going.at, &going.known));
        let away = self.away.as_ref().and_then(|away| asked(away.at, &away.known));
        if let Some(at) = going.or(away) {
            let own = at.minus(Span::from_micros(self.timeline.shift(server)));
            self.then(server, own, Then::Unknown("it went away before it answered".into()));
        }
    }

    /// Whether the switch is due: everybody has answered, or the moment is over.
    pub(super) fn arrive(&mut self) {
        let Some(going) = &self.going else { return };
        let waits = going.known.iter().any(|then| matches!(then, Then::Asked));
        if waits && self.mono.micros() - going.since.micros() < MOMENT.micros() {
            return;
        }
        let Some(Going { at, known, place, .. }) = self.going.take() else { return };
        let live = match self.away.take() {
            Some(away) => away.live,
            None => std::mem::take(&mut self.sky),
        };
        self.away = Some(Away { at, known, live });
        self.now = at;
        self.overlay = None;
        // Today tells of the day where one is.
        self.panes.today.of_the_day();
        self.show_past();
        self.timeline.end_at(Some(at));
        match place {
            Some(place) => self.stand_at(place, false),
            None => self.show_place(at),
        }
    }

    /// How the timeline's events lie on both sides of the time cursor; nothing while that is now.
    pub fn divided(&self) -> Option<Divided> {
        let at = self.timeline.ends_at()?;
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        if let Some((by, later)) = self.counted_by(at) {
            return Some(Divided { by, later, sure: true });
        }
        let (_, by) = self.timeline.shown();
        let later = self.timeline.hits().saturating_sub(by);
        Some(Divided { by: wide(by), later: wide(later), sure: self.timeline.is_live() && !self.timeline.has_more() && !self.timeline.is_searching() })
    }

    /// As the servers count: by their own clocks, and with a filter that they can read.
    fn counted_by(&self, at: Time) -> Option<(u64, u64)> {
        let filter = self.timeline.filter();
        let agree = (0..self.links.len()).all(|server| self.timeline.shift(server) == 0);
        if !agree || filter.is_some_and(|filter| filter.portable().is_none()) {
            return None;
        }
        let minute = Time::from_secs(at.secs().div_euclid(60).saturating_mul(60));
        let up = |server: usize| self.links.get(server).is_some_and(|link| link.state == LinkState::Up && link.known);
        let within = u64::try_from(self.timeline.between(minute, at, up)?).ok()?;
        let later = self.strip.since(at)?.saturating_sub(within);
        let all = if filter.is_some() { self.strip.matching() } else { self.strip.held() };
        Some((all.saturating_sub(later), later))
    }

    /// When the switch is due at the latest.
    pub(super) fn arrives(&self) -> Option<Span> {
        self.going.as_ref().map(|going| Span::from_micros(going.since.micros() + MOMENT.micros() - self.mono.micros()))
    }

    fn show_past(&mut self) {
        let Some(away) = &self.away else { return };
        let seen = away.known.iter().zip(&away.live.servers).map(|(then, live)| {
            let (world, freshness) = match then {
                Then::World(world) => (world.clone(), freshness(&live.world, away.at)),
                Then::Asked | Then::Unknown(_) => (Arc::new(World::default()), Freshness::Never),
            };
            Seen { name: live.name.clone(), world, freshness }
        });
        self.sky = Sky::new(seen.collect()).in_zone(self.zone.clone());
        self.dirty = true;
        self.anew = true;
    }

    /// How things were by the events that are held here: for files, which no server knows.
    pub(super) fn fold_held(&self, server: usize, at: Time) -> Result<Arc<World>, PastRefusal> {
        let at = self.here(server, at);
        let mut events =
            self.timeline.held_by(server, at, HELD).ok_or(PastRefusal::Other("too many events to fold them here; its timeline goes there".into()))?;
        let first = self.timeline.first_of(server).ok_or(PastRefusal::Nothing)?;
        if at < first {
            return Err(PastRefusal::KnownFrom(first));
        }
        events.sort_by_key(|event| (event.id.incarnation, event.id.sequence));
        let known = self.live().server(server).map(|seen| seen.world.clone()).unwrap_or_default();
        let life = events.first().map_or(known.incarnation, |event| event.id.incarnation);
        let mut world = World { name: known.name.clone(), version: known.version.clone(), ..World::new(known.origin, life) };
        events.iter().for_each(|event| fold(&mut world, event));
        Ok(Arc::new(world))
    }

    /// Back to the live world, at once.
    pub(super) fn come_back(&mut self) {
        self.going = None;
        let Some(away) = self.away.take() else { return };
        self.sky = away.live;
        self.now = self.present;
        self.timeline.end_at(None);
        self.panes.today.of_the_day();
        self.follow();
        self.dirty = true;
        self.anew = true;
    }

    /// `Fri 20 Nov 03:00`, with the year when that is another one.
    pub fn day_and_time(&self, at: Time) -> String {
        let (then, now) = (at.zoned(&self.zone), self.present.zoned(&self.zone));
        let format = if then.year() == now.year() { "%a %-d %b %H:%M" } else { "%a %-d %b %Y %H:%M" };
        then.strftime(format).to_string()
    }

    /// Where one is and how to come back; the words that matter least are left out first.
    pub fn whereabouts(&self, clock: &str) -> Option<[String; 3]> {
        let away = self.away.as_ref()?;
        let back = self.keys_of(&Command::Live);
        let zone = away.at.zoned(&self.zone).strftime("%Z").to_string();
        Some([
            format!("{clock} {}", self.day_and_time(away.at)),
            format!(" {zone} ({} ago), {back} for live", span_words(self.present.since(away.at))),
            self.missing().map_or_else(String::new, |words| format!("   {words}")),
        ])
    }

    /// What is missing of the time that is shown, in words.
    pub fn missing(&self) -> Option<String> {
        let away = self.away.as_ref()?;
        let words = away.known.iter().zip(&self.links).filter_map(|(then, link)| match then {
            Then::World(_) => None,
            Then::Asked => Some(format!("asking {}", link.name)),
            Then::Unknown(why) => Some(format!("{}: {why}", link.name)),
        });
        Some(words.collect::<Vec<_>>().join("; ")).filter(|words| !words.is_empty())
    }
}

/// `23h57m`: to the minute, since that is how near one goes.
fn span_words(span: Span) -> String {
    let minutes = span.secs() / 60;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{}s", span.secs()),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}

/// Then it was heard, unless nobody watched: that is known since, and what is shown is how it was before.
fn freshness(live: &World, at: Time) -> Freshness {
    let unwatched = live.unwatched.iter().find(|(from, until)| *from <= at && at < *until);
    unwatched.map_or(Freshness::Live { age: Span::ZERO }, |(from, _)| Freshness::Stale { age: at.since(*from) })
}
