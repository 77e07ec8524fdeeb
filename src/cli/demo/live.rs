//! What goes on while the demo runs: something every ten to twenty seconds, a new warning after a minute,
//! the disk back after some more, and then the usual coming and going.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cast::Cast;
use super::night::{self, INGEST, INLET, SCORES};
use super::pen::{At, Pen};
use super::recording::{Ago, Line, Said};
use super::usual::{GUEST, HOME};
use crate::model::severity::Status;

/// Seconds of one round.
pub const ROUND: i64 = 600;

/// The lines of one round, oldest first. The first tells how the night goes on.
pub fn round(cast: &Cast, often: &[Often], number: i64) -> Vec<Line> {
    let mut pen = Pen::new(0x6c69_7665 + number.unsigned_abs());
    let begins = Ago(-number * ROUND);
    if number == 0 {
        first(&mut pen, cast);
    }
    comes_and_goes(&mut pen, cast, often, begins);
    for secs in (7..ROUND).step_by(15) {
        let moment = begins.later(secs + pen.number(-4, 5));
        feeds(&mut pen, moment);
    }
    // It flaps, and goes on flapping.
    for place in 0..(ROUND / 40) {
        let bad = place % 2 == 0;
        let text = if bad { format!("ingest drops {} % of frames", pen.number(4, 19)) } else { "ingest 6 Mbit/s".to_owned() };
        pen.result(INGEST, begins.later(20 + place * 40), if bad { Status::Warning } else { Status::Ok }, &text, 1);
    }
    let mut lines = pen.lines;
    lines.sort_by_key(|line| std::cmp::Reverse(line.ago));
    lines
}

fn first(pen: &mut Pen, cast: &Cast) {
    // Agents repeat what they last saw, so that a second bad result comes when it comes: these count at once.
    pen.result(INLET, Ago(-62), Status::Warning, "inlet 31 °C (> 28 °C)", 1);
    pen.result(SCORES, Ago(-95), Status::Warning, "feed 9 min late (> 5 min)", 2);
    pen.note("club", Ago(-130), "kim", "club/scores", "results come in again, six minutes behind");
    pen.result(SCORES, Ago(-170), Status::Ok, "feed 4 min late", 2);
    pen.happened("infra", Ago(-210), "dc1/ceph", "ceph.recovery", "recovery: 41 % of the copies made anew");
    pen.note("infra", Ago(-250), "sam", "dc1/ceph", "in the VPN; osd.12 again, starting it once, then the disk goes");
    pen.happened("infra", Ago(-330), "dc1/ceph", "ceph.recovery", "recovery: 78 % of the copies made anew");
    night::recovery(pen, cast, Ago(-390));
    pen.result(INLET, Ago(-540), Status::Ok, "inlet 27 °C", 2);
}

/// Usual things that begin and end.
fn comes_and_goes(pen: &mut Pen, cast: &Cast, often: &[Often], begins: Ago) {
    for place in 0..9 {
        let chosen = usize::try_from(pen.number(0, i64::try_from(often.len()).unwrap_or(0))).ok().and_then(|place| often.get(place));
        let Some((server, agent, check)) = chosen else { return };
        let Some(spec) = cast.check(server, agent, check) else { continue };
        let at = At { server, agent, check };
        let from = begins.later(90 + place * 55);
        pen.result(at, from, Status::Warning, &pen.fill(&spec.bad), 1);
        pen.result(at, from.later(pen.number(80, 200)), Status::Ok, &spec.fine, 2);
    }
}

/// A check that is bad now and then: its server, agent and name.
pub type Often = (Arc<str>, Arc<str>, Arc<str>);

/// The checks that went bad often enough in the recording that nobody wonders any more.
pub fn often(lines: &[Line]) -> Vec<Often> {
    let mut ended: BTreeMap<Often, (Status, u32)> = BTreeMap::new();
    for line in lines {
        if let Said::Observed(observed) = &line.said {
            let key = (line.server.clone(), observed.agent.clone(), observed.check.clone());
            let (last, times) = ended.entry(key).or_insert((Status::Ok, 0));
            *times += u32::from(*last != Status::Ok && observed.status == Status::Ok);
            *last = observed.status;
        }
    }
    let story = |(server, agent, check): &Often| {
        night::STORY.iter().any(|at| (at.server, at.agent, at.check) == (server, agent, check)) || night::struck(server, agent, check)
    };
    ended.into_iter().filter(|(key, (_, times))| *times >= 8 && !story(key)).map(|(key, _)| key).collect()
}

fn feeds(pen: &mut Pen, ago: Ago) {
    match pen.number(0, 5) {
        0 | 1 => pen.happened("shop", ago, "shop", "feed.orders", format!("{} orders in the last minute", pen.number(1, 9))),
        2 => {
            let (home, guest) = (pen.number(0, 5), pen.number(0, 4));
            pen.happened("club", ago, "club/scores", "match.result", format!("{} – {} {home}:{guest}", pen.one_of(&HOME), pen.one_of(&GUEST)));
        }
        3 => pen.happened("club", ago, "club/streaming", "feed.viewers", format!("{} viewers", pen.number(90, 160))),
        _ => pen.happened("infra", ago, "backup", "backup.progress", format!("incremental backup: {} of 31 machines", pen.number(2, 31))),
    }
}
