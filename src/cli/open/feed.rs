//! Feeds the console from files: first all that they hold, merged by time and in large steps; then what
//! comes to them, as a server would tell it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::pages::File;
use crate::cli::ask;
use crate::client::files::{Change, Log, Mark, Scanner, merge};
use crate::console::message::News;
use crate::model::time::Span;
use crate::model::words::counted;

/// Events of one step into the timeline; the first step is short, so that rows show at once.
const STEP: usize = 20_000;
const FIRST: usize = 500;
/// Up to so many new events are understood at once, as live ones; more are a piece of the past.
const LIVE: usize = 1_000;
/// How often files are looked at, and how many looks there are between two claims that they are there.
const LOOK: Duration = Duration::from_millis(500);
const CLAIM: u32 = 8;
/// Silence for longer than this would be staleness.
const PATIENCE: Span = Span::from_secs(15);

/// The console has been quit.
pub struct Closed;

type Told = Result<(), Closed>;

/// One file, as the console's server of this place.
pub struct Fed {
    pub server: usize,
    log: Log,
    pub file: Arc<File>,
    /// Found, but not told yet.
    marks: Vec<Mark>,
    /// All that the file held at first was told.
    live: bool,
    lost: bool,
    /// How much was held at the last look: an event whose line is not complete.
    held: usize,
    over: bool,
}

impl Fed {
    pub fn new(server: usize, log: Log) -> Fed {
        let file = Arc::new(File::new(log.index.clone()));
        Fed { server, log, file, marks: Vec::new(), live: false, lost: false, held: 0, over: false }
    }

    /// Takes what was found, as a piece of the past.
    fn part(&mut self) -> News {
        let marks = std::mem::take(&mut self.marks);
        let first = self.file.push(&marks, &self.log.kept);
        let entries = self.file.entries(first, &marks);
        if first == 1 { News::Older { entries, complete: true } } else { News::More { entries } }
    }

    /// Takes what was found, as it happens.
    fn events(&mut self) -> News {
        let marks = std::mem::take(&mut self.marks);
        let first = self.file.push(&marks, &self.log.kept);
        let events = (first..).take(marks.len()).filter_map(|number| self.file.event(number).map(Arc::new)).collect();
        News::Events { events, lag: Span::ZERO }
    }
}

pub struct Feeder {
    sender: Sender<(usize, News)>,
    /// Set when all that the files held at first is known.
    read: Arc<AtomicBool>,
}

impl Feeder {
    pub fn new(sender: Sender<(usize, News)>, read: Arc<AtomicBool>) -> Feeder {
        Feeder { sender, read }
    }

    /// Until the console is quit.
    pub fn run(self, first: Vec<(usize, News)>, files: Vec<Fed>) {
        // The console has ended: there is nobody to be told why we end.
        let _ = self.all(first, files);
    }

    fn all(&self, first: Vec<(usize, News)>, files: Vec<Fed>) -> Told {
        for (server, news) in first {
            self.tell(server, news)?;
        }
        let (streams, mut files): (Vec<Fed>, Vec<Fed>) = files.into_iter().partition(|fed| fed.log.is_stream);
        for fed in streams.iter().chain(&files) {
            self.connected(fed)?;
            self.tell(fed.server, News::Snapshot { world: Arc::new(fed.log.index.bare_world()), why: None })?;
        }
        // A stream says something when its program does; files do not wait for that.
        for stream in streams {
            let feeder = Feeder { sender: self.sender.clone(), read: self.read.clone() };
            let server = stream.server;
            if let Err(error) = thread::Builder::new().name("stream".into()).spawn(move || feeder.follow(vec![stream])) {
                self.problem(server, format!("cannot be read: {error}"))?;
            }
        }
        self.read(&mut files)?;
        for fed in &mut files {
            self.drain(fed, true)?;
            self.catch_up(fed)?;
        }
        self.read.store(true, Ordering::Release);
        self.follow(files)
    }

    fn tell(&self, server: usize, news: News) -> Told {
        self.sender.blocking_send((server, news)).map_err(|_| Closed)
    }

    fn problem(&self, server: usize, words: String) -> Told {
        self.tell(server, News::Problem(words.into()))
    }

    fn connected(&self, fed: &Fed) -> Told {
        self.tell(fed.server, News::Connected { version: "".into(), environment: None, skew: None, patience: PATIENCE })
    }

    /// All that the files hold, in the order of time.
    fn read(&self, files: &mut [Fed]) -> Told {
        let scanners: Vec<Scanner> = files.iter_mut().filter_map(|fed| fed.log.scanner.take()).collect();
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let (mut waiting, mut step) = (0, FIRST);
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let merged = merge(scanners, threads, &mut |file, found, bytes| {
            if let (Some(fed), Some(mark)) = (files.get_mut(file), Mark::read(found, bytes)) {
                fed.marks.push(mark);
                waiting += 1;
            }
            if waiting >= step {
                (waiting, step) = (0, STEP);
                for fed in files.iter_mut().filter(|fed| !fed.marks.is_empty()) {
                    let part = fed.part();
                    self.tell(fed.server, part).map_err(|Closed| gone())?;
                }
            }
            Ok(())
        });
        // Only our own sending fails.
        let Ok(totals) = merged else { return Err(Closed) };
        let mut scanners = totals.scanners.into_iter();
        for (fed, outcome) in files.iter_mut().zip(totals.files) {
            fed.log.scanner = scanners.next();
            if let Some(error) = outcome.error {
                self.problem(fed.server, format!("could not be read to its end: {error}"))?;
            }
            if outcome.cut > 0 {
                self.problem(fed.server, format!("cut off: {} of more than 1 MiB", counted(outcome.cut, "event")))?;
            }
        }
        Ok(())
    }

