//! What the console does not hold of large files: found again by time, filtered and counted, on a thread of
//! its own, as servers do it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender as Asks, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use jiff::tz::TimeZone;
use tokio::sync::mpsc::Sender;

use crate::cli::ask;
use crate::client::files::{Going, Index, Kept, Mark, Shelf};
use crate::console::message::{Counted, Decode, Entry, Lazy, News};
use crate::console::runtime::Elsewhere;
use crate::console::timeline::strip::CountAsk;
use crate::console::timeline::{Asked, Toward};
use crate::model::event::Event;
use crate::model::filter::{Filter, OnServer};
use crate::model::time::{Span, Time};

/// Events that one ask looks at, and a count before it tells a part.
const LOOK: usize = 200_000;

/// All that is known of one file's events.
pub struct File {
    pub index: Arc<Index>,
    pub shelf: Shelf,
    /// Where the bytes are, from which event on: another file may have taken the name.
    kept: RwLock<Vec<(u64, Arc<Kept>)>>,
}

impl File {
    pub fn new(index: Arc<Index>) -> File {
        File { index, shelf: Shelf::default(), kept: RwLock::default() }
    }

    /// Adds what was found; gives the number of the first of it.
    pub fn push(&self, marks: &[Mark], kept: &Arc<Kept>) -> u64 {
        let first = self.shelf.len() + 1;
        let mut known = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if known.last().is_none_or(|(_, last)| !Arc::ptr_eq(last, kept)) {
            known.push((first, kept.clone()));
        }
        drop(known);
        self.shelf.push(marks);
        first
    }

    pub fn event(&self, number: u64) -> Option<Event> {
        self.event_at(number, &self.shelf.mark(number)?)
    }

    fn event_at(&self, number: u64, mark: &Mark) -> Option<Event> {
        self.index.event(mark, number, &*self.kept_of(number)?)
    }

    fn kept_of(&self, number: u64) -> Option<Arc<Kept>> {
        let known = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let place = known.partition_point(|(first, _)| *first <= number).checked_sub(1)?;
        Some(known.get(place)?.1.clone())
    }

    fn called(&self, number: u64, tell: &mut dyn FnMut(&str, &str)) {
        if let (Some(mark), Some(kept)) = (self.shelf.mark(number), self.kept_of(number)) {
            self.index.called(&mark, &kept, tell);
        }
    }

    /// Events of following numbers.
    pub fn entries(self: &Arc<File>, first: u64, marks: &[Mark]) -> Vec<Entry> {
        let page: Arc<dyn Decode> = Arc::new(Page { file: self.clone(), first });
        (0_u32..).zip(marks).map(|(index, mark)| self.entry(&page, index, first + u64::from(index), mark)).collect()
    }

    /// An event as the timeline takes it: its text stays where it is.
    fn entry(&self, page: &Arc<dyn Decode>, index: u32, number: u64, mark: &Mark) -> Entry {
        let event = Lazy::Later(page.clone(), index);
        Entry { at: Time::from_micros(mark.at), id: self.index.id(number), severity: mark.severity(), likeness: 0, event }
    }
}

/// Events of one file that follow each other.
struct Page {
    file: Arc<File>,
    first: u64,
}

impl Decode for Page {
    fn decode(&self, index: u32) -> Option<Arc<Event>> {
        self.file.event(self.first + u64::from(index)).map(Arc::new)
    }

    fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        self.file.called(self.first + u64::from(index), tell);
    }
}

/// Events of one file wherever they stand in it.
struct Scattered {
    file: Arc<File>,
    numbers: Vec<u64>,
}

impl Decode for Scattered {
    fn decode(&self, index: u32) -> Option<Arc<Event>> {
        self.file.event(*self.numbers.get(usize::try_from(index).ok()?)?).map(Arc::new)
    }

    fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        if let Some(number) = usize::try_from(index).ok().and_then(|index| self.numbers.get(index)) {
            self.file.called(*number, tell);
        }
    }
}

enum Ask {
    Page(Asked),
    Count(CountAsk),
}

/// The console's end: its asks go to the thread.
pub struct Pages {
    asks: Asks<Ask>,
    files: Vec<Option<Arc<File>>>,
    read: Arc<AtomicBool>,
    /// What the console holds at most, and counts itself.
    most: u64,
}

impl Elsewhere for Pages {
    /// Of a file whose first events have not come, nobody knows yet that there are none.
    fn page(&self, asked: Asked) -> bool {
        let begun = self.files.get(asked.server).and_then(Option::as_ref).is_some_and(|file| !file.shelf.is_empty());
        (begun || self.read.load(Ordering::Acquire)) && self.asks.send(Ask::Page(asked)).is_ok()
    }

    /// What is held as a whole the console counts itself.
    fn count(&self, asked: CountAsk) -> bool {
        let all: u64 = self.files.iter().flatten().map(|file| file.shelf.len()).sum();
        self.read.load(Ordering::Acquire) && all > self.most && self.asks.send(Ask::Count(asked)).is_ok()
    }
}

