//! Questions: what a screen asks in an overlay, asked in lines and answered by a line.

use super::rows::Key;
use crate::command::Command;
use crate::console::effect::Effect;
use crate::console::message::Message;
use crate::console::overlay::Overlay;
use crate::console::overlay::ask::Purpose;
use crate::console::overlay::choose::Goal;
use crate::console::overlay::meet::{Answer, COMPARE, OTHER};
use crate::console::state::State;
use crate::model::id::SystemRef;

/// Choices, hits and messages that are said at once.
const PAGE: usize = 20;

#[derive(Debug, Default)]
pub struct Asked {
    pub lines: Vec<String>,
    pub choices: Vec<Key>,
    /// Nothing is asked: it was only to be said.
    pub over: bool,
}

#[derive(Debug, Default)]
pub struct Answered {
    pub effects: Vec<Effect>,
    pub words: Option<String>,
    /// A command was chosen, which is to be run by its name.
    pub command: Option<&'static str>,
    /// The question was left without an answer.
    pub left: bool,
}

pub fn prompt(state: &State) -> Option<String> {
    Some(match state.overlay.as_ref()? {
        Overlay::Ask(ask) => ask.purpose.label(),
        Overlay::Choose(choose) => choose.of.title().to_owned(),
        Overlay::Confirm(_) => "yes or no".to_owned(),
        Overlay::Meet(_) => "yes, no, or the fingerprint".to_owned(),
        Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Access { .. } => return None,
    })
}

pub fn ask(state: &State) -> Asked {
    let mut asked = Asked::default();
    let mut choices = |lines: &mut Vec<String>, all: &mut dyn Iterator<Item = String>, count: usize| {
        for (at, words) in all.take(PAGE).enumerate() {
            lines.push(format!("{}. {words}", at + 1));
            asked.choices.push(Key::Choice(at));
        }
        if count > PAGE {
            lines.push(format!("{} more; type a part of what you look for", count - PAGE));
        }
    };
    let mut lines = Vec::new();
    match &state.overlay {
        Some(Overlay::Ask(ask)) => {
            if let Some(error) = &ask.error {
                lines.push(error.clone());
            }
            let none = if matches!(ask.purpose, Purpose::Filter { .. }) { ", `-` shows all" } else { "" };
            let now = if ask.input.text().is_empty() { String::new() } else { format!(" It is `{}` now.", ask.input.text()) };
            lines.push(format!("{}?{now} An empty line leaves it{none}.", ask.purpose.label()));
            if !matches!(ask.purpose, Purpose::Filter { .. }) {
                choices(&mut lines, &mut ask.offers.iter().cloned(), ask.offers.len());
            }
        }
        Some(Overlay::Choose(choose)) => {
            if let Some(error) = &choose.error {
                lines.push(error.clone());
            }
            lines.push(format!("{}? A number chooses, other words search, an empty line leaves it.", choose.of.title()));
            let all = choose.hits.iter().filter_map(|hit| choose.all.get(*hit));
            choices(&mut lines, &mut all.map(|choice| format!("{}: {}", choice.text, choice.note)), choose.hits.len());
            if choose.hits.is_empty() {
                lines.push("nothing matches".to_owned());
            }
        }
        Some(Overlay::Confirm(confirm)) => {
            lines.push(format!("{}:", confirm.title));
            lines.extend(confirm.hits.iter().take(PAGE).cloned());
            if confirm.hits.len() > PAGE {
                lines.push(format!("and {} more", confirm.hits.len() - PAGE));
            }
            lines.push("yes or no?".to_owned());
        }
        Some(Overlay::Messages { .. }) => {
            let skip = state.said.len().saturating_sub(PAGE);
            lines.extend(state.said.iter().skip(skip).map(|said| format!("{} {}", said.at.zoned(&state.zone).strftime("%H:%M:%S"), said.words)));
            if lines.is_empty() {
                lines.push("nothing was said yet".to_owned());
            }
        }
        Some(Overlay::Meet(asked)) => {
            let meeting = &asked.meeting;
            lines.push(format!("{} It shows this key:", meeting.sentence()));
            lines.extend([meeting.fingerprint.clone(), meeting.words.join(" "), COMPARE.to_owned()]);
            lines.push("Is it this one? yes, no, or the fingerprint".to_owned());
        }
        Some(Overlay::Access { system, .. }) => lines.extend(access(state, system)),
        Some(Overlay::Help { .. }) => lines.push("`?` says what works here".to_owned()),
        None => {}
    }
    asked.over = matches!(state.overlay, Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Access { .. }));
    asked.lines = lines;
    asked
}

