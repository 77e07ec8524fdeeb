//! What one holds on a server and until when; what is given out there; who may see a system, and why.

use std::sync::Arc;

use super::night::{Desk, NOW, Told, ago, night};
use super::screens::colours;
use midwatch::console::effect::Effect;
use midwatch::console::message::{Message, News};
use midwatch::console::sight::Barred;
use midwatch::model::grant::{Grant, Key, Scope};
use midwatch::model::id::{GrantId, Incarnation, Origin, Sequence};
use midwatch::model::intent::Intent;
use midwatch::model::peer::{Line, PeerState};
use midwatch::model::time::{Span, Time};
use midwatch::model::view::holding::Held;

fn key(seed: u8) -> Key {
    Key::of(&[seed; 32])
}

fn grant(told: &mut Told, seed: u8, name: &str, role: &str, systems: &str, at: Time, until: Option<Time>) -> GrantId {
    let systems = systems.split(',').map(|pattern| pattern.parse().unwrap()).collect();
    told.asks("kim", at, Intent::Grant { key: key(seed), name: name.into(), role: role.into(), systems, rights: None, until });
    told.primary.world.grants.values().find(|grant| grant.key == key(seed) && grant.ended.is_none()).unwrap().id
}

fn given(told: &Told, id: GrantId) -> Arc<Grant> {
    told.primary.world.grants[&id].clone()
}

fn held(grant: &Grant) -> News {
    News::Held(Arc::new(Held { name: grant.name.clone(), scope: grant.scope.clone(), grant: Some(grant.id), role: Some(grant.role.clone()) }))
}

fn owner() -> News {
    News::Held(Arc::new(Held { name: "kim".into(), scope: Scope::all(), grant: None, role: None }))
}

/// A person who responds to the shop's alerts, for eight hours, of which so many minutes are left.
fn responder(left: i64, width: u16, height: u16, theme: &str) -> Desk {
    let (infra, mut shop) = night();
    let id = grant(&mut shop, 7, "robin", "responder", "shop/**", ago(480 - left), Some(NOW.plus(Span::from_mins(left))));
    let mut desk = Desk::new(&["infra", "shop"], theme, width, height);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.hear(0, vec![owner()]);
    desk.hear(1, vec![News::Key(key(9).fingerprint().into()), held(&given(&shop, id))]);
    desk.press("0 j");
    desk
}

/// Both servers are heard again after so long.
fn later(desk: &mut Desk, span: Span) {
    desk.wait(span);
    for server in [0, 1] {
        desk.tell(Message::Server(server, News::Claim { lag: Span::ZERO }));
    }
    desk.wait(Span::from_millis(100));
}

#[test]
fn what_one_holds_is_counted_down_by_the_minute_and_warned_of_in_time() {
    let mut desk = responder(192, 120, 36, "midwatch");
    desk.shows("robin, responder");
    desk.shows("see and respond to alerts on shop/**");
    desk.shows("ends in 3h11m, Sat 06:09");
    desk.shows("kim gave it");
    desk.shows(&key(9).fingerprint());
    desk.hides("what to do");
    desk.hides("access ends in");
    later(&mut desk, Span::from_mins(140));
    desk.shows("soon: ends in 51m, Sat 06:09");
    desk.shows("ask kim for another in time: midwatch invite --role responder --systems 'shop/**' --name robin");
    let mark = desk.screen().lines().next().unwrap().to_owned();
    assert!(mark.contains("access ends in 51m"), "{mark}");
    later(&mut desk, Span::from_mins(10));
    desk.shows("soon: ends in 41m");
    later(&mut desk, Span::from_mins(50));
    desk.shows("ended 8m ago");
    desk.shows("ask kim for a new invite, then type in a shell: midwatch join CODE");
    assert!(desk.screen().lines().next().unwrap().contains("access ended"), "{}", desk.screen());
    // The server says so, too, and it is no line that will come back by itself.
    desk.tell(Message::Server(1, News::Lost { why: "the server does not let us in: your grant is over".into(), retry: None }));
    desk.tell(Message::Server(1, News::Barred(Barred::NotLetIn)));
    desk.wait(Span::from_secs(60));
    desk.shows("does not let us in");
    assert!(desk.screen().lines().next().unwrap().contains("access ended"), "{}", desk.screen());
}

