//! A console opens as it was left.

use midwatch::command::Pane;
use midwatch::console::effect::Effect;
use midwatch::console::message::News;
use midwatch::console::session::{Session, Stood, Timeline};
use midwatch::model::id::Origin;
use midwatch::model::time::Span;

use super::night::{Desk, NOW, night};

/// Another console on the same servers, which was left like that.
fn again(session: &Session) -> Desk {
    let (infra, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    desk.state.resume(session);
    // The servers come one after the other.
    desk.wait(Span::from_millis(50));
    desk.hear(0, infra.snapshot());
    desk.wait(Span::from_millis(50));
    desk.hear(1, shop.snapshot());
    desk.wait(Span::from_millis(200));
    desk
}

fn through_a_file(desk: &Desk) -> Session {
    Session::parse(&desk.state.session().text().unwrap()).unwrap()
}

#[test]
fn pane_selection_filters_folds_order_and_split_are_as_they_were() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("4");
    desk.run("filter shop");
    desk.run("group-by system");
    desk.run("sort-by age");
    desk.press("j");
    desk.press("j");
    desk.press("h");
    desk.press("h");
    desk.press("|");
    desk.press("1");
    desk.press("j");
    desk.press("l");
    desk.press("8");
    desk.run("filter varnish");
    desk.press("3");
    desk.run("filter severity:warning+");
    desk.run("time-columns");
    desk.run("runs-toggle");
    desk.press("0");
    desk.press("j");
    desk.press("4");
    // The last message is gone with the console that said it.
    let body = |desk: &Desk| desk.screen().lines().take(32).collect::<Vec<_>>().join("\n");
    for keys in ["4", "1", "8", "0"] {
        desk.press(keys);
        desk.wait(Span::from_secs(10));
        (0..2).for_each(|server| desk.hear(server, vec![News::Claim { lag: Span::ZERO }]));
        desk.wait(Span::from_millis(300));
        let other = again(&through_a_file(&desk));
        assert_eq!(body(&other), body(&desk), "pane {keys}");
        assert_eq!(other.state.session(), desk.state.session());
    }
}

#[test]
fn what_is_gone_or_makes_no_sense_any_more_is_left_out() {
    let text = r#"{"pane": "boards", "now": {"filter": "severity:", "group": "moon", "selected": {"group": "x"}},
        "alerts": {"sort": 7}, "timeline": {"context": 9}}"#;
    assert!(Session::parse(text).is_err(), "a file of another shape is broken as a whole");
    let text = r#"{"pane": "boards", "now": {"filter": "severity:", "group": "moon", "selected": {"group": "x"}},
        "theme": {"name": "nosuch", "over": null}, "later": {"deep": 1}, "timeline": {"context": 100000}, "server": "gone"}"#;
    let desk = again(&Session::parse(text).unwrap());
    assert_eq!(desk.state.pane, Pane::Now);
    assert_eq!(desk.screen(), again(&Session::default()).screen());
    assert_eq!(desk.state.timeline.context(), 100);
}

#[test]
fn a_theme_that_was_chosen_stays_until_another_is_configured() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.run("theme daylight");
    let session = through_a_file(&desk);
    assert_eq!(again(&session).state.theme.name, "daylight");
    let mut desk = Desk::new(&["infra", "shop"], "mono", 120, 36);
    desk.state.theme_configured = Some("mono".to_owned());
    desk.state.resume(&session);
    assert_eq!(desk.state.theme.name, "mono");
}

#[test]
fn another_time_and_what_floats_above_do_not_come_back() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.run("go-to -2h");
    desk.wait(Span::from_secs(1));
    desk.press("?");
    let other = again(&through_a_file(&desk));
    assert!(!other.state.is_away() && other.state.overlay.is_none() && other.state.now >= NOW);
}

