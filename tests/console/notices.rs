//! What is told by bell and notice: what needs somebody, when it begins to, gathered, and not too often.

use std::sync::Arc;

use super::night::{Desk, NOW, Told, ago, night};
use midwatch::console::effect::Effect;
use midwatch::console::message::News;
use midwatch::console::notice::{Notices, Wishes};
use midwatch::model::severity::{Severity, Status};
use midwatch::model::time::{Span, Time};

/// Seconds after the console began to look.
fn later(seconds: i64) -> Time {
    NOW.plus(Span::from_secs(seconds))
}

struct Scene {
    desk: Desk,
    infra: Told,
    shop: Told,
}

impl Scene {
    /// The night, a while after the console began to look.
    fn new(wishes: &Wishes) -> Scene {
        let (infra, shop) = night();
        let mut desk = Desk::new(&["infra", "shop"], "midwatch", 120, 36);
        desk.state.notices = Notices::new(wishes);
        desk.hear(0, infra.snapshot());
        desk.hear(1, shop.snapshot());
        let mut scene = Scene { desk, infra, shop };
        scene.wait(4);
        scene.wait(4);
        assert_eq!(scene.told(), [""; 0], "what was open already is no news");
        scene
    }

    /// Seconds pass, in which the servers are heard.
    fn wait(&mut self, seconds: i64) {
        for server in [0, 1] {
            self.desk.hear(server, vec![News::Claim { lag: Span::ZERO }]);
        }
        self.desk.wait(Span::from_secs(seconds));
        self.desk.wait(Span::from_millis(10));
    }

    /// What happens on a server reaches the console.
    fn happens(&mut self, server: usize, what: impl FnOnce(&mut Told)) {
        let told = if server == 0 { &mut self.infra } else { &mut self.shop };
        let before = told.log.len();
        what(told);
        let events = told.log.iter().skip(before).cloned().map(Arc::new).collect();
        self.desk.hear(server, vec![News::Events { events, lag: Span::ZERO }]);
    }

    fn told(&mut self) -> Vec<String> {
        let told = |effect: &Effect| if let Effect::Notify(words) = effect { Some(words.clone()) } else { None };
        let words = self.desk.effects.iter().filter_map(told).collect();
        self.desk.effects.clear();
        words
    }
}

#[test]
fn what_begins_to_need_somebody_is_told_once() {
    let mut scene = Scene::new(&Wishes::ALL);
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(1), Status::Warning, "inlet 31 °C"));
    assert_eq!(scene.told(), [""; 0], "what comes is gathered for a moment");
    scene.wait(3);
    assert_eq!(scene.told(), ["WARN dc1/cooling: inlet 31 °C"]);
    scene.wait(60);
    assert_eq!(scene.told(), [""; 0], "once");
    // It gets worse.
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(2), Status::Critical, "inlet 38 °C"));
    scene.wait(3);
    assert_eq!(scene.told(), ["CRIT dc1/cooling: inlet 38 °C"]);
}

#[test]
fn effects_of_a_known_cause_and_what_is_usual_are_not_told() {
    let mut scene = Scene::new(&Wishes::ALL);
    // The database needs the storage, of which a part is down: one more effect.
    scene.happens(1, |shop| shop.fires("shop/db", "Deadlocks", Severity::Critical, "deadlocks", ago(1)));
    // Full on most nights.
    scene.happens(1, |shop| shop.sees("web-1", "shop/web-1", "disk", later(1), Status::Ok, "/ 60 % full"));
    scene.happens(1, |shop| shop.sees("web-1", "shop/web-1", "disk", later(2), Status::Warning, "/ 91 % full (> 90 %)"));
    scene.wait(3);
    assert!(scene.desk.state.rows.iter().any(|row| row.check.as_str() == "Deadlocks" && row.cause.is_some()), "it stands under its cause");
    scene.wait(60);
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn a_storm_is_told_in_few_words_and_not_too_often() {
    let mut scene = Scene::new(&Wishes { every: Span::from_secs(30), ..Wishes::ALL });
    let gone = |n: i64| {
        move |infra: &mut Told| infra.sees("store-1", &format!("dc{n}/edge"), &format!("edge-{n}"), later(n), Status::Critical, &format!("edge {n} is gone"))
    };
    for n in 10..15 {
        scene.happens(0, gone(n));
    }
    scene.wait(3);
    let told = scene.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("5 need you: CRIT ") && told[0].ends_with(" | 3 more"), "{told:?}");
    for n in 20..23 {
        scene.happens(0, gone(n));
        scene.wait(3);
    }
    assert_eq!(scene.told(), [""; 0], "not before half a minute is over");
    for _ in 0..4 {
        scene.wait(6);
    }
    let told = scene.told();
    assert!(told.len() == 1 && told[0].starts_with("3 need you: "), "{told:?}");
}

#[test]
fn who_wants_to_hear_less_hears_less() {
    let mut scene = Scene::new(&Wishes { least: Severity::Critical, ..Wishes::ALL });
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(1), Status::Warning, "inlet 31 °C"));
    scene.wait(3);
    assert_eq!(scene.told(), [""; 0]);
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(2), Status::Critical, "inlet 38 °C"));
    scene.wait(3);
    assert_eq!(scene.told().len(), 1);
}

#[test]
fn what_is_over_before_it_is_told_is_not_told() {
    let mut scene = Scene::new(&Wishes::ALL);
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(2), Status::Critical, "inlet 38 °C"));
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(3), Status::Ok, "inlet 20 °C"));
    scene.wait(3);
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn from_another_time_one_hears_of_the_present() {
    let mut scene = Scene::new(&Wishes::ALL);
    scene.desk.press("{");
    scene.happens(0, |infra| infra.sees("store-1", "dc1/cooling", "inlet", later(2), Status::Critical, "inlet 38 °C"));
    scene.wait(3);
    scene.wait(3);
    assert_eq!(scene.told(), ["CRIT dc1/cooling: inlet 38 °C"]);
}
