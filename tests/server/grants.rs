//! Grants over real sockets: invited, redeemed once, restricted in every byte, revoked at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use midwatch::link::{Clock, Conversation, Dial, LinkError, OsRandom, Random, SystemClock, TcpDial};
use midwatch::model::event::{Actor, Event, Kind};
use midwatch::model::grant::{Grant, Key, Pattern, Rights, Scope};
use midwatch::model::id::{GrantId, Incarnation, Person, Sequence, SystemId};
use midwatch::model::intent::{Intent, RefusalCode, Request};
use midwatch::model::labels::Labels;
use midwatch::model::report::{Report, Reported, ReportedState};
use midwatch::model::severity::Severity;
use midwatch::model::system::SystemSpec;
use midwatch::model::time::{Span, Time};
use midwatch::server::gate::Gate;
use midwatch::server::{Input, Running};
use midwatch::store::{Log, MemoryLog};
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer, grant};
use midwatch::wire::{
    EventBytes, Hello, HistoryAsk, Holding, Outcome, PROTOCOL, Paging, Ping, Renew, Role, SearchAsk, SnapshotReason, Subscribe, ToClient, ToServer, WorldAsk,
};

use crate::scene::{self, port, serve};

pub const SERVER: u8 = 9;

pub fn key(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

pub fn named(seed: u8) -> Key {
    Key::of(key(seed).public().bytes())
}

/// A server that knows keys, and what is needed to come to it by one.
pub struct Yard {
    pub folder: tempfile::TempDir,
    pub log: Arc<dyn Log>,
    pub server: Running,
}

impl Yard {
    pub async fn new(authorized: &[String]) -> Yard {
        Yard::over(authorized, |log| log).await
    }

    /// Its log behind another one.
    pub async fn over(authorized: &[String], wrap: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log>) -> Yard {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorized_keys");
        std::fs::write(&file, authorized.join("\n") + "\n").unwrap();
        // A server that is met as a peer is the one of its key.
        let origin = ServerKey::from_seed([SERVER; 32]).origin();
        let log = wrap(Arc::new(MemoryLog::new(origin, Incarnation(1_790_000_000_000))));
        let server = serve(log.clone(), |parts| {
            parts.gate = Gate::new(key(SERVER), file, false);
            parts.intakes = vec![midwatch::server::intake::Token::new("test", scene::INTAKE)];
        });
        let server = server.await;
        Yard { folder, log, server }
    }

    /// All that is in the log.
    pub async fn events(&self) -> Vec<Event> {
        let rows = self.log.range(Sequence(1), self.log.head().sequence, usize::MAX, usize::MAX).await.unwrap();
        rows.into_iter().map(|row| EventBytes(row.bytes).decode().unwrap()).collect()
    }

    pub fn authorized(&self) -> PathBuf {
        self.folder.path().join("authorized_keys")
    }

    pub fn dial(&self) -> TcpDial {
        TcpDial { address: port(&self.server) }
    }

    pub fn proving(&self, seed: u8) -> Proving {
        let known = KnownServers::at(self.folder.path().join(format!("keys/known-{seed}")));
        Proving { signer: Arc::new(key(seed)), known, server: "shop".into() }
    }

    pub async fn come(&self, seed: u8, hello: Hello) -> Result<Conversation, LinkError> {
        let dial: &dyn Dial = &self.dial();
        Conversation::open(dial, &hello, Some(&self.proving(seed)), Duration::from_secs(20)).await
    }

    pub async fn ask(&self, intent: Intent) -> Result<(), midwatch::model::intent::Refusal> {
        let request = Request { id: OsRandom.request_id(), by: Person::from("op"), made: SystemClock.now(), intent, signed: None };
        self.server.core.write(Input::Request(request)).await.map(|_| ())
    }

    /// The operator grants something to a key.
    pub async fn grant(&self, seed: u8, name: &str, role: &str, systems: &str, until: Option<Time>) -> GrantId {
        let systems: Vec<Pattern> = systems.split(',').map(|text| text.parse().unwrap()).collect();
        self.ask(Intent::Grant { key: named(seed), name: name.into(), role: role.into(), systems, rights: None, until }).await.unwrap();
        self.held(seed).await.unwrap().id
    }

    pub async fn held(&self, seed: u8) -> Option<Arc<Grant>> {
        let world = scene::world(&self.server).await;
        world.grants.values().find(|grant| grant.key == named(seed) && grant.ended.is_none()).cloned()
    }

    pub async fn invite(&self, secret: [u8; 16], role: &str, name: Option<&str>) {
        self.invites(secret, role, name, false).await.unwrap();
    }

    /// `same`: the person of that name, with a further key.
    pub async fn invites(&self, secret: [u8; 16], role: &str, name: Option<&str>, same: bool) -> Result<(), midwatch::model::intent::Refusal> {
        let intent = Intent::Invite {
            invite: GrantId::of_code(&secret),
            role: role.into(),
            systems: vec!["shop/**".parse().unwrap()],
            rights: None,
            name: name.map(Arc::from),
            same,
            until: None,
            lasts: Some(Span::from_hours(8)),
            closes: SystemClock.now().plus(Span::from_hours(1)),
        };
        self.ask(intent).await
    }
}

pub fn hello(role: Role, name: &str) -> Hello {
    Hello { protocol: PROTOCOL, role, name: name.into(), token: None, version: "test".into(), zstd: false, origin: None, redeem: None, key: None }
}

pub fn redeeming(role: Role, name: &str, secret: [u8; 16]) -> Hello {
    Hello { redeem: Some(GrantId(secret).to_string().into()), ..hello(role, name) }
}

pub fn fired(system: &str, title: &str) -> Input {
    let alert = Reported {
        system: system.parse().unwrap(),
        check: "Hot".into(),
        severity: Severity::Critical,
        title: title.into(),
        text: format!("text of {title}").into(),
        labels: Labels::new([("alertname", "Hot"), ("system", system)]),
        links: Vec::new(),
        expr: None,
        value: Some(7.5),
        starts: SystemClock.now(),
        state: ReportedState::Firing { until: None },
    };
    Input::Report(Report {
        source: format!("prom-of-{}", system.split('/').next().unwrap()).as_str().into(),
        at: SystemClock.now(),
        alerts: vec![alert],
        complete: false,
    })
}

/// Everything that is said until `enough` says so.
pub async fn heard(talk: &mut Conversation, mut enough: impl FnMut(&ToClient) -> bool) -> Vec<ToClient> {
    let mut out = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(30), talk.next()).await.expect("a message").expect("an open line");
        let last = enough(&message);
        out.push(message);
        if last {
            return out;
        }
    }
}

