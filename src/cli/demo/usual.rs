//! The dozens of usual things: disks that are full since ever, queues that are long for a quarter of an
//! hour every other day, one-off failures that are long over, and what feeds and jobs tell all day.

use super::cast::{Cast, CheckSpec, Machine, Player};
use super::night;
use super::pen::{At, Pen};
use super::recording::Ago;
use crate::model::severity::Status;

/// Checks that are bad for weeks, and those that are so again right now as they often are.
const CHRONIC: i64 = 13;
const AGAIN: i64 = 11;
const OFTEN: i64 = 40;
const SELDOM: i64 = 20;

pub fn write(pen: &mut Pen, cast: &Cast) {
    for player in &cast.servers {
        for machine in &player.agents {
            for spec in &machine.checks {
                begins(pen, player, machine, spec);
            }
        }
        feeds(pen, player);
    }
}

/// Every check was well once: a month ago.
fn begins(pen: &mut Pen, player: &Player, machine: &Machine, spec: &CheckSpec) {
    let at = At { server: &player.name, agent: machine.agent.as_str(), check: spec.check.as_str() };
    let is = |other: &At| (other.server, other.agent, other.check) == (at.server, at.agent, at.check);
    pen.result(at, Ago::days(30).later(pen.number(60, 3_000)), Status::Ok, &spec.fine, 2);
    let silent = (at.server, at.agent) == night::SILENT;
    if night::STORY.iter().any(is) || silent {
        return;
    }
    if night::struck(at.server, at.agent, at.check) {
        seldom(pen, at, spec);
        return;
    }
    let lasting = !matches!(at.check, "certificate" | "clock" | "bgp" | "turnstiles" | "ups");
    match pen.number(0, 100) {
        n if n < CHRONIC && lasting => chronic(pen, at, spec),
        n if n < CHRONIC + AGAIN => often(pen, at, spec, true),
        n if n < CHRONIC + AGAIN + OFTEN => often(pen, at, spec, false),
        n if n < CHRONIC + AGAIN + OFTEN + SELDOM => seldom(pen, at, spec),
        _ => {}
    }
}

fn chronic(pen: &mut Pen, at: At, spec: &CheckSpec) {
    let since = Ago::days(29).later(pen.number(0, 20 * 86_400));
    pen.breaks(at, since, Status::Warning, &pen.fill(&spec.bad));
}

/// Some twelve episodes of about twenty minutes, which end by themselves; with `again`, one is going on.
fn often(pen: &mut Pen, at: At, spec: &CheckSpec, again: bool) {
    let episodes = pen.number(9, 17);
    let slot = (30 * 24 - 3) * 3_600 / episodes;
    for place in 0..episodes {
        let from = Ago::days(30).later(7_200 + place * slot + pen.number(0, slot - 3 * 3_600));
        let status = if !again && pen.chance(12) { Status::Critical } else { Status::Warning };
        let lasts = pen.number(14, 34) * 60;
        pen.episode(at, from, from.later(lasts), status, &pen.fill(&spec.bad), &spec.fine);
        if status == Status::Critical && pen.chance(60) {
            looked_at(pen, at, spec, from);
        }
    }
    if again {
        pen.breaks(at, Ago::mins(pen.number(21, 38)), Status::Warning, &pen.fill(&spec.bad));
    }
}

fn seldom(pen: &mut Pen, at: At, spec: &CheckSpec) {
    for place in 0..pen.number(1, 3) {
        // Far enough from each other and from the start.
        let from = Ago::days(29).later((place * 13 * 24 + pen.number(0, 12 * 24)) * 3_600);
        let status = if pen.chance(40) { Status::Critical } else { Status::Warning };
        pen.episode(at, from, from.later(pen.number(8, 50) * 60), status, &pen.fill(&spec.bad), &spec.fine);
        if status == Status::Critical {
            looked_at(pen, at, spec, from);
        }
    }
}

/// Somebody looked at it, and perhaps wrote why.
fn looked_at(pen: &mut Pen, at: At, spec: &CheckSpec, from: Ago) {
    let who = match at.server {
        "infra" => pen.one_of(&["sam", "robin"]),
        "shop" => pen.one_of(&["robin", "jo"]),
        _ => "kim",
    };
    let of = [spec.system.as_str(), at.check];
    // Two agents may report on one system under the same name: people then speak of the system.
    if pen.chance(50) {
        let why = pen.one_of(&["looking", "known, waits for the vendor", "restarting it", "on it", "same as last week", "was the nightly job"]);
        pen.note(at.server, from.later(300), who, of[0], &format!("{}: {why}", spec.check));
    } else if !at.agent.starts_with("web-") {
        pen.acknowledge(at.server, from.later(pen.number(120, 420)), who, of, pen.one_of(&["", "looking", "on it", "as last week"]));
    }
}

/// What is no alert: orders, results, backups, logins.
fn feeds(pen: &mut Pen, player: &Player) {
    let server = &*player.name;
    for hour in 1..(30 * 24) {
        let ago = Ago::mins(hour * 60).later(pen.number(0, 120));
        match server {
            "shop" => {
                pen.happened(server, ago, "shop", "feed.orders", format!("{} orders in an hour", pen.number(120, 900)));
                if hour % 6 == 0 {
                    pen.happened(server, ago.later(200), "shop/erp", "feed.export", format!("{} orders sent to the warehouse", pen.number(300, 2_000)));
                }
            }
            "club" => {
                // A match day is the day of the week that it is now.
                if hour % (7 * 24) < 10 {
                    let (home, guest) = (pen.number(0, 5), pen.number(0, 4));
                    pen.happened(server, ago, "club/scores", "match.result", format!("{} – {} {home}:{guest}", pen.one_of(&HOME), pen.one_of(&GUEST)));
                }
                if hour % 4 == 0 {
                    pen.happened(server, ago, "club/streaming", "feed.viewers", format!("{} viewers at most", pen.number(200, 9_000)));
                }
            }
            _ => {
                if hour % 24 == 3 {
                    pen.happened(
                        server,
                        ago,
                        "backup",
                        "backup.done",
                        format!("full backup of dc1: {} GiB in {} min", pen.number(4_100, 4_400), pen.number(180, 260)),
                    );
                }
                if hour % 5 == 0 {
                    let text = format!("vm-{} moved from node-{} to node-{}", pen.number(100, 212), pen.number(1, 3), pen.number(3, 5));
                    pen.happened(server, ago, "dc1/kvm", "vm.moved", text);
                }
                if hour % 7 == 0 {
                    pen.happened(server, ago, "vpn", "login", format!("{} came in by VPN", pen.one_of(&["sam", "robin", "kim", "jo"])));
                }
            }
        }
    }
}

pub const HOME: [&str; 6] = ["Harbour Town", "Northgate", "United 09", "Old Bridge", "Rovers", "Sparta West"];
pub const GUEST: [&str; 6] = ["Lakeside", "Union", "Hill City", "Athletic", "Wanderers", "Forest Green"];
