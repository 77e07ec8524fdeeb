//! The night as a story: what is new, what is rare and what it causes, what always is so, what flaps, and
//! who already did something. Times are minutes before the start, 02:57 in the story.
//!
//! sam is on call for infra, robin for the shop, kim for the club; jo looks after the shop's caches by
//! day; ci deploys.

use std::sync::Arc;

use super::cast::Cast;
use super::pen::{At, Pen, Rule};
use super::recording::{Ago, Line};
use super::usual;
use crate::model::severity::{Severity, Status};

pub const OSDS: At = At { server: "infra", agent: "ceph-1", check: "osds" };
pub const HIT_RATE: At = At { server: "shop", agent: "cache-1", check: "hit-rate" };
pub const SCORES: At = At { server: "club", agent: "app-1", check: "delay" };
pub const INGEST: At = At { server: "club", agent: "edge-watch", check: "ingest" };
pub const INLET: At = At { server: "infra", agent: "fra-1", check: "inlet" };
const VAULT: At = At { server: "infra", agent: "vault-1", check: "disk-vault" };
const EXPORT: At = At { server: "shop", agent: "work-1", check: "export" };
const CERTIFICATE: At = At { server: "club", agent: "app-1", check: "certificate" };
const WEBSITE: At = At { server: "club", agent: "page-1", check: "hit-rate" };

/// The agent that falls silent: it says hello and then nothing more.
pub const SILENT: (&str, &str) = ("club", "stream-2");

/// Checks whose part is written here; `usual` leaves them alone.
pub const STORY: [At; 9] = [OSDS, HIT_RATE, SCORES, INGEST, INLET, VAULT, EXPORT, CERTIFICATE, WEBSITE];

/// The 30 days until the start, oldest first.
pub fn recording(cast: &Cast) -> Vec<Line> {
    let mut pen = Pen::new(0x6d69_6477);
    storage(&mut pen);
    varnish(&mut pen);
    club(&mut pen);
    effects(&mut pen, cast);
    chronic(&mut pen);
    month(&mut pen);
    usual::write(&mut pen, cast);
    let mut lines = pen.lines;
    lines.sort_by_key(|line| std::cmp::Reverse(line.ago));
    lines
}

/// Something rare: the same disk as three weeks ago.
fn storage(pen: &mut Pen) {
    let ceph = ["dc1/ceph", "osds"];
    let before = Ago::days(21).later(-40 * 60);
    pen.episode(OSDS, before, before.later(38 * 60), Status::Critical, "osd.12 down", "24 of 24 OSDs up");
    pen.acknowledge("infra", before.later(240), "sam", ceph, "looking at it, recovery runs");
    pen.note_alert("infra", before.later(1_500), "sam", ceph, "read errors on /dev/sdk; cable pushed home, disk back in. If it comes again, the disk goes.");
    pen.change("infra", Ago::mins(5 * 60), "sam", "dc1/ceph", "osd_max_backfills 1 → 3");
    pen.breaks(OSDS, Ago::mins(4), Status::Critical, "osd.12 down");
}

/// Something new, and what changed before it.
fn varnish(pen: &mut Pen) {
    pen.mends(HIT_RATE, Ago::days(20), "hit rate 67 %");
    pen.mends(HIT_RATE, Ago::mins(45), "hit rate 66 %");
    pen.change("shop", Ago::mins(62), "jo", "shop/varnish", "config ttl 60 → 5");
    pen.deploy("shop", Ago::mins(18), "shop", "4f3a2c");
    pen.breaks(HIT_RATE, Ago::mins(16), Status::Critical, "hit rate 12 % (< 60 %)");
    pen.happened("shop", Ago::mins(13), "shop/varnish", "action.done", "flush cache, by kim: done in 2 s");
    pen.note("shop", Ago::mins(12), "kim", "shop/varnish", "flushed the cache: no better, it is not stale objects");
}

