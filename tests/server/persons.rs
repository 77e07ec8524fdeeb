//! A person with several keys, over real sockets: one person to everybody, whichever key they come by; a lost one
//! out at once, with all that stood on it; and by which key what was done, from where and through whom.

use midwatch::link::{Clock, Conversation, OsRandom, Random, SystemClock};
use midwatch::model::event::{Actor, Event, Kind, TrustRefused, TrustUsed};
use midwatch::model::grant::{Rights, Scope};
use midwatch::model::id::{Incarnation, Person, Sequence};
use midwatch::model::intent::{Intent, RefusalCode, Request};
use midwatch::model::mark::{Mark, Marks, Stamp};
use midwatch::model::observation::Observation;
use midwatch::model::severity::Status;
use midwatch::model::time::Span;
use midwatch::trust::{grant, verb, vouch};
use midwatch::wire::{Hello, HistoryAsk, Outcome, Paging, ReadMarks, Renew, Role, ToClient, ToServer};

use crate::grants::{Yard, fired, heard, hello, key, named};
use crate::scene;

fn request(intent: Intent) -> Request {
    Request { id: OsRandom.request_id(), by: "whoever".into(), made: SystemClock.now(), intent, signed: None }
}

async fn asks(talk: &mut Conversation, request: Request) -> Outcome {
    talk.send(&ToServer::Do(request)).await.unwrap();
    match heard(talk, |message| matches!(message, ToClient::Answer(_))).await.pop() {
        Some(ToClient::Answer(answer)) => answer.result,
        other => panic!("{other:?}"),
    }
}

async fn done(talk: &mut Conversation, intent: Intent) {
    let outcome = asks(talk, request(intent)).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(refusal) => refusal.why,
        Outcome::Done(_) => panic!("it was done"),
    }
}

/// The word of one key for another.
fn add(yard: &Yard, new: u8, by: u8) -> Intent {
    let vouched = vouch::vouch(&key(by), yard.log.head().origin, &named(new), SystemClock.now()).unwrap();
    Intent::AddKey { key: named(new), vouched }
}

fn note(text: &str) -> Intent {
    Intent::NoteSystem { system: "shop".parse().unwrap(), text: text.into() }
}

async fn console(yard: &Yard, seed: u8) -> Conversation {
    yard.come(seed, hello(Role::Console, "whoever")).await.unwrap()
}

async fn marks(talk: &mut Conversation, said: Marks) -> Marks {
    talk.send(&ToServer::ReadMarks(ReadMarks { marks: said })).await.unwrap();
    match heard(talk, |message| matches!(message, ToClient::MarksKept(_))).await.pop() {
        Some(ToClient::MarksKept(kept)) => (*kept.marks).clone(),
        other => panic!("{other:?}"),
    }
}

fn looked(yard: &Yard) -> Marks {
    let mark = Mark { incarnation: Incarnation(1_790_000_000_000), sequence: Sequence(1), looked: Stamp { at: SystemClock.now(), count: 0 } };
    [(yard.log.head().origin, mark)].into_iter().collect()
}

/// Once it is there.
async fn eventually(yard: &Yard, what: &str, mut so: impl FnMut(&[Event]) -> bool) -> Vec<Event> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let log = yard.events().await;
        if so(&log) {
            return log;
        }
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}: {:?}", log.iter().map(|event| &event.title).collect::<Vec<_>>());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn used(log: &[Event]) -> Vec<(&str, &TrustUsed)> {
    log.iter().filter_map(|event| if let Kind::TrustUsed(used) = &event.kind { Some((&*event.title, used)) } else { None }).collect()
}

fn refused(log: &[Event]) -> Vec<&TrustRefused> {
    log.iter().filter_map(|event| if let Kind::TrustRefused(said) = &event.kind { Some(said) } else { None }).collect()
}

