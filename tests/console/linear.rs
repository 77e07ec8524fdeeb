//! Linear mode: lines in, lines out, over the same night.

use super::night::{Desk, NOW, Told, ago, night};
use midwatch::command::{COMMANDS, Pane, Scope};
use midwatch::console::effect::Effect;
use midwatch::console::linear::Linear;
use midwatch::console::message::{Message, News};
use midwatch::console::theme::{Depth, Theme};
use midwatch::model::id::RequestId;
use midwatch::model::intent::Intent;
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;

struct Talk {
    desk: Desk,
    linear: Linear,
    said: String,
}

impl Talk {
    fn new(names: &[&str]) -> Talk {
        let mut desk = Desk::new(names, "mono", 100, 50);
        desk.state.linear = true;
        desk.state.theme = Theme::shipped("mono", Depth::Sixteen, true).unwrap();
        Talk { desk, linear: Linear::new(true), said: String::new() }
    }

    fn on_the_night() -> Talk {
        let (infra, shop) = night();
        let mut talk = Talk::new(&["infra", "shop"]);
        talk.hear(0, &infra);
        talk.hear(1, &shop);
        talk.settle();
        talk
    }

    fn hear(&mut self, server: usize, told: &Told) {
        self.desk.hear(server, told.snapshot());
    }

    fn settle(&mut self) {
        let mono = self.desk.mono;
        self.linear.settle(&mut self.desk.state, || mono);
        self.said += &self.linear.take();
    }

    fn wait(&mut self, span: Span) {
        self.desk.wait(span);
        self.settle();
    }

    /// Types a line; what is said to it.
    fn line(&mut self, line: &str) -> String {
        let before = self.said.len();
        self.linear.feed(format!("{line}\n").as_bytes());
        let effects = self.linear.work(&mut self.desk.state).expect("it answers");
        self.desk.effects.extend(effects);
        self.settle();
        self.said.get(before..).unwrap().to_owned()
    }
}

#[test]
fn a_whole_session() {
    let mut talk = Talk::on_the_night();
    for line in ["1", "back", "ack", "what", "yes"] {
        talk.line(line);
    }
    talk.desk.tell(Message::Server(1, News::Answer { request: RequestId([1; 16]), result: Ok(()) }));
    talk.settle();
    for line in ["3", "take", "no", "2 snooze", "soon", "2", "yes", "", "note", "1", "asked the bank", "y", "undo", "n"] {
        talk.line(line);
    }
    for line in ["filter", "severity:critical", "filter", "-", "usual", "group system", "alerts", "mark", "mark", "res", "n", "mark-none"] {
        talk.line(line);
    }
    for line in ["timeline", "more", "3", "back", "go-to", "yesterday 3am", "live", "systems", "2", "servers", "1", "today", "find", "ceph", "1", "?"] {
        talk.line(line);
    }
    for line in ["export", "", "nosuch", "qiut", "99", "copy-line", "messages", "quit"] {
        talk.line(line);
    }
    insta::assert_snapshot!("linear_session", talk.said);
}

