//! Since one last looked: what is new is marked and summed up, and when it counts as seen.

use midwatch::console::effect::Effect;
use midwatch::console::message::News;
use midwatch::console::theme::{Depth, Theme};
use midwatch::model::id::{Incarnation, Origin, Sequence};
use midwatch::model::mark::{Mark, Marks, Stamp};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};

use super::night::{Desk, NOW, Told, ago, night};

/// As if one had looked at both servers before anything happened that happened later. What was heard late
/// of what was before stands behind that, and is new.
fn marks(infra: &Told, shop: &Told, at: Time) -> Marks {
    let mark = |told: &Told| {
        let world = &told.primary.world;
        let later = told.log.iter().find(|event| event.at > at).map_or(world.head.0, |event| event.id.sequence.0 - 1);
        (world.origin, Mark { incarnation: world.incarnation, sequence: Sequence(later), looked: Stamp { at, count: 0 } })
    };
    [mark(infra), mark(shop)].into_iter().collect()
}

/// A console on the night, of somebody who looked ten minutes ago.
fn desk(theme: &str, width: u16, height: u16) -> Desk {
    let (infra, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], theme, width, height);
    desk.state.looked_before(&marks(&infra, &shop, ago(10)));
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.wait(Span::from_secs(2));
    desk.wait(Span::from_millis(100));
    desk
}

/// What was to be kept, the last first.
fn kept(desk: &Desk) -> Vec<Marks> {
    desk.effects.iter().rev().filter_map(|effect| if let Effect::Looked(marks) = effect { Some(marks.clone()) } else { None }).collect()
}

fn claim(desk: &mut Desk) {
    desk.hear(0, vec![News::Claim { lag: Span::ZERO }]);
    desk.hear(1, vec![News::Claim { lag: Span::ZERO }]);
}

/// Minutes go by, and the servers go on speaking.
fn minutes(desk: &mut Desk, count: i64) {
    for _ in 0..count * 6 {
        desk.wait(Span::from_secs(10));
        claim(desk);
    }
}

const SUM: &str = "since you looked 10m ago: 4 new, 1 still open";

#[test]
fn what_is_new_is_marked_and_summed_up() {
    for (theme, width, height) in [("midwatch", 80, 24), ("midwatch", 120, 36), ("mono", 80, 24), ("daylight", 80, 24)] {
        let mut desk = desk(theme, width, height);
        desk.press("j");
        insta::assert_snapshot!(format!("looked_{theme}_{width}x{height}"), desk.screen());
    }
    let mut desk = desk("midwatch", 80, 24);
    desk.shows(SUM);
    // What is folded away does not hide that it is new.
    let lines = |desk: &Desk| desk.screen().lines().filter(|line| line.starts_with(" +") || line.starts_with("▌+")).count();
    assert_eq!(lines(&desk), 4, "the sum, two that are new, and what folds new ones:\n{}", desk.screen());
    desk.press("4");
    desk.shows(SUM);
}

#[test]
fn ascii_shows_it_too() {
    let mut desk = desk("midwatch", 80, 24);
    desk.state.theme = Theme::shipped("mono", Depth::None, true).unwrap();
    desk.wait(Span::from_millis(100));
    insta::assert_snapshot!("looked_ascii_80x24", desk.screen());
}

#[test]
fn events_that_came_since_are_marked_on_the_timeline() {
    let mut desk = desk("midwatch", 120, 36);
    desk.press("3");
    let screen = desk.screen();
    let titles: Vec<&str> = screen.lines().filter(|line| line.chars().nth(1) == Some('+')).collect();
    assert!(titles.iter().any(|line| line.contains("osd.12 down")) && titles.iter().any(|line| line.contains("p99 2.1 s")), "{screen}");
    assert!(!titles.iter().any(|line| line.contains("hit rate 12 %")), "{screen}");
    desk.press("M");
    assert!(!desk.screen().lines().any(|line| line.chars().nth(1) == Some('+')), "{}", desk.screen());
}

#[test]
fn a_key_tells_what_happened_since() {
    let mut desk = desk("midwatch", 120, 36);
    desk.press("S");
    desk.shows("Since you last looked, Saturday 21 November 02:47, until 02:57");
    desk.shows("osd.12 down");
    desk.shows("2 are open from before");
}

#[test]
fn who_never_looked_is_told_of_nothing_new() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.hides("since you looked");
    desk.press("S");
    desk.shows("You have not looked here before");
}