async fn holding(talk: &mut Conversation) -> Holding {
    talk.send(&ToServer::Renew(Renew { id: 5 })).await.unwrap();
    match heard(talk, |message| matches!(message, ToClient::Holding(_))).await.pop() {
        Some(ToClient::Holding(holding)) => holding,
        other => panic!("{other:?}"),
    }
}

fn words(refused: Result<Conversation, LinkError>) -> String {
    refused.err().map(|error| error.to_string()).expect("it is refused")
}

#[tokio::test]
async fn a8_of_many_who_bring_one_code_at_once_one_is_let_in() {
    let yard = Yard::new(&[]).await;
    yard.invite([3; 16], "responder", None).await;
    let tries = (20..84_u8).map(|seed| {
        let yard = &yard;
        async move { yard.come(seed, redeeming(Role::Console, &format!("p{seed}"), [3; 16])).await.is_ok() }
    });
    let won = futures_util::future::join_all(tries).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    let world = scene::world(&yard.server).await;
    assert_eq!((world.grants.len(), world.invites.len()), (1, 0));
}

#[tokio::test]
async fn whoever_brings_a_code_is_let_in_as_what_it_says_and_comes_again_by_their_key() {
    let yard = Yard::new(&[]).await;
    yard.invite([3; 16], "responder", None).await;
    assert!(words(yard.come(20, hello(Role::Console, "robin")).await).contains("not in this server's authorized_keys"));
    assert!(words(yard.come(20, redeeming(Role::Console, "robin", [4; 16])).await).contains("opens nothing here"));
    assert!(words(yard.come(20, redeeming(Role::Agent, "robin", [3; 16])).await).contains("for a person"));
    let mut talk = yard.come(20, redeeming(Role::Console, "robin", [3; 16])).await.unwrap();
    let mine = holding(&mut talk).await;
    assert_eq!((&*mine.name, mine.role.as_deref(), mine.scope.rights), ("robin", Some("responder"), Rights::parse("read,respond").unwrap()));
    assert!(mine.scope.expires.is_some_and(|expires| expires <= SystemClock.now().plus(Span::from_hours(8))));
    assert!(words(yard.come(21, redeeming(Role::Console, "sam", [3; 16])).await).contains("used already"));
    // By the key, whatever name is said.
    let mut again = yard.come(20, hello(Role::Console, "root")).await.unwrap();
    assert_eq!(&*holding(&mut again).await.name, "robin");
    // A name that somebody has is theirs.
    yard.invite([5; 16], "reader", None).await;
    assert!(words(yard.come(22, redeeming(Role::Console, "robin", [5; 16])).await).contains("somebody is or was called robin"));
    // Nor is it given away by mistake: who invites says whose further key it is.
    assert!(yard.invites([6; 16], "reader", Some("robin"), false).await.unwrap_err().why.contains("there is a person called robin here already"));
    yard.invites([6; 16], "reader", Some("robin"), true).await.unwrap();
    let mut laptop = yard.come(23, redeeming(Role::Console, "whoever", [6; 16])).await.unwrap();
    assert_eq!(&*holding(&mut laptop).await.name, "robin");
}