fn club(pen: &mut Pen) {
    // Something recurring, on the same day of each week, which kim has.
    let scores = ["club/scores", "delay"];
    for week in 1..=4 {
        let from = Ago::days(7 * week).later(-31 * 60);
        pen.episode(SCORES, from, from.later(30 * 60), Status::Warning, "feed 12 min late (> 5 min)", "feed 20 s late");
    }
    pen.note_alert("club", Ago::days(14), "kim", scores, "league desk: they run the reports of the match day on the same machine");
    pen.breaks(SCORES, Ago::mins(31), Status::Warning, "feed 12 min late (> 5 min)");
    pen.acknowledge("club", Ago::mins(26), "kim", scores, "league desk says twenty minutes");

    // Something that flaps now.
    for minute in 0..26 {
        let bad = minute % 2 == 0;
        let text = if bad { format!("ingest drops {} % of frames", 5 + minute % 9) } else { "ingest 6 Mbit/s".to_owned() };
        pen.result(INGEST, Ago::mins(29 - minute), if bad { Status::Warning } else { Status::Ok }, &text, 1);
    }

    // Something put off.
    pen.breaks(CERTIFICATE, Ago::days(5), Status::Warning, "certificate valid for 9 days (< 14)");
    pen.snooze("club", Ago::mins(6 * 60), "kim", ["club/tickets", "certificate"], Ago::mins(-11 * 60));
    pen.note_alert("club", Ago::mins(6 * 60 - 1), "kim", ["club/tickets", "certificate"], "the new one comes tomorrow, ordered by the club desk");

    // Something that a person ended.
    let wave = Ago::days(13);
    pen.fires("club", &SPAM, wave);
    pen.resolve("club", wave.later(3_000), "kim", ["club/forum", "SpamWave"], "one network, blocked; the held posts are gone");

    // The same check as the shop's, elsewhere.
    let from = Ago::days(18);
    let site = ["club/website", "hit-rate"];
    pen.change("club", from.later(-9 * 60), "jo", "club/website", "config ttl 300 → 30");
    pen.episode(WEBSITE, from, from.later(26 * 60), Status::Critical, "hit rate 22 % (< 60 %)", "hit rate 81 %");
    pen.acknowledge("club", from.later(180), "robin", site, "on it");
    pen.change("club", from.later(17 * 60), "robin", "club/website", "config ttl 30 → 300");
    pen.note_alert("club", from.later(20 * 60), "robin", site, "ttl was too short, put back; hit rate recovers");
}

/// What the storage brings down with it: seconds after the start of the fault, on which check, with which words.
const BY_AGENTS: [(&str, &str, &str, i64, Status, &str); 14] = [
    ("shop", "db-1", "replication", 25, Status::Warning, "replication lag 48 s (> 10 s)"),
    ("shop", "db-1", "io-wait", 30, Status::Warning, "I/O wait 71 % (> 30 %)"),
    ("shop", "find-1", "latency", 41, Status::Warning, "p95 2.4 s (> 1 s)"),
    ("shop", "find-1", "uploads", 55, Status::Warning, "18 % of uploads fail"),
    ("shop", "work-1", "depth", 70, Status::Warning, "3210 messages wait (> 500)"),
    ("shop", "work-1", "outbox", 112, Status::Warning, "412 mails wait (> 100)"),
    ("shop", "work-1", "pdf", 130, Status::Warning, "12 invoices failed"),
    ("club", "data-1", "checkpoint", 33, Status::Warning, "checkpoint took 94 s (> 30 s)"),
    ("club", "stream-1", "segments", 48, Status::Critical, "segments 14 s late (> 10 s)"),
    ("club", "page-1", "answers", 64, Status::Critical, "HTTP 503 from 1 of 2"),
    ("club", "page-1", "uploads", 80, Status::Warning, "31 % of uploads fail"),
    ("club", "page-1", "posting", 95, Status::Warning, "posting takes 9 s (> 5 s)"),
    ("club", "app-1", "signup", 101, Status::Warning, "sign-up takes 4.1 s (> 3 s)"),
    ("club", "app-1", "sale", 126, Status::Critical, "reservations take 6 s (> 3 s)"),
];