#[test]
fn seen_all_takes_the_marks_away_and_says_so_to_the_other_consoles() {
    let mut desk = desk("midwatch", 120, 36);
    desk.press("M");
    desk.hides("since you looked");
    assert!(!desk.screen().lines().any(|line| line.starts_with(" +")), "{}", desk.screen());
    let said = kept(&desk).remove(0);
    let heads: Vec<Sequence> = desk.state.live().servers.iter().map(|seen| seen.world.head).collect();
    assert_eq!(said.iter().map(|(_, mark)| mark.sequence).collect::<Vec<_>>(), heads);
    // What comes from now on is new.
    let (_, mut shop) = night();
    let before = shop.log.len();
    shop.fires("shop/db", "ReplicaDown", Severity::Critical, "replica 2 is down", NOW);
    let events = shop.log[before..].iter().map(|event| std::sync::Arc::new(event.clone())).collect();
    desk.hear(1, vec![News::Events { events, lag: Span::ZERO }]);
    desk.wait(Span::from_millis(500));
    desk.shows("since you looked a moment ago: 1 new");
}

#[test]
fn what_another_console_saw_is_new_no_more_and_an_echo_changes_nothing() {
    let mut desk = desk("midwatch", 120, 36);
    let (infra, shop) = night();
    // One looks for some minutes: that is kept, and comes back from home.
    desk.press("j");
    minutes(&mut desk, 6);
    let echo = kept(&desk).remove(0);
    desk.hear(0, vec![News::Looked { marks: echo, remark: None }]);
    desk.wait(Span::from_millis(300));
    desk.shows("4 new, 1 still open");
    // Elsewhere more was seen of one server.
    let further = marks(&infra, &shop, NOW);
    let place = *further.of(Origin([2; 16])).unwrap();
    let elsewhere = [(Origin([2; 16]), Mark { sequence: Sequence(place.sequence.0 + 7), ..place })].into_iter().collect();
    desk.hear(0, vec![News::Looked { marks: elsewhere, remark: Some("a read mark is 3h ahead of the clock here".into()) }]);
    desk.wait(Span::from_millis(300));
    desk.shows("1 new, 4 still open");
    desk.shows("infra: a read mark is 3h ahead");
}

#[test]
fn it_counts_as_looked_while_keys_are_pressed() {
    let mut desk = desk("midwatch", 120, 36);
    minutes(&mut desk, 20);
    assert!(kept(&desk).is_empty(), "nobody was there");
    assert_eq!(desk.state.leave(), None);
    desk.press("j");
    assert!(kept(&desk).is_empty(), "not at each key");
    minutes(&mut desk, 6);
    let seen = kept(&desk);
    assert_eq!(seen.len(), 1, "after some minutes");
    minutes(&mut desk, 60);
    assert_eq!(kept(&desk).len(), 1, "and not again without a key");
    assert_eq!(desk.state.leave(), None, "there is no more to keep");
}

#[test]
fn who_comes_back_after_a_while_is_told_anew() {
    let mut desk = desk("midwatch", 120, 36);
    desk.press("j");
    minutes(&mut desk, 400);
    desk.shows("4 new, 1 still open");
    desk.press("k");
    desk.shows("since you looked 6h ago: nothing new, 5 still open");
    // In another pane it is said.
    desk.press("8");
    minutes(&mut desk, 20);
    desk.press("k");
    desk.shows("since you looked 20m ago: nothing new, 5 still open   S tells");
}

#[test]
fn a_glimpse_and_the_past_are_no_look() {
    let (infra, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.press("j");
    assert_eq!(desk.state.leave(), None, "a moment only");
    let mut desk = self::desk("midwatch", 120, 36);
    desk.run("go-to -2h");
    minutes(&mut desk, 1);
    // Elsewhere in time nothing is new, and nothing becomes seen.
    desk.hides("since you looked");
    let before = kept(&desk).len();
    let at = |desk: &mut Desk| desk.state.leave().and_then(|marks| marks.last()).map(|stamp| stamp.at);
    let left = at(&mut desk);
    assert_eq!(before, 0);
    assert!(left.is_none_or(|left| left < NOW.plus(Span::from_secs(20))), "{left:?}: only what was seen before one went there");
    desk.press("M");
    desk.shows("seen-all: not in the past");
}

#[test]
fn what_a_silent_server_did_since_is_not_seen() {
    let mut desk = desk("midwatch", 120, 36);
    for _ in 0..30 {
        desk.wait(Span::from_secs(10));
        desk.hear(0, vec![News::Claim { lag: Span::ZERO }]);
    }
    desk.press("M");
    let seen = kept(&desk).remove(0);
    let looked = |origin: u8| seen.of(Origin([origin; 16])).unwrap().looked.at;
    assert!(looked(1).since(looked(2)) >= Span::from_mins(4), "as of when it was heard last");
}

#[test]
fn a_restored_log_is_new() {
    let (infra, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    let later = |mark: &Mark| Mark { incarnation: Incarnation(0), ..*mark };
    let before: Marks = marks(&infra, &shop, NOW).iter().map(|(origin, mark)| (origin, later(mark))).collect();
    desk.state.looked_before(&before);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.wait(Span::from_secs(2));
    desk.shows("5 new");
}