#[tokio::test]
async fn a_revoked_grant_ends_open_connections_at_once_and_others_do_not_notice() {
    let yard = Yard::new(&[]).await;
    let id = yard.grant(20, "robin", "responder", "shop/**", None).await;
    yard.grant(21, "sam", "reader", "shop/**", None).await;
    let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    let mut sam = yard.come(21, hello(Role::Console, "sam")).await.unwrap();
    for talk in [&mut robin, &mut sam] {
        talk.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
        heard(talk, |message| matches!(message, ToClient::Snapshot(_))).await;
    }
    yard.ask(Intent::Revoke { grant: id, why: "the laptop was lost".into() }).await.unwrap();
    let last = heard(&mut robin, |message| matches!(message, ToClient::Problem(_))).await.pop();
    let Some(ToClient::Problem(problem)) = last else { panic!("{last:?}") };
    assert!(problem.words.contains("revoked"), "{problem:?}");
    assert!(words(yard.come(20, hello(Role::Console, "robin")).await).contains("was revoked, or is over"));
    sam.send(&ToServer::Ping(Ping { id: 1 })).await.unwrap();
    heard(&mut sam, |message| matches!(message, ToClient::Pong(_))).await;
}

#[tokio::test]
async fn a_grant_that_runs_out_ends_open_connections_by_itself() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "reader", "shop/**", Some(SystemClock.now().plus(Span::from_millis(1_200)))).await;
    let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    let last = heard(&mut robin, |message| matches!(message, ToClient::Problem(_))).await.pop();
    let Some(ToClient::Problem(problem)) = last else { panic!("{last:?}") };
    assert!(problem.words.contains("ended at"), "{problem:?}");
    assert!(yard.come(20, hello(Role::Console, "robin")).await.is_err());
}

