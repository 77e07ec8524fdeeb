//! Who looks at what: what this console tells of its person, and how others' looking reads in a row.
//!
//! One looks at what is selected once it has rested for a moment under somebody's hand, or at what is opened;
//! not at what happened to stand at the top, at another time than now, or after a while without a key. A quick
//! look elsewhere is not told, so that nothing flickers on the screens of others.

use super::effect::Effect;
use super::screen::text;
use super::sight::LinkState;
use super::state::State;
use crate::command::Pane;
use crate::model::presence::{Focus, Looker, called};
use crate::model::time::Span;

/// How long a selection rests, and how long something is open, before that is told.
const REST: Span = Span::from_secs(5);
const OPENED: Span = Span::from_secs(1);
/// The least time between two words about it.
const EVERY: Span = Span::from_secs(3);
/// Without a key for so long, nobody looks.
const GONE: Span = Span::from_mins(10);

type Place = (usize, Focus);

/// What this console tells.
#[derive(Debug, Default)]
pub struct Telling {
    /// The configuration wants it, and this console may do something about what it looks at.
    pub on: bool,
    selected: Option<Place>,
    /// Somebody pressed a key while it was selected, or that selected it.
    chosen: bool,
    keyed: Option<Span>,
    /// What is to be told, and since when that is so.
    wanted: Option<Place>,
    since: Span,
    told: Option<Place>,
    told_at: Option<Span>,
}

impl State {
    /// Takes note of what is selected now, and asks for it to be told when it is due.
    pub(super) fn settle_presence(&mut self) {
        if !self.telling.on {
            return;
        }
        let selected = self.selected_place();
        let telling = &mut self.telling;
        if self.keyed {
            telling.keyed = Some(self.mono);
        }
        telling.chosen = self.keyed || (telling.chosen && telling.selected == selected);
        telling.selected = selected;
        let wanted = self.looks_at();
        if self.telling.wanted != wanted {
            (self.telling.wanted, self.telling.since) = (wanted, self.mono);
        }
        if self.presence_due().is_some_and(|due| due <= self.mono) {
            let telling = &mut self.telling;
            let (before, now) = (telling.told.take(), telling.wanted.clone());
            let left = before.filter(|(server, _)| now.as_ref().is_none_or(|(to, _)| to != server));
            self.asks.extend(left.map(|(server, _)| Effect::LookingAt { server, at: None }));
            self.asks.extend(now.clone().map(|(server, at)| Effect::LookingAt { server, at: Some(at) }));
            (telling.told, telling.told_at) = (now, Some(self.mono));
        }
    }

    fn selected_place(&self) -> Option<Place> {
        match self.pane {
            Pane::Now | Pane::Alerts => {
                let alert = self.panes.alert(self.pane)?;
                Some((self.live().of_origin(alert.origin)?.0, Focus::Alert(alert.alert)))
            }
            Pane::Systems => self.panes.systems.row().map(|row| (row.server, Focus::System(row.system.id.clone()))),
            Pane::Today | Pane::Timeline | Pane::Servers => None,
        }
    }

    /// What the person looks at, if they do, and if its server wants to know.
    fn looks_at(&self) -> Option<Place> {
        let here = self.telling.keyed.is_some_and(|keyed| self.mono.micros() - keyed.micros() < GONE.micros());
        if !self.telling.chosen || !here || self.is_away() {
            return None;
        }
        let place = self.telling.selected.clone()?;
        self.links.get(place.0).filter(|link| link.presence && link.state == LinkState::Up)?;
        Some(place)
    }

    /// When something is to be told, if nothing else happens.
    pub(super) fn presence_due(&self) -> Option<Span> {
        let telling = &self.telling;
        if !telling.on {
            return None;
        }
        if telling.wanted == telling.told {
            // Nothing, until nobody has pressed a key for long.
            let gone = telling.keyed.map(|keyed| Span::from_micros(keyed.micros() + GONE.micros()));
            return gone.filter(|gone| telling.told.is_some() && *gone > self.mono);
        }
        let rest = if self.panes.opened && telling.wanted.is_some() { OPENED } else { REST };
        let rested = telling.since.micros() + rest.micros();
        let after = telling.told_at.map_or(0, |told| told.micros() + EVERY.micros());
        Some(Span::from_micros(rested.max(after)))
    }

    /// A server forgets with the connection.
    pub(super) fn presence_lost(&mut self, server: usize) {
        if self.telling.told.as_ref().is_some_and(|(to, _)| *to == server) {
            self.telling.told = None;
        }
        self.live_mut().presence.remove(&server);
    }
}

/// What stands behind the holder in a row's column, in as much room as that leaves: "(kim)", "(kim, jo)",
/// "(kim+2)", "(3)". Nothing where there is no room.
pub fn beside(who: &[Looker], holder: Option<&str>, room: u16, ellipsis: &str) -> Option<String> {
    let others: Vec<_> = who.iter().filter(|looker| Some(&*looker.name) != holder).map(|looker| called(&looker.name)).collect();
    let first = others.first()?;
    let more = others.len() - 1;
    let all = format!("({})", others.iter().map(|name| &**name).collect::<Vec<_>>().join(", "));
    let some = if more > 0 { [format!("({first} +{more})"), format!("({first}+{more})")] } else { Default::default() };
    let short = (more == 0 && holder.is_none() && room >= 5).then(|| format!("({})", text::cut(first, room.saturating_sub(2), ellipsis)));
    let count = format!("({})", others.len());
    std::iter::once(all).chain(some).chain(short).chain([count]).find(|words| !words.is_empty() && text::width(words) <= room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn beside_the_holder_stands_what_there_is_room_for() {
        let who: Vec<Looker> = ["kim", "jo", "maximilian"].map(|name| Looker { name: name.into(), since: Time::default() }).into();
        let said = |count: usize, holder, room| beside(&who[..count], holder, room, "…").unwrap_or_default();
        assert_eq!([said(1, None, 10), said(2, None, 10), said(3, None, 10), said(3, None, 7)], ["(kim)", "(kim, jo)", "(kim +2)", "(kim+2)"]);
        assert_eq!([said(2, Some("kim"), 6), said(1, Some("kim"), 6), said(1, Some("ana"), 4), said(0, None, 10)], ["(jo)", "", "(1)", ""]);
        assert_eq!(beside(&who[2..], None, 7, "…").unwrap(), "(maxi…)");
        assert_eq!(beside(&who, Some("ana"), 2, "…"), None);
    }
}
