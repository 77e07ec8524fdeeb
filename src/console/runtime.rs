//! The loop: terminal, servers, signals and time become messages; the state answers with effects; what
//! changed is drawn, at most thirty times a second. The only `select!` of the console, and the only place
//! in it that knows the client.

mod effects;
mod heard;
mod keep;
mod lines;
mod marks;
mod news;
mod session;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

pub use heard::Keeping;
use heard::Shelf;
use keep::Files;
pub use session::Left;

use super::draw::Spots;
use super::effect::Effect;
use super::linear::Linear;
use super::message::{Arriving, Message, News};
use super::notice::{Notices, Wishes};
use super::overlay::Overlay;
use super::reload::Reloaded;
use super::screen::ask::{Between, Ways};
use super::screen::input::{Answer, Decoder, ESCAPE_WAIT, Input, Mouse, QUERIES};
use super::screen::terminal::{Signal, Signals, Terminal, TerminalError};
use super::screen::{Abilities, Screen};
use super::state::{SAID, Setup, State};
use super::theme::{AUTO, Themes};
use super::timeline::Asked;
use super::timeline::strip::CountAsk;
use super::views::View;
use crate::client::unmet::Unmet;
use crate::client::{ReadMarks, ServerIndex, Servers, Update};
use crate::command::Pane;
use crate::model::id::RequestId;
use crate::model::time::{Span, Time};

/// The least time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// What comes from servers within this time makes one frame.
const GATHER: usize = 512;

/// How often it is looked whether a request is in the outbox.
const OUTBOX: Duration = Duration::from_millis(20);

/// A request, of whom, on its way into the outbox.
type Outgoing = (usize, RequestId, tokio::sync::oneshot::Receiver<std::io::Result<()>>);

/// How the console was started.
pub struct Options {
    pub setup: Setup,
    /// The pane that it begins with.
    pub initial: Pane,
    /// Where all panes go as soon as the servers have answered.
    pub at: Option<Time>,
    /// For each server, where what is heard of it is kept, and what was.
    pub keeping: Vec<Option<Keeping>>,
    /// For themes that are chosen later.
    pub themes: Themes,
    /// Saved views, and the file that they are kept in.
    pub views: Vec<View>,
    pub views_file: Option<PathBuf>,
    /// The theme that the user named: the background does not decide.
    pub theme_chosen: Option<String>,
    /// Others who look at the same are told that the person does.
    pub presence: bool,
    /// How to tell that something needs you.
    pub notify: Wishes,
    /// Text that leads somewhere is a link of the terminal's; not set: where the terminal makes links.
    pub links: Option<bool>,
    /// Clicks and the wheel are ours; else they stay the terminal's.
    pub mouse: bool,
    /// Lines instead of frames.
    pub linear: Option<Lines>,
    /// Where bookmarks and corrected clocks are kept.
    pub kept: Option<std::path::PathBuf>,
    /// How far the person has looked.
    pub reading: ReadMarks,
    /// How the console was left the last time.
    pub left: Left,
    /// How much of a past that is being brought in has come.
    pub arriving: Option<watch::Receiver<Arriving>>,
    /// What of the configuration is read anew.
    pub changes: Option<mpsc::Receiver<Reloaded>>,
    /// What is wrong with what was read at the start, and keeps nobody from it.
    pub mistakes: Vec<String>,
}

/// How linear mode speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lines {
    /// What is read is repeated, since no terminal shows it.
    pub echo: bool,
    /// The terminal can clear a line.
    pub clears: bool,
    /// It has colours, and they are wished.
    pub colours: bool,
}

impl Lines {
    fn start(self, terminal: &Terminal) -> Linear {
        let linear = Linear::new(self.echo).in_colours(self.colours);
        let mut linear = if terminal.has_keys() { linear.by_key(self.clears) } else { linear };
        linear.wide(terminal.size().0);
        linear
    }
}

/// What feeds the console: servers, connected once the first frame stands, or files.
pub enum Feed {
    Servers(Box<dyn FnOnce() -> std::io::Result<Servers> + Send>),
    Files { news: mpsc::Receiver<(usize, News)>, elsewhere: Box<dyn Elsewhere> },
}