#[tokio::test]
async fn what_a_grant_does_not_reach_is_in_no_byte_that_is_told() {
    let yard = Yard::new(&[]).await;
    let mut shop = SystemSpec::bare("shop".parse().unwrap());
    shop.uses = vec!["dc1/ceph".parse().unwrap()];
    yard.server.core.write(Input::Configure(vec![shop])).await.unwrap();
    yard.grant(20, "robin", "responder", "shop/**", None).await;
    yard.grant(24, "zoe", "administrator", "**", None).await;
    for input in [fired("shop/varnish", "varnish is slow"), fired("vault/db", "hush hush"), fired("dc1/ceph/osd-3", "osd 3 is down")] {
        yard.server.core.write(input).await.unwrap();
    }
    let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    let subscribe = Subscribe { history: 100, vitals: true, health: true, readings: true, ..Subscribe::default() };
    robin.send(&ToServer::Subscribe(subscribe)).await.unwrap();
    let mut told = heard(&mut robin, |message| matches!(message, ToClient::Snapshot(_))).await;
    for input in [fired("vault/lock", "hush again"), fired("shop/db", "db is slow")] {
        yard.server.core.write(input).await.unwrap();
    }
    robin.send(&ToServer::History(HistoryAsk { id: 1, page: Paging::Before(None), limit: 1_000, filter: None })).await.unwrap();
    told.extend(heard(&mut robin, |message| matches!(message, ToClient::Page(page) if page.id == 1 && page.last)).await);
    for (id, filter) in [(2, "hush"), (3, "system:vault/**"), (4, "text:ceph")] {
        robin.send(&ToServer::History(HistoryAsk { id, page: Paging::Before(None), limit: 1_000, filter: Some(filter.into()) })).await.unwrap();
        told.extend(
            heard(&mut robin, |message| matches!(message, ToClient::Page(page) if page.id == id && page.last) || matches!(message, ToClient::Problem(_))).await,
        );
    }
    robin.send(&ToServer::Search(SearchAsk { id: 5, words: "hush".into(), before: None, limit: 100 })).await.unwrap();
    told.extend(heard(&mut robin, |message| matches!(message, ToClient::Page(page) if page.id == 5 && page.last)).await);
    robin.send(&ToServer::WorldAt(WorldAsk { id: 6, at: SystemClock.now() })).await.unwrap();
    told.extend(heard(&mut robin, |message| matches!(message, ToClient::WorldThen(_))).await);
    yard.server.core.write(fired("shop/web", "the last one")).await.unwrap();
    told.extend(heard(&mut robin, |message| serde_json::to_string(message).unwrap().contains("the last one")).await);
    let text = serde_json::to_string(&told).unwrap();
    for known in ["varnish is slow", "db is slow", "osd 3 is down"] {
        assert!(text.contains(known), "{known} is told");
    }
    for secret in ["hush", "vault", "text of osd", "zoe", "prom-of-dc1", "prom-of-vault"] {
        assert!(!text.contains(secret), "{secret} is not");
    }
}

#[tokio::test]
async fn verbs_reach_as_far_as_the_grant_and_what_is_not_seen_is_not_there() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "responder", "shop/**", None).await;
    yard.grant(21, "sam", "reader", "shop/**", None).await;
    for input in [fired("shop/varnish", "varnish is slow"), fired("vault/db", "hush hush")] {
        yard.server.core.write(input).await.unwrap();
    }
    let world = scene::world(&yard.server).await;
    let of =
        |system: &str| world.alerts.iter().find(|(_, alert)| alert.system.as_str() == system).map(|(id, alert)| (*id, alert.now.unwrap().episode)).unwrap();
    let nothing = (midwatch::model::id::Fingerprint([1; 16]), of("shop/varnish").1);
    for (seed, (alert, episode), outcome) in [
        (20, of("shop/varnish"), None),
        (20, of("vault/db"), Some(RefusalCode::Unknown)),
        (20, nothing, Some(RefusalCode::Unknown)),
        (21, of("shop/varnish"), Some(RefusalCode::Forbidden)),
        (21, of("vault/db"), Some(RefusalCode::Unknown)),
    ] {
        let mut talk = yard.come(seed, hello(Role::Console, "x")).await.unwrap();
        let request = Request {
            id: OsRandom.request_id(),
            by: "somebody else".into(),
            made: SystemClock.now(),
            intent: Intent::Acknowledge { alert, episode, note: "".into() },
            signed: None,
        };
        talk.send(&ToServer::Do(request)).await.unwrap();
        let answer = heard(&mut talk, |message| matches!(message, ToClient::Answer(_))).await.pop();
        let Some(ToClient::Answer(answer)) = answer else { panic!("{answer:?}") };
        match (answer.result, outcome) {
            (Outcome::Done(events), None) => assert_eq!(events.len(), 1),
            (Outcome::Refused(refusal), Some(code)) => assert_eq!(refusal.code, code, "{refusal}"),
            other => panic!("{seed}: {other:?}"),
        }
    }
    let world = scene::world(&yard.server).await;
    assert_eq!(world.alert(of("shop/varnish").0).unwrap().ack().unwrap().by, Actor::User("robin".into()));
    assert!(world.alert(of("vault/db").0).unwrap().ack().is_none());
}

