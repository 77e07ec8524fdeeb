//! The authorization matrix: every message and every HTTP route, for every kind of principal, in every state
//! of a grant, driven through real sockets. What is allowed stands here a second time, apart from the server's
//! own table; a message that is not in it does not compile.

use std::time::Duration;

use midwatch::link::{Clock, Conversation, LinkError, OsRandom, Random, SystemClock, TcpDial};
use midwatch::model::grant::{Right, Rights, Scope, Vouched};
use midwatch::model::id::{AlertRef, EventId, Fingerprint, GrantId, Sequence};
use midwatch::model::intent::{Intent, RefusalCode, Request};
use midwatch::model::observation::{AgentHello, Observation};
use midwatch::model::presence::{Book, Focus};
use midwatch::model::severity::Status;
use midwatch::model::time::Span;
use midwatch::model::world::World;
use midwatch::server::Input;
use midwatch::trust::grant;
use midwatch::wire::{
    BackfillAsk, CountAsk, Hello, HistoryAsk, Introduction, Keepalive, Lease, LookingAt, Observe, Outcome, Paging, Ping, ProblemCode, Raw, ReadMarks, Renew,
    Role, SealAsk, SearchAsk, Subscribe, ToClient, ToServer, WorldAsk,
};

use crate::grants::{Yard, fired, heard, hello, key, named};
use crate::scene::{self, AGENT, CONSOLE, INTAKE, port};

/// Where the visible and the hidden things are, for most of those who come.
const HERE: &str = "shop/web-1";
const THERE: &str = "vault/web-1";
const SECRET: &str = "hush";

