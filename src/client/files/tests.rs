//! Samples of every format; merging against a stable sort; any chunks, any bytes.

use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::model::event::{Actor, Draft, LogLine};
use crate::model::filter::{Filter, Subject};
use crate::model::id::{EventId, Sequence};
use crate::model::labels::Labels;
use crate::model::severity::Severity::{self, Critical, Debug, Error, Info, Warning};
use crate::model::time::Time;

/// The night of the samples; files were written then.
fn now() -> Time {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn berlin() -> Zone {
    Zone::new(TimeZone::get("Europe/Berlin").unwrap(), now())
}

fn filter(text: &str) -> Filter {
    Filter::new(text, now(), &TimeZone::UTC).unwrap()
}

/// Reads at most so many bytes at once.
struct Pieces(Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let most = self.1.min(to.len());
        self.0.read(&mut to[..most])
    }
}

fn scanner(text: &[u8], piece: usize, wanted: &str) -> Scanner {
    let reader = Box::new(Pieces(Cursor::new(text.to_vec()), piece));
    let render: Render = Arc::new(|entry, out| {
        out.extend_from_slice(entry.raw);
    });
    Scanner::new(reader, Arc::new(Origins::of(Path::new("a.log"))), berlin(), filter(wanted), Want::Rendered, Some(render))
}

type Line = (i64, u64, Vec<u8>);

fn events(mut scanner: Scanner) -> Vec<Line> {
    let mut all = Vec::new();
    while let Some(batch) = scanner.next(&mut Vec::new()).unwrap() {
        for found in &batch.found {
            let from = found.offset as usize;
            all.push((found.at, found.position, batch.bytes[from..from + found.length as usize].to_vec()));
        }
    }
    all
}