#[test]
fn who_comes_back_after_the_end_is_told_what_to_do() {
    let (infra, mut shop) = night();
    grant(&mut shop, 7, "robin", "responder", "shop/**", ago(480), Some(NOW.plus(Span::from_mins(1))));
    let scope = Scope::new(["shop/**".parse().unwrap()], midwatch::model::grant::Rights::parse("read,respond").unwrap(), None);
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 80, 24);
    desk.hear(0, infra.snapshot());
    // As a former console heard it.
    let mut world = shop.primary.world.seen_by(&scope);
    world.grants = shop.primary.world.grants.clone();
    desk.state.remember(1, Arc::new(world), &[], Span::from_hours(9));
    desk.tell(Message::Server(1, News::Lost { why: "the server does not let us in: no key of yours is known".into(), retry: None }));
    desk.tell(Message::Server(1, News::Barred(Barred::NotLetIn)));
    desk.press("0 j");
    desk.shows("does not let us in");
    desk.shows("ask kim for a new invite");
    assert!(desk.screen().lines().next().unwrap().contains("!!"), "{}", desk.screen());
}

#[test]
fn the_servers_pane_with_what_one_holds_in_every_size_and_theme() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("holding_{width}x{height}"), responder(42, width, height, "midwatch").screen());
    }
    for theme in ["midwatch", "daylight", "mono"] {
        insta::assert_snapshot!(format!("holding_colours_{theme}"), colours(&responder(42, 80, 24, theme).buffer()));
    }
}

#[test]
fn a_server_is_asked_when_it_comes_when_rights_change_and_when_the_end_is_near_and_not_else() {
    let asks = |desk: &Desk| desk.effects.iter().filter(|effect| matches!(effect, Effect::AskHeld { server: 1 })).count();
    let mut desk = responder(192, 80, 24, "midwatch");
    let first = asks(&desk);
    assert_eq!(first, 1, "when it came");
    // Hours of nothing.
    later(&mut desk, Span::from_mins(60));
    later(&mut desk, Span::from_mins(60));
    assert_eq!(asks(&desk), first);
    later(&mut desk, Span::from_mins(20));
    later(&mut desk, Span::from_mins(1));
    assert_eq!(asks(&desk), first + 1, "its end is near");
    let (_, shop) = night();
    desk.tell(Message::Server(1, News::Snapshot { world: Arc::new(shop.primary.world), why: Some("what you may see here is not what it was".into()) }));
    assert_eq!(asks(&desk), first + 2, "its rights are others");
    desk.tell(Message::Server(1, News::Lost { why: "gone".into(), retry: None }));
    desk.hear(1, vec![News::Connected { version: "0.1.0".into(), environment: None, skew: None, patience: Span::from_secs(15) }]);
    assert_eq!(asks(&desk), first + 3, "it came back");
}

fn peer(left: i64) -> PeerState {
    PeerState {
        origin: Origin([5; 16]),
        name: "customer".into(),
        through: Vec::new(),
        line: Line::Up,
        since: ago(600),
        why: None,
        lag: Span::from_millis(40),
        heard: Some(NOW),
        skew: Some(0),
        incarnation: Incarnation(1),
        head: Sequence(9),
        version: "0.1.0".into(),
        set_aside: 0,
        key: Some(key(5).fingerprint().into()),
        grant: Some("see and pass on what happens on web/**".into()),
        until: Some(NOW.plus(Span::from_mins(left))),
        lease: None,
        offers: None,
        granted_by: Some("jo".into()),
        granted: Some(ago(30 * 24 * 60)),
    }
}

