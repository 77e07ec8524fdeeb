//! Three servers, two agents and two consoles, all of them processes, joined by invites and speaking TLS over lines that
//! are cut, held up and healed. Each process is killed in its turn while others push, note and observe. Afterwards every
//! copy of a log equals its origin's, byte for byte; what was acknowledged is there, once; and the consoles show it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use midwatch::model::event::{Event, Kind};
use midwatch::model::severity::Status;
use midwatch::store::{Head, Log, Row, SqliteLog};
use midwatch::wire::EventBytes;

use super::console::Screen;
use super::daemon::eventually;
use super::fleet::{Node, Pusher, Watch, ok, ran};
use super::lines::Line;

/// What was made, and what of it was acknowledged; of the rest nobody knows.
#[derive(Default)]
struct Made {
    kept: Vec<String>,
    doubtful: Vec<String>,
    /// Why the last of them was not.
    why: String,
}

impl Made {
    fn note(&mut self, words: String, kept: Result<(), String>) {
        match kept {
            Ok(()) => self.kept.push(words),
            Err(why) => {
                self.doubtful.push(words);
                self.why = why;
            }
        }
    }
}

/// Somebody who makes one thing after the other until they are stopped.
struct Maker {
    made: Arc<Mutex<Made>>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Maker {
    fn new<F: Future<Output = Result<(), String>> + Send + 'static>(make: impl Fn(String) -> F + Send + 'static, name: &'static str) -> Maker {
        let (made, stop) = (Arc::new(Mutex::new(Made::default())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (made.clone(), stop.clone());
        let task = tokio::spawn(async move {
            for number in 0_u32.. {
                if until.load(Ordering::SeqCst) {
                    return;
                }
                let words = format!("{name} {number}");
                let kept = make(words.clone()).await;
                into.lock().unwrap().note(words, kept);
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
        Maker { made, stop, task }
    }

    fn pushes(pusher: Pusher, system: &'static str, name: &'static str) -> Maker {
        let pusher = Arc::new(pusher);
        let push = move |title: String| {
            let pusher = pusher.clone();
            async move { pusher.event(system, &title).await }
        };
        Maker::new(push, name)
    }

    /// Notes on a system of a server behind their own.
    fn notes(home: &Path, on: &'static str, name: &'static str) -> Maker {
        let home = home.to_owned();
        let note = move |words: String| {
            let home = home.clone();
            async move { tokio::task::spawn_blocking(move || ran(&home, &["note", "system", on, &words]).map(drop)).await.unwrap() }
        };
        Maker::new(note, name)
    }

    fn kept(&self) -> usize {
        self.made.lock().unwrap().kept.len()
    }

    /// Waits until so many more are acknowledged.
    async fn goes_on(&self, more: usize) {
        let from = self.kept();
        eventually("more is acknowledged", async || {
            if self.kept() >= from + more { Ok(()) } else { Err(format!("{} of {more}; {}", self.kept() - from, self.made.lock().unwrap().why)) }
        })
        .await;
    }

    async fn ends(self) -> Made {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        std::mem::take(&mut self.made.lock().unwrap())
    }
}

/// Everything that a log on disk holds.
async fn held(folder: &Path) -> Result<(Head, BTreeMap<u64, Row>), String> {
    let log = SqliteLog::open_read_only(folder).map_err(|error| error.to_string())?;
    let head = log.head();
    let rows = log.range(head.base, head.sequence, usize::MAX, usize::MAX).await.map_err(|error| error.to_string())?;
    Ok((head, rows.into_iter().map(|row| (row.sequence.0, row)).collect()))
}

/// What a peer may not see without administering: no copy of these is told.
fn of_the_server_alone(row: &Row) -> bool {
    row.system.is_none() && (row.kind.starts_with("trust.") || row.kind.starts_with("config."))
}

/// The log of `of` as `at` holds it, once that is as long as the log itself.
async fn copy_is_whole(at: &Node, of: &Node) -> BTreeMap<u64, Row> {
    let (own, copy) = (of.data(), at.data().join("peers").join(of.origin().to_string()));
    let what = format!("{}'s copy of the log of {}", at.name, of.name);
    let (own, head, copy) = eventually(&format!("{what} is as long as that"), || async {
        let ((own, rows), (head, copy)) = (held(&own).await?, held(&copy).await?);
        if head.sequence == own.sequence { Ok((rows, head, copy)) } else { Err(format!("{} of {}", head.sequence.0, own.sequence.0)) }
    })
    .await;
    for (sequence, row) in &copy {
        let origin = own.get(sequence).unwrap_or_else(|| panic!("{what} has event {sequence}, and that has not"));
        assert_eq!(row.bytes, origin.bytes, "event {sequence} in {what}");
    }
    let missing: Vec<_> = own.range(head.base.0..).filter(|(sequence, row)| !copy.contains_key(sequence) && !of_the_server_alone(row)).collect();
    assert!(missing.is_empty(), "{what} lacks {:?}", missing.iter().map(|(sequence, row)| (sequence, &row.kind)).collect::<Vec<_>>());
    assert!(!own.values().any(|row| &*row.kind == "peer.missed" || &*row.kind == "peer.malformed"), "nothing was missed, and nothing set aside");
    copy
}

fn events(rows: &BTreeMap<u64, Row>) -> Vec<Event> {
    rows.values().map(|row| EventBytes(row.bytes.clone()).decode().unwrap()).collect()
}

/// All that was acknowledged is there, in its order; nothing is there twice.
fn is_all_there(made: &Made, events: &[Event], who: &str) {
    let said = |event: &Event| {
        [&*event.title, &*event.text].into_iter().find(|words| made.kept.iter().chain(&made.doubtful).any(|made| made == words)).map(str::to_owned)
    };
    let found: Vec<String> = events.iter().filter_map(said).collect();
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len(), "{who}: nothing twice: {found:?}");
    let lost: Vec<&String> = made.kept.iter().filter(|words| !found.contains(words)).collect();
    assert!(lost.is_empty(), "{who}: acknowledged, and lost: {lost:?}");
}

fn statuses(events: &[Event], system: &str) -> Vec<Status> {
    let mut found: Vec<&Event> = events.iter().filter(|event| event.system.as_ref().is_some_and(|id| id.as_str() == system)).collect();
    found.sort_by_key(|event| event.order());
    let status = |event: &&Event| match &event.kind {
        Kind::CheckChanged(changed) if changed.check.as_str() == "state" => Some(changed.status),
        _ => None,
    };
    found.iter().filter_map(status).collect()
}

fn states(watch: &Watch) -> Vec<Status> {
    watch.states.iter().map(|state| [Status::Ok, Status::Warning, Status::Critical][usize::from(*state)]).collect()
}

/// A person's machine, with a console that shows all that their server does.
fn person(name: &str, folder: &Path, server: &Node, port: u16) -> Screen {
    let code = server.invites("operator", "**", name, port);
    ok(folder, &["join", &code, "--name", name, "--as", server.name]);
    Screen::start(&[], folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_killed_or_cut_all_copies_are_whole_again_and_nothing_acknowledged_is_lost() {
    let began = Instant::now();
    let yard: Vec<_> = (0..7).map(|_| tempfile::tempdir().unwrap()).collect();
    let at = |number: usize| yard[number].path();
    let mut nodes = [Node::start("a", at(0)).await, Node::start("b", at(1)).await, Node::start("c", at(2)).await];
    let [a, b, c] = &mut nodes;
    // The log of a goes to b, and on to c; b and c receive each other.
    let (ba, cb, bc) = (Line::to(a.port).await, Line::to(b.port).await, Line::to(c.port).await);
    b.receives(a, ba.port);
    c.receives(b, cb.port);
    b.receives(c, bc.port);
    for node in [&mut *b, &mut *c] {
        node.program.kill();
        node.again().await;
    }
    let (to_a, to_c) = (Line::to(a.port).await, Line::to(c.port).await);
    let (mut deck, mut hold) = (Watch::start("deck", at(3), a, to_a.port), Watch::start("hold", at(4), c, to_c.port));
    let (by_b, by_c) = (Line::to(b.port).await, Line::to(c.port).await);
    a.pusher().event("lab/a", "four bells").await.unwrap();
    c.pusher().event("lab/c", "four bells").await.unwrap();
    let (robin, kim) = (person("robin", at(5), c, by_c.port), person("kim", at(6), b, by_b.port));
    robin
        .until("all three servers", |text| {
            ["a", "b", "c"].iter().all(|name| text.lines().next().unwrap_or_default().split_whitespace().any(|word| word == *name))
        })
        .await;
    println!("all stand after {:?}", began.elapsed());

    let makers = [
        Maker::pushes(a.pusher(), "lab/a", "pushed at a"),
        Maker::pushes(b.pusher(), "lab/b", "pushed at b"),
        Maker::pushes(c.pusher(), "lab/c", "pushed at c"),
        Maker::notes(at(5), "a:lab/a", "noted by robin at c, and b, at a"),
        Maker::notes(at(6), "c:lab/c", "noted by kim at b, at c"),
    ];
    makers[3].goes_on(1).await;
    makers[4].goes_on(1).await;

    // Each server, while everybody else goes on.
    for (number, state) in [(0, 2), (1, 0), (2, 1)] {
        nodes[number].program.kill();
        makers[(number + 1) % 3].goes_on(5).await;
        makers[(number + 2) % 3].goes_on(5).await;
        deck.turns(state).await;
        nodes[number].again().await;
        makers[number].goes_on(5).await;
        println!("{} was gone, after {:?}", nodes[number].name, began.elapsed());
    }
    // Each agent; what it had seen before is not lost, nor what comes after.
    for watch in [&mut deck, &mut hold] {
        watch.turns(2).await;
        watch.program.kill();
        watch.program.start();
        watch.turns(0).await;
    }
    println!("the agents were gone, after {:?}", began.elapsed());
    // Each line: cut, and held up, while both of its ends live.
    for (line, here) in [(&ba, 0), (&cb, 1), (&bc, 2), (&to_a, 0), (&by_c, 2)] {
        line.cut();
        makers[here].goes_on(5).await;
        line.heal();
        line.stall();
        makers[here].goes_on(10).await;
        line.heal();
    }
    println!("the lines were cut, after {:?}", began.elapsed());
    // Both consoles.
    for screen in [robin, kim] {
        screen.kill();
    }
    let (robin, kim) = (Screen::start(&[], at(5)), Screen::start(&[], at(6)));
    makers[3].goes_on(1).await;
    makers[4].goes_on(1).await;

    let [a, b, c] = &nodes;
    let mut made = Vec::new();
    for maker in makers {
        made.push(maker.ends().await);
    }
    let kept: Vec<usize> = made.iter().map(|made| made.kept.len()).collect();
    println!("{kept:?} acknowledged, {:?} not, after {:?}", made.iter().map(|made| made.doubtful.len()).collect::<Vec<_>>(), began.elapsed());
    a.pusher().alert("lab/a", "the anchor drags").await.unwrap();
    for screen in [&robin, &kim] {
        screen.until("what is wrong at a", |text| text.contains("the anchor drags")).await;
    }
    // By key, through both servers; and seen at the other console.
    let acked = ok(at(5), &["ack", "anchor", "--json"]);
    assert!(acked.contains("\"done\":true"), "{acked}");
    kim.until("who has it", |text| text.lines().any(|line| line.contains("the anchor drags") && line.contains("robin"))).await;

    let own = [held(&a.data()).await.unwrap().1, held(&b.data()).await.unwrap().1, held(&c.data()).await.unwrap().1].map(|rows| events(&rows));
    for (number, who, made) in
        [(0, "pushed at a", &made[0]), (1, "pushed at b", &made[1]), (2, "pushed at c", &made[2]), (0, "noted at a", &made[3]), (2, "noted at c", &made[4])]
    {
        is_all_there(made, &own[number], who);
    }
    eventually("all that the agents saw came", async || {
        let (at_a, at_c) = (events(&held(&a.data()).await?.1), events(&held(&c.data()).await?.1));
        let told = [statuses(&at_a, "lab/deck"), statuses(&at_c, "lab/hold")];
        if told == [states(&deck), states(&hold)] { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    for (at, of) in [(b, a), (b, c), (c, b), (c, a)] {
        let copy = copy_is_whole(at, of).await;
        let pushed = if of.name == "a" {
            &made[0]
        } else if of.name == "b" {
            &made[1]
        } else {
            &made[2]
        };
        is_all_there(pushed, &events(&copy), &format!("{} at {}", of.name, at.name));
    }
    for program in nodes.iter().map(|node| &node.program).chain([&deck.program, &hold.program]) {
        let said = program.said();
        // All are known by their invites, and every file is one that can be read.
        for words in ["met for the first time", "panicked", "set aside", "ERROR"] {
            assert!(!said.contains(words), "{words}:\n{said}");
        }
    }
    println!("all is whole after {:?}", began.elapsed());
    drop((robin, kim, deck, hold));
}
