//! What stands on the screen, read as sentences and columns.

use super::night::{Desk, NOW, Told, ago, night, system};
use midwatch::console::message::{Message, News};
use midwatch::console::sight::Link;
use midwatch::model::intent::Intent;
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;

#[test]
fn who_did_what_is_said_once() {
    let (infra, mut shop) = night();
    let varnish = shop.primary.world.open_alerts().find(|(_, alert)| alert.check.as_str() == "HitRateLow").map(|(id, alert)| (id, alert.now.unwrap().episode));
    let (alert, episode) = varnish.unwrap();
    shop.asks("kim", ago(9), Intent::Acknowledge { alert, episode, note: "".into() });
    shop.asks("jo", ago(8), Intent::Assign { alert, episode, to: Some("jo".into()) });
    shop.asks("kim", ago(7), Intent::Snooze { alert, episode, until: NOW.plus(Span::from_hours(2)), note: "".into() });
    shop.asks("kim", ago(6), Intent::NoteAlert { alert, text: "flushed it".into() });
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 60);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.wait(Span::from_secs(2));
    // It is put off, and so stands in Alerts.
    desk.press("4");
    while !desk.screen().contains("shop/varnish since") {
        desk.press("j");
    }
    for words in ["kim acknowledged it", "jo took hit rate 12 %", "kim snoozed hit rate 12 % (< 60 %) until", "kim noted: flushed it"] {
        desk.shows(words);
    }
    for twice in ["acknowledged  kim", "kim kim", "jo jo", "acknowledged kim acknowledged"] {
        desk.hides(twice);
    }
}

#[test]
fn the_longest_id_keeps_its_column() {
    let long = "shop/a-system-with-a-name-that-is-longer-than-any-column-could-ever-be-made-for-it";
    let deep = "shop/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p";
    let told = Told::new(
        1,
        "shop",
        &[system(long, "The long one", "service", &[]), system(deep, "The deep one", "service", &[]), system("shop", "Shop", "service", &[])],
    );
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let mut desk = Desk::new(&["shop"], "midwatch", width, height);
        desk.hear(0, told.snapshot());
        desk.press("8");
        desk.press("L");
        desk.press("L");
        let column = |title: &str| {
            let screen = desk.screen();
            let before = screen.lines().find_map(|line| line.split_once(title)).unwrap_or_else(|| panic!("{screen}")).0;
            assert!(before.ends_with(' '), "{before}");
            before.chars().count()
        };
        assert_eq!((column("The long"), column("The deep")), (column("Shop, se"), column("Shop, se")), "{}", desk.screen());
    }
}

#[test]
fn one_is_no_plural() {
    let mut told = Told::new(1, "shop", &[system("shop", "Shop", "service", &[])]);
    told.agent("web-1", "shop", ago(60));
    told.sees("web-1", "shop", "disk", ago(5), midwatch::model::severity::Status::Ok, "fine");
    told.fires("shop/db", "Lag", Severity::Warning, "slow", ago(3));
    let mut desk = Desk::new(&["shop"], "midwatch", 120, 36);
    desk.hear(0, told.snapshot());
    for pane in ["1", "2", "3", "4", "8", "0"] {
        desk.press(pane);
        let screen = desk.screen();
        for noun in ["systems", "agents", "checks", "alerts", "events", "servers"] {
            assert!(!screen.contains(&format!(" 1 {noun}")), "{screen}");
        }
    }
}

#[test]
fn files_are_not_called_servers() {
    let mut desk = Desk::new(&["a.log"], "midwatch", 120, 36);
    desk.state.links = vec![Link::file("a.log".into(), "/var/log/a.log".into())];
    desk.tell(Message::Server(0, News::Older { entries: Vec::new(), complete: false }));
    desk.press("3");
    desk.shows("more are being read");
    desk.hides("on the servers");
    desk.press("0");
    desk.hides("server answers");
}
