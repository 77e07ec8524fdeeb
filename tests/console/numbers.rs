//! Why it fires: the value now beside the threshold, in the detail of the selected alert.

use midwatch::console::message::News;
use midwatch::console::screen::{Abilities, Screen};
use midwatch::model::id::Fingerprint;
use midwatch::model::reading::{Reading, Readings};
use midwatch::model::time::{Span, Time};

use super::night::{Desk, NOW, ago, night};
use super::travel::{answer, go_to};

/// The alert of the night whose rule is `hit / (hit + miss) < 0.6`.
fn hit_rate(desk: &Desk) -> Fingerprint {
    let world = &desk.state.live().servers[1].world;
    let found = world.open_alerts().find(|(_, alert)| alert.check.as_str() == "HitRateLow").map(|(id, _)| id);
    found.unwrap()
}

fn value(alert: Fingerprint, value: f64, at: Time) -> News {
    let readings = vec![Reading::of_rule(alert, "prometheus".into(), at, value)];
    News::Readings(Readings { readings, told: [("prometheus".into(), at)].into() })
}

#[test]
fn the_value_now_stands_beside_the_threshold_with_its_age() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        for pane in ["1", "4"] {
            let mut desk = Desk::on_the_night("midwatch", width, height);
            desk.press(pane);
            let alert = hit_rate(&desk);
            desk.hear(1, vec![value(alert, 0.12, NOW)]);
            while desk.state.detail.as_ref().map(|detail| detail.alert.alert) != Some(alert) {
                desk.press("j");
            }
            if height == 24 {
                desk.press("Enter");
            }
            desk.shows("now  0.12  fires under 0.6");
            desk.shows("hit / (hit + miss) < 0.6");
            desk.wait(Span::from_mins(7));
            desk.shows("7m ago  0.12  fires under 0.6");
        }
    }
}

#[test]
fn a_value_that_changes_costs_a_few_bytes_and_one_of_another_alert_none() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    let alert = hit_rate(&desk);
    desk.hear(1, vec![value(alert, 0.12, NOW)]);
    while desk.state.detail.as_ref().map(|detail| detail.alert.alert) != Some(alert) {
        desk.press("j");
    }
    let mut screen = Screen::new(120, 36, Abilities { synchronized: true, ..Abilities::default() });
    let cost = |desk: &Desk, screen: &mut Screen| screen.draw(|buffer| desk.state.draw(buffer)).len();
    cost(&desk, &mut screen);
    desk.hear(1, vec![value(alert, 0.13, NOW)]);
    let changed = cost(&desk, &mut screen);
    assert!((1..=80).contains(&changed), "{changed} bytes for one digit");
    desk.shows("now  0.13  fires under 0.6");
    desk.hear(1, vec![value(Fingerprint([9; 16]), 5.0, NOW)]);
    assert_eq!(cost(&desk, &mut screen), 0, "another alert's value is not drawn");
}

#[test]
fn the_past_has_no_numbers_and_what_comes_meanwhile_is_there_afterwards() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    let alert = hit_rate(&desk);
    desk.hear(1, vec![value(alert, 0.12, NOW)]);
    desk.shows("now  0.12");
    let (infra, shop) = night();
    go_to(&mut desk, &ago(3).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.press("4");
    while desk.state.detail.as_ref().map(|detail| detail.alert.alert) != Some(alert) {
        desk.press("j");
    }
    desk.hides("0.12");
    desk.hear(1, vec![value(alert, 0.14, NOW)]);
    desk.hides("0.14");
    desk.press(".");
    desk.wait(Span::from_secs(1));
    desk.shows("now  0.14  fires under 0.6");
}

#[test]
fn a_server_that_comes_back_begins_anew_with_its_numbers() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    let alert = hit_rate(&desk);
    desk.hear(1, vec![value(alert, 0.12, NOW)]);
    desk.shows("now  0.12");
    let (_, shop) = night();
    desk.hear(1, shop.snapshot());
    desk.wait(Span::from_secs(1));
    desk.hides("now  0.12");
}
