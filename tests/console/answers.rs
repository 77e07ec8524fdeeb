//! The night at 02:57, half asleep: what changed, who acted last, where the graph is, how it is done here and whom to
//! wake. All of it is on Now without a key; each is reached by three keys at most, from any row.

use super::night::Desk;
use midwatch::console::effect::Effect;

/// What was opened, and the names that were on the screen when it was.
fn opened(desk: &Desk) -> Vec<String> {
    let address = |effect: &Effect| match effect {
        Effect::Open(address) => Some(address.to_string()),
        _ => None,
    };
    desk.effects.iter().filter_map(address).collect()
}

fn keys(keys: &str) -> usize {
    midwatch::console::keymap::key::read_sequence(keys).unwrap().len()
}

#[test]
fn now_at_120x36_answers_all_five_questions_without_a_key() {
    let desk = Desk::on_the_night("midwatch", 120, 36);
    desk.shows("02:57");
    for (question, words) in [
        ("is it new, or always so", "new: first in 40 known days"),
        ("what changed", "02:39 deploy shop 4f3a2c ◀ suspect  2m before  by ci"),
        ("who did what", "who did what"),
        ("who did what", "nobody yet"),
        ("whom to wake", "1 robin  +49 30 555 0142  nights"),
        ("how is it done here", "runbook   flushing varnish"),
        ("how is it done here", "dashboard varnish overview"),
    ] {
        assert!(desk.screen().contains(words), "{question}: `{words}` is not on the screen:\n{}", desk.screen());
    }
}

#[test]
fn each_answer_is_three_keys_away_at_most() {
    for (question, press, shows, opens) in [
        ("who acted last on the shop's checkout", "j j j", "kim acknowledged: the bank knows", None),
        ("who acted last, anywhere", "3 G", "kim", None),
        ("what changed before the first alert", "Enter", "deploy shop 4f3a2c ◀ suspect", None),
        ("what changed, on the timeline", "3", "changes", None),
        ("the graph", "d", "varnish overview", Some("https://graphs.example/varnish")),
        ("the runbook's name", "Enter", "flushing varnish", None),
        ("the runbook itself", "r", "flushing varnish", Some("https://runbooks.example/varnish")),
        ("whom to wake for the storage", "j", "robin  +49 30 555 0142", None),
        ("what it probably comes from", "j l j", "replication 40 s behind", None),
    ] {
        assert!(keys(press) <= 3, "{question}: {press}");
        let mut desk = Desk::on_the_night("midwatch", 120, 36);
        desk.press(press);
        desk.wait(midwatch::model::time::Span::from_millis(500));
        assert!(desk.screen().contains(shows), "{question} ({press}): `{shows}` is not on the screen:\n{}", desk.screen());
        match opens {
            Some(address) => assert_eq!(opened(&desk), [address], "{question}"),
            None => assert!(opened(&desk).is_empty(), "{question}: {:?}", opened(&desk)),
        }
    }
}

#[test]
fn the_key_that_says_not_so_is_the_one_that_the_keymap_has() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("j l j j");
    desk.wait(midwatch::model::time::Span::from_millis(500));
    desk.shows("probably comes from   ! not so");
    desk.state.keymap = midwatch::console::keymap::Keymap::shipped().unwrap().user("[now]\n\"!\" = \"noop\"\n\"N\" = \"cause-deny\"\n", "keys.toml").unwrap();
    desk.wait(midwatch::model::time::Span::from_millis(500));
    desk.shows("probably comes from   N not so");
}

#[test]
fn the_strip_marks_where_something_changed_in_letters_alone_too() {
    for (theme, sign) in [("midwatch", "▴"), ("mono", "▴")] {
        for (width, height) in [(80, 24), (120, 36)] {
            let mut desk = Desk::on_the_night(theme, width, height);
            desk.press("3");
            let screen = desk.screen();
            let marks = screen.lines().find(|line| line.trim_start().starts_with("changes")).unwrap_or_else(|| panic!("no changes:\n{screen}"));
            // The deploy and the configuration of this night share the last columns of a strip of forty days.
            assert!((1..=3).contains(&marks.matches(sign).count()), "{marks}");
        }
    }
}
