//! What was heard before, and what is asked while nobody answers.

use std::sync::Arc;

use super::night::{Desk, NOW, ago, night};
use super::screens::PANES;
use midwatch::console::message::{Message, News};
use midwatch::model::id::RequestId;
use midwatch::model::intent::{Intent, Refusal, RefusalCode, Request};
use midwatch::model::time::Span;

/// A console that begins with what a former one heard 41 minutes ago.
fn desk(width: u16, height: u16) -> Desk {
    let (infra, shop) = night();
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", width, height);
    for (server, told) in [&infra, &shop].into_iter().enumerate() {
        let events: Vec<_> = told.log.iter().map(|event| Arc::new(event.clone())).collect();
        desk.state.remember(server, Arc::new(told.primary.world.clone()), &events, Span::from_mins(41));
    }
    desk.wait(Span::from_millis(100));
    desk
}

#[test]
fn the_first_frame_shows_what_was_heard_with_its_age() {
    for (width, height) in [(40, 10), (80, 24), (120, 36), (200, 60)] {
        let mut desk = desk(width, height);
        for (_, key) in PANES {
            desk.press(key);
            assert!(!desk.screen().contains("●  infra") && !desk.screen().contains("All is well"));
        }
    }
    let mut desk = desk(120, 36);
    desk.shows("osd.12 down");
    desk.shows("◌ infra 41m");
    insta::assert_snapshot!("as_last_heard_120x36", desk.screen());
    // The stream goes on from there.
    desk.hear(0, vec![News::Connected { version: "0.1.0".into(), environment: None, skew: None, patience: Span::from_secs(15) }]);
    desk.shows("◌ infra 41m");
    desk.hear(0, vec![News::Claim { lag: Span::ZERO }]);
    desk.wait(Span::from_millis(300));
    desk.shows("● infra");
    desk.shows("◌ shop 41m");
}

#[test]
fn a_former_console_s_request_stands_as_unsent_until_it_is_answered_and_a_late_one_is_refused_in_words() {
    let mut desk = desk(160, 36);
    let alert = desk.state.rows.iter().find(|row| row.name == "shop/varnish").map(|row| (row.alert.alert, row.episode)).unwrap();
    let id = RequestId([9; 16]);
    let intent = Intent::Acknowledge { alert: alert.0, episode: alert.1, note: "".into() };
    desk.state.unsent(1, &Request { id, by: "robin".into(), made: ago(41), intent, signed: None });
    desk.wait(Span::from_millis(100));
    desk.shows("1 unsent");
    desk.hear(1, vec![News::Connected { version: "0.1.0".into(), environment: None, skew: None, patience: Span::from_secs(15) }]);
    desk.shows("1 pending");
    let refusal = Refusal { code: RefusalCode::Over, why: "that episode is over".into() };
    desk.tell(Message::Server(1, News::Answer { request: id, result: Err(refusal) }));
    desk.shows("refused by shop: that episode is over   (acknowledge shop/varnish  hit rate 12 %");
    desk.hides("pending");
}

#[test]
fn what_could_not_be_kept_is_said_and_not_shown_as_on_its_way() {
    let mut desk = Desk::on_the_night("midwatch", 160, 36);
    desk.press("a");
    desk.shows("1 pending");
    desk.state.not_kept(1, &RequestId([1; 16]), "it could not be kept on this machine's disk (no space left on device)");
    desk.wait(Span::from_millis(100));
    desk.shows("not sent to shop: acknowledge shop/varnish");
    desk.hides("pending");
    assert!(desk.state.pending.is_empty() && desk.state.present >= NOW);
}
