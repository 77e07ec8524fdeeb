//! What the console wants done outside itself.

use std::io::Write;

use super::{ConsoleError, Ends, Runtime};
use crate::client::{CountAsk, HistoryAsk, Paging, Place, SearchAsk, ServerIndex};
use crate::console::effect::Effect;
use crate::console::message::{Message, News, Outcome, PastRefusal};
use crate::console::screen::ask;
use crate::console::state::Tone;
use crate::console::timeline::{Asked, Toward};
use crate::model::id::Sequence;
use crate::model::time::Time;
use crate::model::view::today::reading::Page;

impl Runtime {
    fn look_back(&mut self, server: usize, at: Time) {
        self.asks += 1;
        // Pages and counts have numbers of their own.
        let id = self.asks | (1 << 62);
        let news = match &self.servers {
            Some(servers) => match servers.handle.world_at(ServerIndex(server), id, at) {
                Ok(()) => {
                    self.looking.retain(|_, (of, _)| *of != server);
                    self.looking.insert(id, (server, at));
                    return;
                }
                Err(_) => News::Then { at, then: Err(PastRefusal::Other("it has too much to do; try again".into())) },
            },
            None => News::Then { at, then: self.state.fold_held(server, at) },
        };
        // What is here already needs no link; it has no effects of its own.
        self.state.update(Message::Server(server, news));
    }

    pub(super) async fn effect(&mut self, effect: Effect) -> Result<Ends, ConsoleError> {
        match effect {
            Effect::Send { server, request } => {
                let id = request.id;
                let kept = self.servers.as_ref().map(|servers| servers.handle.request(ServerIndex(server), request));
                match kept {
                    Some(Ok(kept)) => self.outgoing.push((server, id, kept)),
                    Some(Err(_)) => self.state.not_kept(server, &id, "too many requests wait already"),
                    None => self.state.not_kept(server, &id, "there is no server here to ask"),
                }
            }
            Effect::Page(asked) => self.page(&asked),
            Effect::Count(asked) if self.elsewhere.is_some() => {
                let server = asked.server;
                if !self.elsewhere.as_ref().is_some_and(|elsewhere| elsewhere.count(asked)) {
                    self.state.strip.lost(server);
                }
            }
            Effect::Count(asked) => {
                let ask = CountAsk { id: asked.ask << 1 | 1, from: asked.from, step: asked.step, buckets: asked.buckets, filter: asked.filter };
                // One that is not sent is asked again when the strip is next looked at.
                if let Some(Err(_)) | None = self.servers.as_ref().map(|servers| servers.handle.count(ServerIndex(asked.server), ask)) {
                    self.state.strip.lost(asked.server);
                }
            }
            Effect::Keep(kept) => self.keep(&kept),
            Effect::Looked(marks) => self.look(&marks),
            Effect::LookingAt { server, at } => {
                // Lossy: a line that is full, or gone, has other sorrows.
                let _ = self.servers.as_ref().map(|servers| servers.handle.looking_at(ServerIndex(server), at));
            }
            Effect::LookBack { server, at } => self.look_back(server, at),
            Effect::Search { server, words, most } => {
                self.asks += 1;
                let words: std::sync::Arc<str> = words.into();
                let ask = SearchAsk { id: self.asks | (1 << 62), words: words.clone(), before: None, limit: most };
                // A server that cannot be asked adds nothing: what is held was looked through.
                if self.servers.as_ref().is_some_and(|servers| servers.handle.search(ServerIndex(server), ask).is_ok()) {
                    while self.searched.len() >= 64 {
                        self.searched.pop_first();
                    }
                    self.searched.insert(self.asks | (1 << 62), words);
                }
            }
            Effect::Past(wanted) => {
                self.asks += 1;
                let page = match wanted.page {
                    Page::Before(at, sequence) => Paging::Before(Some(Place { at, sequence })),
                    Page::After(at, sequence) => Paging::After(Some(Place { at, sequence })),
                };
                let id = self.asks | (1 << 61);
                let ask = HistoryAsk { id, page, limit: u64::try_from(wanted.most).unwrap_or(1_000), filter: None };
                match self.servers.as_ref().map(|servers| servers.handle.history(ServerIndex(wanted.server), ask)) {
                    Some(Ok(())) => {
                        self.past.insert(id, wanted.generation);
                    }
                    Some(Err(_)) => self.state.past.lost(wanted.server),
                    None => self.state.past.alone = true,
                }
            }
            Effect::Copy(text) if self.linear.is_some() => self.tell(&text),
            Effect::Copy(text) => self.copy(&text)?,
            Effect::Open(url) => self.open(&url),
            Effect::Edit { text } => self.edit(&text).await?,
            Effect::Notify(words) => {
                if self.linear.is_none() {
                    let sequence = ask::notify("midwatch", &words, self.options.ways, self.between);
                    self.terminal.write(sequence.as_bytes())?;
                }
            }
            Effect::Write { path, lines } => self.export(path, lines),
            Effect::Views(change) => self.keep_views(change),
            Effect::AskHeld { server } => {
                // One that has too much to do is asked again with its next world.
                if self.servers.as_ref().is_some_and(|servers| servers.handle.renew(ServerIndex(server)).is_ok()) {
                    self.asked_held.insert(server);
                }
            }
            Effect::Pin { server, fingerprint } => self.pin(server, &fingerprint),
            Effect::Reconnect => {
                for index in 0..self.state.links.len() {
                    if let Some(servers) = &self.servers {
                        servers.handle.retry_now(ServerIndex(index));
                    }
                }
                self.state.say(Tone::Plain, "trying all servers again");
            }
            Effect::Redraw => {
                self.screen.forget();
                self.list_lines();
            }
            Effect::Suspend => self.suspend()?,
            Effect::Quit => return Ok(true),
        }
        Ok(false)
    }