/// The file's events, each as an [`crate::model::event::Event`].
fn read(text: &str) -> Vec<crate::model::event::Event> {
    let seen: Arc<Mutex<Vec<crate::model::event::Event>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let render: Render = Arc::new(move |entry, out| {
        out.push(b'x');
        keep.lock().unwrap().push(entry.event());
    });
    let mut scanner = Scanner::new(
        Box::new(Cursor::new(text.as_bytes().to_vec())),
        Arc::new(Origins::of(Path::new("/var/log/a.log"))),
        berlin(),
        Filter::all(),
        Want::Rendered,
        Some(render),
    );
    while scanner.next(&mut Vec::new()).unwrap().is_some() {}
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn every_usual_format_is_found_and_read() {
    // Line, time, severity, title.
    let samples: &[(&str, &str, Severity, &str)] = &[
        ("2026-11-21T02:57:00.123Z WARN shop: slow", "2026-11-21T02:57:00.123Z", Warning, "WARN shop: slow"),
        ("2026-11-21T02:57:00+05:30 error: no route", "2026-11-20T21:27:00Z", Error, "error: no route"),
        ("2026-11-21 02:57:00.5 INFO up", "2026-11-21T01:57:00.5Z", Info, "INFO up"),
        ("2026-11-21 02:57:00,123 WARN [main] a.b.C - error count is 0", "2026-11-21T01:57:00.123Z", Warning, "WARN [main] a.b.C - error count is 0"),
        ("2026-11-21 02:57:00.123 UTC [42] FATAL:  no such role", "2026-11-21T02:57:00.123Z", Critical, "[42] FATAL:  no such role"),
        ("2026/11/21 02:57:00 [error] 7#7: *1 upstream timed out", "2026-11-21T01:57:00Z", Error, "[error] 7#7: *1 upstream timed out"),
        ("[2026-11-21 02:57:00] production.ERROR: boom", "2026-11-21T01:57:00Z", Error, "production.ERROR: boom"),
        ("WARN  2026-11-21 02:57:00,123 pool is full", "2026-11-21T01:57:00.123Z", Warning, "pool is full"),
        ("web-1  | 2026-11-21T02:57:00Z level=debug hello", "2026-11-21T02:57:00Z", Debug, "level=debug hello"),
        ("Nov 21 02:57:00 web-1 sshd[7]: error: kex failed", "2026-11-21T01:57:00Z", Error, "web-1 sshd[7]: error: kex failed"),
        ("Nov  1 02:57:00 web-1 cron[7]: done", "2026-11-01T01:57:00Z", Info, "web-1 cron[7]: done"),
        ("<35>Nov 21 02:57:00 web-1 su: 'su root' failed", "2026-11-21T01:57:00Z", Error, "web-1 su: 'su root' failed"),
        ("<34>1 2026-11-21T02:57:00.003Z web-1 su 42 ID47 - no", "2026-11-21T02:57:00.003Z", Critical, "web-1 su 42 ID47 - no"),
        ("1795229820 error: x", "2026-11-21T02:57:00Z", Error, "error: x"),
        ("1795229820.25 x", "2026-11-21T02:57:00.25Z", Info, "x"),
        ("1795229820123 x", "2026-11-21T02:57:00.123Z", Info, "x"),
        ("1795229820123456 x", "2026-11-21T02:57:00.123456Z", Info, "x"),
        ("[1795229820] CURRENT SERVICE STATE: web-1", "2026-11-21T02:57:00Z", Info, "CURRENT SERVICE STATE: web-1"),
        (
            "10.0.0.1 - kim [21/Nov/2026:02:57:00 +0100] \"GET / HTTP/1.1\" 503 12 \"-\" \"curl\"",
            "2026-11-21T01:57:00Z",
            Error,
            "\"GET / HTTP/1.1\" 503 12 \"-\" \"curl\"",
        ),
        ("::1 - - [21/Nov/2026:02:57:00 +0100] \"GET /a HTTP/1.1\" 404 1", "2026-11-21T01:57:00Z", Warning, "\"GET /a HTTP/1.1\" 404 1"),
        ("E1121 02:57:00.123456       1 main.go:7] no lease", "2026-11-21T01:57:00.123456Z", Error, "1 main.go:7] no lease"),
        ("W20261121 02:57:00.123456 7 a.cc:1] low", "2026-11-21T01:57:00.123456Z", Warning, "7 a.cc:1] low"),
        ("[Sat Nov 21 02:57:00.123456 2026] [core:error] [pid 1] AH0: x", "2026-11-21T01:57:00.123456Z", Error, "[core:error] [pid 1] AH0: x"),
        ("time=\"2026-11-21T02:57:00Z\" level=warning msg=\"disk 91 %\"", "2026-11-21T02:57:00Z", Warning, "level=warning msg=\"disk 91 %\""),
        ("level=error ts=2026-11-21T02:57:00.5Z msg=x", "2026-11-21T02:57:00.5Z", Error, "msg=x"),
        ("{\"ts\":1795229820.5,\"level\":\"warn\",\"msg\":\"a \\\"b\\\"\"}", "2026-11-21T02:57:00.5Z", Warning, "a \"b\""),
        ("{\"time\":\"2026-11-21T02:57:00Z\",\"severity\":\"CRITICAL\",\"message\":\"x\"}", "2026-11-21T02:57:00Z", Critical, "x"),
        ("{\"@timestamp\":\"2026-11-21T02:57:00.000+01:00\",\"log.level\":\"error\",\"message\":\"x\"}", "2026-11-21T01:57:00Z", Error, "x"),
        ("{\"level\":50,\"time\":1795229820123,\"msg\":\"pino\"}", "2026-11-21T02:57:00.123Z", Error, "pino"),
        ("{\"PRIORITY\":\"3\",\"__REALTIME_TIMESTAMP\":\"1795229820000000\",\"MESSAGE\":\"journal\"}", "2026-11-21T02:57:00Z", Error, "journal"),
        ("{\"date\":\"Sat, 21 Nov 2026 02:57:00 +0000\",\"msg\":\"x\"}", "2026-11-21T02:57:00Z", Info, "x"),
    ];
    for (line, at, severity, title) in samples {
        let text = format!("{line}\n  and more\n{line}\n");
        let events = read(&text);
        assert_eq!(events.len(), 2, "{line}");
        assert_eq!(events[0].at.to_string(), *at, "{line}");
        assert_eq!(events[0].severity, *severity, "{line}");
        assert_eq!(&*events[0].title, *title, "{line}");
        assert!(events[0].text.ends_with("  and more"), "{line}: {:?}", events[0].text);
    }
}

#[test]
fn what_stands_before_the_first_time_and_what_has_none() {
    let events = read("-- logs begin --\n2026-11-21T02:57:00Z a\n\tat x\n\tat y\n\n2026-11-21T02:58:00Z b");
    let seen: Vec<(String, String, String)> = events.iter().map(|e| (e.at.to_string(), e.title.to_string(), e.text.to_string())).collect();
    assert_eq!(seen[0], ("2026-11-21T02:57:00Z".into(), "-- logs begin --".into(), String::new()));
    assert_eq!(seen[1], ("2026-11-21T02:57:00Z".into(), "a".into(), "\tat x\n\tat y".into()));
    assert_eq!(seen[2].1, "b");
    let plain = read("one\ntwo\n");
    assert_eq!(plain.iter().map(|e| (&*e.title, e.at)).collect::<Vec<_>>(), [("one", now()), ("two", now())]);
    assert_eq!(read("").len(), 0);
}

#[test]
fn a_year_that_is_not_written_is_the_last_that_fits() {
    let mut zone = Zone::new(TimeZone::UTC, "2027-01-02T00:00:00Z".parse().unwrap());
    let year = |text: &[u8], zone: &mut Zone| Time::from_micros(stamp::syslog(text, zone).unwrap().at).to_string();
    assert_eq!(year(b"Dec 31 23:59:59 x", &mut zone), "2026-12-31T23:59:59Z");
    assert_eq!(year(b"Jan  1 00:00:00 x", &mut zone), "2027-01-01T00:00:00Z");
    assert_eq!(year(b"Jan  2 23:00:00 x", &mut zone), "2027-01-02T23:00:00Z");
    assert_eq!(year(b"Feb 29 00:00:00 x", &mut zone), "2024-02-29T00:00:00Z");
}

fn exported(n: u64, title: &str, severity: Severity) -> String {
    let mut draft = Draft::new(Time::from_secs(1_795_229_820 + n.cast_signed()), Actor::User("kim".into()), LogLine {}, title)
        .severity(severity)
        .on("shop/varnish".parse().unwrap());
    draft.labels = Labels::new([("env", "prod")]);
    serde_json::to_string(&draft.stamp(EventId { sequence: Sequence(n), ..EventId::default() }, now())).unwrap() + "\n"
}

#[test]
fn exports_answer_as_a_server_would() {
    let text = exported(1, "deploy \"4f3a\"", Info) + &exported(2, "Grüße kim", Critical) + &exported(3, "env", Warning);
    let titles = |wanted: &str| events(scanner(text.as_bytes(), 7, wanted)).len();
    for (wanted, count) in [
        ("", 3),
        ("deploy", 1),
        ("\"\\\"4f3a\"", 1),
        ("GRÜSSE or grüße", 1),
        ("kim", 1),
        ("by:kim", 3),
        ("system:shop/**", 3),
        ("severity:warning+", 2),
        ("label.env=prod env", 1),
        ("kind:log", 3),
        ("prod", 0),
        ("/^deploy/", 1),
        ("/m$/", 1),
        ("source:x", 0),
    ] {
        assert_eq!(titles(wanted), count, "{wanted}");
    }
    assert_eq!(read(&text)[1].id.sequence, Sequence(2));
}

#[test]
fn fields_of_json_and_syslog_are_labels() {
    let json = "{\"ts\":1795229820,\"pod\":\"web-1\",\"msg\":\"x\"}\n";
    assert_eq!(events(scanner(json.as_bytes(), 99, "label.pod=web-1 source:a.log")).len(), 1);
    assert_eq!(events(scanner(b"Nov 21 02:57:00 web-1 sshd[7]: x\n", 99, "label.host=web-1 label.app=sshd")).len(), 1);
}

#[test]
fn packed_files_are_unpacked_as_they_are_read() {
    let text = "2026-11-21T02:57:00Z a\n".repeat(50_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.gz", gzip.finish().unwrap()), ("a.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()), ("a", text.clone().into_bytes())] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let input = Input::open(&path, now()).unwrap();
        let scanner = Scanner::new(input.reader, Arc::new(Origins::of(&path)), berlin(), Filter::all(), Want::Count, None);
        let totals = merge(vec![scanner], 1, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(totals.count, 50_000, "{name}");
        // Cut off in the middle: what was there counts, and the error is told.
        if name != "a" {
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            let input = Input::open(&path, now()).unwrap();
            let scanner = Scanner::new(input.reader, Arc::new(Origins::of(&path)), berlin(), Filter::all(), Want::Count, None);
            let totals = merge(vec![scanner], 1, &mut |_, _, _| Ok(())).unwrap();
            assert!(totals.count < 50_000 && totals.files[0].error.is_some(), "{name}: {totals:?}");
        }
    }
    assert!(Input::open(Path::new("/nowhere/at/all"), now()).err().unwrap().to_string().contains("Check the name"));
    assert!(Input::open(folder.path(), now()).err().unwrap().to_string().contains("Name the files in it"));
}

