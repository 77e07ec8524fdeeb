//! Appends, answers, kills, torn ends, full disks: nothing that was kept and not taken is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::time::Span;

fn observation(number: u64, check: u8, status: Status) -> Observation {
    Observation {
        agent: "a".into(),
        check: format!("check {check}").as_str().into(),
        system: "shop".parse().unwrap(),
        at: Time::from_secs(i64::try_from(number).unwrap()),
        status,
        text: format!("result {number}").into(),
        details: "".into(),
        metrics: Vec::new(),
        every: Span::from_secs(60),
        attempts: 1,
        runbook: None,
    }
}

/// The process is gone from one moment to the next: nothing of what it does at its end happens.
fn kill(mut spool: Spool) {
    spool.folder = None;
    spool.tail = None;
}

/// All that is left, taken in small pieces.
fn drain(spool: &mut Spool) -> Vec<i64> {
    let mut out = Vec::new();
    while let Some((number, piece)) = spool.oldest(7, 100_000) {
        out.extend(piece.iter().map(|o| o.at.secs()));
        spool.took(number);
    }
    out
}

fn last_segment(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "seg")).max()
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, u8),
    /// Offer so many; and whether the answer arrives.
    Offer(usize, bool),
    Restart,
    Kill,
    /// Killed in the middle of a write: a part of a record stands at the end.
    Tear(usize),
    FullDisk(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_u8, 1..20_u8).prop_map(|(check, count)| Step::Append(check, count)),
        6 => (1..100_usize, any::<bool>()).prop_map(|(most, answered)| Step::Offer(most, answered)),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => (1..120_usize).prop_map(Step::Tear),
        1 => any::<bool>().prop_map(Step::FullDisk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn nothing_that_is_not_taken_is_lost_and_all_comes_in_order(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let open = || {
            let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
            let full = full.clone();
            spool.faults = Some(Box::new(move |what| if what == "write" && full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }));
            spool
        };
        let mut spool = open();
        let mut expected: VecDeque<i64> = VecDeque::new();
        let mut next = 0_u64;
        for step in steps {
            match step {
                Step::Append(check, count) => for _ in 0..count {
                    next += 1;
                    spool.append(observation(next, check, Status::Ok));
                    expected.push_back(i64::try_from(next).unwrap());
                },
                Step::Offer(most, answered) => {
                    let offered = spool.oldest(most, 4_000);
                    let times: Vec<i64> = offered.iter().flat_map(|(_, o)| o.iter().map(|o| o.at.secs())).collect();
                    prop_assert!(times.len() <= most && expected.iter().take(times.len()).eq(times.iter()), "{times:?} of {expected:?}");
                    prop_assert_eq!(times.is_empty(), expected.is_empty());
                    if let (Some((number, _)), true) = (offered, answered) {
                        spool.took(number);
                        expected.drain(..times.len());
                    }
                }
                Step::Restart | Step::Kill | Step::Tear(_) => {
                    // What waits in memory for a full disk is all that a kill may cost.
                    full.store(false, Ordering::Relaxed);
                    spool.write();
                    if matches!(step, Step::Restart) { drop(spool) } else { kill(spool) }
                    if let (Step::Tear(length), Some(path)) = (&step, last_segment(folder.path())) {
                        let mut torn = Vec::new();
                        Record { number: next + 1, keep: true, observation: observation(next + 1, 1, Status::Ok) }.write(&mut torn);
                        torn.truncate((*length).min(torn.len() - 1));
                        OpenOptions::new().append(true).open(path).unwrap().write_all(&torn).unwrap();
                    }
                    spool = open();
                }
                Step::FullDisk(now) => full.store(now, Ordering::Relaxed),
            }
        }
        prop_assert_eq!(drain(&mut spool), Vec::from(expected));
        prop_assert_eq!(spool.lost(), Lost::default());
        prop_assert!(spool.is_empty());
    }
}

#[test]
fn a_full_spool_loses_repeats_first_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 256 * 1_024).unwrap();
    let mut changes = Vec::new();
    for number in 1..=20_000_u64 {
        // Most of the time all is well; now and then one check fails for a while.
        let status = if number % 1_000 < 10 { Status::Critical } else { Status::Ok };
        if matches!(number % 1_000, 0 | 10) || number == 1 {
            changes.push(i64::try_from(number).unwrap());
        }
        spool.append(observation(number, 1, status));
        assert!(spool.bytes() <= 256 * 1_024 + spool.segment_size());
    }
    let lost = spool.lost();
    assert_eq!(lost.changes, 0);
    drop(spool);
    let mut spool = Spool::open(folder.path(), 256 * 1_024).unwrap();
    assert_eq!(spool.lost(), lost);
    let rest = drain(&mut spool);
    assert!(rest.is_sorted() && changes.iter().all(|change| rest.contains(change)));
    assert_eq!(u64::try_from(rest.len()).unwrap() + lost.repeats, 20_000);
    spool.lost_is_said(lost);
    assert_eq!(spool.lost(), Lost::default());
}