#[tokio::test]
async fn whichever_key_they_come_by_it_is_one_person() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "responder", "shop/**", None).await;
    yard.grant(25, "sam", "responder", "shop/**", None).await;
    yard.server.core.write(fired("shop/varnish", "varnish is slow")).await.unwrap();
    let mut laptop = console(&yard, 20).await;
    let said = looked(&yard);
    assert_eq!(marks(&mut laptop, said.clone()).await, said);
    let (alert, episode) = scene::world(&yard.server).await.alerts.iter().map(|(id, alert)| (*id, alert.now.unwrap().episode)).next().unwrap();
    done(&mut laptop, Intent::Snooze { alert, episode, until: SystemClock.now().plus(Span::from_hours(1)), note: "".into() }).await;
    done(&mut laptop, Intent::Assign { alert, episode, to: Some("robin".into()) }).await;
    done(&mut laptop, note("from the laptop")).await;
    let intent = add(&yard, 21, 20);
    done(&mut laptop, intent).await;
    // By the other key: the same name, marks and rights; what they said they may take back, and nobody else may.
    let mut phone = console(&yard, 21).await;
    phone.send(&ToServer::Renew(Renew { id: 1 })).await.unwrap();
    let holding = heard(&mut phone, |message| matches!(message, ToClient::Holding(_))).await.pop();
    let Some(ToClient::Holding(holding)) = holding else { panic!("{holding:?}") };
    assert_eq!((&*holding.name, holding.grant), ("robin", yard.held(20).await.map(|grant| grant.id)));
    assert_eq!(marks(&mut phone, Marks::default()).await, said);
    let withdraw = Intent::WithdrawNote { note: scene::world(&yard.server).await.deeds.back().unwrap().event };
    let mut sam = console(&yard, 25).await;
    assert!(why(asks(&mut sam, request(withdraw.clone())).await).contains("only robin"));
    done(&mut phone, withdraw).await;
    done(&mut phone, Intent::Unsnooze { alert, episode }).await;
    done(&mut phone, Intent::Acknowledge { alert, episode, note: "".into() }).await;
    let world = scene::world(&yard.server).await;
    let alert = world.alert(alert).unwrap();
    assert_eq!((alert.somebody(), &alert.ack().unwrap().by, alert.snooze().is_some()), (Some("robin"), &Actor::User("robin".into()), false));
    // With the laptop lost and another in its place all that stays.
    let vouched = vouch::vouch(&key(21), yard.log.head().origin, &named(22), SystemClock.now()).unwrap();
    done(&mut phone, Intent::ReplaceKey { old: named(20), new: named(22), vouched: Some(vouched), why: "lost on the train".into() }).await;
    let mut again = console(&yard, 22).await;
    assert_eq!(marks(&mut again, Marks::default()).await, said);
    done(&mut again, Intent::Unacknowledge { alert: alert_of(&world), episode }).await;
    assert!(yard.come(20, hello(Role::Console, "robin")).await.is_err());
}

fn alert_of(world: &midwatch::model::world::World) -> midwatch::model::id::Fingerprint {
    *world.alerts.keys().next().unwrap()
}

#[tokio::test]
async fn lines_of_one_name_are_one_person_and_each_goes_by_itself() {
    let line = |seed: u8| format!("name=\"Robin Lee\" {}", key(seed).public().line());
    let yard = Yard::new(&[line(20), line(21)]).await;
    let (mut laptop, mut phone) = (console(&yard, 20).await, console(&yard, 21).await);
    let said = looked(&yard);
    marks(&mut laptop, said.clone()).await;
    assert_eq!(marks(&mut phone, Marks::default()).await, said);
    done(&mut laptop, note("from the laptop")).await;
    let withdraw = Intent::WithdrawNote { note: scene::world(&yard.server).await.deeds.back().unwrap().event };
    done(&mut phone, withdraw).await;
    let told = why(asks(&mut laptop, request(add(&yard, 23, 20))).await);
    assert!(told.contains("a further key is a further line there"), "{told}");
    // Nobody else is let take the name.
    let told = yard.come(24, crate::grants::redeeming(Role::Console, "Robin Lee", [3; 16])).await;
    assert!(told.is_err());
    yard.invite([3; 16], "reader", None).await;
    let told = yard.come(24, crate::grants::redeeming(Role::Console, "Robin Lee", [3; 16])).await.err().unwrap().to_string();
    assert!(told.contains("is or was called Robin Lee"), "{told}");
    std::fs::write(yard.authorized(), line(21) + "\n").unwrap();
    let last = heard(&mut laptop, |message| matches!(message, ToClient::Problem(_))).await.pop();
    assert!(matches!(&last, Some(ToClient::Problem(problem)) if problem.words.contains("taken out of")), "{last:?}");
    done(&mut phone, note("still here")).await;
}