#[test]
fn b2_a_bomb_is_gone_through_in_bounded_memory() {
    // 64 MiB of one line, packed into some KiB.
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    bomb.write_all(b"2026-11-21T02:57:00Z ").unwrap();
    for _ in 0..64 {
        bomb.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    bomb.write_all(b"\n2026-11-21T02:58:00Z b\n").unwrap();
    let input = Input::unpacked(Box::new(Cursor::new(bomb.finish().unwrap())), now()).unwrap();
    let mut scanner = Scanner::new(input.reader, Arc::new(Origins::of(Path::new("-"))), berlin(), Filter::all(), Want::Raw, None);
    let mut lengths = Vec::new();
    while let Some(batch) = scanner.next(&mut Vec::new()).unwrap() {
        assert!(batch.bytes.len() <= scan::LARGEST + 2 * scan::CHUNK);
        lengths.extend(batch.found.iter().map(|found| found.length as usize));
    }
    assert_eq!(lengths, [scan::LARGEST, 23]);
    assert_eq!(scanner.cut, 1);
}

fn merged(files: &[Vec<u8>], piece: usize, wanted: &str) -> Vec<(usize, Line)> {
    let scanners = files.iter().map(|text| scanner(text, piece, wanted)).collect();
    let mut all = Vec::new();
    merge(scanners, 2, &mut |file, found, bytes| {
        all.push((file, (found.at, found.position, bytes.to_vec())));
        Ok(())
    })
    .unwrap();
    all
}

fn log_line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0_u32..50, "[a-c ]{0,8}").prop_map(|(s, text)| format!("2026-11-21T02:57:{s:02}Z {text}\n")),
        2 => "[a-c ]{0,8}\n",
        1 => Just("\r\n".to_owned()),
    ]
}