#[test]
fn when_changes_alone_are_too_much_the_oldest_go_and_their_times_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1).unwrap();
    for number in 1..=10_000_u64 {
        spool.append(observation(number, 1, if number % 2 == 0 { Status::Ok } else { Status::Warning }));
    }
    let lost = spool.lost();
    let (from, to) = lost.between.unwrap();
    assert_eq!(from.secs(), 1);
    let rest = drain(&mut spool);
    assert_eq!(u64::try_from(rest.len()).unwrap() + lost.changes, 10_000);
    assert_eq!(rest[0], to.secs() + 1);
}

#[test]
fn what_makes_a_bad_state_count_is_kept_as_a_change_is() {
    let mut spool = Spool::in_memory();
    let mut kept = Vec::new();
    for (number, status) in [Status::Ok, Status::Ok, Status::Critical, Status::Critical, Status::Critical, Status::Critical, Status::Ok].into_iter().enumerate()
    {
        let mut observation = observation(u64::try_from(number).unwrap(), 1, status);
        observation.attempts = 3;
        kept.push(spool.note(&observation));
    }
    assert_eq!(kept, [true, false, true, true, true, false, true]);
}

#[test]
fn p12_a_full_disk_is_said_and_work_goes_on_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.append(observation(1, 1, Status::Ok));
    spool.faults = Some(Box::new(|_| Err(io::ErrorKind::StorageFull.into())));
    spool.append(observation(2, 1, Status::Ok));
    assert!(spool.trouble().unwrap().contains("the disk is full: make room"));
    spool.append(observation(3, 1, Status::Ok));
    // Even so, the server gets what there is, in order.
    assert_eq!(spool.oldest(10, 10_000).unwrap().1.len(), 3);
    spool.faults = None;
    assert!(spool.write());
    assert_eq!(spool.trouble(), None);
    kill(spool);
    assert_eq!(drain(&mut Spool::open(folder.path(), 1 << 20).unwrap()), [1, 2, 3]);
}

#[test]
fn memory_is_bounded_while_the_disk_takes_nothing() {
    let mut spool = Spool::in_memory();
    let most = u64::try_from(IN_MEMORY).unwrap();
    for number in 1..=most + 500 {
        spool.append(observation(number, 1, if number == 1 { Status::Critical } else { Status::Ok }));
    }
    let rest = drain(&mut spool);
    assert_eq!((rest.len(), rest[0], rest[1]), (IN_MEMORY, 1, 2));
    assert_eq!(spool.lost(), Lost { repeats: 500, changes: 0, between: None });
}

#[test]
fn p11_a_failed_sync_is_never_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.append(observation(1, 1, Status::Ok));
    spool.faults = Some(Box::new(|what| if what == "sync" { Err(io::Error::other("I/O error")) } else { Ok(()) }));
    spool.sync();
    spool.faults = None;
    let first = last_segment(folder.path()).unwrap();
    spool.append(observation(2, 1, Status::Ok));
    spool.sync();
    assert!(spool.trouble().unwrap().contains("failed to keep what was written"));
    assert_ne!(last_segment(folder.path()).unwrap(), first);
    assert_eq!(drain(&mut spool), [1, 2]);
}

#[test]
fn damage_in_the_middle_costs_what_it_hit_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=9_u64 {
        // Each run begins a segment of its own.
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.append_all((0..3).map(|i| observation(number * 3 - 2 + i, 1, Status::Ok)));
    }
    let victim = folder.path().join(format!("{:016}.seg", 13));
    let mut bytes = std::fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&victim, bytes).unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let rest = drain(&mut spool);
    let expected: Vec<i64> = (1..=27).filter(|n| *n != 14 && *n != 15).collect();
    assert_eq!((rest, spool.lost().changes), (expected, 2));
}

#[test]
fn files_that_vanish_under_a_running_agent_do_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.append(observation(1, 1, Status::Ok));
    std::fs::remove_file(last_segment(folder.path()).unwrap()).unwrap();
    assert_eq!(spool.oldest(10, 1_000), None);
    assert_eq!(spool.lost().changes, 1);
    spool.append(observation(2, 1, Status::Ok));
    assert_eq!(drain(&mut spool), [2]);
    assert!(spool.is_empty());
}

#[test]
fn a_folder_serves_one_agent_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let refused = Spool::open(folder.path(), 1 << 20).err().unwrap();
    assert!(refused.to_string().starts_with("another agent uses"));
    drop(spool);
    Spool::open(folder.path(), 1 << 20).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Spool::open(&file, 1 << 20).err().unwrap().to_string().contains("must be able to write there"));
}

#[test]
fn the_newest_time_survives_when_all_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.append(observation(77, 1, Status::Ok));
    drain(&mut spool);
    drop(spool);
    assert_eq!(Spool::open(folder.path(), 1 << 20).unwrap().newest(), Time::from_secs(77));
}
