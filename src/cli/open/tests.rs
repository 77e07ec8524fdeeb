//! Real files that grow, are cut short and moved away, and what the console hears of them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::tz::TimeZone;
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

use super::super::pages;
use super::*;
use crate::console::message::Entry;
use crate::console::runtime::Elsewhere;
use crate::console::timeline::{Paged, Target, Timeline, Toward};
use crate::model::event::{Actor, AlertCleared, AlertOpened, ClearReason, Condition, Draft, Event};
use crate::model::filter::Filter;
use crate::model::id::{EventId, Fingerprint, Incarnation, Origin, Sequence};
use crate::model::time::Time;
use crate::model::world::World;

/// What the console would know.
#[derive(Default)]
struct Console {
    /// Server and event, as they came.
    entries: Vec<(usize, Entry)>,
    live: Vec<Arc<Event>>,
    worlds: std::collections::BTreeMap<usize, Arc<World>>,
    problems: Vec<String>,
    lost: Vec<String>,
}

struct Scene {
    console: Console,
    news: Receiver<(usize, News)>,
}

impl Scene {
    fn of(paths: &[PathBuf]) -> Scene {
        let (sender, news) = channel(8);
        let files = paths.iter().enumerate().map(|(server, path)| Fed::new(server, Log::open(path, ask::now(), &TimeZone::UTC).unwrap())).collect();
        thread::spawn(move || Feeder::new(sender, Arc::default()).run(Vec::new(), files));
        Scene { console: Console::default(), news }
    }

    /// Hears until that is so.
    fn until(&mut self, what: &str, test: impl Fn(&Console) -> bool) -> &Console {
        let began = Instant::now();
        while !test(&self.console) {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{what}; heard: {:?} {:?} {:?}",
                self.console.titles(),
                self.console.problems,
                self.console.lost
            );
            let (server, news) = match self.news.try_recv() {
                Ok(news) => news,
                Err(TryRecvError::Empty) => {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Err(TryRecvError::Disconnected) => panic!("the feeder has ended: {what}"),
            };
            let console = &mut self.console;
            match news {
                News::Older { entries, .. } | News::More { entries } => console.entries.extend(entries.into_iter().map(|entry| (server, entry))),
                News::Events { events, .. } => console.live.extend(events),
                News::Snapshot { world, .. } => drop(console.worlds.insert(server, world)),
                News::Problem(words) => console.problems.push(words.to_string()),
                News::Lost { why, .. } => console.lost.push(why.to_string()),
                _ => {}
            }
        }
        &self.console
    }
}

