//! Who looks at what: what this console tells of its person, and how it shows the others.

use midwatch::console::effect::Effect;
use midwatch::console::linear::Linear;
use midwatch::console::message::News;
use midwatch::console::screen::{Abilities, Screen};
use midwatch::model::id::Fingerprint;
use midwatch::model::presence::{Focus, Looked, Looker, Presence};
use midwatch::model::time::{Span, Time};

use super::night::{Desk, NOW, ago, night};
use super::screens::colours;
use super::travel::{answer, go_to};

fn alert(desk: &Desk, server: usize, check: &str) -> Fingerprint {
    let world = &desk.state.live().servers[server].world;
    world.open_alerts().find(|(_, alert)| alert.check.as_str() == check).map(|(id, _)| id).unwrap()
}

fn looked(at: Focus, who: &[(&str, Time)]) -> News {
    let who = who.iter().map(|(name, since)| Looker { name: (*name).into(), since: *since }).collect();
    News::Presence(Presence { looked: vec![Looked { at, who }] })
}

/// Kim looks at what robin has before them, and ana and jo at what nobody has.
fn company(theme: &str, width: u16, height: u16) -> Desk {
    let mut desk = Desk::on_the_night(theme, width, height);
    let (rate, osd, late) = (alert(&desk, 1, "HitRateLow"), alert(&desk, 0, "osd"), alert(&desk, 1, "PaymentsLate"));
    desk.hear(1, vec![looked(Focus::Alert(rate), &[("kim", ago(4)), ("ana", NOW)])]);
    desk.hear(0, vec![looked(Focus::Alert(osd), &[("jo", ago(2))])]);
    // Who has it, and somebody else.
    desk.hear(1, vec![looked(Focus::Alert(late), &[("kim", ago(9)), ("ana", ago(1))])]);
    desk
}

#[test]
fn who_looks_stands_beside_the_rows_and_in_the_details_heading() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        for (name, keys) in [("now", "1"), ("alerts", "4"), ("detail", "1 Enter")] {
            let mut desk = company("midwatch", width, height);
            desk.press(keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
        }
    }
    for theme in ["midwatch", "daylight", "mono"] {
        insta::assert_snapshot!(format!("colours_{theme}"), colours(&company(theme, 120, 36).buffer()));
    }
}

/// The same rows in the same columns, whether somebody looks or not.
#[test]
fn it_moves_nothing() {
    for (width, height) in [(60, 20), (80, 24), (100, 30), (120, 36), (200, 60)] {
        let (without, with) = (Desk::on_the_night("midwatch", width, height).screen(), company("midwatch", width, height).screen());
        assert_ne!(without, with);
        for (before, after) in without.lines().zip(with.lines()) {
            let differs = before.chars().zip(after.chars()).filter(|(a, b)| a != b).count();
            // The name of whoever looks, or the heading's end in place of its rule.
            assert!(differs <= 30, "{width}x{height}: {differs} cells\n{before}\n{after}");
        }
        assert_eq!(without.lines().count(), with.lines().count());
    }
}

#[test]
fn a_change_costs_a_few_bytes_and_what_nobody_sees_none() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let mut desk = Desk::on_the_night("midwatch", width, height);
        desk.press("4");
        let mut screen = Screen::new(width, height, Abilities { synchronized: true, ..Abilities::default() });
        let mut cost = |desk: &Desk| screen.draw(|buffer| desk.state.draw(buffer)).len();
        cost(&desk);
        let rate = alert(&desk, 0, "osd");
        // Of a row beside the selected one, so that the list alone shows it.
        let shown = desk.state.detail.as_ref().map(|detail| detail.alert.alert);
        if shown == Some(rate) {
            desk.press("j");
            cost(&desk);
        }
        for (who, most) in [(&[("kim", NOW)][..], 60), (&[("kim", NOW), ("ana", NOW)], 60), (&[("ana", NOW)], 60), (&[], 60)] {
            desk.hear(0, vec![looked(Focus::Alert(rate), who)]);
            let bytes = cost(&desk);
            assert!((1..=most).contains(&bytes), "{width}x{height}: {bytes} bytes for {who:?}");
        }
        desk.hear(0, vec![looked(Focus::Alert(Fingerprint([9; 16])), &[("kim", NOW)])]);
        assert_eq!(cost(&desk), 0, "at something that is not on the screen");
        // A minute in which nothing happens costs what it costs without anybody.
        desk.hear(0, vec![looked(Focus::Alert(rate), &[("kim", NOW)])]);
        cost(&desk);
        for second in 1..50 {
            if second % 5 == 0 {
                desk.hear(0, vec![News::Claim { lag: Span::ZERO }]);
                desk.hear(1, vec![News::Claim { lag: Span::ZERO }]);
            }
            desk.wait(Span::from_secs(1));
            if desk.state.now.secs() % 60 != 0 {
                assert_eq!(cost(&desk), 0, "after {second} s");
            } else {
                cost(&desk);
            }
        }
    }
}

