//! The one time cursor: all panes at another time.

use std::sync::Arc;

use super::night::{Desk, NOW, Told, ago, night};
use super::screens::PANES;
use midwatch::console::effect::Effect;
use midwatch::console::message::{Message, News, PastRefusal};
use midwatch::model::severity::{Severity, Status};
use midwatch::model::time::{Span, Time};

/// Half a minute past a full one: no age changes while the test looks.
fn moment(minutes: i64) -> Time {
    ago(minutes).plus(Span::from_secs(30))
}

/// Servers that answer how things were.
pub fn answer(desk: &mut Desk, told: &[&Told]) {
    let asked: Vec<(usize, Time)> = desk
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::LookBack { server, at } => Some((*server, *at)),
            _ => None,
        })
        .collect();
    desk.effects.retain(|effect| !matches!(effect, Effect::LookBack { .. }));
    for (server, at) in asked {
        desk.tell(Message::Server(server, News::Then { at, then: Ok(Arc::new(told[server].at(at))) }));
    }
}

pub fn go_to(desk: &mut Desk, time: &str) {
    desk.press("t");
    desk.type_text(time);
    for key in midwatch::console::keymap::key::read_sequence("Enter").unwrap() {
        desk.tell(Message::Key(key));
    }
}

/// What a pane shows between the bars.
fn body(desk: &Desk) -> String {
    let screen = desk.screen();
    let lines: Vec<&str> = screen.lines().collect();
    // How fresh it is differs: of then it was not late.
    lines[2..lines.len() - 2].join("\n")
}

#[test]
fn what_every_pane_shows_of_then_is_what_it_showed_then() {
    let (infra, shop) = night();
    for minutes in [3, 10, 24 * 60, 20 * 24 * 60 - 10] {
        let at = moment(minutes);
        let mut away = Desk::on_the_night("midwatch", 120, 36);
        go_to(&mut away, &at.to_string());
        answer(&mut away, &[&infra, &shop]);
        let mut live = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
        live.began = at.minus(Span::from_secs(3));
        live.hear(0, infra.then(at).snapshot());
        live.hear(1, shop.then(at).snapshot());
        live.wait(Span::from_secs(2));
        for (name, key) in PANES.iter().filter(|(name, _)| !matches!(*name, "timeline" | "servers")) {
            away.press(key);
            live.press(key);
            assert_eq!(body(&away), body(&live), "{name} {minutes} minutes ago");
        }
    }
}

#[test]
fn every_pane_in_every_size_says_that_it_is_away() {
    let (infra, shop) = night();
    for (width, height) in [(20, 5), (40, 10), (80, 24), (120, 36), (200, 60)] {
        let mut desk = Desk::on_the_night("midwatch", width, height);
        go_to(&mut desk, &moment(24 * 60).to_string());
        answer(&mut desk, &[&infra, &shop]);
        for (name, key) in PANES {
            desk.press(key);
            let screen = desk.screen();
            let first = screen.lines().next().unwrap();
            assert!(first.starts_with(" ⏱ Fri 20 Nov 02:5"), "{name} at {width}x{height}: {first}");
            assert!(width < 60 || first.contains("ago), . for live"), "{name} at {width}x{height}: {first}");
        }
        if (width, height) == (120, 36) {
            desk.press("1");
            insta::assert_snapshot!("away_now_120x36", desk.screen());
            desk.press("2");
            insta::assert_snapshot!("away_today_120x36", desk.screen());
        }
    }
}

#[test]
fn an_hour_and_a_day_step_from_where_one_is_and_a_point_comes_back_at_once() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("{");
    answer(&mut desk, &[&infra, &shop]);
    desk.shows("Sat 21 Nov 01:57 CET (1h00m ago), . for live");
    desk.hides("osd.12 down");
    desk.press("(");
    answer(&mut desk, &[&infra, &shop]);
    desk.shows("Fri 20 Nov 01:57");
    desk.press(")");
    answer(&mut desk, &[&infra, &shop]);
    desk.press("}");
    answer(&mut desk, &[&infra, &shop]);
    desk.wait(Span::from_millis(200));
    desk.press("4");
    desk.press(".");
    desk.hides("for live");
    desk.shows("osd.12 down");
}

