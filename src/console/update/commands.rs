//! What each command does. One exhaustive match: a new command decides here or does not compile.

use crate::command::{COMMANDS, Command, Direction, Palette, Pane, TodaySpan, Words};
use crate::console::effect::Effect;
use crate::console::list::Move;
use crate::console::overlay::ask::{Ask, Purpose};
use crate::console::overlay::choose::{Choice, Choose, Goal, Of};
use crate::console::overlay::{Asked, Overlay};
use crate::console::session::Themed;
use crate::console::state::{State, Tone};
use crate::model::filter::Filter;
use crate::model::id::{AlertRef, Person, SystemRef};
use crate::model::intent::Intent;
use crate::model::severity::Severity;
use crate::model::time::Span;
use crate::model::world::DeedKind;

use super::verbs::Verbal;

impl State {
    pub(super) fn perform(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Down => self.go(Move::Down),
            Command::Up => self.go(Move::Up),
            Command::HalfPageDown => self.go(Move::HalfDown),
            Command::HalfPageUp => self.go(Move::HalfUp),
            Command::PageDown => self.go(Move::PageDown),
            Command::PageUp => self.go(Move::PageUp),
            Command::Top => self.go(Move::First),
            Command::Bottom => self.go(Move::Last),
            Command::DetailDown => self.panes.detail_top = self.panes.detail_top.saturating_add(1).min(10_000),
            Command::DetailUp => self.panes.detail_top = self.panes.detail_top.saturating_sub(1),
            Command::Fold => self.fold(),
            Command::Unfold => self.unfold(),
            Command::UnfoldAll => self.unfold_all(),
            Command::Open if self.pane == Pane::Today => self.open_sentence(),
            Command::Open => {
                self.panes.opened = true;
                self.panes.detail_top = 0;
            }
            Command::Back => self.back(),
            Command::Close => {
                if self.panes.opened {
                    self.panes.opened = false;
                } else if self.zoomed {
                    self.zoomed = false;
                } else {
                    self.say(Tone::Plain, "nothing lies on top; :q or C-c C-c quits");
                }
            }
            Command::RegionNext | Command::RegionPrevious => {
                self.panes.opened = !self.panes.opened;
                self.panes.detail_top = 0;
            }
            Command::PaneNow => self.show(Pane::Now),
            Command::PaneToday => self.show(Pane::Today),
            Command::PaneTimeline => self.show(Pane::Timeline),
            Command::PaneAlerts => self.show(Pane::Alerts),
            Command::PaneSystems => self.show(Pane::Systems),
            Command::PaneServers => self.show(Pane::Servers),
            Command::PaneNext => self.step_pane(1),
            Command::PanePrevious => self.step_pane(Pane::ALL.len() - 1),
            Command::Filter(None) => {
                let before = self.filter().cloned();
                let text = before.as_ref().map(|filter| filter.expr().to_string()).unwrap_or_default();
                self.overlay = Some(Overlay::Ask(Ask::new(Purpose::Filter { before }, &text, Vec::new())));
            }
            Command::Filter(Some(Words(text))) => match Filter::new(&text, self.now, &self.zone) {
                Ok(filter) => self.set_filter(Some(filter).filter(|filter| !filter.is_all())),
                Err(error) => self.say(Tone::Wrong, error.to_string()),
            },
            Command::FilterClear => self.set_filter(None),
            // A filter leaves only what matches: the next hit is the next row.
            Command::NextHit => self.next_hit(true),
            Command::PreviousHit => self.next_hit(false),
            Command::NextError => self.seek(true),
            Command::PreviousError => self.seek(false),
            Command::Find(words) => {
                let text = words.map(|words| words.0).unwrap_or_default();
                self.overlay = Some(Overlay::Choose(Choose::new(Of::Anything, &text, self.everything())));
                self.hunt();
            }
            Command::Palette(words) => {
                let text = words.map(|words| words.0).unwrap_or_default();
                self.overlay = Some(Overlay::Choose(Choose::new(Of::Commands, &text, self.commands())));
            }
            Command::Views(words) => self.views(words.map(|words| words.0)),
            Command::ViewSave(Words(name)) => return self.save_view(&name),
            Command::ViewRename(Words(names)) => return self.rename_view(&names),
            Command::ViewRemove(Words(name)) => return self.remove_view(&name),
            Command::ShowTimeline => self.show_timeline(),
            Command::ShowSystem => {
                if let Some(system) = self.subject() {
                    self.show_system(&system);
                }
            }
            Command::GoTo(None) => {
                let offers = ["-1h", "3am", "yesterday 3am", "-7d"].map(str::to_owned).to_vec();
                self.overlay = Some(Overlay::Ask(Ask::new(Purpose::GoTo, "", offers)));
            }
            Command::GoTo(Some(when)) => match self.resolve(when, Direction::Back) {
                Ok(at) => return self.travel(at),
                Err(why) => self.say(Tone::Wrong, why),
            },
            Command::Live => self.go_live(),
            Command::HourBack => return self.shift(Span::from_hours(1), true),
            Command::HourForward => return self.shift(Span::from_hours(1), false),
            Command::DayBack => return self.shift(Span::from_days(1), true),
            Command::DayForward => return self.shift(Span::from_days(1), false),
            Command::TodayEarlier => self.panes.today.day(1),
            Command::TodayLater => self.later_day(),
            Command::TodaySpan(span) => {
                let next = if self.pane == Pane::Today { self.panes.today.which.next() } else { self.panes.today.which };
                self.show(Pane::Today);
                self.panes.today.tell_of(span.unwrap_or(next));
            }
            Command::SeenAll => return self.seen_all(),
            Command::BookmarkSet(words) => return self.set_bookmark(words.map(|words| words.0)),
            Command::BookmarkGo(words) => self.go_to_bookmark(words.as_ref().map(|words| words.0.as_str())),
            Command::FilterContext(words) => self.set_context(words.as_ref().map(|words| words.0.as_str())),
            Command::RunsToggle => self.toggle_runs(),
            Command::TimeColumns => self.panes.timeline.clocks = self.panes.timeline.clocks.next(),
            Command::ClockCorrect(words) => return self.correct_clock(words.as_ref().map(|words| words.0.as_str())),
            Command::BookmarkNext => self.next_bookmark(),
            Command::Mark => self.mark(),
            Command::MarkRange => self.mark_range(),
            Command::MarkAll => self.mark_all(),
            Command::MarkNone => self.mark_none(),
            Command::AlertAcknowledge(words) => {
                let note = words.map(|words| words.0).unwrap_or_default();
                return self.verb(&Verbal::Acknowledge { note }, &self.targets());
            }
            Command::AlertUnacknowledge => return self.verb(&Verbal::Unacknowledge, &self.targets()),
            Command::AlertTake => {
                let targets = self.with_effects(&self.targets());
                return self.verb(&Verbal::Take, &targets);
            }
            Command::AlertAssign(None) => {
                let alerts = self.targets();
                self.ask_about(Purpose::Assign { alerts }, self.people());
            }
            Command::AlertAssign(Some(Words(name))) => {
                let to = if name == "-" { None } else { Some(Person::from(name.as_str())) };
                return self.verb(&Verbal::Assign { to }, &self.targets());
            }
            Command::AlertSnooze(None) => {
                let offers = ["30m", "1h", "4h", "8am", "mon 9:00", "7d"].map(str::to_owned).to_vec();
                let alerts = self.targets();
                self.ask_about(Purpose::Snooze { alerts }, offers);
            }
            Command::AlertSnooze(Some(when)) => match self.resolve(when, Direction::Ahead) {
                Ok(until) => return self.verb(&Verbal::Snooze { until }, &self.targets()),
                Err(why) => self.say(Tone::Wrong, why),
            },
            Command::AlertUnsnooze => return self.verb(&Verbal::Unsnooze, &self.targets()),
            Command::AlertResolve(words) => {
                let note = words.map(|words| words.0).unwrap_or_default();
                return self.verb(&Verbal::Resolve { note }, &self.targets());
            }
            Command::CauseDeny => {
                let targets = self.targets();
                if !targets.is_empty() && !self.rows.iter().any(|row| row.cause.is_some() && targets.contains(&row.alert)) {
                    self.say(Tone::Plain, "this stands under no other alert; unfold a cause and select what does not belong to it");
                    return Vec::new();
                }
                return self.verb(&Verbal::Apart, &targets);
            }
            Command::CauseRestore => return self.verb(&Verbal::Together, &self.targets()),
            Command::NoteAdd(None) => match (self.targets(), self.subject()) {
                (alerts, _) if !alerts.is_empty() => self.ask_about(Purpose::Note { alerts, system: None }, Vec::new()),
                (_, Some(system)) => self.overlay = Some(Overlay::Ask(Ask::new(Purpose::Note { alerts: Vec::new(), system: Some(system) }, "", Vec::new()))),
                (_, None) => self.say(Tone::Plain, "there is nothing here to write about"),
            },
            Command::NoteAdd(Some(Words(text))) => match (self.targets(), self.subject()) {
                (alerts, _) if !alerts.is_empty() => return self.verb(&Verbal::Note { text }, &alerts),
                (_, Some(system)) => return self.note_on(&system, &text),
                (_, None) => self.say(Tone::Plain, "there is nothing here to write about"),
            },
            Command::NoteWithdraw => return self.withdraw_note(),
            Command::GrantRevoke(words) => self.revoke(words.as_ref().map(|words| words.0.as_str())),
            Command::GrantInvite(words) => return self.copy_invite(words.as_ref().map(|words| words.0.as_str())),
            Command::WhoMaySee => self.who_may_see(),
            Command::ServerMeet => self.meet_again(),
            Command::Undo => return self.undo(),
            Command::GroupBy(group) => self.group(group),
            Command::SortBy(sort) => self.sort(sort),
            Command::Zoom => self.zoomed = !self.zoomed,
            Command::SplitToggle => self.side_by_side = !self.side_by_side,
            Command::UsualToggle => {
                let list = self.alert_list();
                list.show_usual = !list.show_usual;
            }
            Command::Theme(words) => self.choose_theme(words.map(|words| words.0)),
            Command::CopyLine => return self.copy(self.line_text()),
            Command::CopyLink => return self.copy(self.link_text()),
            Command::CopyJson => return self.copy(self.json_text()),
            Command::CopySummary => return self.copy(self.summary_text()),
            Command::OpenLink => return self.open(&self.links_here(|_| true), "link"),
            Command::OpenRunbook => {
                let links: Vec<String> =
                    self.detail.as_ref().map(|detail| detail.runbooks.iter().map(|link| link.url.to_string()).collect()).unwrap_or_default();
                return self.open(&links, "runbook");
            }
            Command::OpenDashboard => {
                let links: Vec<String> =
                    self.detail.as_ref().map(|detail| detail.dashboards.iter().map(|link| link.url.to_string()).collect()).unwrap_or_default();
                return self.open(&links, "dashboard");
            }
            Command::Export(Words(path)) => return self.export(path),
            Command::Glossary => self.glossary(),
            Command::Help => self.overlay = Some(Overlay::Help { top: 0 }),
            Command::Reconnect => return vec![Effect::Reconnect],
            Command::Messages => self.overlay = Some(Overlay::Messages { top: 0 }),
            Command::Redraw => return vec![Effect::Redraw],
            Command::Suspend => return vec![Effect::Suspend],
            Command::Quit => return vec![Effect::Quit],
            Command::PromptAccept => return self.accept(),
            Command::PromptCancel => self.cancel(),
            Command::PromptNext => self.scroll_overlay(1),
            Command::PromptPrevious => self.scroll_overlay(-1),
            Command::PromptComplete => self.complete(),
            Command::PromptEditor => {
                if let Some(Overlay::Ask(Ask { purpose: Purpose::Note { .. }, input, .. })) = &self.overlay {
                    return vec![Effect::Edit { text: input.text().to_owned() }];
                }
            }
            Command::PromptLeft => self.edit(|input| input.left()),
            Command::PromptRight => self.edit(|input| input.right()),
            Command::PromptWordLeft => self.edit(|input| input.word_left()),
            Command::PromptWordRight => self.edit(|input| input.word_right()),
            Command::PromptStart => self.edit(|input| input.start()),
            Command::PromptEnd => self.edit(|input| input.end()),
            Command::PromptDelete => self.change(|input| input.delete()),
            Command::PromptDeleteBack => self.change(|input| input.delete_back()),
            Command::PromptDeleteWord => self.change(|input| input.delete_word()),
            Command::PromptDeleteLine => self.change(|input| input.delete_line()),
            Command::PromptDeleteRest => self.change(|input| input.delete_rest()),
        }
        Vec::new()
    }

    fn edit(&mut self, edit: impl FnOnce(&mut crate::console::input::Input)) {
        if let Some(input) = self.overlay.as_mut().and_then(Overlay::input) {
            edit(input);
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut crate::console::input::Input)) {
        self.edit(change);
        self.retyped();
    }

    fn scroll_overlay(&mut self, by: isize) {
        if let Some(overlay) = &mut self.overlay {
            overlay.scroll(by);
        }
        self.preview();
    }

    /// By name at once; without one, by looking.
    fn choose_theme(&mut self, name: Option<String>) {
        match name {
            Some(name) => match self.themes.load(&name) {
                Ok(theme) => {
                    self.theme = theme;
                    self.keep_theme(&name);
                }
                Err(error) => self.say(Tone::Wrong, error.to_string()),
            },
            None => {
                let all = self.themes.names();
                let all = all.into_iter().map(|(name, words)| Choice { text: name.clone(), note: words, goal: Goal::Theme(name) }).collect();
                let mut choose = Choose::new(Of::Themes, "", all);
                choose.select(&Goal::Theme(self.theme.name.clone()));
                self.theme_before = Some(self.theme.clone());
                self.overlay = Some(Overlay::Choose(choose));
            }
        }
    }

    fn keep_theme(&mut self, name: &str) {
        self.theme_by_hand = Some(Themed { name: name.to_owned(), over: self.theme_configured.clone() });
    }

    pub(super) fn go(&mut self, movement: Move) {
        if self.pane == Pane::Timeline && !self.panes.opened && self.goes_beyond(movement) {
            return;
        }
        let pane = self.pane;
        let mut panes = std::mem::take(&mut self.panes);
        panes.go(pane, &self.sight(), movement);
        self.panes = panes;
    }

    pub(super) fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.panes.opened = false;
        self.panes.detail_top = 0;
    }

    fn step_pane(&mut self, step: usize) {
        let here = Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        if let Some(next) = Pane::ALL.get((here + step) % Pane::ALL.len()) {
            self.show(*next);
        }
    }

    /// The list that verbs and folds are about: that of Alerts there, else that of Now.
    pub(super) fn alert_list(&mut self) -> &mut crate::console::pane::alert_list::AlertList {
        if self.pane == Pane::Alerts { &mut self.panes.alerts.list } else { &mut self.panes.now.list }
    }

    fn fold(&mut self) {
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().fold(),
            Pane::Systems => self.panes.systems.fold(),
            Pane::Timeline => {
                self.timeline.close_run(self.panes.timeline.selected);
            }
            Pane::Today | Pane::Servers => {}
        }
    }

    fn unfold(&mut self) {
        match self.pane {
            Pane::Now | Pane::Alerts => {
                if !self.alert_list().unfold() && self.alert_list().alert().is_some() {
                    self.panes.opened = true;
                }
            }
            Pane::Systems => self.panes.systems.unfold(),
            Pane::Timeline => {
                if !self.timeline.open_run(self.panes.timeline.selected) && self.timeline.slot(self.panes.timeline.selected).is_some() {
                    self.panes.opened = true;
                }
            }
            Pane::Today | Pane::Servers => {}
        }
    }

    fn unfold_all(&mut self) {
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().unfold_all(),
            Pane::Systems => {
                let mut panes = std::mem::take(&mut self.panes);
                panes.systems.unfold_all(&self.sight());
                self.panes = panes;
            }
            Pane::Today | Pane::Timeline | Pane::Servers => {}
        }
    }

    /// Esc always backs out: of the detail, of marks, of the filter.
    fn back(&mut self) {
        if std::mem::take(&mut self.panes.opened) || std::mem::take(&mut self.zoomed) {
            return;
        }
        match self.pane {
            Pane::Now | Pane::Alerts => {
                self.alert_list().back();
            }
            Pane::Timeline => {
                if !self.panes.timeline.back() {
                    self.timeline.set_filter(None);
                }
            }
            Pane::Systems => self.panes.systems.filter = None,
            Pane::Today | Pane::Servers => {}
        }
    }

    pub fn filter(&self) -> Option<&Filter> {
        match self.pane {
            Pane::Now => self.panes.now.list.filter.as_ref(),
            Pane::Alerts => self.panes.alerts.list.filter.as_ref(),
            Pane::Timeline => self.timeline.filter(),
            Pane::Systems => self.panes.systems.filter.as_ref(),
            Pane::Today | Pane::Servers => None,
        }
    }

    pub(super) fn set_filter(&mut self, filter: Option<Filter>) {
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().filter = filter,
            Pane::Timeline => self.timeline.set_filter(filter),
            Pane::Systems => self.panes.systems.filter = filter,
            Pane::Today | Pane::Servers => {}
        }
    }

    fn seek(&mut self, forward: bool) {
        let mut panes = std::mem::take(&mut self.panes);
        let sight = self.sight();
        let bad = |severity: Severity| severity >= Severity::Error;
        let found = match self.pane {
            Pane::Now => panes.now.list.seek(&sight, forward, |row| bad(row.severity)),
            Pane::Alerts => panes.alerts.list.seek(&sight, forward, |row| bad(row.severity)),
            Pane::Timeline => {
                self.panes = panes;
                return self.seek_on_timeline(forward);
            }
            Pane::Systems => panes.systems.seek(forward),
            Pane::Today | Pane::Servers => false,
        };
        self.panes = panes;
        if !found {
            self.say(Tone::Plain, if forward { "no error below" } else { "no error above" });
        }
    }

    fn go_live(&mut self) {
        if self.is_away() || self.going.is_some() {
            return self.come_back();
        }
        match self.pane {
            Pane::Timeline => self.follow(),
            Pane::Today => self.panes.today.day(-self.panes.today.back),
            Pane::Now | Pane::Alerts => {
                let list = self.alert_list();
                list.go(Move::First, 1);
            }
            Pane::Systems | Pane::Servers => {}
        }
    }

    /// From the time that is shown; on a timeline of now, from the event that is selected.
    fn shift(&mut self, by: Span, back: bool) -> Vec<Effect> {
        let from = match self.pane {
            Pane::Timeline if !self.is_away() => self.panes.timeline.here(&self.sight()).map_or(self.now, |(at, _)| at),
            _ => self.moment(),
        };
        self.travel(if back { from.minus(by) } else { from.plus(by) })
    }

    /// Today tells of no day that is later than where one is.
    fn later_day(&mut self) {
        let today = &mut self.panes.today;
        if today.back > 0 || today.which != TodaySpan::Day {
            today.day(-today.back.min(1));
        } else {
            let words = if self.is_away() { "this day goes up to where you are; ) goes on a day" } else { "this is today" };
            self.say(Tone::Plain, words);
        }
    }

    fn mark(&mut self) {
        // What is not on the screen is not marked.
        if self.panes.opened {
            return;
        }
        match self.pane {
            Pane::Now | Pane::Alerts => {
                self.alert_list().mark();
                self.go(Move::Down);
            }
            Pane::Timeline => {
                if let Some(place) = self.panes.timeline.here(&self.sight())
                    && !self.panes.timeline.marks.remove(&place)
                {
                    self.panes.timeline.marks.insert(place);
                }
                self.go(Move::Down);
            }
            Pane::Today | Pane::Systems | Pane::Servers => {}
        }
    }

    fn mark_range(&mut self) {
        // What is not on the screen is not marked.
        if self.panes.opened {
            return;
        }
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().mark_range(),
            Pane::Timeline => {
                let here = self.panes.timeline.here(&self.sight());
                match (self.panes.timeline.anchor.take(), here) {
                    (None, here) => self.panes.timeline.anchor = here,
                    (Some(anchor), Some(here)) => {
                        let (from, to) = (self.timeline.find(anchor.min(here)), self.timeline.find(anchor.max(here)));
                        let marked: Vec<_> =
                            (from..=to.min(from.saturating_add(100_000))).filter_map(|row| self.timeline.slot(row)).map(|slot| slot.place()).collect();
                        self.panes.timeline.marks.extend(marked);
                    }
                    (Some(_), None) => {}
                }
            }
            Pane::Today | Pane::Systems | Pane::Servers => {}
        }
    }

    fn mark_all(&mut self) {
        // What is not on the screen is not marked.
        if self.panes.opened {
            return;
        }
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().mark_all(),
            Pane::Timeline => {
                let all: Vec<_> = (0..self.timeline.len().min(100_000)).filter_map(|row| self.timeline.slot(row)).map(|slot| slot.place()).collect();
                self.panes.timeline.marks.extend(all);
            }
            Pane::Today | Pane::Systems | Pane::Servers => {}
        }
    }

    fn mark_none(&mut self) {
        match self.pane {
            Pane::Now | Pane::Alerts => self.alert_list().list.marks.clear(),
            Pane::Timeline => self.panes.timeline.marks.clear(),
            Pane::Today | Pane::Systems | Pane::Servers => {}
        }
    }

    fn group(&mut self, group: Option<crate::command::GroupBy>) {
        let list = self.alert_list();
        let next = group.unwrap_or_else(|| list.group.unwrap_or(crate::command::GroupBy::Cause).next());
        list.group = Some(next);
        self.say(Tone::Plain, format!("grouped by {next}"));
    }

    fn sort(&mut self, sort: Option<crate::command::SortBy>) {
        let list = self.alert_list();
        let next = sort.unwrap_or_else(|| list.sort.unwrap_or(crate::command::SortBy::Urgency).next());
        list.sort = Some(next);
        self.say(Tone::Plain, format!("sorted by {next}"));
    }

    fn ask_about(&mut self, purpose: Purpose, offers: Vec<String>) {
        let none = matches!(&purpose, Purpose::Snooze { alerts } | Purpose::Assign { alerts } | Purpose::Note { alerts, system: None } if alerts.is_empty());
        if none {
            self.say(Tone::Plain, "there is no alert here");
        } else {
            self.overlay = Some(Overlay::Ask(Ask::new(purpose, "", offers)));
        }
    }

    /// Everybody who has done something: whom one may want to give an alert to.
    fn people(&self) -> Vec<String> {
        let mut names = vec![self.me.to_string()];
        for deed in self.sky.servers.iter().flat_map(|seen| seen.world.deeds.iter().rev().take(200)) {
            if let crate::model::event::Actor::User(name) = &deed.by
                && names.len() < 8
                && !names.iter().any(|known| known == name.as_str())
            {
                names.push(name.to_string());
            }
        }
        names.push("-".to_owned());
        names
    }

    /// The system that what is selected belongs to.
    pub(super) fn subject(&self) -> Option<SystemRef> {
        match self.pane {
            Pane::Systems => self.panes.systems.system(),
            Pane::Timeline => {
                let slot = self.timeline.slot(self.panes.timeline.selected)?;
                let event = slot.event()?;
                Some(SystemRef { origin: event.id.origin, id: event.system.clone()? })
            }
            Pane::Now | Pane::Alerts => {
                let alert = self.panes.alert(self.pane)?;
                self.rows.iter().find(|row| row.alert == alert).map(|row| row.system.clone())
            }
            Pane::Today | Pane::Servers => None,
        }
    }

    fn show_timeline(&mut self) {
        let Some(system) = self.subject() else { return };
        self.show(Pane::Timeline);
        match Filter::new(&format!("system:{}", system.id), self.now, &self.zone) {
            Ok(filter) => self.set_filter(Some(filter)),
            Err(error) => self.say(Tone::Wrong, error.to_string()),
        }
        self.follow();
    }

    fn show_system(&mut self, system: &SystemRef) {
        self.show(Pane::Systems);
        let mut panes = std::mem::take(&mut self.panes);
        panes.systems.show(&self.sight(), system);
        self.panes = panes;
    }

    fn show_alert(&mut self, alert: AlertRef) {
        self.show(Pane::Alerts);
        self.panes.alerts.list.filter = None;
        self.panes.alerts.list.group = Some(crate::command::GroupBy::Nothing);
        let height = self.body_height();
        let mut panes = std::mem::take(&mut self.panes);
        panes.settle(Pane::Alerts, &self.sight(), self.size.0, height, false);
        panes.alerts.list.select(alert);
        self.panes = panes;
    }

    pub(super) fn go_to_goal(&mut self, goal: Goal) {
        match goal {
            Goal::Alert(alert) => self.show_alert(alert),
            Goal::System(system) => self.show_system(&system),
            Goal::Server(index) => {
                self.show(Pane::Servers);
                let len = self.links.len();
                self.panes.servers.list.select(index, len, Some);
            }
            Goal::Pane(pane) => self.show(pane),
            Goal::Event(id, at) => self.show_event(id, at),
            Goal::Person(name) => self.show_person(&name),
            // What asks for something outside is done where it was accepted.
            Goal::Web(_) => {}
            Goal::View(name) => self.run_view(&name),
            Goal::SaveView(_) => {}
            Goal::Theme(name) => {
                self.theme_before = None;
                self.keep_theme(&name);
                self.say(Tone::Plain, format!("theme {name} on these servers; theme = \"{name}\" in console.toml makes it so on all"));
            }
            Goal::Place(place) => self.go_to_place(place),
            Goal::Revoke(server, grant) => self.confirm_revoke(server, grant),
            // What is copied is copied where it was accepted.
            Goal::InviteAgain(..) => {}
            Goal::Nothing => {}
            Goal::Command(name, _) => {
                if let Ok(command) = Command::parse(name) {
                    self.perform(command);
                }
            }
        }
    }

    fn commands(&self) -> Vec<Choice> {
        COMMANDS
            .iter()
            .filter(|entry| entry.palette == Palette::Shown && entry.is_available(self.pane, self.read_only))
            .map(|entry| Choice {
                text: entry.name.to_owned(),
                note: entry.sentence.to_owned(),
                goal: Goal::Command(entry.name, entry.argument.is_some_and(|argument| argument.required)),
            })
            .collect()
    }

    /// Takes back the newest of one's own notes on what is selected.
    fn withdraw_note(&mut self) -> Vec<Effect> {
        let alert = self.panes.alert(self.pane);
        let system = self.subject();
        let me = crate::model::event::Actor::User(self.me.clone());
        let found = self.sky.servers.iter().enumerate().find_map(|(server, seen)| {
            let mine = |deed: &&std::sync::Arc<crate::model::world::Deed>| {
                let here = deed.alert.map(|fingerprint| AlertRef { origin: seen.world.origin, alert: fingerprint }) == alert && alert.is_some();
                let there = system.as_ref().is_some_and(|system| system.origin == seen.world.origin && deed.system.as_ref() == Some(&system.id));
                deed.kind == DeedKind::Note && !deed.withdrawn && deed.by == me && (here || there)
            };
            seen.world.deeds.iter().rev().find(mine).map(|deed| (server, deed.event, deed.title.to_string()))
        });
        match found {
            Some((server, note, what)) => self.at_once("take back", vec![Asked { server, alert, what, intent: Intent::WithdrawNote { note }, inverse: None }]),
            None => {
                self.say(Tone::Plain, "there is no note of yours here");
                Vec::new()
            }
        }
    }
}