#[test]
fn no_cursor_moves_and_nothing_is_drawn() {
    let mut talk = Talk::on_the_night();
    for line in ["1", "today", "timeline", "1", "systems", "1", "servers", "1", "alerts", "?", "messages"] {
        talk.line(line);
    }
    assert!(talk.said.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", talk.said);
    let drawn = ['─', '│', '└', '├', '▌', '▁', '█', '●', '▲', '▸', '▾', '◌', '…'];
    assert!(!talk.said.contains(drawn), "{}", talk.said);
    assert!(!talk.said.contains("---") && !talk.said.contains("   "), "{}", talk.said);
}

#[test]
fn every_command_can_be_named_and_asks_for_what_it_needs() {
    for entry in COMMANDS {
        let panes: Vec<Pane> = Pane::ALL.into_iter().filter(|pane| entry.is_available(*pane, false)).collect();
        assert!(!panes.is_empty() || entry.scope == Scope::Prompt, "{}", entry.name);
        for pane in panes {
            let mut talk = Talk::on_the_night();
            talk.line(pane.name());
            let effects = talk.desk.effects.len();
            let said = talk.line(entry.name);
            let words = said.split_once('\n').unwrap().1;
            let runs = talk.desk.effects.len() > effects;
            assert!(runs || words.lines().count() > 1, "{} says nothing in {}: {said}", entry.name, pane.name());
            assert!(!words.contains("there is no command") && !words.contains("not in this pane"), "{} in {}: {said}", entry.name, pane.name());
            let asks = talk.desk.state.overlay.is_some();
            if let Some(argument) = entry.argument.filter(|argument| argument.required) {
                assert!(said.contains(argument.example) && said.ends_with(&format!("{}> ", entry.name)), "{said}");
                let answer = talk.line(argument.example);
                assert!(!answer.contains("needs"), "{answer}");
            } else if asks {
                // Whatever is asked can be left.
                let answer = talk.line("");
                assert!(answer.contains("left"), "{}: {answer}", entry.name);
            }
            // With its argument in the same line.
            if let Some(argument) = entry.argument {
                let mut talk = Talk::on_the_night();
                talk.line(pane.name());
                let said = talk.line(&format!("{} {}", entry.name, argument.example));
                assert!(said.lines().count() > 1 && !said.contains("there is no command"), "{said}");
            }
            // Nothing that everybody sees happens without a yes.
            let sent = talk.desk.effects.iter().skip(effects).filter(|effect| matches!(effect, Effect::Send { .. })).count();
            assert_eq!(sent, 0, "{} in {}", entry.name, pane.name());
            // One is back where commands are typed.
            let said = talk.line("list");
            assert!(said.ends_with("> ") && talk.desk.state.overlay.is_none(), "{said}");
        }
    }
}

#[test]
fn a_verb_is_asked_about_and_done_once() {
    for (line, answers) in
        [("1 ack", vec!["yes"]), ("1 snooze 2h", vec!["y"]), ("1 snooze", vec!["1", "yes"]), ("1 note it burns", vec!["yes"]), ("1 resolve", vec!["yes"])]
    {
        let mut talk = Talk::on_the_night();
        let said = talk.line(line);
        assert!(talk.desk.sent().is_empty(), "{said}");
        for answer in &answers {
            talk.line(answer);
        }
        assert_eq!(talk.desk.sent().len(), 1, "{}", talk.said);
        assert!(talk.said.contains("shop/varnish"), "{}", talk.said);
        let before = talk.said.len();
        talk.line("yes");
        assert!(talk.said.get(before..).unwrap().contains("there is no command"), "a yes too many hits nothing");
        assert_eq!(talk.desk.sent().len(), 1);
    }
    let mut talk = Talk::on_the_night();
    talk.line("2 take");
    talk.line("yes");
    let sent = talk.desk.sent();
    assert_eq!(sent.len(), 3, "a cause with its effects: {}", talk.said);
    assert!(sent.iter().all(|(_, request)| matches!(request.intent, Intent::Assign { .. })));
    // Taken back after another question, and once.
    talk.line("undo");
    talk.line("no");
    assert_eq!(talk.desk.sent().len(), 3);
    talk.line("undo");
    talk.line("yes");
    assert_eq!(talk.desk.sent().len(), 6);
    let said = talk.line("undo");
    assert!(said.contains("there is nothing to take back"), "{said}");
}

#[test]
fn what_happens_meanwhile_is_appended_severity_first_and_a_storm_is_counted() {
    let (infra, mut shop) = night();
    let mut talk = Talk::new(&["infra", "shop"]);
    talk.hear(0, &infra);
    talk.hear(1, &shop);
    talk.settle();
    let begun = talk.said.len();
    let known = shop.log.len();
    shop.fires("mail", "QueueLong", Severity::Critical, "412 mails wait (> 100)", NOW);
    let events = |told: &Told, from: usize| News::Events { events: told.log.iter().skip(from).cloned().map(std::sync::Arc::new).collect(), lag: Span::ZERO };
    talk.desk.tell(Message::Server(1, events(&shop, known)));
    talk.settle();
    let said = talk.said.get(begun..).unwrap();
    assert_eq!(said, "\nCRITICAL mail 412 mails wait (> 100), new: first in 40 known days, 1 s\nnow> ", "{said:?}");
    // A storm: five at once are too many already.
    let (begun, known) = (talk.said.len(), shop.log.len());
    for number in 0..43 {
        shop.fires(&format!("edge-{number}"), "Down", Severity::Critical, "no answer", NOW);
    }
    talk.desk.tell(Message::Server(1, events(&shop, known)));
    talk.settle();
    let said = talk.said.get(begun..).unwrap().to_owned();
    assert_eq!(said.matches("no answer").count(), 4, "{said}");
    for _ in 0..12 {
        talk.wait(Span::from_secs(1));
    }
    let said = talk.said.get(begun..).unwrap().to_owned();
    assert!(said.contains("\n39 more, say `now`\n"), "{said}");
    // An empty line says what was held back; then nothing is new.
    let said = talk.line("");
    assert!(said.matches("no answer").count() == 20 && said.contains("19 more, say `now`"), "{said}");
    let said = talk.line("");
    assert!(said.contains("nothing new"), "{said}");
    // What clears is said too; who has it as well.
    let (alert, episode) =
        shop.primary.world.open_alerts().find(|(_, alert)| alert.check.as_str() == "QueueLong").map(|(id, alert)| (id, alert.now.unwrap().episode)).unwrap();
    let known = shop.log.len();
    shop.asks("kim", NOW, Intent::Assign { alert, episode, to: Some("kim".into()) });
    talk.wait(Span::from_secs(20));
    talk.desk.tell(Message::Server(1, events(&shop, known)));
    talk.settle();
    let said = talk.line("");
    assert!(said.contains("CRITICAL mail 412 mails wait (> 100): kim has it"), "{said}");
}

#[test]
fn a_server_that_is_lost_is_said_and_what_is_known_of_it_is_marked() {
    let mut talk = Talk::on_the_night();
    talk.desk.tell(Message::Server(1, News::Lost { why: "gone".into(), retry: None }));
    talk.settle();
    assert!(talk.said.contains("shop is lost: gone. What you see of it is how it was"), "{}", talk.said);
    let said = talk.line("now");
    assert!(said.contains("STALE: shop was last heard") && said.contains("hit rate 12 % (< 60 %), as last heard"), "{said}");
}

#[test]
fn nothing_is_answered_before_the_servers_have_been_heard() {
    let mut talk = Talk::new(&["infra", "shop"]);
    talk.linear.feed(b"now\n");
    talk.settle();
    assert!(talk.linear.work(&mut talk.desk.state).is_none() && talk.said.is_empty());
    let (infra, shop) = night();
    talk.hear(0, &infra);
    talk.settle();
    assert!(talk.said.is_empty());
    talk.hear(1, &shop);
    talk.settle();
    assert!(talk.linear.work(&mut talk.desk.state).is_some() && talk.said.contains("hit rate 12 %"));
    talk.linear.end_of_input();
    assert!(talk.linear.is_over(&talk.desk.state));
    let _ = ago(0);
}

#[test]
fn t1_hostile_words_stay_words_in_lines() {
    let mut told = Told::new(1, "shop", &[]);
    told.fires("shop/evil", "\u{1b}]0;x\u{7}Check", Severity::Critical, "\u{1b}[2J\u{9b}31mred\r\nnow> quit\u{202e}", ago(3));
    let mut talk = Talk::new(&["shop"]);
    talk.hear(0, &told);
    talk.settle();
    for line in ["1", "timeline", "alerts", "find evil", "", "\u{1b}[Anow\u{7f}"] {
        talk.line(line);
    }
    assert!(talk.said.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", talk.said);
    assert!(!talk.said.contains('\u{202e}'), "{:?}", talk.said);
    assert!(!talk.said.lines().any(|line| line.starts_with("now> quit")), "{}", talk.said);
}

/// A talk on a terminal that hands over each key, and what comes when mail stands still.
fn typed(clears: bool) -> (Talk, Message) {
    let (infra, mut shop) = night();
    let mut talk = Talk::new(&["infra", "shop"]);
    talk.linear = Linear::new(false).by_key(clears);
    talk.hear(0, &infra);
    talk.hear(1, &shop);
    talk.settle();
    let known = shop.log.len();
    shop.fires("mail", "QueueLong", Severity::Critical, "412 mails wait", NOW);
    let events = shop.log.iter().skip(known).cloned().map(std::sync::Arc::new).collect();
    (talk, Message::Server(1, News::Events { events, lag: Span::ZERO }))
}

#[test]
fn what_comes_while_one_types_breaks_no_line() {
    let (mut talk, mail) = typed(true);
    let begun = talk.said.len();
    talk.linear.feed(b"ser");
    talk.desk.tell(mail);
    talk.settle();
    let said = talk.said.get(begun..).unwrap();
    assert!(said.starts_with("ser\r\u{1b}[KCRITICAL mail 412 mails wait, new") && said.ends_with("\nnow> ser"), "{said:?}");
    talk.linear.feed(b"x\x7fvers\n");
    talk.linear.work(&mut talk.desk.state).unwrap();
    talk.settle();
    let said = talk.said.get(begun..).unwrap();
    assert!(said.contains("now> serx\u{8} \u{8}vers\n") && talk.desk.state.pane == Pane::Servers, "{said:?}");
    // A line that is wider than the screen stays where it is, and is said again.
    talk.linear.wide(20);
    talk.linear.feed(b"filter system:shop/varnish");
    let begun = talk.said.len();
    talk.linear.tell("something");
    talk.settle();
    let said = talk.said.get(begun..).unwrap();
    assert!(said.ends_with("\nsomething\nservers> filter system:shop/varnish") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn on_a_dumb_terminal_what_comes_waits_until_the_line_is_sent() {
    let (mut talk, mail) = typed(false);
    let begun = talk.said.len();
    talk.linear.feed(b"ser");
    talk.desk.tell(mail);
    talk.settle();
    talk.settle();
    assert_eq!(talk.said.get(begun..), Some("ser"));
    talk.linear.feed(b"vers\n");
    talk.linear.work(&mut talk.desk.state).unwrap();
    talk.settle();
    let said = talk.said.get(begun..).unwrap();
    assert!(said.starts_with("servers\n") && said.contains("CRITICAL mail 412 mails wait") && said.ends_with("\nservers> "), "{said:?}");
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
    // Nothing is typed: what comes is said at once.
    let (mut talk, mail) = typed(false);
    talk.desk.tell(mail);
    talk.settle();
    assert!(talk.said.contains("\nCRITICAL mail 412 mails wait"), "{:?}", talk.said);
}

#[test]
fn severity_words_have_colours_where_there_are_any_and_stay_words() {
    let (infra, shop) = night();
    let mut talk = Talk::new(&["infra", "shop"]);
    talk.linear = Linear::new(true).in_colours(true);
    talk.hear(0, &infra);
    talk.hear(1, &shop);
    talk.settle();
    talk.line("alerts");
    talk.line("timeline");
    assert!(talk.said.contains("1. \u{1b}[1;31mCRITICAL\u{1b}[m shop/varnish"), "{:?}", talk.said);
    let plain = talk.said.replace("\u{1b}[1;31m", "").replace("\u{1b}[31m", "").replace("\u{1b}[33m", "").replace("\u{1b}[35m", "").replace("\u{1b}[m", "");
    let mut other = Talk::on_the_night();
    other.line("alerts");
    other.line("timeline");
    assert_eq!(plain, other.said, "nothing else is coloured, and no word is lost");
}
