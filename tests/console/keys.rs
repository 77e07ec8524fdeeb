//! What keys do.

use super::night::{Desk, NOW, ago};
use midwatch::console::effect::Effect;
use midwatch::console::message::{Arriving, Message, News, Outcome};
use midwatch::model::id::RequestId;
use midwatch::model::intent::{Intent, Refusal, RefusalCode};
use midwatch::model::time::Span;

fn desk() -> Desk {
    Desk::on_the_night("midwatch", 120, 36)
}

#[test]
fn an_acknowledgement_is_pending_until_the_server_has_answered() {
    let mut desk = desk();
    desk.press("a");
    let sent = desk.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, 1, "to the server that the alert lives on");
    assert!(matches!(sent[0].1.intent, Intent::Acknowledge { .. }));
    desk.shows("acknowled");
    desk.shows("1 pending");
    desk.tell(Message::Server(1, News::Answer { request: RequestId([1; 16]), result: Ok(()) }));
    desk.wait(Span::from_millis(100));
    desk.hides("pending");
    desk.shows("acknowledged: shop/varnish");
}

#[test]
fn what_is_asked_of_a_lost_server_is_unsent_and_says_so() {
    let mut desk = desk();
    desk.tell(Message::Server(1, News::Lost { why: "gone".into(), retry: None }));
    desk.press("a");
    desk.shows("unsent");
    assert_eq!(desk.sent().len(), 1, "the outbox has it");
}

#[test]
fn a_refusal_is_shown_in_its_words() {
    let mut desk = desk();
    desk.press("a");
    let refusal = Refusal { code: RefusalCode::Over, why: "it has cleared meanwhile".into() };
    desk.tell(Message::Server(1, News::Answer { request: RequestId([1; 16]), result: Err(refusal) }));
    desk.shows("refused by shop: it has cleared meanwhile");
}

#[test]
fn a_whole_cause_is_taken_after_a_look_at_what_that_hits() {
    let mut desk = desk();
    desk.press("j");
    desk.press("i");
    desk.shows("take 3 alerts on 2 servers");
    desk.shows("replication 40 s behind");
    assert!(desk.sent().is_empty(), "nothing before Enter");
    desk.press("Enter");
    let sent = desk.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(_, request)| matches!(&request.intent, Intent::Assign { to: Some(to), .. } if to.as_str() == "robin")));
    desk.press("u");
    let back = desk.sent().split_off(3);
    assert_eq!(back.len(), 3, "undone as it was done");
    assert!(back.iter().all(|(_, request)| matches!(request.intent, Intent::Assign { to: None, .. })));
}

#[test]
fn not_so_is_said_with_one_key_and_taken_back() {
    let mut desk = desk();
    desk.press("!");
    desk.shows("this stands under no other alert");
    desk.press("j");
    desk.press("l");
    desk.shows("60 s after dc1/ceph");
    desk.press("j");
    desk.press("j");
    desk.wait(Span::from_millis(200));
    desk.shows("probably comes from");
    desk.shows("uses infra dc1/ceph, began 60 s later");
    assert!(desk.sent().is_empty());
    desk.press("!");
    let sent = desk.sent();
    assert!(matches!(sent[0].1.intent, Intent::DenyCause { .. }), "{sent:?}");
    assert_eq!(sent[0].0, 1, "the effect's server decides");
    desk.press("u");
    assert!(matches!(desk.sent()[1].1.intent, Intent::RestoreCause { .. }));
}

#[test]
fn marks_and_ranges_make_a_verb_a_bulk_verb() {
    let mut desk = desk();
    desk.press("4");
    desk.press("Space");
    desk.press("Space");
    desk.shows("2 marked");
    desk.press("s");
    desk.type_text("2h");
    desk.press("Enter");
    desk.shows("snooze 2 alerts");
    desk.press("Esc");
    assert!(desk.sent().is_empty(), "Esc leaves all as it is");
    desk.press("Esc");
    desk.hides("marked");
    desk.press("*");
    desk.press("a");
    desk.press("Enter");
    assert_eq!(desk.sent().len(), 4, "those that are shown; the effects are folded");
}

