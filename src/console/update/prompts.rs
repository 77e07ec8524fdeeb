//! What is typed into overlays, and what becomes of it.

use crate::command::{Argument, Command, Direction, When};
use crate::console::effect::Effect;
use crate::console::overlay::Overlay;
use crate::console::overlay::ask::{Ask, Purpose};
use crate::console::overlay::choose::{Goal, Of};
use crate::console::state::{State, Tone};
use crate::model::filter::{Filter, complete};
use crate::model::id::Person;

use super::verbs::Verbal;

impl State {
    pub(super) fn typed(&mut self, typed: char) -> Vec<Effect> {
        if let Some(Overlay::Meet(_)) = &self.overlay {
            return self.typed_to_meet(typed);
        }
        if let Some(input) = self.overlay.as_mut().and_then(Overlay::input) {
            input.insert(&typed.to_string());
            self.retyped();
        }
        Vec::new()
    }

    pub(super) fn paste(&mut self, text: &str) {
        match self.overlay.as_mut().and_then(Overlay::input) {
            Some(input) => {
                input.insert(text);
                self.retyped();
            }
            // Without a line to take it, a paste is not run as keys: it does nothing, and says so.
            None => self.say(Tone::Plain, "a paste does nothing here; open a filter or a note first"),
        }
    }

