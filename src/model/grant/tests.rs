//! The law of restricted worlds, and the arithmetic of scopes.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::decide::Rules;
use crate::model::event::{Actor, Draft, Event, LogLine, TrustAdmitted, TrustUsed};
use crate::model::fold::fold;
use crate::model::id::{Incarnation, Origin, RequestId, SystemId};
use crate::model::intent::{Intent, Request};
use crate::model::labels::Labels;
use crate::model::observation::{AgentHello, Observation};
use crate::model::primary::Primary;
use crate::model::report::{Memory, Report, Reported, ReportedState};
use crate::model::severity::{Severity, Status};
use crate::model::system::SystemSpec;
use crate::model::time::{Span, Time};
use crate::model::world::{Filled, World};

const T0: Time = Time::from_secs(1_795_000_000);
const SYSTEMS: [&str; 8] = ["shop", "shop/varnish", "shop/varnish/cache", "shop/db", "dc1", "dc1/ceph", "dc1/ceph/osd-3", "lab"];

fn id(place: u8) -> SystemId {
    SYSTEMS[usize::from(place) % SYSTEMS.len()].parse().unwrap()
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let some = prop_oneof![
        Just("**"),
        Just("*"),
        Just("shop"),
        Just("shop/*"),
        Just("shop/**"),
        Just("shop/varnish"),
        Just("shop/varnish/**"),
        Just("dc1/*"),
        Just("dc1/**"),
        Just("dc1/ceph"),
        Just("lab")
    ];
    some.prop_map(|text| text.parse().unwrap())
}

fn rights() -> impl Strategy<Value = Rights> {
    any::<u8>().prop_map(|bits| Rights::of(Right::ALL.into_iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1).map(|(_, right)| right)))
}

fn scope() -> impl Strategy<Value = Scope> {
    let expires = prop::option::of((0..5_i64).prop_map(|hours| T0.plus(Span::from_hours(hours))));
    (prop::collection::vec(pattern(), 0..4), rights(), expires).prop_map(|(systems, rights, expires)| Scope::new(systems, rights, expires))
}

/// Of one who sees what is named; now and then one who administers too.
fn reader() -> impl Strategy<Value = Scope> {
    (scope(), 0..4_u8).prop_map(|(scope, admin)| {
        let rights = Rights::of([Right::Read]);
        Scope { rights: if admin == 0 { rights.with(Right::Administer) } else { rights }, ..scope }
    })
}

proptest! {
    /// Narrowing never adds: neither systems nor rights nor time.
    #[test]
    fn narrowing_can_only_shrink(a in scope(), b in scope()) {
        let both = a.narrow(&b);
        prop_assert!(a.covers(&both) && b.covers(&both), "{a} ∩ {b} = {both}");
        for system in SYSTEMS {
            prop_assert_eq!(both.names(system), a.names(system) && b.names(system), "{}: {} ∩ {} = {}", system, a, b, both);
            let system = system.parse().unwrap();
            for right in Right::ALL {
                prop_assert_eq!(both.may(right, Some(&system)), a.may(right, Some(&system)) && b.may(right, Some(&system)));
            }
        }
        for hours in 0..6 {
            let now = T0.plus(Span::from_hours(hours));
            prop_assert_eq!(both.is_over(now), a.is_over(now) || b.is_over(now));
        }
        prop_assert_eq!(&both, &b.narrow(&a));
        prop_assert_eq!(&a.narrow(&a), &a);
    }

    /// Any two can be compared, and what covers another is never the less.
    #[test]
    fn what_covers_more_is_broader(a in scope(), b in scope()) {
        let [a, b] = [a, b].map(|scope| Scope { rights: Rights::of([Right::Read]), expires: None, ..scope });
        match (a.covers(&b), b.covers(&a)) {
            (true, true) => prop_assert_eq!(a.breadth(), b.breadth(), "{} and {}", a, b),
            (true, false) => prop_assert!(a.breadth() > b.breadth(), "{a} covers {b}"),
            (false, true) => prop_assert!(a.breadth() < b.breadth(), "{b} covers {a}"),
            (false, false) => {}
        }
        let blind = Scope { rights: Rights::of([Right::Respond]), ..a };
        prop_assert!(blind.breadth().is_empty());
    }

    #[test]
    fn a_scope_survives_json_and_messagepack(a in scope()) {
        prop_assert_eq!(&serde_json::from_str::<Scope>(&serde_json::to_string(&a).unwrap()).unwrap(), &a);
        prop_assert_eq!(&rmp_serde::from_slice::<Scope>(&rmp_serde::to_vec_named(&a).unwrap()).unwrap(), &a);
    }
}