/// Answers until the console has been quit. `files`: by the place of each; `read`: all that they held at first is
/// known; `most`: events that the console holds.
pub fn start(files: Vec<Option<Arc<File>>>, names: Vec<Arc<str>>, read: Arc<AtomicBool>, sender: Sender<(usize, News)>, most: usize) -> std::io::Result<Pages> {
    let (asks, taken) = channel();
    let work = {
        let files = files.clone();
        move || answer(&files, &names, &taken, &sender)
    };
    thread::Builder::new().name("pages".into()).spawn(work)?;
    Ok(Pages { asks, files, read, most: u64::try_from(most).unwrap_or(u64::MAX) })
}

fn answer(files: &[Option<Arc<File>>], names: &[Arc<str>], taken: &Receiver<Ask>, sender: &Sender<(usize, News)>) {
    while let Ok(ask) = taken.recv() {
        let server = match &ask {
            Ask::Page(asked) => asked.server,
            Ask::Count(asked) => asked.server,
        };
        let (Some(Some(file)), Some(name)) = (files.get(server), names.get(server)) else { continue };
        let told = |news: News| sender.blocking_send((server, news)).is_ok();
        let goes_on = match ask {
            Ask::Page(asked) => told(page(file, name, &asked)),
            Ask::Count(asked) => count(file, name, &asked, told),
        };
        if !goes_on {
            return;
        }
    }
}

/// Nothing where there is no filter, or one that cannot be read: then all is sent.
fn test(filter: Option<&str>) -> Option<Filter> {
    filter.and_then(|text| Filter::new(text, ask::now(), &TimeZone::UTC).ok()).filter(|filter| !filter.is_all())
}

/// Whether a filter leaves an event; one that is about severities alone needs no text.
fn passes(file: &File, name: &str, filter: &Filter, number: u64, mark: &Mark) -> bool {
    match filter.severities() {
        Some((least, worst)) => least <= mark.severity() && mark.severity() <= worst,
        None => file.event_at(number, mark).is_some_and(|event| filter.matches(&OnServer { subject: &event, server: name })),
    }
}

fn page(file: &Arc<File>, name: &str, asked: &Asked) -> News {
    let going = match asked.toward {
        Toward::Older => Going::Older(asked.from),
        Toward::Newer => Going::Newer(asked.from),
    };
    let filter = test(asked.filter.as_deref());
    let looked = file.shelf.look(going, asked.most, LOOK, |number, mark| filter.as_ref().is_none_or(|filter| passes(file, name, filter, number, mark)));
    let page: Arc<dyn Decode> = Arc::new(Scattered { file: file.clone(), numbers: looked.rows.iter().map(|(number, _)| *number).collect() });
    News::Page {
        ask: asked.ask,
        entries: (0_u32..).zip(&looked.rows).map(|(index, (number, mark))| file.entry(&page, index, *number, mark)).collect(),
        last: true,
        complete: looked.complete,
        filtered: filter.is_some(),
        reached: looked.reached.filter(|_| filter.is_some()).map(|(at, number)| (Time::from_micros(at), number)),
    }
}

/// Tells what was counted so far, and more of it, newest first. False: nobody listens.
fn count(file: &Arc<File>, name: &str, asked: &CountAsk, told: impl Fn(News) -> bool) -> bool {
    let filter = test(asked.filter.as_deref());
    let extent = file.shelf.extent();
    let step = asked.step.max(Span::from_micros(1));
    let mut counts = vec![[0_u64; 6]; usize::try_from(asked.buckets).unwrap_or(0)];
    let mut going = Going::Older(None);
    loop {
        let mut last = asked.from.is_none() || counts.is_empty();
        if let Some(from) = asked.from.filter(|_| !last) {
            let looked = file.shelf.look(going, usize::MAX, LOOK, |number, mark| {
                let cell = mark.at.saturating_sub(from.micros()).div_euclid(step.micros());
                let count = usize::try_from(cell).ok().and_then(|cell| counts.get_mut(cell)).and_then(|cell| cell.get_mut(usize::from(mark.severity().rank())));
                if let Some(count) = count
                    && filter.as_ref().is_none_or(|filter| passes(file, name, filter, number, mark))
                {
                    *count += 1;
                }
                false
            });
            last = looked.complete;
            going = Going::Older(looked.reached);
        }
        let counted = Counted {
            ask: asked.ask,
            from: asked.from.unwrap_or_default(),
            step: asked.step,
            counts: counts.clone(),
            held: file.shelf.len(),
            oldest: extent.map(|(oldest, _)| Time::from_micros(oldest)),
            newest: extent.map(|(_, newest)| Time::from_micros(newest)),
            last,
        };
        if !told(News::Counts(counted)) {
            return false;
        }
        if last {
            return true;
        }
    }
}
