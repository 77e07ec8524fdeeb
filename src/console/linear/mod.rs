//! Linear mode: the console as append-only lines, for screen readers, bad lines and `TERM=dumb`.
//!
//! Another input and another drawer over the same state, commands and effects: a line that is typed names a
//! row by its number or a command by its name; what changed is said in lines, severity first. No cursor
//! moves but back to the start of a line that is being typed, no box is drawn; severity words have a colour
//! where the terminal has one. Whatever the panes can do is reachable, since every command
//! of the registry can be named here and asks for what it needs.

mod input;
mod keys;
mod news;
mod question;
mod rows;
mod typing;
mod words;

use crate::command::{COMMANDS, Command, CommandError, Palette, Pane};
use crate::model::clean::clean_line;
use crate::model::time::Span;

use super::effect::Effect;
use super::message::Message;
use super::state::State;
use input::Input;
use news::News;
use rows::Key;
use typing::Typing;

/// Rows that are said at once; `more` says the next.
const PAGE: usize = 20;
/// How long the servers may take to say how things are before the first line is answered.
const PATIENCE: Span = Span::from_secs(10);

pub struct Linear {
    input: Input,
    /// The line that is being typed, where each key comes to us.
    typing: Option<Typing>,
    /// Severity words have colours.
    colours: bool,
    /// What is to be written.
    out: String,
    /// What was typed is repeated behind the prompt: nobody sees the lines of a pipe otherwise.
    echo: bool,
    news: News,
    /// The rows that were said last, by their number less one.
    said: Vec<Key>,
    /// What the numbers of a question, or of a word that means several commands, stand for.
    choices: Vec<Key>,
    /// It was told to end: nothing more is said.
    quits: bool,
    /// Lines of the last long text that were not said yet.
    rest: Vec<String>,
    /// A command that waits for the words that it needs.
    wants: Option<&'static str>,
    /// The messages of the state that were said.
    messages: u64,
    /// The servers have answered, and the first list was said.
    begun: bool,
    /// The prompt is the last that was written, with what was typed behind it.
    prompted: bool,
    prompt: String,
    /// When the last line was taken.
    taken: Span,
}

impl Linear {
    pub fn new(echo: bool) -> Linear {
        Linear {
            input: Input::default(),
            typing: None,
            colours: false,
            out: String::new(),
            echo,
            news: News::default(),
            said: Vec::new(),
            choices: Vec::new(),
            quits: false,
            rest: Vec::new(),
            wants: None,
            messages: 0,
            begun: false,
            prompted: false,
            prompt: String::new(),
            taken: Span::ZERO,
        }
    }

    /// Whether a person types: else what is answered must not depend on what somebody did before.
    pub fn is_typed(&self) -> bool {
        !self.echo
    }

    /// Nothing more will be typed.
    pub fn end_of_input(&mut self) {
        self.input.end();
    }

    /// Nothing is typed any more, and all that was asked for has been answered, or never will be.
    pub fn is_over(&self, state: &State) -> bool {
        let waited = state.mono.micros() - self.taken.micros() >= PATIENCE.micros();
        self.input.is_over() && self.begun && (state.pending.is_empty() || waited)
    }

    /// What is to be written now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// Says what happened, and asks for the next line. `clock` measures what that costs.
    pub fn settle(&mut self, state: &mut State, clock: impl Fn() -> Span) {
        settle(state, clock);
        // One begins where one stood, as soon as that is here.
        let answered = state.have_answered() && (state.pane != Pane::Timeline || state.panes.timeline.left_at.is_none());
        if !self.begun && (answered || state.mono >= PATIENCE) {
            self.begun = true;
            self.news.know(state);
            self.messages = state.said_count;
            self.line("midwatch, line by line. ? says what works here.");
            self.list(state);
        }
        if self.begun && !self.quits {
            if !self.typing.as_ref().is_some_and(Typing::holds_back) {
                self.hear(state);
                // Lines that were written beforehand answer no question that nobody foresaw.
                if self.is_typed() && self.wants.is_none() && state.ask_to_meet() {
                    self.ask(state);
                }
            }
            self.prompt(state);
        }
    }

    fn hear(&mut self, state: &State) {
        let fresh = self.fresh_messages(state);
        for line in self.news.hear(state, fresh) {
            self.line(&line);
        }
    }