#[test]
fn it_is_of_now_and_of_servers_that_are_heard() {
    let mut desk = company("midwatch", 120, 36);
    desk.press("4");
    desk.shows("(kim, ana)");
    let (infra, shop) = night();
    go_to(&mut desk, &ago(3).to_string());
    answer(&mut desk, &[&infra, &shop]);
    desk.hides("(kim, ana)");
    desk.press(".");
    desk.shows("(kim, ana)");
    desk.hear(1, vec![News::Lost { why: "gone".into(), retry: None }]);
    desk.hides("(kim, ana)");
    desk.shows("(jo)");
}

#[test]
fn a_systems_detail_names_those_who_look_at_it_and_at_its_alerts() {
    let mut desk = company("midwatch", 120, 36);
    desk.hear(1, vec![looked(Focus::System("shop/varnish".parse().unwrap()), &[("ana", ago(7)), ("sam", ago(1))])]);
    desk.press("8");
    for _ in 0..20 {
        if desk.state.panes.systems.row().is_some_and(|row| row.system.id.as_str() == "shop/varnish") {
            break;
        }
        desk.press("l");
        desk.press("j");
    }
    desk.shows("looking now: ana 7m, kim 4m, sam 1m");
}

#[test]
fn lines_say_it_in_words_when_they_are_asked_for_and_not_by_themselves() {
    let mut desk = company("midwatch", 100, 50);
    desk.state.linear = true;
    let mut linear = Linear::new(true);
    let mut said = |desk: &mut Desk, line: &str| {
        linear.feed(line.as_bytes());
        if !line.is_empty() {
            linear.work(&mut desk.state).expect("it answers");
        }
        let mono = desk.mono;
        linear.settle(&mut desk.state, || mono);
        linear.take()
    };
    said(&mut desk, "");
    let list = said(&mut desk, "alerts\n");
    assert!(list.contains("hit rate 12 % (< 60 %), kim and 1 other look at it"), "{list}");
    assert!(list.contains("kim has it, ana looks at it"), "the holder is not named twice: {list}");
    said(&mut desk, "");
    let rate = alert(&desk, 1, "HitRateLow");
    desk.hear(1, vec![looked(Focus::Alert(rate), &[("sam", NOW)])]);
    desk.wait(Span::from_secs(30));
    assert_eq!(said(&mut desk, ""), "");
}

/// A console on servers that want to know.
fn telling() -> Desk {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.telling.on = true;
    desk.hear(0, vec![News::TakesPresence]);
    desk.hear(1, vec![News::TakesPresence]);
    desk.effects.clear();
    desk
}

/// What was told since the last time, while so many seconds pass.
fn told(desk: &mut Desk, secs: i64) -> Vec<(usize, Option<Focus>)> {
    for _ in 0..secs * 2 {
        // Servers are heard, and go on.
        desk.wait(Span::from_millis(500));
    }
    let told = desk.effects.drain(..).filter_map(|effect| if let Effect::LookingAt { server, at } = effect { Some((server, at)) } else { None });
    told.collect()
}