/// `choices` are those that were said last.
pub fn answer(state: &mut State, line: &str, choices: &[Key]) -> Answered {
    let number = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).and_then(|at| choices.get(at));
    let chosen = match number {
        Some(Key::Choice(at)) => Some(*at),
        Some(_) | None => None,
    };
    match (&mut state.overlay, line) {
        (Some(Overlay::Confirm(_)), line) => match line.to_lowercase().as_str() {
            "y" | "yes" => run(state, Command::PromptAccept),
            "n" | "no" | "" => leave(state),
            _ => Answered { words: Some("yes or no, please".to_owned()), ..Answered::default() },
        },
        (Some(Overlay::Meet(asked)), line) => match asked.meeting.answer(line) {
            Some(Answer::Yes) => Answered { effects: state.met(true), ..Answered::default() },
            Some(Answer::No) => Answered { effects: state.met(false), ..Answered::default() },
            Some(Answer::Other) => Answered { effects: state.met(false), words: Some(OTHER.to_owned()), ..Answered::default() },
            None => Answered { words: Some("Please type yes, no, or the fingerprint (SHA256:…)".to_owned()), ..Answered::default() },
        },
        (Some(_), "") => leave(state),
        (Some(Overlay::Ask(ask)), line) => {
            let filter = matches!(ask.purpose, Purpose::Filter { .. });
            let offer = chosen.filter(|_| !filter).and_then(|at| ask.offers.get(at).cloned());
            let text = match (offer, filter && line == "-") {
                (Some(offer), _) => offer,
                (None, true) => String::new(),
                (None, false) => line.to_owned(),
            };
            retype(state, &text);
            run(state, Command::PromptAccept)
        }
        (Some(Overlay::Choose(choose)), line) => match chosen {
            Some(at) => {
                choose.selected = at;
                match choose.chosen().map(|choice| choice.goal.clone()) {
                    Some(Goal::Command(name, _)) => {
                        state.overlay = None;
                        Answered { command: Some(name), ..Answered::default() }
                    }
                    Some(_) | None => run(state, Command::PromptAccept),
                }
            }
            None => {
                let link = line.starts_with("midwatch:");
                retype(state, line);
                if link { run(state, Command::PromptAccept) } else { Answered::default() }
            }
        },
        (Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Access { .. }) | None, _) => leave(state),
    }
}

/// Who may see a system, in lines.
fn access(state: &State, system: &SystemRef) -> Vec<String> {
    let Some(access) = state.access(system) else { return vec!["nothing is known of its server yet".to_owned()] };
    let mut lines = vec![format!("Who may see {}:", access.system)];
    if let Some(own) = &access.own {
        lines.push(format!("you, {}: {}; {}; {}", own.who, own.may, own.by, own.ends));
    }
    lines.extend(access.ways.iter().map(|way| format!("{}, {}, {}: {}; {}", way.given.name, way.given.role, way.given.may, way.given.ends, way.why())));
    lines.extend(access.standing);
    lines
}

/// The line that is asked for becomes this one, as if it had been typed.
fn retype(state: &mut State, text: &str) {
    state.run(Command::PromptEnd);
    state.run(Command::PromptDeleteLine);
    state.update(Message::Paste(text.to_owned()));
}

fn run(state: &mut State, command: Command) -> Answered {
    Answered { effects: state.run(command), ..Answered::default() }
}

fn leave(state: &mut State) -> Answered {
    state.run(Command::PromptCancel);
    Answered { left: true, ..Answered::default() }
}