const BY_PROMETHEUS: [(&str, i64, Rule); 7] = [
    ("shop", 60, rule("shop/checkout", "CheckoutSlow", true, "p95 3.8 s (> 1.5 s)", "histogram_quantile(0.95, checkout_seconds) > 1.5")),
    ("shop", 75, rule("shop/payment", "PaymentTimeouts", false, "2 timeouts/min (> 0)", "rate(payment_timeouts_total[5m]) > 0")),
    ("shop", 90, rule("shop/cart", "CartWriteErrors", false, "2 % of writes fail (> 1 %)", "rate(cart_errors_total[5m]) / rate(cart_writes_total[5m]) > 0.01")),
    ("shop", 140, rule("shop/catalog", "ImportStopped", false, "import stopped at 41 %", "time() - import_progress_timestamp > 60")),
    ("club", 85, rule("club/app", "ApiErrors", true, "3 % errors (> 1 %)", "rate(api_errors_total[5m]) / rate(api_requests_total[5m]) > 0.01")),
    ("club", 99, rule("club/website", "SiteSlow", false, "p95 4.4 s (> 2 s)", "histogram_quantile(0.95, site_seconds) > 2")),
    ("club", 150, rule("club/calendar", "SyncFails", false, "3 of 5 syncs failed", "sync_failures > 2")),
];

const SPAM: Rule = rule("club/forum", "SpamWave", false, "410 posts held in ten minutes", "increase(posts_held_total[10m]) > 200");

const fn rule(system: &'static str, alertname: &'static str, critical: bool, summary: &'static str, expr: &'static str) -> Rule {
    Rule { system, alertname, severity: if critical { Severity::Critical } else { Severity::Warning }, summary, expr }
}

/// Of these machines' checks nothing usual is told in the hours before, so that the effects stand out.
pub fn struck(server: &str, agent: &str, check: &str) -> bool {
    BY_AGENTS.iter().any(|(s, a, c, ..)| (*s, *a, *c) == (server, agent, check))
}

fn fine(cast: &Cast, at: At) -> Arc<str> {
    cast.check(at.server, at.agent, at.check).map_or_else(|| "ok".into(), |spec| spec.fine.clone())
}

fn effects(pen: &mut Pen, cast: &Cast) {
    let (now, then) = (Ago::mins(4), Ago::days(21).later(-40 * 60));
    for (place, (server, agent, check, secs, status, bad)) in (0_i64..).zip(BY_AGENTS) {
        let at = At { server, agent, check };
        if place % 2 == 0 {
            pen.episode(at, then.later(secs), then.later(36 * 60 + secs), status, bad, &fine(cast, at));
        }
        pen.breaks(at, now.later(secs), status, bad);
    }
    for (place, (server, secs, rule)) in (0_i64..).zip(&BY_PROMETHEUS) {
        if place % 2 == 0 {
            pen.fires(server, rule, then.later(*secs));
            pen.ends(server, rule, then.later(*secs), then.later(37 * 60 + secs));
        }
        pen.fires(server, rule, now.later(*secs));
    }
}

/// What mends, some minutes after the start, when the disk is back.
pub fn recovery(pen: &mut Pen, cast: &Cast, from: Ago) {
    pen.result(OSDS, from, Status::Ok, "24 of 24 OSDs up", 2);
    for (place, (server, agent, check, ..)) in (1_i64..).zip(BY_AGENTS) {
        let at = At { server, agent, check };
        pen.result(at, from.later(place * 7), Status::Ok, &fine(cast, at), 2);
    }
    for (place, (server, secs, rule)) in (1_i64..).zip(&BY_PROMETHEUS) {
        pen.ends(server, rule, Ago::mins(4).later(*secs), from.later(20 + place * 9));
    }
}