#[test]
fn a_pattern_is_printed_as_it_was_read_and_matches_whole_segments() {
    for text in ["shop/varnish", "shop/*", "shop/**", "*", "**"] {
        assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
    }
    let matches = |text: &str| SYSTEMS.into_iter().filter(|system| text.parse::<Pattern>().unwrap().matches(system)).collect::<Vec<_>>();
    assert_eq!(matches("shop"), ["shop"]);
    assert_eq!(matches("shop/*"), ["shop/varnish", "shop/db"]);
    assert_eq!(matches("shop/varnish/**"), ["shop/varnish", "shop/varnish/cache"]);
    assert_eq!(matches("sho/**"), [""; 0]);
    assert_eq!(matches("*"), ["shop", "dc1", "lab"]);
}

#[test]
fn a1_no_name_of_a_system_is_a_pattern_and_no_pattern_is_a_regular_expression() {
    for bad in ["", "sh*", "shop/*/db", "shop/**/db", "**/db", ".*", "shop/", "/shop", "a b", "shop/**x", "../**", "shop,lab"] {
        let why = bad.parse::<Pattern>().unwrap_err();
        assert!(why.contains("names no systems"), "{bad}: {why}");
    }
    for name in ["*", "**", "shop/*", "shop/**"] {
        assert!(name.parse::<SystemId>().is_err(), "no system can be called {name}");
    }
}

