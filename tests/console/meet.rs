//! First contact: a server that is met for the first time is asked about in the screen, and in lines.

use std::sync::Arc;

use super::night::{Desk, night};
use super::screens::colours;
use midwatch::console::effect::Effect;
use midwatch::console::linear::Linear;
use midwatch::console::message::{Message, News};
use midwatch::console::overlay::meet::Meeting;
use midwatch::console::sight::Barred;
use midwatch::model::time::Span;

const WORDS: [&str; 16] = [
    "anchor", "bridge", "candle", "dragon", "eagle", "falcon", "garden", "hammer", "island", "jacket", "kettle", "ladder", "marble", "needle", "orange",
    "pepper",
];

fn fingerprint(of: char) -> String {
    format!("SHA256:{}", of.to_string().repeat(43))
}

fn unmet(name: &str, of: char) -> Vec<News> {
    let meeting = Meeting {
        name: name.into(),
        address: format!("wss://{name}.example.org:7373").into(),
        fingerprint: fingerprint(of),
        words: WORDS.to_vec(),
        file: "/home/robin/.local/state/midwatch/known_servers".into(),
    };
    vec![News::Lost { why: format!("{name} is met for the first time").into(), retry: None }, News::Barred(Barred::Unmet(Arc::new(meeting)))]
}

fn pins(desk: &Desk) -> Vec<(usize, String)> {
    let pins = desk.effects.iter().filter_map(|effect| match effect {
        Effect::Pin { server, fingerprint } => Some((*server, fingerprint.clone())),
        _ => None,
    });
    pins.collect()
}

fn desk(width: u16, height: u16, theme: &str) -> Desk {
    let (infra, _) = night();
    let mut desk = Desk::new(&["infra", "shop", "club"], theme, width, height);
    desk.hear(0, infra.snapshot());
    desk.wait(Span::from_secs(2));
    desk
}

#[test]
fn a_server_that_is_met_for_the_first_time_is_asked_about_in_the_screen() {
    let mut desk = desk(80, 24, "midwatch");
    for news in unmet("shop", 'a') {
        desk.tell(Message::Server(1, news));
    }
    desk.shows("The server shop (wss://shop.example.org:7373) is met for the first time.");
    desk.shows(&fingerprint('a'));
    // What was typed for something else is no answer, nor is the end of a line.
    desk.press("y");
    assert!(pins(&desk).is_empty());
    desk.wait(Span::from_secs(1));
    desk.press("Enter");
    assert!(pins(&desk).is_empty());
    desk.shows("is this the right server?");
    // It tries again meanwhile: that is the same question.
    for news in unmet("shop", 'a') {
        desk.tell(Message::Server(1, news));
    }
    desk.press("y");
    assert_eq!(pins(&desk), [(1, fingerprint('a'))]);
    desk.hides("is this the right server?");
}

#[test]
fn several_are_asked_about_one_after_another_and_no_leaves_one_as_it_is() {
    let mut desk = desk(80, 24, "midwatch");
    for (server, name, of) in [(1, "shop", 'a'), (2, "club", 'b')] {
        for news in unmet(name, of) {
            desk.tell(Message::Server(server, news));
        }
    }
    desk.wait(Span::from_secs(1));
    desk.shows("1 more");
    desk.press("n");
    desk.shows("The server club");
    desk.hides("1 more");
    desk.wait(Span::from_secs(1));
    desk.press("y");
    assert_eq!(pins(&desk), [(2, fingerprint('b'))]);
    desk.shows("shop is not spoken to; m in Servers asks again");
    // It is not asked about again by itself, however often it tries.
    for news in unmet("shop", 'a') {
        desk.tell(Message::Server(1, news));
    }
    desk.hides("is this the right server?");
    desk.press("0 j");
    desk.shows("not met yet: is its key right?");
    desk.press("m");
    desk.shows("The server shop");
    // Another key than the one that was asked about is another question.
    for news in unmet("shop", 'c') {
        desk.tell(Message::Server(1, news));
    }
    desk.shows(&fingerprint('c'));
    desk.press("y");
    assert_eq!(pins(&desk).len(), 1, "it has only just come up");
    desk.wait(Span::from_secs(1));
    desk.press("Esc");
    desk.hides("is this the right server?");
    assert_eq!(pins(&desk).len(), 1);
}

#[test]
fn a_changed_key_is_no_question() {
    let mut desk = desk(80, 24, "midwatch");
    let why = "THE KEY OF shop HAS CHANGED. Ask its operator why: it shows SHA256:bbb, and /known_servers:1 says SHA256:aaa.";
    desk.tell(Message::Server(1, News::Lost { why: why.into(), retry: None }));
    desk.tell(Message::Server(1, News::Barred(Barred::Changed)));
    desk.wait(Span::from_secs(10));
    desk.hides("is this the right server?");
    desk.press("0 j");
    desk.shows("ITS KEY HAS CHANGED");
    desk.shows("Ask its operator why");
    desk.press("m y");
    assert!(pins(&desk).is_empty());
}

#[test]
fn the_question_waits_until_nothing_else_is_asked() {
    let mut desk = desk(80, 24, "midwatch");
    desk.press("/");
    desk.type_text("shop");
    for news in unmet("shop", 'a') {
        desk.tell(Message::Server(1, news));
    }
    desk.hides("is this the right server?");
    desk.press("Esc");
    desk.shows("is this the right server?");
}

#[test]
fn the_question_in_every_size_and_theme() {
    for (width, height) in [(80, 24), (120, 36), (200, 60), (40, 12)] {
        let mut desk = desk(width, height, "midwatch");
        for news in unmet("shop", 'a') {
            desk.tell(Message::Server(1, news));
        }
        insta::assert_snapshot!(format!("meet_{width}x{height}"), desk.screen());
    }
    for theme in ["daylight", "mono"] {
        let mut desk = desk(80, 24, theme);
        for news in unmet("shop", 'a') {
            desk.tell(Message::Server(1, news));
        }
        insta::assert_snapshot!(format!("meet_colours_{theme}"), colours(&desk.buffer()));
    }
}

#[test]
fn linear_mode_asks_too_where_somebody_types() {
    for typed in [true, false] {
        let mut desk = desk(100, 50, "mono");
        desk.state.linear = true;
        let mut linear = Linear::new(!typed);
        let mut said = String::new();
        let mut settle = |desk: &mut Desk, linear: &mut Linear| {
            let mono = desk.mono;
            linear.settle(&mut desk.state, || mono);
            said += &linear.take();
            said.clone()
        };
        for news in unmet("shop", 'a') {
            desk.tell(Message::Server(1, news));
        }
        desk.wait(Span::from_secs(20));
        let asked = settle(&mut desk, &mut linear);
        assert_eq!(asked.contains("Is it this one? yes, no, or the fingerprint"), typed, "{asked}");
        if !typed {
            continue;
        }
        assert!(asked.contains(&fingerprint('a')) && asked.contains("anchor bridge candle"), "{asked}");
        linear.feed(b"y\n");
        assert_eq!(linear.work(&mut desk.state), Some(Vec::new()));
        linear.feed(format!("{}\n", fingerprint('a')).as_bytes());
        let effects = linear.work(&mut desk.state).unwrap();
        assert_eq!(effects, [Effect::Pin { server: 1, fingerprint: fingerprint('a') }]);
    }
}