    /// Takes the next line, if one waits; what is to be done for it outside.
    pub fn work(&mut self, state: &mut State) -> Option<Vec<Effect>> {
        if !self.begun {
            return None;
        }
        let line = self.input.next()?;
        self.taken = state.mono;
        if self.echo {
            self.out.push_str(&clean_line(&line));
        }
        // A terminal shows the line and its end by itself, and so do we where each key comes to us.
        if self.typing.is_none() && (self.echo || !self.prompted) {
            self.out.push('\n');
        }
        self.prompted = false;
        let mut effects = state.attend();
        effects.extend(self.obey(state, line.trim()));
        for message in self.fresh_messages(state) {
            self.line(&message);
        }
        self.quits = effects.iter().any(|effect| matches!(effect, Effect::Quit));
        if !self.quits {
            // What had to wait until the line was sent.
            if self.typing.is_some() {
                self.hear(state);
            }
            self.prompt(state);
            self.type_on();
        }
        Some(effects)
    }

    /// When something is to be said by itself, if soon: what was held back in a storm.
    pub fn soon(&self, state: &State) -> Option<Span> {
        if !self.begun {
            return Some(Span::from_micros((PATIENCE.micros() - state.mono.micros()).max(1)));
        }
        self.news.soon(state.mono)
    }

    fn obey(&mut self, state: &mut State, line: &str) -> Vec<Effect> {
        if let Some(command) = self.wants.take() {
            if line.is_empty() {
                self.line(&format!("{command}: left"));
                return Vec::new();
            }
            return self.command(state, &format!("{command} {line}"));
        }
        if state.overlay.is_some() {
            return self.answer(state, line);
        }
        let (first, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(first, rest)| (first, rest.trim()));
        let choices = std::mem::take(&mut self.choices);
        if let Ok(number) = first.parse::<usize>()
            && let Some(Key::Command(name)) = number.checked_sub(1).and_then(|at| choices.get(at))
        {
            return self.command(state, &format!("{name} {rest}"));
        }
        match (first, rest) {
            ("", _) => {
                for line in self.news.since(state) {
                    self.line(&line);
                }
                Vec::new()
            }
            ("?" | "help", word) => {
                self.help(state, word);
                Vec::new()
            }
            ("more", "") => {
                self.more(state);
                Vec::new()
            }
            ("list" | "again", "") => {
                self.list(state);
                Vec::new()
            }
            (number, rest) if number.bytes().all(|byte| byte.is_ascii_digit()) => self.row(state, number.parse().unwrap_or(0), rest),
            _ => self.command(state, line),
        }
    }

    /// A row by its number: opened, or what a command does to it.
    fn row(&mut self, state: &mut State, number: usize, rest: &str) -> Vec<Effect> {
        let Some(key) = number.checked_sub(1).and_then(|at| self.said.get(at)).cloned() else {
            self.line(&match self.said.len() {
                0 => "there is no list; `list` says it".to_owned(),
                1 => "there is one row, 1".to_owned(),
                last => format!("there is no {number}; the rows are 1 to {last}"),
            });
            return Vec::new();
        };
        if !rows::select(state, &key) {
            self.line("that row has gone meanwhile; `list` says those that are there");
            return Vec::new();
        }
        settle(state, || Span::ZERO);
        if !rest.is_empty() {
            return self.command(state, rest);
        }
        if rows::is_fold(state) {
            return self.command(state, "unfold");
        }
        state.panes.opened = false;
        self.command(state, "open")
    }

    /// Runs a command by its name, by the beginning of its name or of a word in it, or a pane by its own.
    fn command(&mut self, state: &mut State, line: &str) -> Vec<Effect> {
        let (first, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(first, rest)| (first, rest.trim()));
        let (first, rest) = (first.trim_start_matches(':'), rest.trim());
        let mut names = named(first);
        // What takes no words is not meant by a line that has some.
        if names.len() > 1 && !rest.is_empty() {
            names.retain(|name| crate::command::Entry::named(name).is_some_and(|entry| entry.argument.is_some()));
        }
        let name = match names.as_slice() {
            [one] => *one,
            [] => {
                // The words of the registry, with the nearest right name.
                match Command::parse(line) {
                    Ok(command) => return self.run(state, command),
                    Err(error) => {
                        self.line(&error.to_string());
                        self.line("? says what works here");
                    }
                }
                return Vec::new();
            }
            several => {
                self.line(&format!("`{first}` is the beginning of several; a number chooses:"));
                self.choices = several.iter().map(|name| Key::Command(name)).collect();
                for (number, name) in (1..).zip(several) {
                    self.line(&format!("{number}. {name}: {}", sentence(name)));
                }
                return Vec::new();
            }
        };
        match Command::parse(&format!("{name} {rest}")) {
            Ok(command) => self.run(state, command),
            Err(CommandError::Missing { command, what, example }) => {
                self.line(&format!("{command} needs {what}, like: {example}. An empty line leaves it."));
                self.wants = Some(command);
                Vec::new()
            }
            Err(error) => {
                self.line(&error.to_string());
                Vec::new()
            }
        }
    }