fn log_file() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(log_line(), 0..40).prop_map(|lines| {
        let mut text: String = lines.concat();
        // Sometimes the last line break is missing.
        if text.len().is_multiple_of(3) {
            text.pop();
        }
        text.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_a_stable_sort(files in prop::collection::vec(log_file(), 1..5)) {
        let mut expected: Vec<(usize, Line)> = files.iter().enumerate().flat_map(|(i, text)| events(scanner(text, 1 << 20, "")).into_iter().map(move |line| (i, line))).collect();
        expected.sort_by_key(|(file, (at, position, _))| (*at, *file, *position));
        prop_assert_eq!(merged(&files, 1 << 20, ""), expected);
    }

    #[test]
    fn many_files_are_merged_by_a_heap_to_the_same_end(file in log_file()) {
        let files = vec![file; 20];
        let all = merged(&files, 1 << 20, "");
        prop_assert!(all.windows(2).all(|two| (two[0].1.0, two[0].0) <= (two[1].1.0, two[1].0)));
    }

    #[test]
    fn a_needle_changes_nothing(file in log_file(), wanted in prop::sample::select(vec!["a", "ab", "\"b c\"", "/a.b/", "/^2026.*a$/", "/b\\s+c/", "a or c", "not a", "a not b", "/[ab]c/ or bb"])) {
        let wanted = filter(wanted);
        let expected: Vec<Line> = events(scanner(&file, 1 << 20, "")).into_iter().filter(|(_, _, raw)| {
            let format = Format::find(raw, &mut berlin());
            let origins = Origins::of(Path::new("a.log"));
            wanted.matches(&Entry::new(now(), 0, raw, 0, &format, &origins))
        }).collect();
        prop_assert_eq!(events(scanner(&file, 1 << 20, &wanted.to_string())), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..400), wanted in prop::sample::select(vec!["", "a", "severity:error+", "label.host=a"])) {
        events(scanner(&text, 50, wanted));
        read(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn odd_lines_never_panic(text in "([{}\":,\\\\<>\\[\\]=0-9TZ -]|\"ts\":|2026-11-21|02:57:00|Nov|1795229820|<34>1 |E1121 |level=){0,60}") {
        let text = format!("{text}\n{text}\n");
        for event in read(&text) {
            let _ = serde_json::to_string(&event).unwrap();
        }
    }

    /// Held against jiff, for every zone of these.
    #[test]
    fn iso_times_are_what_jiff_says(micros in 0_i64..4_000_000_000_000_000, zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])) {
        let zone = TimeZone::get(zone).unwrap();
        let mut ours = Zone::new(zone.clone(), now());
        let time = Time::from_micros(micros);
        let wall = time.zoned(&zone).datetime();
        let expected = zone.to_ambiguous_timestamp(wall).compatible().unwrap().as_microsecond();
        for text in [wall.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string(), wall.strftime("%Y/%m/%dT%H:%M:%S,%6f x").to_string()] {
            prop_assert_eq!(stamp::iso(text.as_bytes(), &mut ours).unwrap().at, expected, "{}", text);
            // Again, from what is remembered.
            prop_assert_eq!(stamp::iso(text.as_bytes(), &mut ours).unwrap().at, expected);
        }
        let text = time.zoned(&zone).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string();
        prop_assert_eq!(stamp::iso(text.as_bytes(), &mut ours).unwrap().at, micros, "{}", text);
        let text = time.zoned(&zone).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
        prop_assert_eq!(stamp::clf(text.as_bytes(), &mut ours).unwrap().at, micros.div_euclid(1_000_000) * 1_000_000, "{}", text);
    }
}

/// Larger than a chunk, so that events lie across them, in pieces of odd sizes.
#[test]
fn any_split_into_chunks_gives_the_same_events() {
    let mut text = String::new();
    for i in 0..12_000_u32 {
        text.push_str(&format!("2026-11-21T{:02}:{:02}:{:02}Z line {i} {}\n", i / 3600, i / 60 % 60, i % 60, "x".repeat((i % 90) as usize)));
        for _ in 0..i % 3 {
            text.push_str("    at something\n");
        }
    }
    let whole = events(scanner(text.as_bytes(), usize::MAX, ""));
    assert_eq!(whole.len(), 12_000);
    for piece in [1_000, 65_537, 262_143] {
        assert!(events(scanner(text.as_bytes(), piece, "")) == whole, "{piece}");
        assert_eq!(events(scanner(text.as_bytes(), piece, "\"line 777 \"")).len(), 1, "{piece}");
        assert_eq!(events(scanner(text.as_bytes(), piece, "something")).len(), 8_000, "{piece}");
    }
    // Merged with itself, each line twice, in order.
    let both = merged(&[text.clone().into_bytes(), text.into_bytes()], 100_000, "");
    assert_eq!(both.len(), 24_000);
    assert!(both.windows(2).all(|two| (two[0].1.0, two[0].0) < (two[1].1.0, two[1].0)));
}

#[test]
fn an_entry_tells_nothing_that_it_does_not_know() {
    let origins = Origins::of(Path::new("a.log"));
    let entry = Entry::new(now(), 0, b"\xff\xfe bad bytes", 0, &Format::Plain, &origins);
    assert_eq!((entry.kind(), entry.system(), entry.severity(), entry.source()), ("log", None, Info, Some("a.log")));
    assert!(entry.event().title.contains("bad bytes"));
}