impl Console {
    fn titles(&self) -> Vec<String> {
        let past = self.entries.iter().map(|(_, entry)| entry.event.event().map_or("?".into(), |event| event.title.to_string()));
        past.chain(self.live.iter().map(|event| event.title.to_string())).collect()
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_a_file_holds_and_what_comes_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.log"), folder.path().join("b.log"));
    fs::write(&a, "2026-11-21T02:00:00Z a1\n  of two lines\n2026-11-21T02:02:00Z error a2\n").unwrap();
    fs::write(&b, "2026-11-21T02:01:00Z b1\n").unwrap();
    let mut scene = Scene::of(&[a.clone(), b.clone()]);
    let console = scene.until("the past", |console| console.entries.len() + console.live.len() >= 3);
    let mut seen: Vec<_> =
        console.entries.iter().map(|(server, entry)| (entry.at.to_string(), *server, entry.severity, entry.event.event().unwrap())).collect();
    seen.sort_by_key(|(at, ..)| at.clone());
    assert_eq!(seen.iter().map(|(_, server, _, event)| (*server, &*event.title)).collect::<Vec<_>>(), [(0, "a1"), (1, "b1"), (0, "error a2")]);
    assert_eq!(&*seen[0].3.text, "  of two lines");
    assert!(seen.iter().all(|(at, _, severity, event)| event.severity == *severity && event.at.to_string() == *at));

    // A line that is not complete is waited for.
    append(&a, "2026-11-21T02:03:00Z new ");
    append(&a, "line\n2026-11-21T02:04:00Z another\n");
    scene.until("what came", |console| console.titles().ends_with(&["new line".into(), "another".into()]));
    // One that is never completed is shown when it stands still.
    append(&b, "2026-11-21T02:05:00Z unfinished");
    let console = scene.until("a line without an end", |console| console.titles().last().is_some_and(|title| title == "unfinished"));
    let ids: std::collections::BTreeSet<EventId> = console.entries.iter().map(|(_, entry)| entry.id).chain(console.live.iter().map(|event| event.id)).collect();
    assert_eq!(ids.len(), 6, "each has a name of its own");
}

#[test]
fn a_file_that_is_moved_away_stays_readable_and_the_new_one_is_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "2026-11-21T02:00:00Z before\n").unwrap();
    let mut scene = Scene::of(std::slice::from_ref(&path));
    scene.until("the past", |console| console.titles() == ["before"]);
    // What is written last, and after the file was moved, is read as well.
    append(&path, "2026-11-21T02:01:00Z last words\n");
    fs::rename(&path, folder.path().join("a.log.1")).unwrap();
    append(&folder.path().join("a.log.1"), "2026-11-21T02:01:30Z very last\n");
    fs::write(&path, "2026-11-21T02:02:00Z after\n").unwrap();
    let console = scene.until("the new file", |console| console.titles() == ["before", "last words", "very last", "after"]);
    assert!(console.entries[0].1.event.event().is_some(), "what was moved away is still read");
    scene.until("words of it", |console| console.problems.iter().any(|words| words.contains("another file has its name")));
}

#[test]
fn a_file_that_is_cut_short_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "2026-11-21T02:00:00Z a long line before\n".repeat(3)).unwrap();
    let mut scene = Scene::of(std::slice::from_ref(&path));
    scene.until("the past", |console| console.entries.len() == 3);
    fs::write(&path, "2026-11-21T02:02:00Z after\n").unwrap();
    let console = scene.until("the new text", |console| console.live.iter().any(|event| &*event.title == "after"));
    // What stands in the file now is not shown for what it was.
    assert!(console.entries.iter().all(|(_, entry)| entry.event.event().is_none()));
    assert!(console.problems.iter().any(|words| words.contains("cut short")), "{:?}", console.problems);
}

#[test]
fn a_file_that_goes_is_lost_until_another_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "2026-11-21T02:00:00Z one\n").unwrap();
    let mut scene = Scene::of(std::slice::from_ref(&path));
    scene.until("the past", |console| console.entries.len() == 1);
    fs::remove_file(&path).unwrap();
    scene.until("that it went", |console| console.lost.iter().any(|why| why.contains("no file has this name")));
    fs::write(&path, "2026-11-21T02:01:00Z two\n").unwrap();
    scene.until("the other", |console| console.titles() == ["one", "two"]);
}

fn exported(sequence: u64, kind: impl Into<crate::model::event::Kind>, title: &str) -> String {
    let id = EventId { origin: Origin([9; 16]), incarnation: Incarnation(2), sequence: Sequence(sequence) };
    let at = Time::from_secs(1_795_229_820 + sequence.cast_signed());
    let draft = Draft::new(at, Actor::Server, kind, title).on("shop/varnish".parse().unwrap());
    serde_json::to_string(&draft.stamp(id, at)).unwrap() + "\n"
}