    fn run(&mut self, state: &mut State, command: Command) -> Vec<Effect> {
        let name = command.name();
        if command.entry().scope == crate::command::Scope::Prompt {
            self.line(&format!("{name}: nothing is asked here that this could answer"));
            return Vec::new();
        }
        let before = Shot::of(state);
        let messages = state.said_count;
        let list = matches!(command, Command::Redraw | Command::Live) || rows::is_pane(&command);
        state.keyed = true;
        let effects = state.run(command);
        settle(state, || Span::ZERO);
        if state.overlay.is_some() {
            self.ask(state);
            return effects;
        }
        let after = Shot::of(state);
        if after.pane != before.pane || after.filter != before.filter || after.shape != before.shape || list {
            self.list(state);
        } else if after.opened && (!before.opened || after.selected != before.selected || after.scrolled != before.scrolled || name == "open") {
            self.detail(state);
        } else if before.opened && !after.opened {
            self.list(state);
        } else if after.marks != before.marks {
            self.line(&format!("{} marked", after.marks));
            self.here(state);
        } else if after.selected != before.selected {
            self.here(state);
        } else if state.said_count == messages && !effects.iter().any(speaks) {
            self.line(&format!("{name}: done"));
        }
        effects
    }

    /// The selected row, with its number when it was said before.
    fn here(&mut self, state: &State) {
        let Some((key, words)) = rows::selected(state).and_then(|at| rows::row(state, at)) else { return };
        let number = match self.said.iter().position(|said| *said == key) {
            Some(at) => at + 1,
            None => {
                self.said.push(key);
                self.said.len()
            }
        };
        self.line(&format!("{number}. {words}"));
    }

    /// The pane from its beginning; the timeline up to where one is.
    fn list(&mut self, state: &mut State) {
        state.panes.opened = false;
        self.said.clear();
        self.rest.clear();
        for line in rows::heading(state) {
            self.line(&line);
        }
        if state.pane == Pane::Today {
            return self.long(rows::today(state));
        }
        let len = rows::len(state);
        let (from, until) = match state.pane {
            Pane::Timeline => {
                let until = rows::selected(state).map_or(len, |at| at + 1).min(len);
                (until.saturating_sub(PAGE), until)
            }
            _ => (0, len.min(PAGE)),
        };
        self.page(state, from, until);
        if let Some(at) = rows::selected(state).filter(|at| state.pane != Pane::Timeline && *at > 0)
            && let Some((_, words)) = rows::row(state, at)
        {
            self.line(&format!("you are at {}. {words}", at + 1));
        }
    }

    fn page(&mut self, state: &State, from: usize, until: usize) {
        for (key, words) in (from..until).filter_map(|at| rows::row(state, at)) {
            self.said.push(key);
            let number = self.said.len();
            self.line(&format!("{number}. {words}"));
        }
        let left = match state.pane {
            Pane::Timeline => from,
            _ => rows::len(state).saturating_sub(until),
        };
        if left > 0 {
            let older = if state.pane == Pane::Timeline { " before these" } else { "" };
            self.line(&format!("{left} more{older}: `more`"));
        }
    }