/// Something that is always so, something that somebody has since before midnight.
fn chronic(pen: &mut Pen) {
    pen.breaks(VAULT, Ago::days(23), Status::Warning, "/vault 91 % full (> 90 %)");
    pen.note_alert("infra", Ago::days(20), "robin", ["backup/vault", "disk-vault"], "known: grows 0.1 % a week, bigger disks are ordered");
    pen.note_alert("infra", Ago::days(6), "sam", ["backup/vault", "disk-vault"], "disks are here, waiting for a quiet Sunday");

    let erp = ["shop/erp", "export"];
    let before = Ago::days(12);
    pen.episode(EXPORT, before, before.later(5_400), Status::Warning, "orders wait for 36 min (> 30 min)", "export 4 min ago");
    pen.assign("shop", before.later(600), "jo", erp, "robin");
    pen.note_alert("shop", before.later(4_000), "robin", erp, "their index job; it ends by itself at two");
    pen.breaks(EXPORT, Ago::mins(185), Status::Warning, "orders wait for 41 min (> 30 min)");
    pen.assign("shop", Ago::mins(170), "robin", erp, "robin");
    pen.note_alert("shop", Ago::mins(120), "robin", erp, "warehouse starts at six, it is enough if it runs by then");
}

const VERSIONS: [&str; 24] = [
    "b81e07", "9c40d2", "17fa3e", "e02b9c", "5d61aa", "c3f708", "8a94e1", "2b7d60", "f4185c", "609eb3", "a7c21d", "3e8f94", "d05b7a", "71c6e8", "bb30f5",
    "48ad19", "95e2c7", "0f76b4", "ec5138", "26d9fa", "83b04e", "da17c9", "5a6e82", "19f3d0",
];

/// Deployments, maintenance and the words of four weeks.
fn month(pen: &mut Pen) {
    for (place, version) in (1_i64..).zip(VERSIONS) {
        let day = Ago::days(place);
        pen.deploy("shop", day.later(pen.number(6, 14) * 3_600), "shop", version);
        if place % 3 == 0 {
            pen.deploy("club", day.later(pen.number(7, 15) * 3_600), "club", version);
        }
        if place % 5 == 0 {
            pen.change(
                "infra",
                day.later(pen.number(6, 12) * 3_600),
                pen.one_of(&["sam", "robin"]),
                pen.one_of(&["dc1/kvm", "dc2/kvm"]),
                "kernel 6.1.0-28, machines moved one by one",
            );
        }
    }
    let said = [
        ("infra", 27, "sam", "dc1/lb", "HAProxy 2.8.12 on both, failover tried: 1.2 s"),
        ("infra", 24, "robin", "dc1/net/core-2", "uplink 1 has a bad patch cable somewhere between rack 4 and 5; CRC errors do no harm yet"),
        ("infra", 16, "sam", "dc2/cooling", "one of two compressors is being repaired until the end of the month"),
        ("infra", 9, "robin", "registry", "old images are deleted on Sundays; before that it fills up"),
        ("infra", 3, "sam", "dc1", "handover: quiet week, look at osd.12 when there is time"),
        ("shop", 26, "jo", "shop/search", "new synonyms, the index takes twice as long"),
        ("shop", 19, "robin", "shop/staging", "data copy stays off until the masking is done"),
        ("shop", 11, "jo", "shop/varnish", "trying shorter ttl for prices next week, see runbook"),
        ("shop", 2, "robin", "shop", "handover: ERP is slow at night again, everything else quiet"),
        ("club", 25, "kim", "club/stadium", "turnstile 7 is broken and switched off"),
        ("club", 13, "kim", "club/forum", "spam wave from one network, blocked"),
        ("club", 8, "sam", "club/streaming", "edge-2 moves to new hardware in December"),
        ("club", 1, "kim", "club", "handover: match day today, league feed will be late as always"),
    ];
    for (server, days, by, system, text) in said {
        pen.note(server, Ago::days(days).later(pen.number(1, 16) * 1_800), by, system, text);
    }
    pen.change("infra", Ago::days(3), "robin", "dc1/net/core-2", "firmware 9.3.7");
    pen.change("shop", Ago::days(9), "jo", "shop/search", "synonyms of the winter collection");
    pen.change("club", Ago::days(2), "kim", "club/scores", "second source for results switched on");
}