#[tokio::test]
async fn a_key_that_was_lost_is_out_at_once_with_all_that_stood_on_it() {
    let peer = |seed: u8, rights: &str| format!("peer=\"branch\",rights=\"{rights}\" {}", key(seed).public().line());
    let yard = Yard::new(&[peer(30, "read,speak-for")]).await;
    yard.grant(20, "robin", "responder", "shop/**", None).await;
    let mut laptop = console(&yard, 20).await;
    let intent = add(&yard, 21, 20);
    done(&mut laptop, intent).await;
    laptop.send(&ToServer::Renew(Renew { id: 1 })).await.unwrap();
    let Some(ToClient::Holding(holding)) = heard(&mut laptop, |message| matches!(message, ToClient::Holding(_))).await.pop() else { panic!() };
    let less = Scope::new(["shop/web".parse().unwrap()], Rights::parse("read").unwrap(), Some(SystemClock.now().plus(Span::from_hours(1))));
    let token = holding.token.unwrap();
    let handed = grant::hand(&token, &key(20), &named(22), "sam", &less).unwrap();
    let with = |token: &str| Hello { token: Some(token.into()), ..hello(Role::Console, "x") };
    let mut heir = yard.come(22, with(&handed)).await.unwrap();
    let mut phone = console(&yard, 21).await;
    // Less than all of a grant vouches for no key, and takes none.
    let mut narrowed = yard.come(20, with(&grant::narrow(&token, &less).unwrap())).await.unwrap();
    for talk in [&mut heir, &mut narrowed] {
        let told = asks(talk, request(add(&yard, 23, 20))).await;
        assert!(matches!(&told, Outcome::Refused(refusal) if refusal.code == RefusalCode::Forbidden), "{told:?}");
        let told = asks(talk, request(Intent::RemoveKey { key: named(21), why: "".into() })).await;
        assert!(matches!(&told, Outcome::Refused(refusal) if refusal.code == RefusalCode::Unknown), "{told:?}");
    }
    // Signed by the laptop, on its way through a peer; the peer may speak for others besides.
    let signed = |text: &str| {
        let asked = request(note(text));
        let signed = verb::sign(&key(20), yard.log.head().origin, &asked).unwrap();
        Request { signed: Some(Box::new(signed)), ..asked }
    };
    let (in_time, late) = (signed("in time"), signed("late"));
    let mut branch = yard.come(30, hello(Role::Peer, "branch")).await.unwrap();
    assert!(matches!(asks(&mut branch, in_time).await, Outcome::Done(_)));
    done(&mut phone, Intent::RemoveKey { key: named(20), why: "lost on the train".into() }).await;
    for (talk, words) in [(&mut laptop, "this key was taken from robin by robin"), (&mut narrowed, "was revoked"), (&mut heir, "was revoked")] {
        let last = heard(talk, |message| matches!(message, ToClient::Problem(_))).await.pop();
        assert!(matches!(&last, Some(ToClient::Problem(problem)) if problem.words.contains(words)), "{last:?}");
    }
    let told = yard.come(20, hello(Role::Console, "robin")).await.err().unwrap().to_string();
    assert!(told.contains("your key was taken from robin"), "{told}");
    assert!(yard.come(22, with(&handed)).await.is_err() && yard.come(20, with(&token)).await.is_err());
    let told = why(asks(&mut branch, late).await);
    assert!(told.contains("its key was taken back here"), "{told}");
    done(&mut phone, note("still here")).await;
    let world = scene::world(&yard.server).await;
    assert!(!world.deeds.iter().any(|deed| &*deed.title == "late"));
}