#[test]
fn a_right_that_is_not_known_is_refused_where_people_write_and_none_where_it_is_read() {
    assert_eq!(Rights::parse("read, respond").unwrap(), Rights::of([Right::Read, Right::Respond]));
    assert!(Rights::parse("read,administrate").unwrap_err().contains("did you mean `administer`?"));
    assert!(Rights::parse("").is_err());
    assert_eq!(serde_json::from_str::<Rights>(r#"["read","levitate"]"#).unwrap(), Rights::of([Right::Read]));
}

/// What may come in.
#[derive(Clone, Debug)]
enum Step {
    Hello(u8, u8),
    See(u8, u8, u8, u8),
    Report(u8, u8, u8),
    Remember(u8, u8),
    Ask(u8, u8, u8, u8),
    Declare(u8, u8, u8),
    Undeclare(u8),
    Fail(bool),
    Say(Option<u8>),
    Settings(u8),
    /// Something of keys: which, and another one.
    Trust(u8, u8, u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_u8, 0..8_u8).prop_map(|(a, s)| Step::Hello(a, s)),
        5 => (0..3_u8, 0..2_u8, 0..8_u8, 0..3_u8).prop_map(|(a, c, s, status)| Step::See(a, c, s, status)),
        5 => (0..8_u8, 0..2_u8, 0..3_u8).prop_map(|(s, c, how)| Step::Report(s, c, how)),
        1 => (0..8_u8, 0..9_u8).prop_map(|(s, n)| Step::Remember(s, n)),
        5 => (0..9_u8, 0..8_u8, 0..8_u8, any::<u8>()).prop_map(|(what, alert, system, id)| Step::Ask(what, alert, system, id)),
        3 => (0..8_u8, 0..8_u8, 0..8_u8).prop_map(|(s, a, b)| Step::Declare(s, a, b)),
        1 => (0..8_u8).prop_map(Step::Undeclare),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => prop::option::of(0..8_u8).prop_map(Step::Say),
        1 => (0..3_u8).prop_map(Step::Settings),
        2 => (0..2_000_u16).prop_map(Step::Wait),
        3 => (0..7_u8, 0..5_u8, 0..5_u8).prop_map(|(what, a, b)| Step::Trust(what, a, b)),
    ]
}

fn play(steps: &[Step]) -> Vec<Event> {
    let mut p = Primary::new(World::new(Origin([1; 16]), Incarnation(1)), Rules::default(), T0);
    let mut declared: BTreeMap<SystemId, SystemSpec> = BTreeMap::new();
    let (mut now, mut log) = (0_i64, Vec::new());
    for step in steps {
        now += 1;
        let t = T0.plus(Span::from_secs(now));
        let agent = |n: &u8| ["web-1", "web-2", "db-1"][usize::from(*n)].into();
        let events = match step {
            Step::Hello(a, s) => {
                let facts = [("kernel".into(), format!("6.{now}").into())].into_iter().collect();
                let checks = ["disk", "load"].map(Into::into).to_vec();
                p.hello(&AgentHello { agent: agent(a), system: id(*s), version: "1".into(), keepalive: Span::from_secs(20), checks, facts }, t)
            }
            Step::See(a, c, s, status) => {
                let observation = Observation {
                    agent: agent(a),
                    check: ["disk", "load"][usize::from(*c)].into(),
                    system: id(*s),
                    at: t,
                    status: [Status::Ok, Status::Warning, Status::Critical][usize::from(*status)],
                    text: "so it is".into(),
                    details: "".into(),
                    metrics: Vec::new(),
                    every: Span::from_secs(10),
                    attempts: 1,
                    runbook: None,
                };
                p.observe(&observation, t)
            }
            Step::Report(s, c, how) => {
                let state = match how {
                    0 => ReportedState::Resolved { at: t },
                    1 => ReportedState::Firing { until: None },
                    _ => ReportedState::Firing { until: Some(t.plus(Span::from_secs(240))) },
                };
                let reported = Reported {
                    system: id(*s),
                    check: ["Hot", "Cold"][usize::from(*c)].into(),
                    severity: [Severity::Warning, Severity::Critical][usize::from(*how) % 2],
                    title: format!("too much of {c}").into(),
                    text: "secret words".into(),
                    labels: Labels::new([("alertname", "x"), ("password", "s")]),
                    links: Vec::new(),
                    expr: Some("x > 1".into()),
                    value: None,
                    starts: t,
                    state,
                };
                p.report(&Report { source: "prom".into(), at: t, alerts: vec![reported], complete: *how == 2 }, t)
            }
            Step::Remember(s, n) => {
                let from = t.minus(Span::from_mins(60 + i64::from(*n)));
                let episode = Reported {
                    system: id(*s),
                    check: "Hot".into(),
                    severity: Severity::Warning,
                    title: "too hot".into(),
                    text: "secret words".into(),
                    labels: Labels::new([("alertname", "x"), ("password", "s")]),
                    links: Vec::new(),
                    expr: None,
                    value: None,
                    starts: from,
                    state: ReportedState::Resolved { at: from.plus(Span::from_mins(5)) },
                };
                let filled = Filled { from, until: t, complete: false, running: Vec::new(), gaps: Vec::new() };
                p.remember(&Memory { source: "prom".into(), episodes: vec![episode], filled }, t)
            }
            Step::Ask(what, which, system, number) => {
                let alert = p.world.alerts.keys().nth(usize::from(*which)).copied().unwrap_or_default();
                let episode = p.world.alert(alert).and_then(|a| a.now).map(|o| o.episode).unwrap_or_default();
                let other = p.world.alerts.keys().last().copied().unwrap_or_default();
                let intent = match what {
                    0 => Intent::Acknowledge { alert, episode, note: "on it".into() },
                    1 => Intent::Unacknowledge { alert, episode },
                    2 => Intent::Snooze { alert, episode, until: t.plus(Span::from_secs(100)), note: "".into() },
                    3 => Intent::Assign { alert, episode, to: Some("jo".into()) },
                    4 => Intent::Resolve { alert, episode, note: "it was me".into() },
                    5 => Intent::NoteAlert { alert, text: "seen before".into() },
                    6 => Intent::WithdrawNote { note: p.world.deeds.front().map(|d| d.event).unwrap_or_default() },
                    7 => Intent::DenyCause { alert, episode, cause: crate::model::id::AlertRef { origin: Origin([1; 16]), alert: other } },
                    _ => Intent::Change { system: id(*system), title: "deploy".into(), text: "".into(), version: None, links: Vec::new() },
                };
                p.request(&Request { id: RequestId([*number; 16]), by: "kim".into(), made: t, intent, signed: None }, t).unwrap_or_default()
            }
            Step::Declare(s, a, b) => {
                let mut spec = SystemSpec::bare(id(*s));
                spec.title = format!("{now}").into();
                spec.uses = [a, b].into_iter().filter(|used| *used != s).map(|used| id(*used).as_str().parse().unwrap()).collect();
                declared.insert(id(*s), spec);
                p.configure(&declared.values().cloned().collect::<Vec<_>>(), t)
            }
            Step::Undeclare(s) => {
                declared.remove(&id(*s));
                p.configure(&declared.values().cloned().collect::<Vec<_>>(), t)
            }
            Step::Fail(true) => p.source_failed(&"prom".into(), "refused", t),
            Step::Fail(false) => p.source_recovered(&"prom".into(), t),
            Step::Say(system) => {
                let mut draft = Draft::new(t, Actor::Source("ci".into()), LogLine {}, "a line");
                draft.system = system.as_ref().map(|s| id(*s));
                p.record(vec![draft], t)
            }
            Step::Trust(what, a, b) => trust(&mut p, *what, &named(*a), &named(*b), t),
            Step::Settings(n) => p.settings(&[("claim".into(), format!("{n}").into())].into_iter().collect(), t),
            Step::Wait(secs) => {
                now += i64::from(*secs);
                p.tick(T0.plus(Span::from_secs(now)))
            }
        };
        log.extend(events);
    }
    log
}

fn named(number: u8) -> Key {
    Key::of(&[number; 32])
}

/// Something happens to who may do what.
fn trust(p: &mut Primary, what: u8, a: &Key, b: &Key, t: Time) -> Vec<Event> {
    let held = p.world.grants.values().find(|grant| grant.holds(t) && grant.has(a)).cloned();
    let name: Arc<str> = ["kim", "jo", "ada"][usize::from(b.bytes()[0]) % 3].into();
    let (why, until) = (Arc::from(""), Some(t.plus(Span::from_secs(900))));
    let systems = vec!["shop/**".parse().unwrap()];
    let intent = match what {
        0 => Intent::Grant { key: a.clone(), name, role: "responder".into(), systems, rights: None, until },
        1 => Intent::AddKey { key: b.clone(), vouched: Vouched { by: a.clone(), at: t, signature: "".into() } },
        2 => Intent::RemoveKey { key: a.clone(), why },
        3 => Intent::ReplaceKey { old: a.clone(), new: b.clone(), vouched: None, why },
        4 => Intent::Revoke { grant: held.map(|grant| grant.id).unwrap_or_default(), why },
        _ => {
            let (from, what) = ("10.0.0.7".into(), "note".into());
            let (grant, who) = (held.map(|grant| grant.id), Who::Person);
            let kind: crate::model::event::Kind = if what_is_used(b) {
                TrustUsed { what, key: Some(a.clone()), way: None, name, who, from, grant, handed: None, through: None, on_behalf_of: None }.into()
            } else {
                TrustAdmitted { key: a.clone(), name, who, from, grant, handed: None }.into()
            };
            return p.record(vec![Draft::new(t, Actor::Server, kind, "x")], t);
        }
    };
    let id = RequestId([what, a.bytes()[0], b.bytes()[0], 7, t.secs().to_le_bytes()[0], t.secs().to_le_bytes()[1], 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    p.request(&Request { id, by: "op".into(), made: t, intent, signed: None }, t).unwrap_or_default()
}

fn what_is_used(key: &Key) -> bool {
    key.bytes()[0].is_multiple_of(2)
}

/// Apart from how new the whole log is, and from whether somebody ended an episode by what they said of a
/// system above that is not seen: that is told with the next snapshot.
fn plainly(mut world: World, scope: &Scope) -> World {
    (world.recorded, world.known_since) = (T0, None);
    for alert in world.alerts.values_mut() {
        let hidden_above = crate::model::view::graph::ancestors(&alert.system).any(|above| !scope.names(above.as_str()));
        if hidden_above || !scope.names(alert.system.as_str()) {
            let alert = Arc::make_mut(alert);
            alert.ended = None;
            alert.past.iter_mut().for_each(|past| past.by_hand = false);
        }
    }
    world
}

/// Nothing of what must not be seen, byte for byte.
fn tells_nothing(bytes: &str, scope: &Scope, world: &World) -> Result<(), TestCaseError> {
    for system in SYSTEMS {
        let used = world.systems.values().filter(|known| scope.names(known.spec.id.as_str())).flat_map(|known| &known.spec.uses).any(|used| {
            let system: SystemId = system.parse().unwrap();
            system.within(&used.id)
        });
        if !scope.names(system) && !used {
            prop_assert!(!bytes.contains(&format!("\"{system}\"")), "{system} under {scope}: {bytes}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Folding what a scope is shown onto the restricted world gives the restricted world of all events,
    /// wherever one begins to follow.
    #[test]
    fn what_is_shown_folds_into_what_is_seen(steps in prop::collection::vec(step(), 0..100), scope in reader(), begin in 0..100_usize) {
        let log = play(&steps);
        let mut whole = World::new(Origin([1; 16]), Incarnation(1));
        let (before, after) = log.split_at(begin.min(log.len()));
        before.iter().for_each(|event| fold(&mut whole, event));
        let mut seen = whole.seen_by(&scope);
        let mut lens = Lens::of(&whole, &scope);
        for event in after {
            fold(&mut whole, event);
            if lens.moves(event) {
                seen = whole.seen_by(&scope);
                lens = Lens::of(&whole, &scope);
            } else if let Some(event) = lens.project(event) {
                fold(&mut seen, &event);
            }
            seen.head = event.id.sequence;
            let (ours, theirs) = (plainly(seen.clone(), &scope), plainly(whole.seen_by(&scope), &scope));
            prop_assert_eq!(&ours, &theirs, "{} after {:?}", &scope, event);
        }
        let (ours, theirs) = (plainly(seen, &scope), plainly(whole.seen_by(&scope), &scope));
        prop_assert_eq!(rmp_serde::to_vec_named(&ours).unwrap(), rmp_serde::to_vec_named(&theirs).unwrap());
        // What a lens has gathered on the way is what one made now has.
        for event in &log {
            prop_assert_eq!(lens.project(event), project(&whole, &scope, event));
        }
    }

    /// The same for one who came by a key: what concerns their keys and grants they see, and of others' nothing.
    #[test]
    fn what_is_shown_of_ones_own_keys_folds_into_what_is_seen(steps in prop::collection::vec(step(), 0..100), scope in reader(), begin in 0..100_usize) {
        prop_assume!(!scope.is_all());
        let log = play(&steps);
        let lens_of = |whole: &World| Lens::of(whole, &scope).owned(whole, Some(named(0)));
        let mut whole = World::new(Origin([1; 16]), Incarnation(1));
        let (before, after) = log.split_at(begin.min(log.len()));
        before.iter().for_each(|event| fold(&mut whole, event));
        let mut lens = lens_of(&whole);
        let mut seen = lens.world(&whole);
        for event in after {
            fold(&mut whole, event);
            if lens.moves(event) {
                lens = lens_of(&whole);
                seen = lens.world(&whole);
            } else if let Some(event) = lens.project(event) {
                fold(&mut seen, &event);
            }
            seen.head = event.id.sequence;
            prop_assert_eq!(plainly(seen.clone(), &scope), plainly(lens_of(&whole).world(&whole), &scope), "{} after {:?}", &scope, event);
            for grant in seen.grants.values() {
                let own = grant.has(&named(0)) || grant.lost(&named(0)).is_some();
                let same = whole.grants.values().any(|mine| mine.holds(T0) && mine.has(&named(0)) && mine.name == grant.name);
                prop_assert!(own || same, "{:?} is somebody else's", grant);
            }
        }
    }

    /// What is shown names no system that is neither seen nor used by one that is.
    #[test]
    fn nothing_else_is_shown(steps in prop::collection::vec(step(), 0..60), scope in reader()) {
        let log = play(&steps);
        let mut whole = World::new(Origin([1; 16]), Incarnation(1));
        log.iter().for_each(|event| fold(&mut whole, event));
        let mut seen = whole.seen_by(&scope);
        if scope.is_all() {
            prop_assert_eq!(&seen, &whole);
            return Ok(());
        }
        prop_assert!(seen.settings.is_empty() && seen.requests.is_empty());
        // What systems that are seen say that they use, they say.
        seen.systems.values_mut().for_each(|system| Arc::make_mut(system).spec.uses.clear());
        let text = serde_json::to_string(&seen).unwrap();
        tells_nothing(&text, &scope, &whole)?;
        for event in &log {
            let Some(shown) = project(&whole, &scope, event) else { continue };
            if !scope.names(event.system.as_ref().map_or("", |system| system.as_str())) && event.system.is_some() {
                let json = serde_json::to_string(&shown).unwrap();
                prop_assert!(!json.contains("secret") && !json.contains("kim") && !json.contains("prom") && !json.contains("password"), "{json}");
                tells_nothing(&json, &scope, &whole)?;
            }
        }
    }
}

#[test]
fn what_a_visible_system_uses_is_seen_as_an_outline() {
    let mut shop = SystemSpec::bare("shop".parse().unwrap());
    shop.uses = vec!["dc1/ceph".parse().unwrap()];
    let mut p = Primary::new(World::new(Origin([1; 16]), Incarnation(1)), Rules::default(), T0);
    p.configure(&[shop], T0);
    let fired = |p: &mut Primary, system: &str| {
        let reported = Reported {
            system: system.parse().unwrap(),
            check: "OsdDown".into(),
            severity: Severity::Critical,
            title: "osd 3 is down".into(),
            text: "rack 7, call Sam".into(),
            labels: Labels::new([("rack", "7")]),
            links: Vec::new(),
            expr: None,
            value: None,
            starts: T0,
            state: ReportedState::Firing { until: None },
        };
        p.report(&Report { source: "prom".into(), at: T0, alerts: vec![reported], complete: false }, T0);
    };
    fired(&mut p, "dc1/ceph/osd-3");
    fired(&mut p, "dc1/network");
    let seen = p.world.seen_by(&Scope::new(["shop/**".parse().unwrap()], Rights::of([Right::Read]), None));
    let [alert] = seen.alerts.values().collect::<Vec<_>>()[..] else { panic!("{seen:?}") };
    assert_eq!((alert.system.as_str(), &*alert.title, alert.severity, alert.now.unwrap().since), ("dc1/ceph/osd-3", "osd 3 is down", Severity::Critical, T0));
    assert_eq!((&*alert.text, alert.check.as_str(), alert.labels.is_empty(), &alert.holders[..]), ("", "outline", true, &[Actor::Server][..]));
    assert!(!format!("{seen:?}").contains("rack") && !format!("{seen:?}").contains("network"));
}

#[test]
fn what_concerns_no_system_is_the_administrators_or_everybodys() {
    let read = |systems: &str, rights: &str| Scope::new([systems.parse().unwrap()], Rights::parse(rights).unwrap(), None);
    let (some, every, admin) = (read("shop/**", "read,administer"), read("**", "read,respond"), read("**", "read,administer"));
    for (kind, seen) in [
        ("server.started", [true, true, true]),
        ("glossary.declared", [true, true, true]),
        ("config.applied", [false, false, true]),
        ("trust.granted", [false, false, true]),
        ("silence.seen", [false, true, true]),
        ("source.failed", [false, true, true]),
        ("log", [false, true, true]),
        // An intake may call its own kinds what it likes.
        ("server.fire", [false, true, true]),
    ] {
        assert_eq!([&some, &every, &admin].map(|scope| scope.sees(None, kind)), seen, "{kind}");
    }
    assert!(!read("**", "observe,administer").sees(Some(&"shop".parse().unwrap()), "alert.opened"), "without `read` nothing is seen");
}

#[test]
fn a_declaration_that_names_another_system_than_its_envelope_is_not_shown() {
    let mut event = play(&[Step::Declare(0, 1, 2)]).remove(0);
    event.system = Some("shop/varnish".parse().unwrap());
    let scope = Scope::new(["shop/**".parse().unwrap()], Rights::of([Right::Read]), None);
    assert_eq!(Lens::of(&World::default(), &scope).project(&event), None);
    event.system = Some("shop".parse().unwrap());
    assert!(Lens::of(&World::default(), &scope).project(&event).is_some());
}

#[test]
fn an_epoch_is_that_of_what_is_seen() {
    let scope = |systems: &[&str], rights: &str| Scope::new(systems.iter().map(|text| text.parse().unwrap()), Rights::parse(rights).unwrap(), None);
    assert_eq!(Scope::all().epoch(), None);
    assert_eq!(scope(&["shop/**", "lab"], "read").epoch(), scope(&["lab", "shop/**", "shop/db"], "read,respond").epoch());
    assert_ne!(scope(&["shop/**"], "read").epoch(), scope(&["shop/*"], "read").epoch());
}

#[test]
fn whose_key_was_taken_is_not_told_when_the_one_in_its_place_was_used() {
    let mut p = Primary::new(World::new(Origin([1; 16]), Incarnation(1)), Rules::default(), T0);
    let mut at = |what, a, b, secs| trust(&mut p, what, &named(a), &named(b), T0.plus(Span::from_secs(secs))).len();
    // Granted; replaced by another; which comes in.
    assert_eq!((at(0, 0, 0, 1), at(3, 0, 3, 2), at(5, 3, 1, 3)), (1, 2, 1));
    let scope = Scope::new(["shop/**".parse().unwrap()], Rights::of([Right::Read]), None);
    let used = |key| {
        let seen = Lens::of(&p.world, &scope).owned(&p.world, Some(named(key))).world(&p.world);
        seen.grants.values().map(|grant| (grant.lost(&named(0)).is_some(), grant.used.is_some())).collect::<Vec<_>>()
    };
    assert_eq!((used(0), used(3), used(4)), (vec![(true, false)], vec![(true, true)], vec![]));
}