    fn page(&mut self, asked: &Asked) {
        if let Some(elsewhere) = &self.elsewhere {
            if !elsewhere.page(asked.clone()) {
                self.state.refused(asked.ask);
            }
            return;
        }
        let place = asked.from.map(|(at, sequence)| Place { at: Time::from_micros(at), sequence: Sequence(sequence) });
        let page = match asked.toward {
            Toward::Older => Paging::Before(place),
            Toward::Newer => Paging::After(place),
        };
        let ask = HistoryAsk { id: asked.ask << 1, page, limit: u64::try_from(asked.most).unwrap_or(1_000), filter: asked.filter.clone() };
        if let Some(Err(_)) | None = self.servers.as_ref().map(|servers| servers.handle.history(ServerIndex(asked.server), ask)) {
            self.state.refused(asked.ask);
        }
    }

    fn copy(&mut self, text: &str) -> Result<(), ConsoleError> {
        match ask::copy(text, self.between) {
            Ok(sequence) => self.terminal.write(sequence.as_bytes())?,
            Err(why) => self.state.say(Tone::Wrong, why),
        }
        Ok(())
    }

    /// A long text in the editor of the person's choice, in a file that only they can read.
    async fn edit(&mut self, text: &str) -> Result<(), ConsoleError> {
        let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).unwrap_or_else(|_| "vi".to_owned());
        let path = std::env::temp_dir().join(format!("midwatch-note-{}.md", std::process::id()));
        let outcome = match private(&path, text) {
            Ok(()) => {
                self.terminal.leave();
                let mut words = editor.split_whitespace();
                let program = words.next().unwrap_or("vi");
                let status = tokio::process::Command::new(program).args(words).arg(&path).status().await;
                self.terminal.reenter()?;
                self.screen.reenter();
                match status {
                    Ok(status) if status.success() => Outcome::Edited { text: std::fs::read_to_string(&path).ok() },
                    Ok(status) => Outcome::Failed(format!("{editor} ended with {status}; nothing is noted")),
                    Err(error) => Outcome::Failed(format!("cannot run {editor}: {error}; set EDITOR to your editor")),
                }
            }
            Err(error) => Outcome::Failed(format!("cannot write {}: {error}", path.display())),
        };
        // Nothing more can be done about a file that does not go away.
        let _ = std::fs::remove_file(&path);
        let effects = self.state.update(Message::Done(outcome));
        for effect in effects {
            // An editor's outcome asks for nothing but sending.
            if let Effect::Send { server, request } = effect
                && let Some(servers) = &self.servers
                && servers.handle.request(ServerIndex(server), request).is_err()
            {
                self.state.say(Tone::Wrong, "too many requests wait already; nothing was sent");
            }
        }
        Ok(())
    }

    /// With the desktop's opener, which gets the address as one argument and nothing else.
    fn open(&mut self, url: &str) {
        let desktop = std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some() || cfg!(target_os = "macos");
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let started = desktop
            && std::process::Command::new(opener)
                .arg(url)
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .is_ok();
        if !started {
            self.state.say(Tone::Plain, format!("no browser here; the address is copied: {url}"));
            if let Err(ConsoleError::Terminal(error)) = self.copy(url) {
                self.state.say(Tone::Wrong, error.to_string());
            }
        }
    }
}

fn private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
