//! Storms, hostile text, odd sizes.

use super::night::{Desk, NOW, Told, ago, night, system};
use midwatch::console::message::News;
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;
use std::sync::Arc;

const PANES: [&str; 6] = ["1", "2", "3", "4", "8", "0"];

#[test]
fn every_pane_is_drawn_in_every_size_empty_and_full() {
    for full in [false, true] {
        for (width, height) in [(1, 1), (19, 4), (20, 5), (40, 10), (80, 24), (81, 25), (139, 33), (200, 60), (400, 120)] {
            let mut desk = if full { Desk::on_the_night("midwatch", width, height) } else { Desk::new(&["infra"], "mono", width, height) };
            for keys in PANES {
                desk.press(keys);
                desk.screen();
                for keys in ["Enter", "G", "k", "Esc", "|", "+", "l", "?", "Esc", "/", "Esc", ":", "Esc", "g", "Esc"] {
                    desk.press(keys);
                    desk.screen();
                }
            }
        }
    }
}

#[test]
fn a_storm_does_not_move_the_selection_and_new_rows_are_counted_above() {
    let (infra, mut shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.press("4");
    desk.press("b");
    desk.press("G");
    let selected = desk.state.panes.alerts.list.alert().unwrap();
    let before = shop.log.len();
    for n in 0..3_000 {
        shop.fires(&format!("shop/edge-{}", n % 40), &format!("Storm{n}"), Severity::Critical, &format!("edge {n} is gone"), ago(0));
    }
    let events = shop.log[before..].iter().cloned().map(Arc::new).collect();
    desk.hear(1, vec![News::Events { events, lag: Span::ZERO }]);
    desk.wait(Span::from_secs(2));
    assert_eq!(desk.state.panes.alerts.list.alert(), Some(selected), "the selection sticks to its row");
    desk.shows("new above, . to see");
    desk.press(".");
    desk.hides("new above");
}

#[test]
fn a_server_that_is_not_well_says_so_on_line_1_and_what_to_do_in_its_detail() {
    use midwatch::model::health::{Health, Limits, Numbers, Room, judge};
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let mut desk = Desk::on_the_night("mono", width, height);
        let numbers = Numbers { disk: Some(Room { free: 200 << 20, total: 100 << 30 }), ..Numbers::default() };
        let tell = |numbers: Numbers| News::Health(Arc::new(Health { at: NOW, wrong: judge(&numbers, &Limits::default(), NOW), numbers }));
        desk.hear(
            0,
            vec![
                News::Connected { version: "0.1.0".into(), environment: None, skew: None, patience: Span::from_secs(15) },
                News::Claim { lag: Span::ZERO },
                tell(numbers),
            ],
        );
        desk.wait(Span::from_millis(10));
        let first = desk.screen().lines().next().unwrap().to_owned();
        // With little room the sign alone; never one that freshness has.
        assert!(first.contains(if width < 100 { "● infra!!" } else { "● infra !! disk" }), "a sign and a word: {first}");
        desk.press("0");
        desk.shows("200 MiB of 100 GiB are free where the log is");
        desk.shows("Make room there");
        desk.hear(0, vec![tell(Numbers::default())]);
        desk.hides("▲ disk");
        desk.hides("!!");
        desk.shows("✓ well");
    }
}

#[test]
fn one_event_from_1970_leaves_the_strip_its_night() {
    let (mut infra, shop) = night();
    for minute in 0..40 {
        infra.change("ci", "storage", ago(minute), "deploy");
    }
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.press("3");
    let strip = |desk: &Desk| desk.screen().lines().nth(3).unwrap().to_owned();
    let before = strip(&desk);
    infra.log.clear();
    infra.change("ci", "storage", midwatch::model::time::Time::from_secs(0), "long ago");
    let events = infra.log.iter().cloned().map(Arc::new).collect();
    desk.hear(0, vec![News::Events { events, lag: Span::ZERO }]);
    let after = strip(&desk);
    assert!(after.contains("1 earlier, "), "{after}");
    let moment = before.trim_start().split("  ").next().unwrap();
    assert!(after.contains(moment.split('▁').next().unwrap().trim_end()), "{before} becomes {after}");
}

#[test]
fn t1_t4_t6_t7_t11_t12_hostile_words_stay_words() {
    let hostile = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}title",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "\u{9b}6n\u{90}payload\u{9c}",
        "\r\nfake line",
        "abc\u{202e}cba\u{2066}x",
        &format!("z{}", "\u{301}".repeat(10_000)),
        "\u{0}\u{8}\u{7f}",
        "\u{1b}]8;;http://evil\u{1b}\\click\u{1b}]8;;",
    ];
    let mut told = Told::new(3, "evil\u{1b}[31m", &[system("shop", hostile[0], hostile[4], &[])]);
    for (n, text) in hostile.iter().enumerate() {
        told.fires("shop", &format!("Check{n}{text}"), Severity::Critical, text, ago(i64::try_from(n).unwrap()));
        told.change(text, "shop", ago(60), &format!("deploy {text}"));
    }
    let mut desk = Desk::new(&["evil\u{1b}]0;x\u{7}"], "midwatch", 120, 36);
    desk.hear(0, told.snapshot());
    desk.hear(0, vec![News::Problem(hostile[0].into())]);
    for keys in PANES {
        desk.press(keys);
        for opened in [false, true] {
            if opened {
                desk.press("Enter");
            }
            for cell in &desk.buffer().content {
                let harmless = cell.symbol().chars().all(|c| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'));
                assert!(harmless && cell.symbol().len() < 64, "{:?}", cell.symbol());
            }
        }
        desk.press("Esc");
    }
}

#[test]
fn a_resize_does_not_lose_the_place() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("4");
    desk.press("j");
    desk.press("j");
    let selected = desk.state.panes.alerts.list.alert();
    for (width, height) in [(80, 24), (40, 10), (200, 60), (120, 36)] {
        desk.tell(midwatch::console::message::Message::Resize { width, height });
        assert_eq!(desk.state.panes.alerts.list.alert(), selected);
    }
}

#[test]
fn the_day_changes_under_an_open_console() {
    let mut desk = Desk::on_the_night("midwatch", 80, 24);
    desk.wait(Span::from_days(3));
    desk.screen();
    assert!(desk.state.now > NOW);
}