#[tokio::test]
async fn nobody_grants_more_than_they_have_and_only_administrators_grant() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "responder", "**", None).await;
    yard.grant(21, "ada", "administrator", "**", None).await;
    yard.grant(22, "tim", "administrator", "shop/**", None).await;
    let soon = SystemClock.now().plus(Span::from_hours(1));
    yard.grant(23, "eve", "administrator", "**", Some(soon)).await;
    for (seed, role, systems, until, fine) in [
        (20, "reader", "shop/**", None, false),
        (21, "administrator", "**", None, true),
        (21, "agent", "**", None, true),
        (21, "peer", "shop/**", None, true),
        (22, "reader", "shop/**", None, false),
        (23, "reader", "shop/**", None, false),
        (23, "reader", "shop/**", Some(soon), true),
    ] {
        let mut talk = yard.come(seed, hello(Role::Console, "x")).await.unwrap();
        let intent = Intent::Grant { key: named(99), name: "new".into(), role: role.into(), systems: vec![systems.parse().unwrap()], rights: None, until };
        talk.send(&ToServer::Do(Request { id: OsRandom.request_id(), by: "x".into(), made: SystemClock.now(), intent, signed: None })).await.unwrap();
        let answer = heard(&mut talk, |message| matches!(message, ToClient::Answer(_))).await.pop();
        let Some(ToClient::Answer(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!(matches!(answer.result, Outcome::Done(_)), fine, "{seed} {role} {systems}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_lets_its_holder_do_less_and_its_heir_what_was_handed_on() {
    let yard = Yard::new(&[]).await;
    let id = yard.grant(20, "robin", "responder", "shop/**", None).await;
    let token = holding(&mut yard.come(20, hello(Role::Console, "robin")).await.unwrap()).await.token.unwrap();
    let less = Scope::new(["shop/web".parse().unwrap()], Rights::parse("read").unwrap(), Some(SystemClock.now().plus(Span::from_hours(1))));
    let with = |token: &str| Hello { token: Some(token.into()), ..hello(Role::Console, "x") };
    let narrowed = grant::narrow(&token, &less).unwrap();
    let mut talk = yard.come(20, with(&narrowed)).await.unwrap();
    let mine = holding(&mut talk).await;
    assert_eq!((&*mine.name, &mine.scope.systems, mine.scope.rights), ("robin", &less.systems, less.rights));
    // Bound to its key: found, it opens nothing.
    assert!(words(yard.come(21, with(&token)).await).contains("not bound to your key"));
    let handed = grant::hand(&token, &key(20), &named(21), "sam", &less).unwrap();
    let mut heir = yard.come(21, with(&handed)).await.unwrap();
    let theirs = holding(&mut heir).await;
    assert_eq!((&*theirs.name, &theirs.scope.systems), ("sam via robin", &less.systems));
    assert!(words(yard.come(22, with(&handed)).await).contains("not bound to your key"));
    // Who comes as what it is not for is nobody.
    for role in [Role::Peer, Role::Agent] {
        let comes = Hello { role, ..with(&handed) };
        assert!(words(yard.come(21, comes).await).contains("this token is a person's"), "as {}", role.word());
    }
    // What it stands on is taken away: it falls, and with it all that was handed on.
    yard.ask(Intent::Revoke { grant: id, why: "".into() }).await.unwrap();
    for talk in [&mut talk, &mut heir] {
        let last = heard(talk, |message| matches!(message, ToClient::Problem(_))).await.pop();
        assert!(matches!(&last, Some(ToClient::Problem(problem)) if problem.words.contains("revoked")), "{last:?}");
    }
    assert!(words(yard.come(21, with(&handed)).await).contains("was revoked"));
}

#[tokio::test]
async fn a_scope_that_changes_while_one_is_there_is_told_anew() {
    let line = |systems: &str| format!("systems=\"{systems}\" {} robin", key(20).public().line());
    let yard = Yard::new(&[line("shop/**")]).await;
    for input in [fired("shop/varnish", "varnish is slow"), fired("vault/db", "hush hush")] {
        yard.server.core.write(input).await.unwrap();
    }
    let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    robin.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
    let first = heard(&mut robin, |message| matches!(message, ToClient::Snapshot(_))).await;
    assert!(!serde_json::to_string(&first).unwrap().contains("hush"));
    for (systems, sees_hush, sees_varnish) in [("shop/**,vault/**", true, true), ("vault/*", true, false), ("lab", false, false)] {
        std::fs::write(yard.authorized(), line(systems) + "\n").unwrap();
        let told = heard(&mut robin, |message| matches!(message, ToClient::Snapshot(_))).await;
        let Some(ToClient::Snapshot(snapshot)) = told.last() else { panic!() };
        assert_eq!(snapshot.why, SnapshotReason::Scope);
        let titles: Vec<&str> = snapshot.world.alerts.values().map(|alert| &*alert.title).collect();
        assert_eq!((titles.contains(&"hush hush"), titles.contains(&"varnish is slow")), (sees_hush, sees_varnish), "{systems}: {titles:?}");
    }
}

#[tokio::test]
async fn an_agent_speaks_of_what_it_was_granted_alone() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "web-1", "agent", "shop/**", None).await;
    let mut agent = yard.come(20, hello(Role::Agent, "web-1")).await.unwrap();
    for (system, fine) in [("shop/web-1", true), ("vault/web-1", false), ("shopping", false)] {
        let system: SystemId = system.parse().unwrap();
        let hello = midwatch::model::observation::AgentHello {
            agent: "web-1".into(),
            system: system.clone(),
            version: "1".into(),
            keepalive: Span::from_secs(10),
            checks: Vec::new(),
            facts: Default::default(),
        };
        agent.send(&ToServer::Agent(midwatch::wire::Introduction { id: 3, hello })).await.unwrap();
        let answer = heard(&mut agent, |message| matches!(message, ToClient::Ack(_))).await.pop();
        let Some(ToClient::Ack(ack)) = answer else { panic!("{answer:?}") };
        assert_eq!(ack.refused.is_none(), fine, "{system}: {ack:?}");
    }
    assert!(words(yard.come(20, hello(Role::Agent, "web-2")).await).contains("agent `web-1`'s"));
    assert!(words(yard.come(20, hello(Role::Console, "web-1")).await).contains("not for the role `console`"));
}

#[tokio::test]
async fn who_came_and_who_did_not_is_in_the_log_and_nobody_fills_it() {
    let yard = Yard::new(&[]).await;
    yard.grant(20, "robin", "reader", "**", None).await;
    for _ in 0..3 {
        yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    }
    for _ in 0..30 {
        assert!(yard.come(21, hello(Role::Console, "mallory\u{1b}[31m")).await.is_err());
    }
    let count = |kinds: &[Kind], wanted: &str| kinds.iter().filter(|kind| kind.name() == wanted).count();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let log = yard.events().await;
        let kinds: Vec<Kind> = log.iter().map(|event| event.kind.clone()).collect();
        if count(&kinds, "trust.admitted") == 1 && count(&kinds, "trust.refused") == 1 {
            let refused = log.iter().find(|event| event.kind.name() == "trust.refused").unwrap();
            let Kind::TrustRefused(said) = &refused.kind else { panic!() };
            assert_eq!((said.key.as_ref(), &*said.from), (Some(&named(21)), "127.0.0.1"));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{kinds:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let grant = yard.held(20).await.unwrap();
    assert!(grant.used.is_some(), "when it was used last is known");
}

#[tokio::test]
async fn an_intake_cannot_say_who_may_do_what() {
    let yard = Yard::new(&[]).await;
    for kind in ["trust.granted", "trust.something", "server.started", "server.fire"] {
        let body = format!(r#"{{"title":"x","kind":"{kind}"}}"#);
        let answer =
            reqwest::Client::new().post(format!("http://{}/api/v1/events", port(&yard.server))).bearer_auth(scene::INTAKE).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{kind}");
    }
}