    /// What follows what was said last.
    fn more(&mut self, state: &mut State) {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.long(rest);
        }
        let places = || self.said.iter().filter_map(|key| rows::find(state, key));
        let (from, until) = match (state.pane, places().min(), places().max()) {
            (Pane::Timeline, Some(first), _) => (first.saturating_sub(PAGE), first),
            (_, _, Some(last)) => (last + 1, (last + 1 + PAGE).min(rows::len(state))),
            (_, _, None) => (0, 0),
        };
        if from >= until {
            return self.line("there is no more");
        }
        // One stands where one reads: older events are asked for there.
        if state.pane == Pane::Timeline {
            rows::select_at(state, from);
            settle(state, || Span::ZERO);
        }
        self.page(state, from, until);
    }

    /// All about what is selected.
    fn detail(&mut self, state: &mut State) {
        let lines = rows::detail(state);
        self.long(lines);
    }

    /// A text of many lines, a page at once.
    fn long(&mut self, mut lines: Vec<String>) {
        let rest = if lines.len() > 3 * PAGE { lines.split_off(2 * PAGE) } else { Vec::new() };
        for line in &lines {
            // What comes from elsewhere never begins a line: it could look like a prompt.
            self.line(&format!("  {line}"));
        }
        if !rest.is_empty() {
            self.line(&format!("{} more lines: `more`", rest.len()));
        }
        self.rest = rest;
    }

    /// What the state said since the last time.
    fn fresh_messages(&mut self, state: &State) -> Vec<String> {
        let fresh = usize::try_from(state.said_count.saturating_sub(self.messages)).unwrap_or(usize::MAX).min(state.said.len());
        self.messages = state.said_count;
        state.said.iter().skip(state.said.len() - fresh).map(|said| said.words.clone()).collect()
    }

    fn help(&mut self, state: &State, word: &str) {
        if word.is_empty() {
            self.line(&format!("You are in {}. A number opens a row; a number and a command do that to the row.", state.pane.title()));
            self.line("A command runs by its name or the beginning of it. An empty line says what is new. `list` says the rows again, `more` the next, `back` goes back.");
            let panes: Vec<&str> = Pane::ALL.iter().map(|pane| pane.name()).collect();
            self.line(&format!("The panes: {}. `? word` explains the commands with that word in them, `quit` ends.", panes.join(", ")));
        }
        let mut category = None;
        for entry in COMMANDS {
            let wanted =
                if word.is_empty() { entry.palette == Palette::Shown } else { entry.name.contains(word) || entry.sentence.to_lowercase().contains(word) };
            if !wanted || !entry.is_available(state.pane, state.read_only) {
                continue;
            }
            if category.replace(entry.category) != Some(entry.category) && word.is_empty() {
                self.line(&format!("For {}:", entry.category.title()));
            }
            let example = entry
                .argument
                .filter(|argument| argument.required || argument.what != "some words")
                .map(|argument| format!(" Like: {} {}", entry.name, argument.example))
                .unwrap_or_default();
            self.line(&format!("{}: {}{example}", entry.name, entry.sentence));
        }
    }

    fn prompt(&mut self, state: &State) {
        if self.prompted {
            return;
        }
        self.prompt = format!("{}> ", self.place(state));
        self.write_prompt();
    }

    /// Where one is, for the prompt.
    fn place(&self, state: &State) -> String {
        if let Some(command) = self.wants {
            return command.to_owned();
        }
        if let Some(question) = question::prompt(state) {
            return question;
        }
        let mut place = state.pane.name().to_owned();
        if state.filter().is_some() {
            place.push_str(" filtered");
        }
        if state.is_away() {
            place.push_str(&format!(" as of {}", state.now.zoned(&state.zone).strftime("%a %-d %b %H:%M")));
        }
        if state.panes.opened
            && let Some(name) = rows::name(state)
        {
            place = format!("{place} {name}");
        }
        clean_line(&place).into_owned()
    }

    /// Appends a line, cleaned; behind a prompt, below it; what is being typed is written again behind the next.
    fn line(&mut self, words: &str) {
        self.clear();
        let clean = clean_line(words);
        let clean = clean.trim_end();
        match words::severity_in(clean).filter(|_| self.colours) {
            Some((before, word, colour, after)) => self.out.push_str(&format!("{before}\u{1b}[{colour}m{word}\u{1b}[m{after}")),
            None => self.out.push_str(clean),
        }
        self.out.push('\n');
    }

    /// The last of all: whatever comes behind begins on a line of its own.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.prompted) {
            self.out.push('\n');
        }
    }

    /// What an effect came to that only a screen can do, in words.
    pub fn tell(&mut self, words: &str) {
        self.line(words);
    }

    /// Says the rows again, as a screen would be drawn anew.
    pub fn redraw(&mut self, state: &mut State) {
        self.list(state);
    }
}

/// What a command may change that is worth saying.
#[derive(PartialEq)]
struct Shot {
    pane: Pane,
    filter: Option<String>,
    opened: bool,
    scrolled: usize,
    marks: usize,
    selected: Option<Key>,
    /// How many rows, in which order of groups.
    shape: rows::Shape,
}