/// What files hold beside what the console does. Neither waits; what is found comes as news. False: it does not come.
pub trait Elsewhere: Send {
    fn page(&self, asked: Asked) -> bool;
    fn count(&self, asked: CountAsk) -> bool;
}

#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    #[error("cannot prepare the servers' outboxes: {0}")]
    Outbox(std::io::Error),
}

pub struct Runtime {
    state: State,
    screen: Screen,
    terminal: Terminal,
    decoder: Decoder,
    linear: Option<Linear>,
    servers: Option<Servers>,
    /// Without servers: what files hold.
    elsewhere: Option<Box<dyn Elsewhere>>,
    incarnations: Vec<crate::model::id::Incarnation>,
    began: Instant,
    last_frame: Option<Instant>,
    stale: bool,
    /// What the mouse can point at on the last frame.
    spots: Spots,
    asks: u64,
    /// What the indexes were asked for.
    searched: std::collections::BTreeMap<u64, std::sync::Arc<str>>,
    /// Asks for how things were: of whom, and when.
    looking: std::collections::BTreeMap<u64, (usize, Time)>,
    shelf: Shelf,
    files: Files,
    reading: ReadMarks,
    left: Left,
    outgoing: Vec<Outgoing>,
    /// Servers that show a key which nobody has said to be right.
    unmet: std::collections::BTreeMap<usize, Unmet>,
    /// Those that were asked what one holds there, and have not answered.
    asked_held: std::collections::BTreeSet<usize>,
    /// The asks that Today made, and for which of its spans.
    past: std::collections::BTreeMap<u64, u64>,
    /// The terminal has answered all that it was asked.
    answered: bool,
    between: Between,
    /// The terminal's background is light.
    light: bool,
    options: Rest,
}

/// What of the options is needed later.
struct Rest {
    theme_chosen: bool,
    ways: Ways,
    mouse: bool,
    links: Option<bool>,
    views: Option<PathBuf>,
    kept: Option<std::path::PathBuf>,
}

/// Runs the console until it is quit. The terminal is as it was, whatever the outcome.
pub async fn run(options: Options, feed: Feed) -> Result<(), ConsoleError> {
    // First the signals: one that came between would end us with the terminal taken.
    let signals = Signals::listen().map_err(ConsoleError::Signals)?;
    let terminal = if options.linear.is_some() { Terminal::lines()? } else { Terminal::enter(options.mouse)? };
    let (width, height) = terminal.size();
    let mut abilities = Abilities::detect(|name| std::env::var(name).ok(), options.themes.ascii);
    abilities.links = options.links.unwrap_or(abilities.links);
    let servers = options.setup.servers.len();
    let ways = Ways::of(&options.notify, |name| std::env::var(name).ok());
    let theme_chosen = options.theme_chosen.is_some();
    let rest = Rest { theme_chosen, ways, mouse: options.mouse, links: options.links, views: options.views_file, kept: options.kept };
    let arriving = options.arriving;
    let changes = options.changes;
    let mut runtime = Runtime {
        state: State::new(options.setup, wall()),
        screen: Screen::new(width, height, abilities),
        linear: options.linear.map(|lines| lines.start(&terminal)),
        terminal,
        decoder: Decoder::default(),
        servers: None,
        elsewhere: None,
        incarnations: vec![Default::default(); servers],
        began: Instant::now(),
        last_frame: None,
        stale: true,
        spots: Spots::new(),
        asks: 0,
        searched: Default::default(),
        looking: Default::default(),
        shelf: Shelf::default(),
        files: Files::start(),
        reading: options.reading,
        left: options.left,
        outgoing: Vec::new(),
        unmet: Default::default(),
        asked_held: Default::default(),
        past: Default::default(),
        answered: false,
        between: Between::detect(|name| std::env::var(name).ok()),
        light: false,
        options: rest,
    };
    runtime.state.notices = Notices::new(&options.notify);
    // Who can do nothing about it does not keep others waiting.
    runtime.state.telling.on = options.presence && !runtime.state.read_only;
    runtime.state.themes = options.themes;
    runtime.state.theme_configured = options.theme_chosen;
    runtime.state.views = options.views;
    runtime.state.size = (width, height);
    runtime.prepare_lines();
    runtime.state.pane = options.initial;
    runtime.resume();
    runtime.bring_back(options.keeping);
    runtime.recall();
    runtime.state.looked_before(runtime.reading.marks());
    runtime.state.mistaken(&options.mistakes);
    if let Some(at) = options.at {
        // Nobody is connected yet: each server is asked when it comes.
        runtime.state.travel(at);
    }
    let mut updates = None;
    let outcome = runtime.go(feed, &mut updates, signals, arriving, changes).await;
    runtime.leave(&mut updates).await;
    drop(updates);
    runtime.flush_outbox().await;
    runtime.keep_heard(true);
    runtime.keep_session(true);
    runtime.finish_files();
    runtime.end_lines();
    let owes = !runtime.answered && runtime.linear.is_none();
    runtime.terminal.end(owes);
    outcome
}