/// By what somebody comes.
enum By {
    Key(u8),
    KeyAndToken(u8, String),
    Token(&'static str),
    Nothing,
}

/// Somebody, and what they may do: nothing at all, or rights on systems.
struct Principal {
    what: &'static str,
    role: Role,
    by: By,
    may: Option<Scope>,
}

fn scope(rights: &str, systems: &str) -> Scope {
    Scope::new(systems.split(',').map(|text| text.parse().unwrap()), Rights::parse(rights).unwrap(), None)
}

const EVERYTHING: &str = "read,respond,review,act,administer,observe,federate,speak-for";

/// Every kind of principal in every state that a grant can be in.
async fn principals(yard: &Yard) -> Vec<Principal> {
    let out = |what, role, by| Principal { what, role, by, may: None };
    let may = |what, role, by, rights: &str, systems: &str| Principal { what, role, by, may: Some(scope(rights, systems)) };
    let soon = SystemClock.now().plus(Span::from_millis(400));
    yard.grant(20, "reader", "reader", "shop/**", None).await;
    yard.grant(21, "responder", "responder", "shop/**", None).await;
    yard.grant(22, "elsewhere", "responder", "lab,shop", None).await;
    yard.grant(23, "everywhere", "responder", "**", None).await;
    yard.grant(24, "administrator", "administrator", "**", None).await;
    yard.grant(25, "part-admin", "administrator", "shop/**", None).await;
    yard.grant(26, "expired", "administrator", "**", Some(soon)).await;
    let revoked = yard.grant(27, "revoked", "administrator", "**", None).await;
    yard.ask(Intent::Revoke { grant: revoked, why: "".into() }).await.unwrap();
    yard.grant(28, "replaced", "administrator", "**", None).await;
    yard.grant(28, "replaced", "reader", "shop/**", None).await;
    yard.grant(29, "web-1", "agent", "shop/**", None).await;
    yard.grant(31, "web-1", "agent", "lab/**", None).await;
    yard.grant(32, "branch", "peer", "shop/**", None).await;
    yard.grant(36, "bystander", "reader", "shop/**", None).await;
    yard.grant(37, "passer-by", "reader", "shop/**", None).await;
    yard.invite([7; 16], "administrator", None).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut talk = yard.come(21, hello(Role::Console, "responder")).await.unwrap();
    talk.send(&ToServer::Renew(Renew { id: 1 })).await.unwrap();
    let Some(ToClient::Holding(holding)) = heard(&mut talk, |message| matches!(message, ToClient::Holding(_))).await.pop() else { panic!() };
    let token = holding.token.unwrap().to_string();
    let in_an_hour = SystemClock.now().plus(Span::from_hours(1));
    let less = Scope { expires: Some(in_an_hour), ..scope("read", "shop/**") };
    let narrowed = grant::narrow(&token, &less).unwrap();
    let other = grant::narrow(&token, &scope("read,respond", "lab")).unwrap();
    let handed = grant::hand(&token, &key(21), &named(33), "heir", &less).unwrap();
    let greedy = grant::hand(&token, &key(21), &named(34), "greedy", &Scope { expires: Some(in_an_hour), ..Scope::all() }).unwrap();
    let stolen = grant::hand(&token, &key(35), &named(35), "thief", &less).unwrap();
    let over = grant::narrow(&token, &Scope { expires: Some(SystemClock.now().minus(Span::from_mins(1))), ..scope("read", "shop/**") }).unwrap();
    let key = |seed| By::Key(seed);
    let (console, agent, peer) = (Role::Console, Role::Agent, Role::Peer);
    vec![
        out("nobody", console, By::Nothing),
        out("a wrong token", console, By::Token("wrong-token-of-the-test")),
        out("an intake's token", console, By::Token(INTAKE)),
        out("an agent's token at a console", console, By::Token(AGENT)),
        out("a console's token at an agent", agent, By::Token(CONSOLE)),
        out("a console's token at a peer", peer, By::Token(CONSOLE)),
        may("a console's token", console, By::Token(CONSOLE), EVERYTHING, "**"),
        may("an agent's token", agent, By::Token(AGENT), "observe", "**"),
        out("a key without a grant", console, key(40)),
        out("a key without a grant, as a peer", peer, key(40)),
        may("an authorized key", console, key(10), EVERYTHING, "**"),
        may("an authorized key for a part", console, key(11), "read", "shop/**"),
        out("an authorized key that is over", console, key(12)),
        may("an authorized agent", agent, key(13), "observe", "**"),
        may("an authorized agent for a part", agent, key(14), "observe", "lab/**"),
        out("an authorized key in another role", agent, key(10)),
        may("granted: reader", console, key(20), "read", "shop/**"),
        may("granted: responder", console, key(21), "read,respond", "shop/**"),
        may("granted: other systems", console, key(22), "read,respond", "lab,shop"),
        may("granted: everywhere", console, key(23), "read,respond", "**"),
        may("granted: administrator", console, key(24), "read,respond,review,act,administer", "**"),
        may("granted: administrator of a part", console, key(25), "read,respond,review,act,administer", "shop/**"),
        out("granted: expired", console, key(26)),
        out("granted: revoked", console, key(27)),
        may("granted: replaced by less", console, key(28), "read", "shop/**"),
        out("granted: in another role", agent, key(21)),
        may("granted: agent", agent, key(29), "observe", "shop/**"),
        may("granted: agent for other systems", agent, key(31), "observe", "lab/**"),
        may("granted: peer", peer, key(32), "read,federate", "shop/**"),
        out("a peer's key at a console", console, key(32)),
        may("narrowed", console, By::KeyAndToken(21, narrowed.clone()), "read", "shop/**"),
        may("narrowed to other systems", console, By::KeyAndToken(21, other), "read,respond", "lab"),
        out("narrowed and over", console, By::KeyAndToken(21, over)),
        out("somebody else's token", console, By::KeyAndToken(40, narrowed)),
        may("handed on", console, By::KeyAndToken(33, handed.clone()), "read", "shop/**"),
        out("handed on to somebody else", console, By::KeyAndToken(40, handed)),
        // Nothing is handed on that the holder has not.
        may("handed on, for more than there is", console, By::KeyAndToken(34, greedy), "read,respond", "shop/**"),
        out("handed on by a thief", console, By::KeyAndToken(35, stolen)),
    ]
}

/// Whom a message is for, and what it takes. A new message has to be thought about here.
fn takes(message: &ToServer) -> (&'static [Role], Takes) {
    const ALL: &[Role] = &[Role::Console, Role::Agent, Role::Peer];
    const READERS: &[Role] = &[Role::Console, Role::Peer];
    const CONSOLES: &[Role] = &[Role::Console];
    const AGENTS: &[Role] = &[Role::Agent];
    match message {
        ToServer::Handshake(_) | ToServer::Hello(_) => (&[], Takes::Nothing),
        ToServer::Ping(_) | ToServer::Renew(_) => (ALL, Takes::Nothing),
        ToServer::Subscribe(_) | ToServer::History(_) | ToServer::Count(_) | ToServer::Search(_) | ToServer::WorldAt(_) => (READERS, Takes::Right(Right::Read)),
        ToServer::Backfill(_) | ToServer::SealWorld(_) => (&[Role::Peer], Takes::Right(Right::Read)),
        ToServer::ReadMarks(_) => (CONSOLES, Takes::Right(Right::Read)),
        // At what is not seen nobody looks; nobody is told that it was tried.
        ToServer::LookingAt(_) => (READERS, Takes::Right(Right::Read)),
        ToServer::Do(request) => (READERS, of_intent(&request.intent)),
        ToServer::Agent(said) => (AGENTS, Takes::On(Right::Observe, said.hello.system.to_string())),
        ToServer::Observe(said) => (AGENTS, Takes::On(Right::Observe, said.observations[0].system.to_string())),
        ToServer::Keepalive(_) => (AGENTS, Takes::Right(Right::Observe)),
    }
}

enum Takes {
    Nothing,
    /// Somewhere.
    Right(Right),
    /// On this system; what is not seen is not there.
    On(Right, String),
    /// On all systems, and no more than that is given.
    Everywhere(Right),
    /// Whatever they may do.
    Nobody,
}

fn of_intent(intent: &Intent) -> Takes {
    let place = |alert: &Fingerprint| if *alert == PLACES.with(|places| places.borrow().0) { HERE } else { THERE };
    match intent {
        Intent::Acknowledge { alert, .. }
        | Intent::Unacknowledge { alert, .. }
        | Intent::Snooze { alert, .. }
        | Intent::Unsnooze { alert, .. }
        | Intent::Assign { alert, .. }
        | Intent::Resolve { alert, .. }
        | Intent::DenyCause { alert, .. }
        | Intent::RestoreCause { alert, .. }
        | Intent::NoteAlert { alert, .. } => Takes::On(Right::Respond, place(alert).into()),
        Intent::NoteSystem { system, .. } | Intent::Change { system, .. } => Takes::On(Right::Respond, system.to_string()),
        // Of a note that there is not.
        Intent::WithdrawNote { .. } => Takes::On(Right::Respond, THERE.into()),
        Intent::Invite { .. } | Intent::Grant { .. } | Intent::Revoke { .. } => Takes::Everywhere(Right::Administer),
        // A word for a key that nobody signed, and another person's keys.
        Intent::AddKey { .. } => Takes::Nobody,
        Intent::RemoveKey { .. } | Intent::ReplaceKey { .. } => Takes::Everywhere(Right::Administer),
    }
}

std::thread_local! {
    /// The alerts that are seen by most, and by few.
    static PLACES: std::cell::RefCell<(Fingerprint, Fingerprint)> = const { std::cell::RefCell::new((Fingerprint([0; 16]), Fingerprint([0; 16]))) };
}

fn intents(world: &World) -> Vec<Intent> {
    let of =
        |system: &str| world.alerts.iter().find(|(_, alert)| alert.system.as_str() == system).map(|(id, alert)| (*id, alert.now.unwrap().episode)).unwrap();
    let (here, there) = (of(HERE), of(THERE));
    PLACES.with(|places| *places.borrow_mut() = (here.0, there.0));
    let mut out = Vec::new();
    for (alert, episode) in [here, there] {
        let cause = AlertRef { origin: world.origin, alert: if alert == here.0 { here.0 } else { there.0 } };
        let until = SystemClock.now().plus(Span::from_hours(1));
        out.extend([
            Intent::Acknowledge { alert, episode, note: "".into() },
            Intent::Unacknowledge { alert, episode },
            Intent::Snooze { alert, episode, until, note: "".into() },
            Intent::Unsnooze { alert, episode },
            Intent::Assign { alert, episode, to: Some("jo".into()) },
            Intent::DenyCause { alert, episode, cause },
            Intent::RestoreCause { alert, cause },
            Intent::NoteAlert { alert, text: "seen".into() },
        ]);
    }
    // Last, since nothing is open after it; of an episode that is over, which nobody may end.
    out.push(Intent::Resolve { alert: there.0, episode: EventId::default(), note: "".into() });
    for system in [HERE, THERE] {
        out.push(Intent::NoteSystem { system: system.parse().unwrap(), text: "x".into() });
        out.push(Intent::Change { system: system.parse().unwrap(), title: "x".into(), text: "".into(), version: None, links: Vec::new() });
    }
    out.push(Intent::WithdrawNote { note: EventId::default() });
    // A system named like an argument of a command (A1).
    out.push(Intent::NoteSystem { system: "shop/web-1--systems".parse().unwrap(), text: "x".into() });
    let closes = SystemClock.now().plus(Span::from_hours(1));
    out.push(Intent::Invite {
        invite: GrantId(OsRandom.request_id().0),
        role: "reader".into(),
        systems: vec!["shop/**".parse().unwrap()],
        rights: None,
        name: None,
        same: false,
        until: None,
        lasts: None,
        closes,
    });
    out.push(Intent::Grant {
        key: named(90),
        name: "ninety".into(),
        role: "reader".into(),
        systems: vec!["shop/**".parse().unwrap()],
        rights: None,
        until: None,
    });
    out.push(Intent::Revoke { grant: GrantId([1; 16]), why: "".into() });
    let vouched = Vouched { by: named(36), at: SystemClock.now(), signature: "AAAA".into() };
    out.push(Intent::AddKey { key: named(91), vouched: vouched.clone() });
    out.push(Intent::RemoveKey { key: named(36), why: "".into() });
    out.push(Intent::ReplaceKey { old: named(37), new: named(92), vouched: None, why: "".into() });
    out
}

fn messages(world: &World, name: &str) -> Vec<ToServer> {
    let place = Paging::Before(None);
    let about = |system: &str| AgentHello {
        agent: name.into(),
        system: system.parse().unwrap(),
        version: "1".into(),
        keepalive: Span::from_secs(60),
        checks: Vec::new(),
        facts: Default::default(),
    };
    let result = |system: &str| Observation {
        agent: name.into(),
        check: "disk".into(),
        system: system.parse().unwrap(),
        at: SystemClock.now(),
        status: Status::Ok,
        text: "fine".into(),
        details: "".into(),
        metrics: Vec::new(),
        every: Span::from_secs(60),
        attempts: 1,
        runbook: None,
    };
    let mut out = vec![
        ToServer::Handshake(Raw(vec![1; 64])),
        ToServer::Hello(hello(Role::Console, "root")),
        ToServer::Subscribe(Subscribe { history: 50, vitals: true, health: true, readings: true, presence: true, ..Subscribe::default() }),
        ToServer::History(HistoryAsk { id: 1, page: place, limit: 50, filter: None }),
        ToServer::History(HistoryAsk { id: 2, page: place, limit: 50, filter: Some(SECRET.into()) }),
        ToServer::Backfill(BackfillAsk { id: 11, after: Sequence(0), until: Sequence(1_000) }),
        // What the lease covers is looked at where it is answered.
        ToServer::SealWorld(SealAsk { id: 12, lease: Lease { key: Raw(vec![1; 32]), token: "mwt1.none".into() }, nonce: Raw(vec![1; 16]) }),
        ToServer::Count(CountAsk { id: 3, from: Some(SystemClock.now().minus(Span::from_mins(5))), step: Span::from_mins(10), buckets: 1, filter: None }),
        ToServer::Search(SearchAsk { id: 4, words: SECRET.into(), before: None, limit: 50 }),
        ToServer::WorldAt(WorldAsk { id: 5, at: SystemClock.now() }),
        ToServer::ReadMarks(ReadMarks { marks: Default::default() }),
        ToServer::LookingAt(LookingAt { at: Some(Focus::System(HERE.parse().unwrap())), users: Vec::new() }),
        ToServer::LookingAt(LookingAt { at: Some(Focus::System(THERE.parse().unwrap())), users: Vec::new() }),
        ToServer::Agent(Introduction { id: 6, hello: about(HERE) }),
        ToServer::Agent(Introduction { id: 6, hello: about(THERE) }),
        ToServer::Observe(Observe { id: 7, observations: vec![result(HERE)] }),
        ToServer::Observe(Observe { id: 7, observations: vec![result(THERE)] }),
        ToServer::Keepalive(Keepalive { id: 8, agent: name.into(), at: SystemClock.now() }),
        ToServer::Renew(Renew { id: 9 }),
        ToServer::Ping(Ping { id: 10 }),
    ];
    let request = |intent| ToServer::Do(Request { id: OsRandom.request_id(), by: "root".into(), made: SystemClock.now(), intent, signed: None });
    out.extend(intents(world).into_iter().map(request));
    out
}

/// Whether this is the answer that the message waits for.
fn answers(message: &ToServer, said: &ToClient) -> bool {
    match (message, said) {
        (_, ToClient::Problem(_)) => true,
        (ToServer::Subscribe(_), ToClient::Snapshot(_)) => true,
        (ToServer::History(ask), ToClient::Page(page)) => page.id == ask.id && page.last,
        (ToServer::Backfill(ask), ToClient::Backfilled(told)) => told.id == ask.id,
        (ToServer::SealWorld(ask), ToClient::WorldSealed(told)) => told.id == ask.id,
        (ToServer::Search(ask), ToClient::Page(page)) => page.id == ask.id && page.last,
        (ToServer::Count(ask), ToClient::Counts(counts)) => counts.id == ask.id && counts.last,
        (ToServer::WorldAt(_), ToClient::WorldThen(_)) | (ToServer::ReadMarks(_), ToClient::MarksKept(_)) => true,
        (ToServer::Do(request), ToClient::Answer(answer)) => answer.id == request.id,
        (ToServer::Agent(_) | ToServer::Observe(_) | ToServer::Keepalive(_), ToClient::Ack(_)) => true,
        // Nobody answers: the ping behind it is.
        (ToServer::LookingAt(_), ToClient::Pong(_)) => true,
        (ToServer::Ping(_), ToClient::Pong(_)) | (ToServer::Renew(_), ToClient::Holding(_)) => true,
        _ => false,
    }
}

/// What came of it: `true`, it was allowed. Words of the domain are no refusal of the right.
fn allowed(said: &ToClient, sees: bool) -> bool {
    match said {
        ToClient::Problem(problem) => !matches!(problem.code, ProblemCode::Forbidden | ProblemCode::Unauthorized),
        ToClient::Answer(answer) => match &answer.result {
            Outcome::Done(_) => true,
            // Whoever sees all is told that there is none; whoever does not is told the same of what is hidden.
            Outcome::Refused(refusal) => refusal.code != RefusalCode::Forbidden && (sees || refusal.code != RefusalCode::Unknown),
        },
        ToClient::Ack(ack) => ack.refused.as_ref().is_none_or(|refusal| refusal.code != RefusalCode::Forbidden),
        _ => true,
    }
}

fn expected(message: &ToServer, role: Role, may: &Scope) -> bool {
    let (roles, takes) = takes(message);
    roles.contains(&role)
        && match takes {
            Takes::Nothing => true,
            Takes::Nobody => false,
            Takes::Right(right) => may.rights.has(right),
            Takes::On(right, system) => may.rights.has(right) && may.names(&system),
            Takes::Everywhere(right) => may.rights.has(right) && may.names_all(),
        }
}

async fn come(yard: &Yard, principal: &Principal) -> Result<Conversation, LinkError> {
    let name = if principal.role == Role::Agent { "web-1" } else { "x" };
    let hello = hello(principal.role, name);
    let dial = TcpDial { address: port(&yard.server) };
    match &principal.by {
        By::Key(seed) => yard.come(*seed, hello).await,
        By::KeyAndToken(seed, token) => yard.come(*seed, Hello { token: Some(token.as_str().into()), ..hello }).await,
        By::Token(token) => Conversation::open(&dial, &Hello { token: Some((*token).into()), ..hello }, None, Duration::from_secs(20)).await,
        By::Nothing => Conversation::open(&dial, &hello, None, Duration::from_secs(20)).await,
    }
}

async fn yard() -> Yard {
    let line = |seed: u8, options: &str, name: &str| format!("{options}{} {name}", key(seed).public().line());
    let yard = Yard::new(&[
        line(10, "", "all"),
        line(11, "systems=\"shop/**\",rights=\"read\" ", "part"),
        line(12, "expires=\"2020-01-01T00:00:00Z\" ", "over"),
        line(13, "agent=\"web-1\" ", ""),
        line(14, "agent=\"web-1\",systems=\"lab/**\" ", ""),
    ])
    .await;
    for (system, title) in [(HERE, "varnish is slow"), (THERE, "hush: the vault is open")] {
        yard.server.core.write(fired(system, title)).await.unwrap();
    }
    yard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_for_everybody_in_every_state() {
    let yard = yard().await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for principal in principals(&yard).await {
        let mut talk = match (come(&yard, &principal).await, &principal.may) {
            (Ok(talk), Some(_)) => talk,
            (Err(_), None) => continue,
            (Ok(_), None) => {
                wrong.push(format!("{} was let in", principal.what));
                continue;
            }
            (Err(error), Some(_)) => {
                wrong.push(format!("{} was not let in: {error}", principal.what));
                continue;
            }
        };
        let Some(may) = &principal.may else { continue };
        let world = scene::world(&yard.server).await;
        let name = if principal.role == Role::Agent { "web-1" } else { "x" };
        for message in messages(&world, name) {
            tried += 1;
            talk.send(&message).await.unwrap();
            if matches!(message, ToServer::LookingAt(_)) {
                talk.send(&ToServer::Ping(Ping { id: 12 })).await.unwrap();
            }
            let mut told = heard(&mut talk, |said| answers(&message, said)).await;
            if matches!((&message, told.last()), (ToServer::LookingAt(_), Some(ToClient::Problem(_)))) {
                let behind = heard(&mut talk, |said| matches!(said, ToClient::Pong(_))).await;
                told.splice(0..0, behind);
            }
            let sees_all = may.names_all() && may.rights.has(Right::Read) && may.rights.has(Right::Administer);
            let got = allowed(told.last().unwrap(), sees_all);
            let right = expected(&message, principal.role, may);
            // Whoever sees all is told that there is no such note.
            let none = matches!(&message, ToServer::Do(request) if matches!(request.intent, Intent::WithdrawNote { .. }));
            if got != right && !none {
                wrong.push(format!("{}: {message:?}: allowed {got}, and should be {right}: {:?}", principal.what, told.last()));
            }
            let text = serde_json::to_string(&told).unwrap();
            if !may.sees(Some(&THERE.parse().unwrap()), "") && text.contains("the vault is open") {
                wrong.push(format!("{}: {message:?} told what is hidden: {text}", principal.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 800, "{tried}");
    let world = scene::world(&yard.server).await;
    let of = |system: &str| world.alerts.values().find(|alert| alert.system.as_str() == system).unwrap();
    assert!(of(HERE).is_open() && of(THERE).is_open(), "nobody ended anything");
}

/// Who is seen to look at what, by one who sees all: each at what they may see, and nobody else at anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_looks_at_what_they_may_not_see() {
    let yard = yard().await;
    let mut owner = yard.come(10, hello(Role::Console, "x")).await.unwrap();
    owner.send(&ToServer::Subscribe(Subscribe { presence: true, ..Subscribe::default() })).await.unwrap();
    let mut book = Book::default();
    let mut wrong = Vec::new();
    for principal in principals(&yard).await {
        let Some(may) = &principal.may else { continue };
        let mut talk = come(&yard, &principal).await.unwrap();
        for system in [THERE, HERE] {
            let at = Focus::System(system.parse().unwrap());
            talk.send(&ToServer::LookingAt(LookingAt { at: Some(at.clone()), users: Vec::new() })).await.unwrap();
            // The owner's other console is not somebody else.
            let one = principal.what == "an authorized key";
            let expected = principal.role == Role::Console && may.rights.has(Right::Read) && may.names(system) && !one;
            let until = tokio::time::Instant::now() + if expected { Duration::from_secs(20) } else { Duration::from_millis(80) };
            while let Ok(told) = tokio::time::timeout_at(until, owner.next()).await {
                let ToClient::Presence(told) = told.unwrap() else { continue };
                book.take(told);
                if expected && !book.of(&at).is_empty() {
                    break;
                }
            }
            if book.of(&at).is_empty() == expected {
                wrong.push(format!("{} at {system}: expected {expected}: {book:?}", principal.what));
            }
        }
        talk.close().await;
        while !book.is_empty() {
            let told = tokio::time::timeout(Duration::from_secs(20), owner.next()).await.expect("they go").unwrap();
            if let ToClient::Presence(told) = told {
                book.take(told);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every route, and whom it answers: without anything, and by each token.
const ROUTES: &[(&str, &str, [u16; 5])] = &[
    // nothing, a wrong token, console, agent, intake
    ("GET", "/api/v1/ws", [426, 401, 426, 426, 426]),
    ("GET", "/metrics", [401, 401, 200, 200, 200]),
    ("GET", "/healthz", [200; 5]),
    ("GET", "/readyz", [200; 5]),
    ("GET", "/-/healthy", [200; 5]),
    ("GET", "/-/ready", [200; 5]),
    ("GET", "/api/v2/alerts", [401, 401, 401, 401, 200]),
    ("POST", "/api/v2/alerts", [401, 401, 401, 401, 200]),
    ("GET", "/api/v2/alerts/groups", [401, 401, 401, 401, 200]),
    ("GET", "/api/v2/status", [401, 401, 401, 401, 200]),
    ("GET", "/api/v2/receivers", [401, 401, 401, 401, 200]),
    ("GET", "/api/v2/silences", [401, 401, 401, 401, 200]),
    ("POST", "/api/v2/silences", [401, 401, 401, 401, 400]),
    ("GET", "/api/v2/silence/{id}", [401, 401, 401, 401, 404]),
    ("DELETE", "/api/v2/silence/{id}", [401, 401, 401, 401, 500]),
    ("POST", "/api/v1/webhook/alertmanager", [401, 401, 401, 401, 400]),
    ("POST", "/api/v1/events", [401, 401, 401, 401, 400]),
];

#[tokio::test]
async fn every_route_for_everybody() {
    let yard = yard().await;
    yard.grant(24, "administrator", "administrator", "**", None).await;
    let mut talk = yard.come(24, hello(Role::Console, "x")).await.unwrap();
    talk.send(&ToServer::Renew(Renew { id: 1 })).await.unwrap();
    let Some(ToClient::Holding(holding)) = heard(&mut talk, |message| matches!(message, ToClient::Holding(_))).await.pop() else { panic!() };
    let grants = holding.token.unwrap();
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for (method, route, statuses) in ROUTES {
        let address = format!("http://{}{}", port(&yard.server), route.replace("{id}", "3f2a"));
        let tokens = [None, Some("wrong-token-of-the-test"), Some(CONSOLE), Some(AGENT), Some(INTAKE)];
        // A grant's token opens nothing without its key, here as anywhere.
        let all = tokens.into_iter().zip(*statuses).chain([(Some(&*grants), statuses[1])]);
        for (token, status) in all {
            let mut request = client.request(method.parse().unwrap(), &address);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if *method == "POST" {
                request = request.body(if route.ends_with("v2/alerts") { "[]" } else { "" });
            }
            let answer = request.send().await.unwrap();
            if answer.status().as_u16() != status {
                wrong.push(format!("{method} {route} with {token:?}: {}, and should be {status}", answer.status()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// No route that is not in the table.
#[test]
fn the_table_has_every_route() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
    let mut text = String::new();
    for file in ["http.rs", "intake/mod.rs"] {
        text += &std::fs::read_to_string(root.join(file)).unwrap();
    }
    let mut found: Vec<&str> = text.split(".route(").skip(1).map(|rest| rest.split(',').next().unwrap().trim().trim_matches('"')).collect();
    found.iter_mut().filter(|route| **route == "PATH").for_each(|route| *route = "/api/v1/ws");
    for route in &found {
        assert!(ROUTES.iter().any(|(_, known, _)| known == route), "{route} is in no table");
    }
    assert!(found.len() >= 13, "{found:?}");
    let elsewhere = walk(&root).into_iter().filter(|file| !file.ends_with("http.rs") && !file.ends_with("intake/mod.rs"));
    for file in elsewhere {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(".route(\""), "{} has routes of its own", file.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            out.extend(walk(&entry));
        } else if entry.extension().is_some_and(|end| end == "rs") {
            out.push(entry);
        }
    }
    out
}

#[tokio::test]
async fn a2_asking_again_does_not_go_round_the_question_whether_one_may() {
    let yard = yard().await;
    yard.grant(21, "responder", "responder", "shop/**", None).await;
    let intent = Intent::NoteSystem { system: HERE.parse().unwrap(), text: "once".into() };
    let request = Request { id: OsRandom.request_id(), by: "responder".into(), made: SystemClock.now(), intent, signed: None };
    yard.server.core.write(Input::Request(request.clone())).await.unwrap();
    yard.grant(21, "responder", "reader", "shop/**", None).await;
    let mut talk = yard.come(21, hello(Role::Console, "x")).await.unwrap();
    talk.send(&ToServer::Do(request)).await.unwrap();
    let answer = heard(&mut talk, |message| matches!(message, ToClient::Answer(_))).await.pop();
    assert!(
        matches!(&answer, Some(ToClient::Answer(answer)) if matches!(&answer.result, Outcome::Refused(refusal) if refusal.code == RefusalCode::Forbidden)),
        "{answer:?}"
    );
}