#[test]
fn what_a_server_holds_of_a_peer_is_said_and_its_end_is_a_mark() {
    let mut desk = responder(192, 120, 36, "midwatch");
    desk.hear(0, vec![News::Peers([peer(9_000)].into())]);
    desk.hides("a peer's grant ends");
    desk.hear(0, vec![News::Peers([peer(300)].into())]);
    let line = desk.screen().lines().next().unwrap().to_owned();
    assert!(line.contains("a peer's grant ends"), "{line}");
    desk.press("k");
    desk.shows("infra may see and pass on what happens on web/**");
    desk.shows("soon: ends in 4h59m");
    desk.shows("ask jo at customer for another invite as peer");
    // The server behind it, seen through it.
    let mut customer = Told::new(5, "customer", &[super::night::system("web/front", "The front", "service", &[])]);
    customer.agent("front-1", "web/front", ago(10));
    let mut desk = responder(192, 120, 36, "midwatch");
    desk.hear(0, vec![News::Peers([peer(300)].into())]);
    desk.tell(Message::Server(2, News::Behind { name: "customer".into(), address: "05050505 through infra".into(), through: 0 }));
    for news in customer.snapshot().into_iter().take(2) {
        desk.tell(Message::Server(2, news));
    }
    desk.press("j j");
    desk.wait(Span::from_secs(1));
    desk.shows("infra may see and pass on what happens on web/**; customer: jo gave it");
    desk.shows(&key(5).fingerprint());
    insta::assert_snapshot!("behind_120x36", desk.screen());
}

/// Somebody who runs the shop, and has let several in.
fn administrator(width: u16, height: u16, theme: &str) -> (Desk, GrantId) {
    let (infra, mut shop) = night();
    let robin = grant(&mut shop, 7, "robin", "responder", "shop/**", ago(470), Some(NOW.plus(Span::from_mins(10))));
    grant(&mut shop, 8, "web-1", "agent", "shop/web-1", ago(20_000), None);
    grant(&mut shop, 6, "infra", "peer", "shop/**", ago(20_000), Some(NOW.plus(Span::from_days(40))));
    grant(&mut shop, 5, "auditor", "reader", "shop", ago(3_000), Some(NOW.plus(Span::from_days(3))));
    shop.asks(
        "kim",
        ago(5),
        Intent::Invite {
            invite: GrantId::of_code(&[3; 16]),
            role: "reader".into(),
            systems: vec!["shop/**".parse().unwrap()],
            rights: None,
            name: Some("jo".into()),
            same: false,
            until: None,
            lasts: Some(Span::from_hours(8)),
            closes: NOW.plus(Span::from_hours(20)),
        },
    );
    let mut desk = Desk::new(&["infra", "shop"], theme, width, height);
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    desk.hear(0, vec![owner()]);
    desk.hear(1, vec![owner()]);
    (desk, robin)
}

#[test]
fn who_holds_what_on_a_server_is_listed_for_who_runs_it_and_one_is_revoked_after_a_question() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let (mut desk, _) = administrator(width, height, "midwatch");
        desk.press("0 j Enter G");
        insta::assert_snapshot!(format!("given_{width}x{height}"), desk.screen());
    }
    let (mut desk, robin) = administrator(80, 24, "midwatch");
    desk.press("0 j X");
    desk.shows("revoke which");
    desk.type_text("robin");
    insta::assert_snapshot!("revoke_which_80x24", desk.screen());
    desk.press("Enter");
    desk.shows("revoke on shop");
    desk.shows("robin, responder: see and respond to alerts on shop/**");
    insta::assert_snapshot!("revoke_80x24", desk.screen());
    assert!(desk.sent().is_empty(), "nothing before the question is answered");
    desk.press("Enter");
    let sent = desk.sent();
    assert!(matches!(&sent[..], [(1, request)] if request.intent == Intent::Revoke { grant: robin, why: "".into() }), "{sent:?}");
    // By its holder's name at once, and left with Esc.
    let (mut desk, _) = administrator(80, 24, "midwatch");
    desk.press("0 j");
    desk.run("grant-revoke web-1");
    desk.shows("web-1, agent: report how things are on shop/web-1");
    desk.press("Esc");
    assert!(desk.sent().is_empty());
    // An invite for the same again, as a line for a shell.
    desk.run("grant-invite robin");
    let copied = desk.effects.iter().rev().find_map(|effect| if let Effect::Copy(text) = effect { Some(text.clone()) } else { None });
    assert_eq!(copied.as_deref(), Some("midwatch invite --server shop --role responder --systems 'shop/**' --name robin --expires 480m"));
    // Who does not run it is told so.
    let mut desk = responder(192, 80, 24, "midwatch");
    desk.press("X");
    desk.shows("only who runs shop sees who holds what there");
    desk.hides("given out here");
}

