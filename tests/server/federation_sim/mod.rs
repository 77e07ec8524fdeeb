//! A sea of servers that receive parts of each other's logs, with agents and consoles, through a night in which
//! lines break, fall silent one way or both, crawl and heal, machines lose power, disks are slow and refuse,
//! clocks are set, backups are restored, somebody between two servers lies, and grants are given, widened,
//! narrowed, run out and are taken back. Servers, links, stores in memory, keys and grants are production code;
//! the network, its lines and its hosts are turmoil's.
//!
//! A judge of the test's own ([`judge`]) hears every byte that any server writes to anybody, reads it without
//! midwatch's code, and holds it against what it knows by itself ([`truth`]): nothing outside a grant, no word of
//! it, in nothing, ever; every event as its server keeps it, or its bare outline; ranges without gaps and without
//! holes; nothing done that is not durable, and nothing lost that was said to be done. In the end every console
//! sees what its grants let it see of every world as it is.
//!
//! Turmoil's TCP resends nothing: what a partition swallows is gone, and a real connection would break over it. So
//! when one ends, the connections that crossed it do too. Its hosts have paused clocks of their own. Which of
//! several ready branches tokio takes is not drawn from the seed, unless the test is built with
//! `RUSTFLAGS="--cfg tokio_unstable"`, as `cargo nights` does: without that a seed repeats a night closely, and not
//! to the byte.
//!
//! `cargo nights` builds with optimization, too: a night takes a fifth of a second. `MIDWATCH_SEEDS` says how many
//! nights (`5000`) or which (`200..300`); `MIDWATCH_SEED` names one. Those that failed once are always among them.
//! `MIDWATCH_LOGGED=1` prints what the servers log.

pub mod decode;
mod fleet;
mod judge;
mod liar;
mod lies;
mod net;
mod night;
mod onward;
mod signed;
mod truth;

use std::collections::BTreeMap;
use std::time::Instant;

use night::Night;

/// Nights that once went wrong.
const KEPT: &[u64] = &[18, 20];
/// As many as fit into half a minute or so.
const FEW: u64 = 15;

fn seeds() -> (Vec<u64>, bool) {
    let said = |name: &str| std::env::var(name).ok();
    if let Some(seed) = said("MIDWATCH_SEED").and_then(|seed| seed.parse().ok()) {
        return (vec![seed], false);
    }
    let range = |text: String| match text.split_once("..") {
        Some((from, to)) => Some((from.parse().ok()?, to.parse().ok()?)),
        None => Some((0, text.parse().ok()?)),
    };
    match said("MIDWATCH_SEEDS").and_then(range) {
        Some((from, to)) => ((from..to).collect(), false),
        None => (KEPT.iter().copied().chain(0..FEW).collect(), true),
    }
}

#[test]
fn whatever_fails_and_whoever_lies_everybody_sees_what_they_may_and_nothing_else() {
    if std::env::var("MIDWATCH_LOGGED").is_ok() {
        let _ = tracing_subscriber::fmt().with_ansi(false).with_test_writer().try_init();
    }
    let (seeds, all) = seeds();
    let begun = Instant::now();
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failed = Vec::new();
    for (count, seed) in (1..).zip(&seeds) {
        let seed = *seed;
        match std::panic::catch_unwind(|| Night::begin(seed).pass()) {
            Ok(more) => more.into_iter().for_each(|(what, count)| *tally.entry(what).or_default() += count),
            Err(_) => failed.push(seed),
        }
        if count % 100 == 0 {
            println!("{count} nights, {:.1} a minute, failed: {failed:?}", f64::from(count) * 60.0 / begun.elapsed().as_secs_f64());
        }
    }
    println!("{} nights in {:?}: {tally:?}", seeds.len(), begun.elapsed());
    assert!(failed.is_empty(), "these nights went wrong: {failed:?}");
    if all {
        for what in [
            "frames",
            "events",
            "outlines",
            "batches",
            "snapshots",
            "pages",
            "counts",
            "done",
            "grants",
            "lies",
            "faults",
            "crashes",
            "restores",
            "answers",
            "signed worlds",
        ] {
            assert!(tally.get(what).is_some_and(|count| *count > 0), "the nights try everything, and not {what}: {tally:?}");
        }
    }
}