#[test]
fn exported_events_tell_what_was_open_at_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mixed) = (folder.path().join("night.jsonl"), folder.path().join("mixed.jsonl"));
    let opened =
        |n: u8| AlertOpened { alert: Fingerprint([n; 16]), check: "disk".into(), by: Actor::Agent("web-1".into()), condition: Condition::Problem, expr: None };
    let lines = [
        exported(1, opened(1), "one"),
        exported(2, opened(2), "two"),
        exported(3, AlertCleared { alert: opened(1).alert, reason: ClearReason::Recovered }, "well"),
    ];
    fs::write(&path, lines.concat()).unwrap();
    fs::write(&mixed, format!("{}{}", lines[1], lines[0])).unwrap();
    let mut scene = Scene::of(&[path.clone(), mixed]);
    let console = scene.until("the world", |console| console.worlds.get(&0).is_some_and(|world| world.head == Sequence(3)) && !console.problems.is_empty());
    assert_eq!(console.worlds[&0].open.iter().copied().collect::<Vec<_>>(), [opened(2).alert]);
    assert!(console.worlds[&1].open.is_empty() && console.problems.iter().all(|words| words.contains("order of one log")), "{:?}", console.problems);
    // What is exported later is told as it happens.
    append(&path, &exported(4, AlertCleared { alert: opened(2).alert, reason: ClearReason::Recovered }, "well again"));
    let console = scene.until("what came", |console| console.live.len() == 1);
    assert_eq!(console.live[0].id.sequence, Sequence(4));
}

#[test]
fn a_stream_is_read_as_it_comes_and_kept_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    let mut scene = Scene::of(std::slice::from_ref(&path));
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"2026-11-21T02:00:00Z first\n2026-11-21T02:01:00Z sec").unwrap();
    writer.write_all(b"ond\n2026-11-21T02:02:00Z third\n").unwrap();
    scene.until("the first", |console| console.titles().first().is_some_and(|title| title == "first"));
    let many: String = (0..30_000).map(|i| format!("2026-11-21T03:00:00Z line {i}\n")).collect();
    writer.write_all(many.as_bytes()).unwrap();
    drop(writer);
    let console = scene.until("all", |console| console.entries.len() + console.live.len() >= 30_003);
    let titles = console.titles();
    assert_eq!(titles.len(), 30_003);
    assert_eq!((&*titles[0], &*titles[titles.len() - 1]), ("first", "line 29999"));
}

/// A timeline that holds little of large files, and what answers it.
struct Large {
    timeline: Timeline,
    news: Receiver<(usize, News)>,
    pages: pages::Pages,
}

impl Large {
    fn open(paths: &[PathBuf], most: usize) -> Large {
        let (sender, news) = channel(8);
        let files: Vec<Fed> = paths.iter().enumerate().map(|(server, path)| Fed::new(server, Log::open(path, ask::now(), &TimeZone::UTC).unwrap())).collect();
        let names: Vec<Arc<str>> = ["a", "b"].map(Into::into).into();
        let read: Arc<AtomicBool> = Arc::default();
        let by_place = files.iter().map(|fed| Some(fed.file.clone())).collect();
        let pages = pages::start(by_place, names.clone(), read.clone(), sender.clone(), 100).unwrap();
        thread::spawn({
            let read = read.clone();
            move || Feeder::new(sender, read).run(Vec::new(), files)
        });
        let mut timeline = Timeline::new(names);
        timeline.fold_runs(false);
        timeline.hold_at_most(most);
        let mut large = Large { timeline, news, pages };
        while !read.load(Ordering::Acquire) {
            large.hear();
        }
        while large.hear() {}
        large
    }

    /// False: nothing came.
    fn hear(&mut self) -> bool {
        match self.news.try_recv() {
            Ok((server, News::Older { entries, complete })) => self.timeline.add_older(server, entries, complete),
            Ok((server, News::More { entries })) => self.timeline.add_more(server, entries),
            Ok((_, News::Page { ask, entries, last, complete, filtered, reached })) => {
                let _ = self.timeline.page(ask, Paged { entries, last, complete, filtered, reached });
            }
            Ok(_) => {}
            Err(_) => {
                thread::sleep(Duration::from_millis(1));
                return false;
            }
        }
        true
    }