    /// The line changed.
    pub(super) fn retyped(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Choose(choose)) => {
                if choose.of == Of::Views {
                    let text = choose.input.text().to_owned();
                    let all = self.view_choices(&text);
                    if let Some(Overlay::Choose(choose)) = &mut self.overlay {
                        choose.all = std::sync::Arc::new(all);
                        choose.search();
                    }
                    return;
                }
                choose.search();
                self.hunt();
                self.preview();
            }
            Some(Overlay::Ask(ask)) => {
                ask.chosen = None;
                ask.error = None;
                if let Purpose::Filter { .. } = ask.purpose {
                    let text = ask.input.text().to_owned();
                    let cursor = ask.input.cursor();
                    self.refilter(&text, cursor);
                }
            }
            Some(Overlay::Confirm(_) | Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Meet(_) | Overlay::Access { .. }) | None => {}
        }
    }

    /// Filters as one types; what is not a filter yet is said beside the line and changes nothing.
    fn refilter(&mut self, text: &str, cursor: usize) {
        let offers = {
            let names: Vec<String> = self.sky.servers.iter().map(|seen| seen.name.to_string()).collect();
            let systems: Vec<String> = self.sky.servers.iter().flat_map(|seen| seen.world.systems.keys().map(ToString::to_string)).collect();
            let mut known = |field: crate::model::filter::Field, _: Option<&str>| match field {
                crate::model::filter::Field::System => systems.clone(),
                crate::model::filter::Field::Server => names.clone(),
                _ => Vec::new(),
            };
            let completion = complete(text, cursor, &mut known);
            completion.candidates.into_iter().take(8).map(|candidate| candidate.text).collect()
        };
        let result = Filter::new(text, self.now, &self.zone);
        if let Some(Overlay::Ask(ask)) = &mut self.overlay {
            ask.offers = offers;
            ask.error = result.as_ref().err().map(ToString::to_string);
        }
        if let Ok(filter) = result {
            self.set_filter(Some(filter).filter(|filter| !filter.is_all()));
        }
    }

    /// Enter.
    pub(super) fn accept(&mut self) -> Vec<Effect> {
        match self.overlay.take() {
            Some(Overlay::Ask(ask)) => self.accept_ask(ask),
            Some(Overlay::Choose(choose)) => {
                if choose.of == Of::Commands {
                    return self.accept_command(choose);
                }
                if let Some(link) = choose.input.text().trim().strip_prefix("midwatch:") {
                    if !self.follow_link(link) {
                        self.say(Tone::Wrong, "that link leads to nothing that this console knows");
                    }
                    return Vec::new();
                }
                match choose.chosen().map(|choice| choice.goal.clone()) {
                    // What cannot be shown cannot be kept.
                    Some(Goal::Theme(_)) if choose.error.is_some() => self.overlay = Some(Overlay::Choose(choose)),
                    Some(Goal::SaveView(name)) => return self.save_view(&name),
                    Some(Goal::InviteAgain(server, grant)) => return self.copy_invite_of(server, grant),
                    Some(Goal::Web(url)) => return self.open(&[url], "runbook"),
                    Some(Goal::Command(name, false)) => {
                        return match Command::parse(name) {
                            Ok(command) => self.run(command),
                            Err(_) => Vec::new(),
                        };
                    }
                    Some(Goal::Command(name, true)) => return self.run(Command::Palette(Some(crate::command::Words(format!("{name} "))))),
                    Some(goal) => self.go_to_goal(goal),
                    None => self.overlay = Some(Overlay::Choose(choose)),
                }
                Vec::new()
            }
            Some(Overlay::Confirm(confirm)) => {
                // What is taken back after a question is taken back once.
                let undoes = self.undo.last().is_some_and(|undo| confirm.then.iter().all(|asked| asked.what == undo.what));
                if undoes && confirm.word == "take back" {
                    self.undo.pop();
                }
                self.ask_all(confirm.word, confirm.then)
            }
            // The word is meant, not whatever key ends a line.
            Some(Overlay::Meet(asked)) => {
                self.overlay = Some(Overlay::Meet(asked));
                Vec::new()
            }
            Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Access { .. }) | None => Vec::new(),
        }
    }

    fn accept_command(&mut self, mut choose: crate::console::overlay::choose::Choose) -> Vec<Effect> {
        let text = choose.input.text().trim().to_owned();
        // What reads as a command runs as it stands; else the chosen one, which may want more words.
        match (Command::parse(&text), choose.chosen().map(|choice| choice.goal.clone())) {
            (Ok(command), _) => self.run(command),
            (Err(error), Some(Goal::Command(name, wants_more))) => {
                if text.split_whitespace().next() == Some(name) {
                    choose.error = Some(error.to_string());
                    self.overlay = Some(Overlay::Choose(choose));
                    return Vec::new();
                }
                match Command::parse(name) {
                    Ok(command) => self.run(command),
                    Err(_) if wants_more => {
                        choose.input = crate::console::input::Input::new(&format!("{name} "));
                        choose.search();
                        self.overlay = Some(Overlay::Choose(choose));
                        Vec::new()
                    }
                    Err(error) => {
                        self.say(Tone::Wrong, error.to_string());
                        Vec::new()
                    }
                }
            }
            (Err(error), _) => {
                choose.error = Some(error.to_string());
                self.overlay = Some(Overlay::Choose(choose));
                Vec::new()
            }
        }
    }

    fn accept_ask(&mut self, mut ask: Ask) -> Vec<Effect> {
        let text = ask.input.text().trim().to_owned();
        match &ask.purpose {
            Purpose::Filter { .. } => match Filter::new(&text, self.now, &self.zone) {
                Ok(filter) => self.set_filter(Some(filter).filter(|filter| !filter.is_all())),
                Err(error) => {
                    ask.error = Some(error.to_string());
                    self.overlay = Some(Overlay::Ask(ask));
                }
            },
            Purpose::Note { alerts, system } => {
                if text.is_empty() {
                    self.say(Tone::Plain, "nothing was written, nothing is noted");
                    return Vec::new();
                }
                return match system.clone() {
                    Some(system) => self.note_on(&system, &text),
                    None => self.verb(&Verbal::Note { text }, &alerts.clone()),
                };
            }
            Purpose::Snooze { alerts } => match self.time_of(&text, Direction::Ahead) {
                Ok(until) => return self.verb(&Verbal::Snooze { until }, &alerts.clone()),
                Err(why) => {
                    ask.error = Some(why);
                    self.overlay = Some(Overlay::Ask(ask));
                }
            },
            Purpose::Assign { alerts } => {
                let to = match text.as_str() {
                    "" => {
                        ask.error = Some("a name, or - for nobody".to_owned());
                        self.overlay = Some(Overlay::Ask(ask));
                        return Vec::new();
                    }
                    "-" => None,
                    name => Some(Person::from(name)),
                };
                return self.verb(&Verbal::Assign { to }, &alerts.clone());
            }
            Purpose::GoTo => match self.time_of(&text, Direction::Back) {
                Ok(at) => return self.travel(at),
                Err(why) => {
                    ask.error = Some(why);
                    self.overlay = Some(Overlay::Ask(ask));
                }
            },
        }
        Vec::new()
    }

    /// A time as people write it, before or after now.
    pub(super) fn time_of(&self, text: &str, direction: Direction) -> Result<crate::model::time::Time, String> {
        let when = When::read(text)?;
        self.resolve(when, direction)
    }

    pub(super) fn resolve(&self, when: When, direction: Direction) -> Result<crate::model::time::Time, String> {
        when.resolve(&self.present.zoned(&self.zone), direction).ok_or_else(|| "the calendar has no such time".to_owned())
    }

    /// Esc.
    pub(super) fn cancel(&mut self) {
        match self.overlay.take() {
            Some(Overlay::Ask(Ask { purpose: Purpose::Filter { before }, .. })) => self.set_filter(before),
            Some(Overlay::Choose(choose)) if choose.of == Of::Themes => {
                if let Some(before) = self.theme_before.take() {
                    self.theme = before;
                }
            }
            // It is not said to be right: that is an answer, too.
            Some(Overlay::Meet(asked)) => {
                self.overlay = Some(Overlay::Meet(asked));
                self.met(false);
            }
            Some(_) | None => {}
        }
    }

    /// What is selected among the themes is what one sees.
    pub(super) fn preview(&mut self) {
        let Some(Overlay::Choose(choose)) = &mut self.overlay else { return };
        let Some(Goal::Theme(name)) = choose.chosen().map(|choice| choice.goal.clone()) else { return };
        if name == self.theme.name {
            choose.error = None;
            return;
        }
        match self.themes.load(&name) {
            Ok(theme) => {
                choose.error = None;
                self.theme = theme;
            }
            Err(error) => choose.error = error.0.into_iter().next(),
        }
    }

    /// A long text came back from the editor.
    pub(super) fn edited(&mut self, text: Option<String>) -> Vec<Effect> {
        let Some(Overlay::Ask(ask)) = self.overlay.take() else { return Vec::new() };
        let (Some(text), Purpose::Note { alerts, system }) = (text, &ask.purpose) else {
            self.overlay = Some(Overlay::Ask(ask));
            return Vec::new();
        };
        if text.trim().is_empty() {
            self.say(Tone::Plain, "nothing was written, nothing is noted");
            return Vec::new();
        }
        match system.clone() {
            Some(system) => self.note_on(&system, text.trim()),
            None => self.verb(&Verbal::Note { text: text.trim().to_owned() }, &alerts.clone()),
        }
    }

    /// Tab: the offered completion takes the place of what is typed.
    pub(super) fn complete(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Ask(ask)) => {
                if let Purpose::Filter { .. } = ask.purpose {
                    let text = ask.input.text().to_owned();
                    let completion = complete(&text, ask.input.cursor(), &mut |_, _| Vec::new());
                    if let Some(offer) = ask.offers.first().cloned()
                        && let (Some(before), Some(after)) = (text.get(..completion.from), text.get(ask.input.cursor()..))
                    {
                        let end = if offer.ends_with(':') || offer.ends_with('.') { "" } else { " " };
                        ask.input = crate::console::input::Input::new(&format!("{before}{offer}{end}{after}"));
                        self.retyped();
                    }
                } else {
                    ask.step(1);
                }
            }
            Some(Overlay::Choose(choose)) => {
                if let Some(text) = choose.chosen().map(|choice| choice.text.clone()) {
                    choose.input = crate::console::input::Input::new(&format!("{text} "));
                    choose.search();
                }
            }
            Some(Overlay::Confirm(_) | Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Meet(_) | Overlay::Access { .. }) | None => {}
        }
    }
}