#[test]
fn what_one_rests_on_is_told_and_a_quick_look_elsewhere_is_not() {
    let mut desk = telling();
    desk.press("4");
    assert_eq!(told(&mut desk, 4), [], "not yet");
    let first = told(&mut desk, 3);
    let [(server, Some(at))] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(told(&mut desk, 30), [], "once");
    desk.press("j");
    assert_eq!(told(&mut desk, 3), []);
    desk.press("k");
    assert_eq!(told(&mut desk, 30), [], "a look at another row is nobody's business");
    for _ in 0..5 {
        desk.press("j");
        assert_eq!(told(&mut desk, 2), [], "nor is the way to it");
    }
    let next = told(&mut desk, 8);
    let (to, there) = next.last().unwrap();
    assert!(there.is_some() && there.as_ref() != Some(at), "{next:?}");
    // Of another server: the first is told that one has left.
    let left = next.contains(&(*server, None));
    assert_eq!(left, to != server, "{next:?}");
    // What is opened is told sooner.
    desk.press("k");
    desk.press("Enter");
    assert_eq!(told(&mut desk, 2).len().clamp(1, 2), told(&mut desk, 0).len().max(1), "one thing, at once");
    // On another pane one looks at nothing.
    desk.press("3");
    let away = told(&mut desk, 8);
    assert!(matches!(away.as_slice(), [(_, None)]), "{away:?}");
}

#[test]
fn a_system_that_one_rests_on_is_told_as_well() {
    let mut desk = telling();
    desk.press("8");
    desk.press("j");
    let said = told(&mut desk, 8);
    assert!(matches!(said.as_slice(), [(_, Some(Focus::System(_)))]), "{said:?}");
}

#[test]
fn what_nobody_chose_is_not_looked_at() {
    let mut desk = telling();
    assert_eq!(told(&mut desk, 60), [], "a console that was started and left alone");
    desk.press("j");
    assert_eq!(told(&mut desk, 8).len(), 1);
    // Nobody presses a key for long: nobody looks. The next key says it again.
    let gone = told(&mut desk, 11 * 60);
    assert!(matches!(gone.as_slice(), [(_, None)]), "{gone:?}");
    assert_eq!(told(&mut desk, 60 * 60), [], "and then it is quiet");
    desk.press("g g");
    assert_eq!(told(&mut desk, 8).len(), 1);
}

#[test]
fn it_is_told_again_after_a_break_and_to_nobody_who_does_not_take_it() {
    let mut desk = telling();
    desk.press("j");
    let [(server, Some(at))] = &told(&mut desk, 8)[..] else { panic!() };
    desk.hear(*server, vec![News::Lost { why: "gone".into(), retry: None }]);
    assert_eq!(told(&mut desk, 20), [], "there is nobody to tell");
    desk.press("k");
    desk.press("j");
    let up = || News::Connected { version: "0.1.0".into(), environment: None, skew: None, patience: Span::from_secs(15) };
    desk.hear(*server, vec![up(), News::TakesPresence]);
    assert_eq!(told(&mut desk, 8), [(*server, Some(at.clone()))]);
    desk.hear(*server, vec![News::Lost { why: "gone".into(), retry: None }, up()]);
    desk.press("k");
    desk.press("j");
    assert_eq!(told(&mut desk, 20), [], "an older server, or one where it is off");
}

#[test]
fn nothing_is_told_where_it_is_off_or_one_is_at_another_time() {
    let mut off = telling();
    off.state.telling.on = false;
    off.press("j");
    assert_eq!(told(&mut off, 20), []);
    let mut desk = telling();
    desk.press("4");
    desk.press("j");
    assert_eq!(told(&mut desk, 8).len(), 1);
    let (infra, shop) = night();
    go_to(&mut desk, &ago(3).to_string());
    answer(&mut desk, &[&infra, &shop]);
    let then = told(&mut desk, 8);
    assert!(matches!(then.as_slice(), [(_, None)]), "{then:?}");
    desk.press("j");
    assert_eq!(told(&mut desk, 8), []);
}