#[test]
fn who_may_see_a_system_is_said_with_its_reasons() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let (mut desk, _) = administrator(width, height, "midwatch");
        desk.press("4");
        desk.run("filter system:shop/db");
        desk.press("V");
        desk.shows("who may see shop/db, and why");
        insta::assert_snapshot!(format!("access_{width}x{height}"), desk.screen());
        desk.press("Esc");
        desk.hides("and why");
    }
    let (desk, _) = administrator(120, 36, "midwatch");
    let of = |system: &str| desk.state.access(&midwatch::model::id::SystemRef { origin: Origin([2; 16]), id: system.parse().unwrap() }).unwrap();
    let names = |system: &str| of(system).ways.iter().map(|way| (way.given.name.clone(), way.pattern.clone(), way.passes_on)).collect::<Vec<_>>();
    assert_eq!(names("shop/db"), [("infra".into(), "shop/**".into(), true), ("robin".into(), "shop/**".into(), false)]);
    assert_eq!(
        names("shop").iter().map(|(name, pattern, _)| (&**name, &**pattern)).collect::<Vec<_>>(),
        [("auditor", "shop"), ("infra", "shop/**"), ("robin", "shop/**")]
    );
    assert!(of("shop").is_all);
    // Who may not know is told their own way, and whom to ask.
    let desk = responder(42, 80, 24, "midwatch");
    let access = desk.state.access(&midwatch::model::id::SystemRef { origin: Origin([2; 16]), id: "shop/db".parse().unwrap() }).unwrap();
    assert!(!access.is_all);
    let own = access.own.unwrap();
    assert_eq!((&*own.who, &*own.may), ("robin, responder", "see and respond to alerts on shop/**"));
    assert!(access.standing[0].contains("tells its administrators alone: ask kim"), "{:?}", access.standing);
}

#[test]
fn what_uses_a_system_shows_it_in_outline() {
    let mut told = Told::new(
        2,
        "shop",
        &[super::night::system("shop", "The shop", "service", &["store/disk"]), super::night::system("store/disk", "Disks", "storage", &[])],
    );
    grant(&mut told, 5, "auditor", "reader", "shop", ago(3_000), None);
    grant(&mut told, 6, "smith", "reader", "store/**", ago(3_000), None);
    let mut desk = Desk::new(&["shop"], "midwatch", 120, 36);
    desk.hear(0, told.snapshot());
    desk.hear(0, vec![owner()]);
    let access = desk.state.access(&midwatch::model::id::SystemRef { origin: Origin([2; 16]), id: "store/disk".parse().unwrap() }).unwrap();
    let ways: Vec<_> = access.ways.iter().map(|way| (&*way.given.name, way.outline.as_deref())).collect();
    assert_eq!(ways, [("smith", None), ("auditor", Some("shop"))]);
    assert!(access.ways[1].why().starts_with("in outline (title, severity, since), as shop uses it; by shop"), "{}", access.ways[1].why());
}