    /// Asks at both ends until nothing is wanted.
    fn all(&mut self) {
        loop {
            let mut asks = self.timeline.wanting(Toward::Older, |_| true);
            asks.extend(self.timeline.wanting(Toward::Newer, |_| true));
            asks.extend(self.timeline.again());
            asks.into_iter().for_each(|ask| assert!(self.pages.page(ask)));
            while self.timeline.is_searching() {
                self.timeline.work();
            }
            if !self.hear() && !self.timeline.is_asking() {
                return;
            }
        }
    }

    fn titles(&self) -> Vec<String> {
        let title = |row| self.timeline.slot(row).and_then(|slot| slot.event()).map(|event| event.title.to_string());
        (0..self.timeline.len()).filter_map(title).collect()
    }
}

#[test]
fn what_is_not_held_of_large_files_is_found_again_filtered_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.log"), folder.path().join("b.log"));
    let line = |n: u32, name: &str| {
        // One in fifty is late.
        let second = if n.is_multiple_of(50) { n.saturating_sub(30) } else { n };
        let rare = if n.is_multiple_of(4_000) { "error rare" } else { "line" };
        format!("2026-11-21T{:02}:{:02}:{:02}Z {rare} {name}{n}\n", second / 3_600, second / 60 % 60, second % 60)
    };
    fs::write(&a, (1..=30_000).map(|n| line(n, "a")).collect::<String>()).unwrap();
    fs::write(&b, (1..=30_000).map(|n| line(n, "b")).collect::<String>()).unwrap();
    let mut large = Large::open(&[a, b], 20_000);
    assert!(large.timeline.held() <= 20_000, "{}", large.timeline.held());
    assert!(large.timeline.has_more());
    assert!(large.titles().last().is_some_and(|title| title.ends_with("29999")));
    // To the beginning of all.
    let asks = large.timeline.jump(Target::Oldest, |_| true);
    asks.into_iter().for_each(|ask| assert!(large.pages.page(ask)));
    while large.timeline.is_going() {
        large.hear();
    }
    assert!(large.titles().first().is_some_and(|title| ["line a1", "line b1"].contains(&&**title)));
    // A filter finds what none of it holds.
    large.timeline.go_live();
    large.timeline.set_filter(Some(Filter::new("rare", ask::now(), &TimeZone::UTC).unwrap()));
    large.all();
    let mut found = large.titles();
    found.sort();
    let mut expected: Vec<String> = (1..=7).flat_map(|n| ["a", "b"].map(|name| format!("error rare {name}{}", n * 4_000))).collect();
    expected.sort();
    assert_eq!(found, expected);
    // And the servers' strip counts them.
    for (filter, count) in [(None, 30_000), (Some("rare"), 7), (Some("severity:error+"), 7)] {
        let asked = crate::console::timeline::strip::CountAsk {
            ask: 5,
            server: 1,
            from: Some(Time::from_secs(1_795_219_200)),
            step: Span::from_mins(60),
            buckets: 24,
            filter: filter.map(Into::into),
        };
        assert!(large.pages.count(asked));
        let counted = loop {
            if let Ok((1, News::Counts(counted))) = large.news.try_recv()
                && counted.last
            {
                break counted;
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert_eq!((counted.held, counted.counts.iter().flatten().sum::<u64>()), (30_000, count), "{filter:?}");
    }
}

#[test]
fn what_cannot_be_opened_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("a.bin");
    fs::write(&binary, [1, 2, 0, 3]).unwrap();
    let said = |path: &Path| Log::open(path, ask::now(), &TimeZone::UTC).err().unwrap().to_string();
    assert!(said(&binary).contains("it is no text"));
    assert!(said(folder.path()).contains("Name the files in it"));
    assert!(said(&folder.path().join("none")).contains("Check the name"));
}

#[test]
fn files_of_one_name_are_told_apart() {
    let paths: Vec<PathBuf> = ["a/x.log", "b/x.log", "c/y.log", "-"].map(PathBuf::from).into();
    let names: Vec<String> = paths.iter().map(|path| super::super::name(path, &paths).to_string()).collect();
    assert_eq!(names, ["a/x.log", "b/x.log", "y.log", "stdin"]);
}