#[test]
fn a_snooze_takes_times_as_people_say_them_and_says_what_it_did_not_understand() {
    let mut desk = desk();
    desk.press("s");
    desk.type_text("soonish");
    desk.press("Enter");
    desk.shows("is not a time");
    desk.press("C-u");
    desk.type_text("8am");
    desk.press("Enter");
    let Some((_, request)) = desk.sent().pop() else { panic!("nothing was sent") };
    let Intent::Snooze { until, .. } = request.intent else { panic!("{request:?}") };
    assert_eq!(until.to_string(), "2026-11-21T07:00:00Z", "eight in the morning in Berlin");
}

#[test]
fn a_filter_works_as_one_types_and_says_the_column_of_a_mistake() {
    let mut desk = desk();
    desk.press("4");
    desk.press("/");
    desk.type_text("system:shop/db");
    desk.wait(Span::from_millis(100));
    desk.shows("2 open of");
    desk.type_text(" severty:x");
    desk.wait(Span::from_millis(100));
    desk.shows("column");
    desk.shows("severity");
    desk.press("Esc");
    desk.hides("open of");
}

#[test]
fn a_paste_never_runs_as_keys() {
    let mut desk = desk();
    desk.tell(Message::Paste("a\nq:q\n".into()));
    assert!(desk.sent().is_empty());
    assert!(!desk.effects.contains(&Effect::Quit));
    desk.press("/");
    desk.tell(Message::Paste("varn\u{1b}[31mish".into()));
    desk.shows("varn[31mish");
}

#[test]
fn in_a_read_only_console_verbs_are_absent() {
    let mut desk = desk();
    desk.state.read_only = true;
    desk.press("a");
    assert!(desk.sent().is_empty());
    desk.hides("acknowledge ");
    desk.press("?");
    desk.hides("Says that you have it");
}

#[test]
fn q_never_quits_from_below_and_colon_q_does() {
    let mut desk = desk();
    desk.press("q");
    assert!(desk.effects.is_empty());
    desk.press(":");
    desk.type_text("q");
    desk.press("Enter");
    assert!(desk.effects.contains(&Effect::Quit));
}

#[test]
fn a_note_is_written_and_taken_back() {
    let mut desk = desk();
    desk.press("c");
    desk.type_text("looking at varnish");
    desk.press("Enter");
    assert!(matches!(&desk.sent()[0].1.intent, Intent::NoteAlert { text, .. } if &**text == "looking at varnish"));
    desk.press("u");
    desk.shows("has not arrived yet");
    desk.tell(Message::Done(Outcome::Said("ok".into())));
}

#[test]
fn after_a_prefix_the_possible_keys_appear() {
    let mut desk = desk();
    desk.press("g");
    desk.shows("Shows every event of every server, by time.");
    desk.press("t");
    desk.shows("following");
}

#[test]
fn errors_are_stepped_through_and_times_gone_to() {
    let mut desk = desk();
    desk.press("3");
    desk.press("[");
    desk.shows("osd.12 down");
    desk.press("t");
    desk.type_text("-20m");
    desk.press("Enter");
    desk.wait(Span::from_millis(100));
    let place = desk.state.panes.timeline.place.unwrap();
    assert!(place.0 <= ago(19), "the last event that had happened by then");
    desk.press(".");
    assert!(desk.state.panes.timeline.place.is_none(), "following again");
}

#[test]
fn find_goes_to_anything_that_has_a_name() {
    let mut desk = desk();
    desk.press("f");
    desk.type_text("ceph");
    desk.wait(Span::from_millis(100));
    desk.press("Enter");
    desk.shows("ceph");
}

#[test]
fn copies_say_what_they_copied() {
    let mut desk = desk();
    desk.press("y y");
    let copied = desk.effects.iter().find_map(|effect| if let Effect::Copy(text) = effect { Some(text.clone()) } else { None }).unwrap();
    assert!(copied.contains("shop/varnish") && copied.contains("hit rate 12 %"), "{copied}");
    desk.press("y m");
    let Some(Effect::Copy(summary)) = desk.effects.last() else { panic!("no summary") };
    assert!(summary.contains("deploy shop 4f3a2c"), "{summary}");
}