#[test]
fn verbs_are_off_and_say_so_and_live_events_go_on_arriving_beneath() {
    let (infra, mut shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    go_to(&mut desk, &moment(10).to_string());
    answer(&mut desk, &[&infra, &shop]);
    for key in ["a", "s", "i", "c", "u"] {
        desk.press(key);
        desk.shows("not in the past; . comes back to the live world");
        assert!(desk.state.overlay.is_none(), "{key}");
    }
    assert!(desk.sent().is_empty());
    let before = shop.log.len();
    shop.fires("till/cart", "CartsLost", Severity::Critical, "carts are lost", NOW);
    let events = shop.log[before..].iter().map(|event| Arc::new(event.clone())).collect();
    desk.tell(Message::Server(1, News::Events { events, lag: Span::ZERO }));
    desk.wait(Span::from_millis(200));
    desk.hides("carts are lost");
    desk.press(".");
    desk.shows("carts are lost");
    desk.press("a");
    assert_eq!(desk.sent().len(), 1, "here things can be done again");
}

#[test]
fn a_server_that_does_not_know_says_how_far_back_it_does_and_the_others_are_shown() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 160, 36);
    let at = moment(10);
    go_to(&mut desk, &at.to_string());
    desk.tell(Message::Server(0, News::Then { at, then: Err(PastRefusal::KnownFrom(ago(5))) }));
    desk.wait(Span::from_millis(10));
    desk.hides("for live");
    desk.tell(Message::Server(1, News::Then { at, then: Ok(Arc::new(shop.at(at))) }));
    desk.wait(Span::from_millis(10));
    desk.shows("infra: knows its past from Sat 21 Nov 02:52 on");
    desk.shows("hit rate 12 %");
    // Another server's answer to what was asked before changes nothing.
    desk.tell(Message::Server(0, News::Then { at: moment(99), then: Ok(Arc::new(infra.at(at))) }));
    desk.shows("infra: knows its past");
}

#[test]
fn what_is_unknown_is_never_green() {
    let mut desk = Desk::new(&["infra"], "midwatch", 120, 36);
    let mut infra = Told::new(1, "infra", &[]);
    infra.sees("store-1", "dc1/ceph", "osd", ago(60), Status::Ok, "all osds are up");
    desk.hear(0, infra.snapshot());
    desk.wait(Span::from_secs(1));
    let at = moment(30);
    go_to(&mut desk, &at.to_string());
    desk.tell(Message::Server(0, News::Lost { why: "gone".into(), retry: None }));
    desk.wait(Span::from_millis(200));
    desk.shows("infra: it went away before it answered");
    desk.hides("All is well");
    // It comes back, and is asked.
    desk.effects.clear();
    desk.hear(0, infra.snapshot());
    assert!(desk.effects.contains(&Effect::LookBack { server: 0, at }), "{:?}", desk.effects);
}

/// The rows of the timeline, between its strip and what is later.
fn rows(desk: &Desk) -> Vec<String> {
    let screen = desk.screen();
    screen.lines().skip(5).take_while(|line| !line.contains("later than where you are")).map(str::to_owned).collect()
}

#[test]
fn the_timeline_ends_where_one_is_and_says_how_much_is_later() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    go_to(&mut desk, &moment(10).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.press("3");
    let all = infra.log.len() + shop.log.len();
    let by = infra.log.iter().chain(&shop.log).filter(|event| event.at <= moment(10)).count();
    desk.shows(&format!("{by} events by then"));
    desk.shows(&format!("later than where you are: {} events", all - by));
    insta::assert_snapshot!("away_timeline_120x36", desk.screen());
    // Nothing leads beyond it.
    for key in ["j", "G", "C-f", "]", "n", "g g", "G"] {
        desk.press(key);
        desk.hides("osd.12 down");
        desk.hides("follow");
    }
    assert!(rows(&desk).iter().any(|row| row.starts_with('▌') && row.contains("hit rate 12 %")), "{:#?}", rows(&desk));
    // The filter and the lines around its hits know of nothing later either.
    desk.press("/");
    desk.type_text("severity:warning+ not disk");
    desk.press("Enter");
    desk.press("C");
    desk.shows("hits by then, of 66 events in all, 1 line around each");
    desk.shows("later than where you are: 3 hits");
    desk.hides("osd.12");
    desk.press("Esc");
    desk.press(".");
    desk.press("3");
    desk.shows("osd.12 down");
    desk.shows("following");
    desk.hides("later than");
}