fn wall() -> Time {
    Time::from(jiff::Timestamp::now())
}

impl Runtime {
    fn mono(&self) -> Span {
        Span::from(self.began.elapsed())
    }

    async fn go(
        &mut self,
        feed: Feed,
        updates: &mut Option<mpsc::Receiver<(ServerIndex, Update)>>,
        mut signals: Signals,
        mut arriving: Option<watch::Receiver<Arriving>>,
        mut changes: Option<mpsc::Receiver<Reloaded>>,
    ) -> Result<(), ConsoleError> {
        // The first frame stands before anything is asked of anybody.
        self.draw()?;
        if self.linear.is_none() {
            self.terminal.write(QUERIES.as_bytes())?;
        }
        let (bytes_in, mut bytes) = mpsc::channel(64);
        self.terminal.read(move |read| bytes_in.blocking_send(read).is_ok())?;
        let mut news = match feed {
            Feed::Servers(connect) => {
                let mut servers = connect().map_err(ConsoleError::Outbox)?;
                let (_, empty) = mpsc::channel(1);
                *updates = Some(std::mem::replace(&mut servers.updates, empty));
                self.servers = Some(servers);
                None
            }
            Feed::Files { news, elsewhere } => {
                // Their text stays where it is.
                self.state.timeline.hold_at_most(super::timeline::MOST_OF_FILES);
                self.elsewhere = Some(elsewhere);
                Some(news)
            }
        };
        let mut listening = true;
        loop {
            let wake = self.wake();
            let messages = tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End | Signal::Hangup => return Ok(()),
                    other => self.signal(other)?,
                },
                read = bytes.recv(), if listening => match read {
                    Some(read) if self.linear.is_some() => {
                        self.read_lines(read);
                        Vec::new()
                    }
                    Some(Ok(read)) => {
                        let inputs = self.decoder.feed(&read);
                        self.inputs(inputs)
                    }
                    // All was read; what was asked for is still to be answered.
                    None if self.linear.is_some() => {
                        listening = false;
                        Vec::new()
                    }
                    // Nobody is there any more: end without a word.
                    Some(Err(_)) | None => return Ok(()),
                },
                update = recv(updates) => match update {
                    Some((server, update)) => {
                        let mut messages = self.understand(server.0, update);
                        for _ in 0..GATHER {
                            let Some(Ok((server, update))) = updates.as_mut().map(mpsc::Receiver::try_recv) else { break };
                            messages.extend(self.understand(server.0, update));
                        }
                        messages
                    }
                    None => {
                        *updates = None;
                        Vec::new()
                    }
                },
                heard = recv(&mut news) => match heard {
                    Some((server, heard)) => {
                        let mut messages = vec![Message::Server(server, heard)];
                        while let Some(Ok((server, heard))) = news.as_mut().map(mpsc::Receiver::try_recv) {
                            messages.push(Message::Server(server, heard));
                            if messages.len() >= GATHER { break; }
                        }
                        messages
                    }
                    None => {
                        news = None;
                        Vec::new()
                    }
                },
                came = came(&mut arriving) => {
                    // Nobody counts any more when all has come.
                    if came.is_none() {
                        arriving = None;
                    }
                    vec![Message::Arriving(came)]
                },
                written = self.files.outcome() => {
                    self.written(written);
                    Vec::new()
                },
                reloaded = recv(&mut changes) => match reloaded {
                    Some(reloaded) => vec![self.reloaded(reloaded)],
                    None => {
                        changes = None;
                        Vec::new()
                    }
                },
                () = tokio::time::sleep(wake) => {
                    let mut messages = Vec::new();
                    if self.decoder.is_waiting() {
                        let inputs = self.decoder.expire();
                        messages = self.inputs(inputs);
                    }
                    messages.push(Message::Tick(wall()));
                    messages
                },
            };
            for message in messages {
                let mono = self.mono();
                self.state.clock(wall(), mono);
                self.stale = true;
                let effects = self.state.update(message);
                if self.effects(effects).await? {
                    return Ok(());
                }
            }
            self.look_at_outbox();
            self.keep_heard(false);
            self.keep_session(false);
            if self.lines().await? {
                return Ok(());
            }
            if self.stale && self.last_frame.is_none_or(|last| last.elapsed() >= FRAME) {
                self.draw()?;
            }
        }
    }

    /// How long nothing needs to be done, if nothing happens.
    fn wake(&self) -> Duration {
        let mut wake = Duration::from_secs(60);
        let mut sooner = |other: Duration| wake = wake.min(other);
        if self.decoder.is_waiting() {
            sooner(ESCAPE_WAIT);
        }
        if self.stale {
            sooner(self.last_frame.map_or(Duration::ZERO, |last| FRAME.saturating_sub(last.elapsed())));
        }
        if let Some(keeps) = self.keeps_at() {
            sooner(keeps);
        }
        if !self.outgoing.is_empty() {
            sooner(OUTBOX);
        }
        if let Some(soon) = self.state.soon() {
            sooner(soon.duration());
        }
        if let Some(soon) = self.linear.as_ref().and_then(|linear| linear.soon(&self.state)) {
            sooner(soon.duration());
        }
        let mono = self.mono();
        for link in &self.state.links {
            if link.is_live(mono) {
                // It falls silent then, if it says nothing.
                let left =
                    link.heard.map_or(Span::ZERO, |(heard, lag)| Span::from_micros(heard.micros() - lag.micros() + link.patience.micros() - mono.micros()));
                sooner(left.duration() + Duration::from_millis(5));
            } else if link.age(mono).is_some_and(|age| age < Span::from_secs(60)) {
                // Ages tick by the second within the first minute only.
                sooner(Duration::from_secs(1));
            }
        }
        if let Some(said) = self.state.latest_said() {
            sooner(Span::from_micros(said.mono.micros() + SAID.micros() - mono.micros()).duration() + Duration::from_millis(5));
        }
        let now = wall();
        let into_minute = now.micros().rem_euclid(60_000_000);
        sooner(Duration::from_micros(u64::try_from(60_000_000 - into_minute).unwrap_or(1_000)) + Duration::from_millis(2));
        wake.max(Duration::from_millis(1))
    }

    fn signal(&mut self, signal: Signal) -> Result<Vec<Message>, ConsoleError> {
        Ok(match signal {
            Signal::End | Signal::Hangup => Vec::new(),
            Signal::Resize if self.linear.is_some() => {
                let (columns, _) = self.terminal.size();
                self.linear.iter_mut().for_each(|linear| linear.wide(columns));
                Vec::new()
            }
            Signal::Resize => {
                let (width, height) = self.terminal.size();
                self.screen.resize(width, height);
                vec![Message::Resize { width, height }]
            }
            Signal::Stop => {
                self.suspend()?;
                vec![Message::Resumed]
            }
            Signal::Continue if self.linear.is_some() => {
                self.terminal.reenter()?;
                vec![Message::Resumed]
            }
            Signal::Continue => {
                self.terminal.reenter()?;
                self.screen.reenter();
                let (width, height) = self.terminal.size();
                self.screen.resize(width, height);
                vec![Message::Resize { width, height }]
            }
        })
    }

    fn inputs(&mut self, inputs: Vec<Input>) -> Vec<Message> {
        let mut messages = Vec::new();
        for input in inputs {
            match input {
                Input::Key(key) => messages.push(Message::Key(key)),
                Input::Paste(text) => messages.push(Message::Paste(text)),
                // What nobody asked for is not ours.
                Input::Mouse(_) if !self.options.mouse => {}
                Input::Mouse(Mouse { gesture, x, y }) => {
                    let spot = self.spots.iter().rev().find(|(area, _)| area.contains((x, y).into())).map(|(_, spot)| *spot);
                    messages.push(Message::Mouse(gesture, spot));
                }
                Input::Answer(answer) => self.answer(answer),
            }
        }
        messages
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Synchronized(known) => self.screen.abilities.synchronized = known,
            Answer::Links(known) => {
                let links = self.options.links.unwrap_or(known);
                if links != std::mem::replace(&mut self.screen.abilities.links, links) {
                    self.stale = true;
                }
            }
            Answer::Kind => self.answered = true,
            Answer::Background(..) => {
                self.light = answer.is_light();
                let name = Themes::for_background(self.light);
                // Who has begun to choose by hand is not disturbed.
                if !self.options.theme_chosen
                    && self.state.theme_by_hand.is_none()
                    && self.state.theme.name != name
                    && !matches!(self.state.overlay, Some(Overlay::Choose(_)))
                    && let Ok(theme) = self.state.themes.load(name)
                {
                    self.state.theme = theme;
                    self.stale = true;
                }
            }
        }
    }

    /// What the state does not know of it is put into force here.
    fn reloaded(&mut self, mut reloaded: Reloaded) -> Message {
        if let Some(wishes) = &reloaded.notify {
            self.options.ways = Ways::of(wishes, |name| std::env::var(name).ok());
            self.state.notices.wish(wishes);
        }
        if let Some(theme) = &mut reloaded.theme {
            self.options.theme_chosen = theme != AUTO;
            self.state.theme_configured = (theme != AUTO).then(|| theme.clone());
            if theme == AUTO {
                Themes::for_background(self.light).clone_into(theme);
            }
        }
        Message::Reloaded(Box::new(reloaded))
    }

    fn draw(&mut self) -> Result<(), ConsoleError> {
        let mono = self.mono();
        self.state.clock(wall(), mono);
        let began = self.began;
        if self.linear.is_some() {
            return self.say_lines();
        }
        self.state.settle(|| Span::from(began.elapsed()));
        let state = &self.state;
        let spots = &mut self.spots;
        spots.clear();
        let bytes = self.screen.draw_linked(|buffer, links| state.draw_with(buffer, links, spots));
        if !bytes.is_empty() {
            self.terminal.write(bytes)?;
        }
        self.last_frame = Some(Instant::now());
        self.stale = false;
        Ok(())
    }

    fn suspend(&mut self) -> Result<(), ConsoleError> {
        self.terminal.leave();
        let stopped = Terminal::stop();
        self.terminal.reenter()?;
        self.screen.reenter();
        if !stopped {
            self.state.say(super::state::Tone::Plain, "there is no shell here to go back to");
        }
        Ok(())
    }
}

/// The next of a channel that may have ended: then never.
async fn recv<T>(channel: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => std::future::pending().await,
    }
}

/// How much has come by now, once that is more than before; nothing when all has.
async fn came(arriving: &mut Option<watch::Receiver<Arriving>>) -> Option<Arriving> {
    let Some(some) = arriving else { return std::future::pending().await };
    some.changed().await.ok()?;
    let now = *some.borrow_and_update();
    (now.came < now.of).then_some(now)
}

/// Whether the console ends.
type Ends = bool;

impl Runtime {
    async fn effects(&mut self, effects: Vec<Effect>) -> Result<Ends, ConsoleError> {
        for effect in effects {
            if self.effect(effect).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