#[test]
fn nobody_acts_on_a_row_that_has_just_come_under_the_cursor() {
    let mut desk = desk();
    let selected = desk.state.panes.now.list.alert().unwrap();
    let shop = desk.state.sky.of_origin(selected.origin).unwrap().0;
    // The selected alert clears: another row stands there now.
    let world = desk.state.sky.servers[shop].world.clone();
    let alert = world.alert(selected.alert).unwrap();
    let id = midwatch::model::id::EventId { sequence: world.head.next(), origin: world.origin, incarnation: world.incarnation };
    let kind = midwatch::model::event::AlertCleared { alert: selected.alert, reason: midwatch::model::event::ClearReason::Recovered };
    let draft = midwatch::model::event::Draft::new(NOW, midwatch::model::event::Actor::Server, kind, alert.title.clone()).on(alert.system.clone());
    desk.hear(shop, vec![News::Events { events: vec![std::sync::Arc::new(draft.stamp(id, NOW))], lag: Span::ZERO }]);
    desk.wait(Span::from_millis(100));
    assert_ne!(desk.state.panes.now.list.alert(), Some(selected));
    desk.press("a");
    assert!(desk.sent().is_empty(), "it was not seen yet");
    desk.shows("look, then press again");
    desk.press("a");
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn a_refused_token_is_said_where_one_looks_first() {
    let mut desk = Desk::new(&["infra"], "midwatch", 100, 30);
    desk.tell(Message::Server(0, News::Lost { why: "the token is wrong".into(), retry: None }));
    desk.wait(Span::from_secs(1));
    desk.shows("infra cannot be used: the token is wrong");
    desk.hides("nothing needs you");
}

#[test]
fn a_copied_link_opens_in_another_console() {
    let link_of = |pane: &str| {
        let mut desk = desk();
        desk.press(pane);
        desk.press("y l");
        let Some(Effect::Copy(link)) = desk.effects.last().cloned() else { panic!("no link in {pane}") };
        link
    };
    for (pane, title) in [("1", "hit rate"), ("3", "following"), ("8", "systems")] {
        let mut other = desk();
        other.press("f");
        other.tell(Message::Paste(link_of(pane)));
        other.press("Enter");
        other.hides("leads to nothing");
        if pane != "3" {
            other.shows(title);
        }
    }
    let mut other = desk();
    other.press("f");
    other.tell(Message::Paste("midwatch:alert:nonsense".into()));
    other.press("Enter");
    other.shows("leads to nothing");
}

#[test]
fn a_past_that_is_being_brought_in_is_counted_on_the_screen() {
    let mut desk = desk();
    desk.tell(Message::Arriving(Some(Arriving { came: 3_120, of: 5_400 })));
    desk.shows("the night is coming in: 3,120 of 5,400 events");
    desk.tell(Message::Arriving(None));
    desk.hides("coming in");
}

fn many() -> Desk {
    let mut told = super::night::Told::new(9, "shop", &[super::night::system("shop", "The shop", "service", &[])]);
    for n in (0..60).rev() {
        told.change(
            "ci",
            "shop",
            ago(n * 2),
            &if n % 20 == 7 { format!("deploy {n}") } else { format!("config {}", ["a", "b"][usize::try_from(n % 2).unwrap()]) },
        );
    }
    let mut desk = Desk::new(&["shop"], "midwatch", 120, 36);
    desk.hear(0, told.snapshot());
    desk.press("3");
    desk
}

#[test]
fn lines_around_hits_are_shown_and_stepped_over() {
    let mut desk = many();
    desk.press("/");
    desk.type_text("deploy");
    desk.press("Enter");
    desk.shows("3 of 6");
    desk.hides("config");
    desk.press("C");
    desk.shows("1 line around each");
    desk.shows("config");
    desk.shows("--");
    desk.press("N");
    let hit = desk.state.timeline.slot(desk.state.panes.timeline.selected).unwrap();
    assert!(!hit.context && hit.event().unwrap().title.starts_with("deploy"));
    desk.press("k");
    desk.press("k");
    assert!(desk.state.timeline.slot(desk.state.panes.timeline.selected).is_some(), "a gap is no row to stand on");
}

#[test]
fn bookmarks_have_names_and_are_kept() {
    let mut desk = many();
    desk.press("k k k k");
    desk.press("m");
    desk.press(":");
    desk.type_text("bookmark-set before the deploy");
    desk.press("Enter");
    let kept = desk.effects.iter().rev().find_map(|effect| if let midwatch::console::effect::Effect::Keep(kept) = effect { Some(kept.clone()) } else { None });
    let kept = kept.unwrap();
    assert_eq!(kept.bookmarks.iter().map(|bookmark| bookmark.name.as_str()).collect::<Vec<_>>(), ["before the deploy"]);
    let mut again = many();
    again.state.recall(kept);
    again.press("'");
    again.type_text("before");
    again.press("Enter");
    assert_eq!(again.state.panes.timeline.place, desk.state.panes.timeline.place);
}

#[test]
fn a_time_that_is_not_held_is_asked_for_and_a_clock_is_corrected_with_a_mark() {
    let mut desk = many();
    // The snapshot said that there is more.
    desk.state.timeline.forget(0);
    let mut told = super::night::Told::new(9, "shop", &[super::night::system("shop", "The shop", "service", &[])]);
    told.change("ci", "shop", ago(5), "deploy");
    let entries = told.log.iter().map(|event| midwatch::console::message::Entry::known(&std::sync::Arc::new(event.clone()))).collect();
    desk.hear(0, vec![midwatch::console::message::News::Older { entries, complete: false }]);
    desk.effects.clear();
    desk.press("t");
    desk.type_text("-600d");
    desk.press("Enter");
    desk.wait(Span::from_millis(200));
    desk.wait(Span::from_millis(200));
    let pages = desk.effects.iter().filter_map(|effect| if let midwatch::console::effect::Effect::Page(asked) = effect { Some(asked) } else { None });
    let around: Vec<_> = pages.filter(|asked| asked.from.is_some_and(|(at, _)| at < ago(60 * 24 * 300).micros())).map(|asked| asked.toward).collect();
    assert_eq!(around, [midwatch::console::timeline::Toward::Older, midwatch::console::timeline::Toward::Newer], "what is before and what is behind");
    desk.press(".");
    desk.press(":");
    desk.type_text("clock-correct -2m");
    desk.press("Enter");
    desk.shows("clock corrected: shop");
    desk.shows("≈");
    desk.press(":");
    desk.type_text("clock-correct off");
    desk.press("Enter");
    desk.hides("clock corrected");
}

#[test]
fn a_servers_clock_is_known_from_its_answers_and_corrected_by_that() {
    let mut desk = many();
    let answer = |delay: i64| midwatch::model::skew::Answer {
        theirs: NOW.plus(Span::from_secs(95)),
        ours: NOW.plus(Span::from_millis(delay)),
        delay: Span::from_millis(delay),
        mono: desk.mono,
    };
    let (slow, quick) = (answer(1_800), answer(20));
    desk.press("0");
    desk.press("Enter");
    desk.shows("agrees with ours");
    desk.tell(Message::Server(0, News::Clock(slow)));
    desk.shows("1m34s ahead of ours, to within 90");
    desk.tell(Message::Server(0, News::Clock(quick)));
    desk.shows("1m34s ahead of ours, to within 1");
    desk.shows(" ms");
    desk.press("3");
    desk.press("U");
    desk.press("U");
    desk.shows("+1m34s");
    desk.run("clock-correct");
    desk.shows("clock corrected: shop");
    desk.press("0");
    desk.shows("its times are shown 1m34s earlier");
    // Another connection, another clock perhaps: what was known counts no more.
    desk.hear(0, vec![News::Connected { version: "0.1.0".into(), environment: None, skew: Some(0), patience: Span::from_secs(15) }]);
    desk.shows("agrees with ours");
}