    /// The past of a file is told: what its exported events came to, and from now on what happens.
    fn catch_up(&self, fed: &mut Fed) -> Told {
        if !fed.marks.is_empty() {
            let part = fed.part();
            self.tell(fed.server, part)?;
        }
        fed.live = true;
        let tale = fed.log.index.tale();
        if tale.mixed {
            self.problem(fed.server, "its events are of several servers or not in the order of one log, so that only the timeline shows them".into())?;
        } else if tale.gaps {
            self.problem(fed.server, "events are missing in between: what looks open may have been closed".into())?;
        }
        if let Some(world) = tale.world {
            self.tell(fed.server, News::Snapshot { world: Arc::new(world), why: None })?;
        }
        Ok(())
    }

    /// Looks at the files again and again.
    fn follow(&self, mut files: Vec<Fed>) -> Told {
        for look in 0_u32.. {
            for fed in &mut files {
                self.look(fed)?;
                if look.is_multiple_of(CLAIM) && !fed.lost {
                    self.tell(fed.server, News::Claim { lag: Span::ZERO })?;
                }
            }
            thread::sleep(LOOK);
            if self.sender.is_closed() {
                return Err(Closed);
            }
        }
        Ok(())
    }

    fn look(&self, fed: &mut Fed) -> Told {
        if fed.log.is_stream {
            self.news(fed, false)?;
            let began = fed.log.scanner.as_ref().is_none_or(|scanner| scanner.position() > 0);
            return if began && !fed.live { self.catch_up(fed) } else { Ok(()) };
        }
        match fed.log.look() {
            Change::Same | Change::Grew => {
                self.found_again(fed)?;
                self.news(fed, false)
            }
            Change::Gone => {
                // What was written before its name went can still be read.
                self.news(fed, true)?;
                if !std::mem::replace(&mut fed.lost, true) {
                    let why = "no file has this name any more; one that gets it is read".into();
                    self.tell(fed.server, News::Lost { why, retry: None })?;
                }
                Ok(())
            }
            change @ (Change::Rotated | Change::Cut) => {
                if change == Change::Rotated {
                    self.news(fed, true)?;
                }
                match fed.log.restart(change, ask::now()) {
                    Ok(()) => {
                        self.found_again(fed)?;
                        let words = match change {
                            Change::Cut => "was cut short and begins anew; what it held before cannot be read again",
                            _ => "another file has its name now and is read on from; the one before stays readable",
                        };
                        self.problem(fed.server, words.into())?;
                        self.news(fed, false)
                    }
                    // It may be about to be made: the next look tells.
                    Err(error) if std::mem::replace(&mut fed.lost, true) => {
                        drop(error);
                        Ok(())
                    }
                    Err(error) => self.tell(fed.server, News::Lost { why: error.why.into(), retry: None }),
                }
            }
        }
    }

    fn found_again(&self, fed: &mut Fed) -> Told {
        if std::mem::replace(&mut fed.lost, false) { self.connected(fed) } else { Ok(()) }
    }

    /// What came to a file since the last look.
    fn news(&self, fed: &mut Fed, last: bool) -> Told {
        self.drain(fed, last)?;
        if !fed.over && fed.log.kept.is_over() {
            fed.over = true;
            self.problem(fed.server, "holds more than can be kept: its oldest events cannot be read any more".into())?;
        }
        if fed.marks.is_empty() {
            return Ok(());
        }
        let news = if fed.live && (fed.marks.len() <= LIVE || fed.log.index.is_export()) { fed.events() } else { fed.part() };
        self.tell(fed.server, news)
    }

    /// Reads what there is. A line that is not complete is held back until it stands still from one look
    /// to the next, unless nothing more can come.
    fn drain(&self, fed: &mut Fed, last: bool) -> Told {
        let Some(mut scanner) = fed.log.scanner.take() else { return Ok(()) };
        let mut spare = Vec::new();
        let mut gave_rest = false;
        loop {
            match scanner.next(&mut spare) {
                Ok(Some(batch)) => {
                    let found = batch.found.iter().filter_map(|found| {
                        let (from, length) = (usize::try_from(found.offset).ok()?, usize::try_from(found.length).ok()?);
                        Mark::read(found, batch.bytes.get(from..from + length)?)
                    });
                    fed.marks.extend(found);
                    if fed.marks.len() >= STEP {
                        let news = if fed.live && fed.log.index.is_export() { fed.events() } else { fed.part() };
                        self.tell(fed.server, news)?;
                    }
                }
                Ok(None) if gave_rest => break,
                Ok(None) => {
                    let held = scanner.held();
                    let whole = held.last() == Some(&b'\n') || (!held.is_empty() && held.len() == fed.held);
                    fed.held = held.len();
                    if held.is_empty() || !(whole || last) {
                        break;
                    }
                    scanner.give_rest();
                    gave_rest = true;
                }
                Err(error) => {
                    self.problem(fed.server, format!("could not be read to its end: {error}"))?;
                    return Ok(());
                }
            }
        }
        scanner.resume(ask::now());
        fed.log.scanner = Some(scanner);
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
