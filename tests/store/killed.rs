//! Nothing that was acknowledged is lost when the process is killed, whatever it was doing.

use std::path::Path;
use std::time::Duration;

use midwatch::store::{Log, Row, SqliteLog};

use crate::events::{INCARNATION, ORIGIN, recorded, retention, row, world};
use crate::process::{Process, Said, durable};

/// Opens what was left behind and looks at every event. `durable` is the last that was acknowledged.
pub async fn look_through(folder: &Path, durable: u64) -> Vec<Row> {
    let log = SqliteLog::open(folder, ORIGIN, INCARNATION).unwrap_or_else(|error| panic!("{error}"));
    let head = log.head();
    assert!(head.sequence.0 >= durable, "event {durable} was acknowledged, and the log ends at {}", head.sequence.0);
    let checkpoint = log.checkpointed().await.unwrap();
    if let Some((at, bytes)) = &checkpoint {
        assert_eq!(bytes, &world(*at), "the checkpoint at {}", at.0);
    }
    let checkpoint = checkpoint.map_or(0, |(at, _)| at.0);
    let mut rows = Vec::new();
    let mut from = head.base;
    loop {
        let some = log.range(from, head.sequence, 10_000, usize::MAX).await.unwrap();
        let Some(last) = some.last() else { break };
        from = last.sequence.next();
        rows.extend(some);
    }
    let mut held = rows.iter();
    let mut next = held.next();
    for sequence in 1..=head.sequence.0 {
        let expected = row(sequence);
        if next.is_some_and(|row| row.sequence.0 == sequence) {
            assert_eq!(next, Some(&expected));
            next = held.next();
        } else {
            let pruned = sequence <= checkpoint && retention().drops(&expected.kind, expected.recorded, recorded(checkpoint));
            assert!(pruned, "event {sequence} is not there (base {}, checkpoint {checkpoint}, head {})", head.base.0, head.sequence.0);
        }
    }
    assert_eq!(next, None);
    // The index may be behind, or gone; a search finds what is there all the same.
    if let Some(last) = rows.last() {
        let found = log.search(&format!("n{}", last.sequence.0), None, 5).await.unwrap();
        assert_eq!(found.first(), Some(last));
    }
    rows
}

fn kills() -> u64 {
    std::env::var("MIDWATCH_KILLS").map_or(25, |n| n.parse().expect("MIDWATCH_KILLS is a number"))
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut last, mut all, mut early) = (0, 0, 0);
    for n in 1..=kills() {
        // A new log now and then keeps looking through it quick.
        if n % 20 == 0 {
            (folder, last) = (tempfile::tempdir().unwrap(), 0);
        }
        let process = Process::start(folder.path(), &[]);
        let mut heard = Vec::new();
        // Every eighth is killed while it starts; the others at any moment after the first answer.
        if random.below(8) > 0 {
            heard.extend(process.until(|said| matches!(said, Said::Durable(_))));
        }
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        heard.extend(process.kill());
        assert!(!heard.iter().any(|said| matches!(said, Said::Refused(_))), "{heard:?}");
        early += u32::from(heard.is_empty());
        let before = last;
        last = durable(&heard).unwrap_or(last).max(last);
        all += last - before;
        let rows = look_through(folder.path(), last).await;
        if n % 50 == 0 {
            println!("killed {n} times: {all} acknowledged, {} held now", rows.len());
        }
    }
    assert!(all > 0, "nothing was acknowledged at all: {early} of {} were killed too early", kills());
    println!("killed {} times, 0 of {all} acknowledged events lost", kills());
}

/// A generator that is good enough to choose moments, and the same in each run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