impl Shot {
    fn of(state: &State) -> Shot {
        Shot {
            pane: state.pane,
            filter: state.active_filter(),
            opened: state.panes.opened,
            scrolled: state.panes.detail_top,
            marks: rows::marks(state),
            selected: rows::selected(state).and_then(|at| rows::row(state, at)).map(|(key, _)| key),
            shape: rows::shape(state),
        }
    }
}

/// Brings everything up to date at once: a reader of lines does not hold a key down.
fn settle(state: &mut State, clock: impl Fn() -> Span) {
    let at_rest = state.detail.take();
    state.settle(clock);
    // Rows are named by their numbers: none comes under a cursor by itself.
    state.slid = None;
    if state.detail.is_none() && state.panes.alert(state.pane).is_some() {
        state.detail = at_rest;
    }
}

/// The commands that a word names: exactly, or by its beginning or that of one of its parts.
fn named(word: &str) -> Vec<&'static str> {
    if let Some(pane) = Pane::named(word) {
        return vec![pane.command().name()];
    }
    let entries = || COMMANDS.iter().filter(|entry| entry.scope != crate::command::Scope::Prompt).map(|entry| entry.name);
    let found = |test: &dyn Fn(&str) -> bool| COMMANDS.iter().map(|entry| entry.name).filter(|name| test(name)).collect::<Vec<_>>();
    let exact = found(&|name| name == word);
    // What hands know from elsewhere (`q`) is read by the registry.
    if !exact.is_empty() || word.is_empty() || Command::parse(word).is_ok() {
        return match Command::parse(word) {
            Ok(command) if exact.is_empty() => vec![command.name()],
            _ => exact,
        };
    }
    let begins: Vec<&'static str> = entries().filter(|name| name.starts_with(word)).collect();
    if !begins.is_empty() {
        return begins;
    }
    entries().filter(|name| name.split('-').any(|part| part.starts_with(word))).collect()
}

fn sentence(name: &str) -> &'static str {
    crate::command::Entry::named(name).map_or("", |entry| entry.sentence)
}

/// Whether what comes of an effect is said by itself.
const fn speaks(effect: &Effect) -> bool {
    match effect {
        Effect::Copy(_)
        | Effect::Open(_)
        | Effect::Write { .. }
        | Effect::Reconnect
        | Effect::Quit
        | Effect::Redraw
        | Effect::Edit { .. }
        | Effect::Pin { .. } => true,
        Effect::Send { .. }
        | Effect::Search { .. }
        | Effect::Views(_)
        | Effect::LookBack { .. }
        | Effect::Page(_)
        | Effect::Past(_)
        | Effect::Count(_)
        | Effect::Keep(_)
        | Effect::Looked(_)
        | Effect::LookingAt { .. }
        | Effect::Notify(_)
        | Effect::AskHeld { .. }
        | Effect::Suspend => false,
    }
}

impl Linear {
    /// An answer to what is asked.
    fn answer(&mut self, state: &mut State, line: &str) -> Vec<Effect> {
        state.keyed = true;
        let before = Shot::of(state);
        let answered = question::answer(state, line, &std::mem::take(&mut self.choices));
        settle(state, || Span::ZERO);
        if let Some(words) = answered.words {
            self.line(&words);
        }
        for effect in &answered.effects {
            if let Effect::Send { request, .. } = effect
                && let Some(verb) = state.pending.iter().find(|(id, _)| **id == request.id).map(|(_, verb)| verb.clone())
            {
                let how = if verb.sent { "asked, pending" } else { "kept, unsent" };
                self.line(&format!("{} {}: {how}", verb.word, verb.what));
            }
        }
        if let Some(name) = answered.command {
            return self.command(state, name);
        }
        if state.overlay.is_some() {
            self.ask(state);
        } else if answered.left {
            self.line("left");
        } else {
            let after = Shot::of(state);
            if after.pane != before.pane || after.filter != before.filter || after.shape != before.shape {
                self.list(state);
            } else if after.selected != before.selected {
                self.here(state);
            }
        }
        answered.effects
    }

    /// Says what is asked, and what may be answered.
    fn ask(&mut self, state: &mut State) {
        let asked = question::ask(state);
        self.choices = asked.choices;
        for line in asked.lines {
            self.line(&line);
        }
        if asked.over {
            // Help and messages are said, not left open.
            state.update(Message::Resumed);
            state.overlay = None;
        }
    }
}