#[test]
fn an_hour_and_a_day_move_the_timeline_with_all_panes() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 80, 24);
    desk.press("3");
    desk.press("{");
    answer(&mut desk, &[&infra, &shop]);
    // From the event where one was, at 02:54.
    desk.shows("Sat 21 Nov 01:54 CET");
    desk.hides("config ttl");
    desk.press("2");
    desk.press("(");
    answer(&mut desk, &[&infra, &shop]);
    desk.shows("Fri 20 Nov 01:54");
    desk.shows("Friday 20 November, since Thursday 18:00 until 01:54");
    desk.press("3");
    desk.shows("later than where you are");
    desk.press("1");
    desk.press("}");
    answer(&mut desk, &[&infra, &shop]);
    desk.press("3");
    desk.shows("Fri 20 Nov 02:54");
}

#[test]
fn today_tells_of_other_days_up_to_where_one_is_and_moves_no_other_pane() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("2");
    desk.press("[");
    desk.shows("Yesterday, Friday 20 November");
    desk.hides("for live");
    desk.press("]");
    desk.press("]");
    desk.shows("this is today");
    go_to(&mut desk, &moment(24 * 60).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.shows("Friday 20 November, since Thursday 18:00 until 02:57");
    desk.press("[");
    desk.shows("Thursday 19 November, 2 days ago");
    desk.shows("Fri 20 Nov 02:57");
    desk.press("]");
    desk.shows("Friday 20 November, since Thursday 18:00 until 02:57");
    desk.press("]");
    desk.shows("this day goes up to where you are; ) goes on a day");
    desk.press("[");
    desk.press(")");
    desk.hides("for live");
    desk.shows("Saturday 21 November, since Friday 18:00 until");
}

#[test]
fn what_lies_later_takes_all_panes_there() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("3");
    desk.press("k");
    desk.press("k");
    desk.press("m");
    go_to(&mut desk, &moment(30).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.hides("osd.12 down");
    desk.press("\"");
    answer(&mut desk, &[&infra, &shop]);
    desk.wait(Span::from_millis(200));
    desk.shows("Sat 21 Nov 02:53");
    assert!(rows(&desk).iter().any(|row| row.starts_with('▌') && row.contains("osd.12 down")), "{:#?}", rows(&desk));
    desk.hides("replication 40 s behind");
}

#[test]
fn a_corrected_clock_asks_its_server_for_its_own_time() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.timeline.set_shift(1, 120_000_000);
    let at = moment(30);
    go_to(&mut desk, &at.to_string());
    let asked: Vec<Effect> = desk.effects.iter().filter(|effect| matches!(effect, Effect::LookBack { .. })).cloned().collect();
    assert_eq!(asked, [Effect::LookBack { server: 0, at }, Effect::LookBack { server: 1, at: at.minus(Span::from_mins(2)) }]);
    let (infra, shop) = night();
    answer(&mut desk, &[&infra, &shop]);
    desk.shows("for live");
    desk.hides("asking");
}

#[test]
fn what_is_found_is_of_then() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    go_to(&mut desk, &moment(10).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.press("f");
    desk.type_text("osd");
    desk.wait(Span::from_millis(200));
    let entries = infra.log.iter().filter(|event| event.title.contains("osd")).map(|event| midwatch::console::message::Entry::known(&Arc::new(event.clone())));
    desk.tell(Message::Server(0, News::Found { words: "osd".into(), entries: entries.collect() }));
    desk.shows("osd.7 down");
    desk.hides("osd.12");
}