#[tokio::test]
async fn what_was_done_says_by_which_key_from_where_and_on_whose_behalf() {
    let peer = format!("peer=\"branch\",rights=\"read,respond,speak-for\" {}", key(30).public().line());
    let yard = Yard::new(&[peer]).await;
    yard.grant(20, "robin", "responder", "shop/**", None).await;
    yard.grant(21, "sam", "reader", "**", None).await;
    let mut robin = console(&yard, 20).await;
    done(&mut robin, note("by hand")).await;
    robin.send(&ToServer::Renew(Renew { id: 1 })).await.unwrap();
    let Some(ToClient::Holding(holding)) = heard(&mut robin, |message| matches!(message, ToClient::Holding(_))).await.pop() else { panic!() };
    let less = Scope::new(["shop/**".parse().unwrap()], Rights::parse("read,respond").unwrap(), Some(SystemClock.now().plus(Span::from_hours(1))));
    let handed = grant::hand(&holding.token.unwrap(), &key(20), &named(22), "ada", &less).unwrap();
    let mut ada = yard.come(22, Hello { token: Some(handed.into()), ..hello(Role::Console, "x") }).await.unwrap();
    done(&mut ada, note("handed on")).await;
    let mut branch = yard.come(30, hello(Role::Peer, "branch")).await.unwrap();
    let asked = request(note("signed"));
    let signed = verb::sign(&key(20), yard.log.head().origin, &asked).unwrap();
    assert!(matches!(asks(&mut branch, Request { signed: Some(Box::new(signed)), ..asked }).await, Outcome::Done(_)));
    assert!(matches!(asks(&mut branch, Request { by: Person::from("kim"), ..request(note("spoken for")) }).await, Outcome::Done(_)));
    let log = yard.events().await;
    let told = used(&log);
    let parts = |used: &TrustUsed| {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
        (used.name.to_string(), used.key.clone(), text(&used.handed), text(&used.through), text(&used.on_behalf_of), used.from.to_string())
    };
    let all: Vec<_> = told.iter().map(|(_, used)| parts(used)).collect();
    let expected = |name: &str, seed: u8, handed: &str, through: &str, behalf: &str| {
        (name.to_owned(), Some(named(seed)), handed.to_owned(), through.to_owned(), behalf.to_owned(), "127.0.0.1".to_owned())
    };
    assert_eq!(
        all,
        [
            expected("robin", 20, "-", "-", "-"),
            expected("ada via robin", 22, "robin", "-", "-"),
            expected("robin", 20, "-", "branch", "-"),
            expected("branch", 30, "-", "-", "kim"),
        ]
    );
    assert!(told[2].0.contains("signed by the key") && told[2].0.contains("through branch at 127.0.0.1"), "{}", told[2].0);
    assert!(told[3].0.starts_with("branch on behalf of kim: note, by its own key"), "{}", told[3].0);
    let actors: Vec<String> = log.iter().filter(|event| event.kind.name() == "note").map(|event| event.actor.to_string()).collect();
    assert_eq!(actors, ["user:robin", "user:ada via robin", "user:robin", "user:kim@branch"]);
    // Everybody reads the notes; by which key they came read those whose they are.
    let mut read = Vec::new();
    for (seed, sees) in [(20, [true, false, true, false]), (21, [false; 4])] {
        let mut talk = console(&yard, seed).await;
        talk.send(&ToServer::History(HistoryAsk { id: 1, page: Paging::Before(None), limit: 1_000, filter: None })).await.unwrap();
        let text = serde_json::to_string(&heard(&mut talk, |message| matches!(message, ToClient::Page(page) if page.id == 1 && page.last)).await).unwrap();
        assert!(text.contains("handed on") && text.contains("spoken for"), "{text}");
        read.push((told.iter().map(|(title, _)| text.contains(*title)).collect::<Vec<_>>(), sees.to_vec()));
        let others = if seed == 21 { 20 } else { 22 };
        assert!(!text.contains(&named(others).fingerprint()) && !text.contains(named(others).as_str()), "{text}");
    }
    for (reads, should) in read {
        assert_eq!(reads, should);
    }
}

