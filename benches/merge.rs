//! Opening, filtering and merging files: figures G1, G1b and G2.
//!
//! `cargo bench --bench merge` makes four sorted files of 250,000 lines and times the whole way and the
//! merge of an index alone, beside the bare merge. With arguments it is the bare command, for a harness
//! that measures processes: `merge events FILTER lines|json|count FILE…`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::tz::TimeZone;
use midwatch::cli::events_file::{EventsFile, Shape, events_file};
use midwatch::client::files::Order;
use midwatch::model::filter::Filter;
use midwatch::model::time::Time;

fn events(files: &[PathBuf], filter: &str, shape: Shape, out: &mut dyn Write) -> u64 {
    let now = Time::from(jiff::Timestamp::now());
    let filter = Filter::new(filter, now, &TimeZone::UTC).expect("a filter");
    events_file(EventsFile { filter, files, shape, terminal: false, now, zone: TimeZone::UTC }, out).expect("events").count
}

/// Some 164 bytes a line, one day, as logs of services are.
fn generate(folder: &Path) -> Vec<PathBuf> {
    (0..4_u64)
        .map(|file| {
            let path = folder.join(format!("src{file}.log"));
            let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
            let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ (file + 1);
            let mut next = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed
            };
            for i in 0..250_000_u64 {
                let at = i * 345 + next() % 345;
                let (level, alert) = if next() % 10 < 3 { ("WARN", "OOMKilled") } else { ("INFO", "deploy finished") };
                let alert = if next() % 8 == 0 { alert } else { "QueueBacklog" };
                let (h, m, s, ms) = (at / 3_600_000, at / 60_000 % 60, at / 1_000 % 60, at % 1_000);
                writeln!(
                    out,
                    "2026-03-01T{h:02}:{m:02}:{s:02}.{ms:03}Z {level} eu-west-1 node-{:04} checkout-api: alert={alert} sev=P{} id={:016x} value={} over threshold 500 for 3m, owner=amara",
                    next() % 800,
                    1 + next() % 4,
                    next(),
                    next() % 5_000
                )
                .expect("written");
            }
            path
        })
        .collect()
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[4]
}

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    if let [_, verb, filter, shape, files @ ..] = args.as_slice()
        && verb == "events"
    {
        let shape = match shape.as_str() {
            "json" => Shape::Json,
            "count" => Shape::Count,
            _ => Shape::Lines,
        };
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        events(&files, filter, shape, &mut std::io::stdout());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let files = generate(folder.path());
    for (name, filter) in [
        ("word", "OOMKilled"),
        ("no hit", "ZZZNOHIT"),
        ("regex", "/alert=(OOMKilled|DiskAlmostFull) sev=P1/"),
        ("severity", "severity:warning+"),
        ("two words", "OOMKilled or deploy"),
        ("all", ""),
    ] {
        let mut count = 0;
        let ms = median(|| count = events(&files, filter, Shape::Lines, &mut std::io::sink()));
        println!("files {name}: {ms:.1} ms, {count} events");
    }
    let runs: Vec<Vec<(i64, u64)>> =
        (0..4_i64).map(|run| (0..250_000_i64).map(|i| (i * 345 + (i * 7_919 + run * 104_729) % 345, i.unsigned_abs())).collect()).collect();
    let bare = median(|| {
        let mut next = [0_usize; 4];
        let mut out = Vec::with_capacity(1_000_000);
        while let Some(run) = (0..4).filter(|run| next[*run] < runs[*run].len()).min_by_key(|run| runs[*run][next[*run]].0) {
            out.push(runs[run][next[run]]);
            next[run] += 1;
        }
        black_box(out);
    });
    let ours = median(|| {
        let mut next = [0_usize; 4];
        let mut out = Vec::with_capacity(1_000_000);
        let mut order = Order::new(runs.iter().map(|run| run.first().map(|e| e.0)));
        while let Some(run) = order.first() {
            out.push(runs[run][next[run]]);
            next[run] += 1;
            order.advance(run, runs[run].get(next[run]).map(|e| e.0));
        }
        black_box(out);
    });
    println!("merge of 4 x 250k index entries: {ours:.1} ms, bare {bare:.1} ms, ratio {:.2}", ours / bare);
}