#[test]
fn a_row_that_comes_late_takes_nobody_away_from_another() {
    let (infra, shop) = night();
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("4");
    desk.press("j");
    let session = through_a_file(&desk);
    let chosen = desk.state.panes.alerts.list.alert();
    let start = || {
        let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
        desk.state.resume(&session);
        desk.hear(0, infra.snapshot());
        desk
    };
    let mut late = start();
    late.hear(1, shop.snapshot());
    late.wait(Span::from_millis(100));
    assert_eq!(late.state.panes.alerts.list.alert(), chosen);
    // After the first moments it stays where it is.
    let mut later = start();
    later.wait(Span::from_secs(6));
    let here = later.state.panes.alerts.list.alert();
    later.hear(1, shop.snapshot());
    later.wait(Span::from_millis(100));
    assert_eq!(later.state.panes.alerts.list.alert(), here);
}

#[test]
fn one_stands_where_one_stood_on_the_timeline() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("3");
    desk.press("k k k k");
    let place = desk.state.panes.timeline.place;
    assert!(place.is_some());
    let other = again(&through_a_file(&desk));
    assert_eq!(other.state.panes.timeline.place, place);
    assert_eq!(other.state.panes.timeline.selected, desk.state.panes.timeline.selected);
    // With the filter that hides it, one stands beside it.
    desk.run("filter severity:critical");
    let other = again(&through_a_file(&desk));
    assert_eq!(other.screen().lines().nth(5), desk.screen().lines().nth(5));
    // Who followed the newest follows.
    desk.run("filter-clear");
    desk.press(".");
    assert_eq!(again(&through_a_file(&desk)).state.panes.timeline.place, None);
}

#[test]
fn what_is_not_held_any_more_where_one_stood_is_asked_for_when_one_looks() {
    let (infra, shop) = night();
    let stood = Some(Stood { at: NOW.minus(Span::from_days(300)), origin: Origin([1; 16]), sequence: 7 });
    let session = Session { pane: "now".to_owned(), timeline: Timeline { stood, ..Timeline::default() }, ..Session::default() };
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    desk.state.resume(&session);
    let up = |origin: &str| News::Connected { version: origin.into(), environment: None, skew: None, patience: Span::from_secs(3) };
    for (server, told) in [&infra, &shop].into_iter().enumerate() {
        desk.hear(server, vec![up("1")]);
        // There is more than came with the snapshot.
        let snapshot = told.snapshot().into_iter().map(|news| match news {
            News::Older { entries, .. } => News::Older { entries, complete: false },
            other => other,
        });
        desk.hear(server, snapshot.collect());
    }
    desk.wait(Span::from_secs(1));
    let asks = |desk: &Desk| desk.effects.iter().filter(|effect| matches!(effect, Effect::Page(_))).count();
    assert_eq!(asks(&desk), 0, "nobody looks there yet");
    desk.press("3");
    assert_eq!(asks(&desk), 4, "on both servers, before and after");
    assert!(desk.state.timeline.is_going());
}

#[test]
fn what_was_open_is_open_and_never_something_else_in_its_place() {
    let open = |pane: &str| {
        let mut desk = Desk::on_the_night("midwatch", 80, 24);
        desk.press(pane);
        desk.press("j");
        desk.press("Enter");
        assert!(desk.state.panes.opened, "{pane}");
        desk
    };
    for pane in ["1", "3", "4", "8", "0"] {
        let desk = open(pane);
        let mut other = again(&through_a_file(&desk));
        other.state.size = (80, 24);
        other.wait(Span::from_millis(200));
        assert!(other.state.panes.opened, "{pane}");
        assert_eq!(other.state.session(), desk.state.session(), "{pane}");
    }
    // Its alert is over by now: the list is there, and what comes later does not jump open.
    let session = through_a_file(&open("4"));
    let (_, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 80, 24);
    desk.state.resume(&session);
    desk.hear(1, shop.snapshot());
    let chosen = session.alerts.selected.clone();
    assert!(desk.state.panes.alerts.list.lines.iter().all(|line| Some(&line.key) != chosen.as_ref()), "the chosen one is infra's");
    desk.wait(Span::from_secs(6));
    assert!(!desk.state.panes.opened);
    desk.wait(Span::from_secs(6));
    assert!(!desk.state.panes.opened && desk.state.panes.opens.is_none());
}