#[tokio::test]
async fn what_was_done_without_a_key_says_how_one_came_in_and_nothing_is_said_of_what_was_observed() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "responder", "**", None).await;
    let with = |token: &str, role: Role, name: &str| Hello { token: Some(token.into()), ..hello(role, name) };
    let open = async |hello: Hello| Conversation::open(&yard.dial(), &hello, None, std::time::Duration::from_secs(20)).await.unwrap();
    // What agents and sources say is observed, and done by nobody.
    let mut agent = open(with(scene::AGENT, Role::Agent, "web-1")).await;
    let observed = Observation {
        agent: "web-1".into(),
        check: "disk".into(),
        system: "shop/web".parse().unwrap(),
        at: SystemClock.now(),
        status: Status::Ok,
        text: "fine".into(),
        details: "".into(),
        metrics: Vec::new(),
        every: Span::from_secs(60),
        attempts: 1,
        runbook: None,
    };
    agent.send(&ToServer::Observe(midwatch::wire::Observe { id: 1, observations: vec![observed] })).await.unwrap();
    let told = heard(&mut agent, |message| matches!(message, ToClient::Ack(_))).await;
    assert!(matches!(told.last(), Some(ToClient::Ack(ack)) if ack.refused.is_none()), "{told:?}");
    let alerts = r#"[{"labels":{"alertname":"slow","system":"shop/web"}},{"labels":{"alertname":"full","system":"shop/web"}}]"#;
    let url = format!("http://{}/api/v2/alerts", scene::port(&yard.server));
    let answer = reqwest::Client::new().post(url).bearer_auth(scene::INTAKE).header("content-type", "application/json").body(alerts).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let log = yard.events().await;
    assert_eq!((log.iter().filter(|event| event.kind.name() == "alert.opened").count(), used(&log).len()), (2, 0));
    let mut kim = open(with(scene::CONSOLE, Role::Console, "kim")).await;
    done(&mut kim, note("by a token")).await;
    let log = eventually(&yard, "it is told", |log| used(log).len() == 1).await;
    let (title, said) = used(&log)[0];
    assert_eq!((title, &said.key, said.way.as_deref()), ("kim: note, by the console token, from 127.0.0.1", &None, Some("console token")));
    let event = log.iter().find(|event| &*event.title == title).unwrap();
    assert!(event.actor == Actor::User("whoever".into()) && event.request.is_some(), "the request says in whose name: {event:?}");
    let bytes = serde_json::to_string(&log).unwrap();
    assert!(!bytes.contains(scene::CONSOLE) && !bytes.contains(scene::AGENT) && !bytes.contains(scene::INTAKE));
    // Who may do the same and does not administer reads the note, and not by what it was written.
    let mut robin = console(&yard, 20).await;
    robin.send(&ToServer::History(HistoryAsk { id: 1, page: Paging::Before(None), limit: 1_000, filter: None })).await.unwrap();
    let text = serde_json::to_string(&heard(&mut robin, |message| matches!(message, ToClient::Page(page) if page.id == 1 && page.last)).await).unwrap();
    assert!(text.contains("by a token") && !text.contains("console token"), "{text}");
}

#[tokio::test]
async fn what_is_refused_is_told_once_and_then_counted() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "reader", "**", None).await;
    let mut robin = console(&yard, 20).await;
    for _ in 0..30 {
        let told = asks(&mut robin, request(note("x"))).await;
        assert!(matches!(&told, Outcome::Refused(refusal) if refusal.code == RefusalCode::Forbidden), "{told:?}");
    }
    // A message that is not for consoles is another matter.
    robin.send(&ToServer::Keepalive(midwatch::wire::Keepalive { id: 8, agent: "web-1".into(), at: SystemClock.now() })).await.unwrap();
    heard(&mut robin, |message| matches!(message, ToClient::Problem(_))).await;
    let log = eventually(&yard, "both are told", |log| refused(log).len() == 2).await;
    let told: Vec<_> = refused(&log).iter().map(|said| (said.key.clone(), said.name.as_deref(), &*said.what, said.times)).collect();
    assert!(told.contains(&(Some(named(20)), Some("robin"), "note-system", 1)) && told.contains(&(Some(named(20)), Some("robin"), "keepalive", 1)), "{told:?}");
    let event = log.iter().find(|event| event.kind.name() == "trust.refused").unwrap();
    assert!(event.actor == Actor::User("robin".into()) && event.title.starts_with("robin was refused at "), "{event:?}");
    // What an intake's door refuses is among it.
    for _ in 0..5 {
        let answer = reqwest::Client::new().post(format!("http://{}/api/v1/events", scene::port(&yard.server))).bearer_auth("wrong").send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    eventually(&yard, "it is told", |log| refused(log).iter().any(|said| &*said.what == "HTTP")).await;
    // Nothing that was counted is lost where the log ends.
    let Yard { log, server, folder } = yard;
    server.stop().await;
    let rows = log.range(Sequence(1), log.head().sequence, usize::MAX, usize::MAX).await.unwrap();
    let log: Vec<Event> = rows.into_iter().map(|row| midwatch::wire::EventBytes(row.bytes).decode().unwrap()).collect();
    let all = refused(&log);
    let times = |what: &str| all.iter().filter(|said| &*said.what == what).map(|said| said.times).collect::<Vec<_>>();
    assert_eq!((times("note-system"), times("keepalive"), times("HTTP")), (vec![1, 29], vec![1], vec![1, 4]));
    drop(folder);
}
