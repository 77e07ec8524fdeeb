//! Folding and suspects: stories, and what holds for any of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::alerts::rows as rows_at;
use super::alerts::{AlertRow, Asks, rows};
use super::cause::{AFTER, BEFORE};
use super::entries::{Layers, with_beneath};
use super::graph::{Graph, Walker};
use super::looked::{Looked, is_new, since};
use super::now::Now;
use super::suspect::{Changes, Suspect};
use super::{Freshness, Seen, Sky};
use crate::model::id::{AlertRef, Fingerprint, Incarnation, Origin, RequestId, SystemId};
use crate::model::intent::{Intent, RefusalCode, Request};
use crate::model::labels::Labels;
use crate::model::mark::{Mark, Marks, Stamp};
use crate::model::primary::{Primary, Rules};
use crate::model::report::{Report, Reported, ReportedState};
use crate::model::severity::Severity;
use crate::model::system::SystemSpec;
use crate::model::time::{Span, Time};
use crate::model::world::World;

const NOW: Time = Time::from_secs(1_795_226_220);

fn secs(before: i64) -> Time {
    NOW.minus(Span::from_secs(before))
}

/// A server by name, with its systems and what each uses.
type Server<'a> = (&'a str, &'a [(&'a str, &'a [&'a str])]);

/// Servers, each as its primary has it.
struct Told {
    servers: Vec<(String, Primary)>,
    asked: u8,
}

impl Told {
    fn new(servers: &[Server<'_>]) -> Told {
        let primary = |(number, (name, systems)): (u8, &Server<'_>)| {
            let mut world = World::new(Origin([number; 16]), Incarnation(1));
            world.name = (*name).into();
            let mut primary = Primary::new(world, Rules::default(), secs(86_400 * 30));
            let specs: Vec<SystemSpec> = systems
                .iter()
                .map(|(id, uses)| SystemSpec { uses: uses.iter().map(|used| used.parse().unwrap()).collect(), ..SystemSpec::bare(id.parse().unwrap()) })
                .collect();
            primary.configure(&specs, secs(86_400 * 30));
            ((*name).to_owned(), primary)
        };
        Told { servers: (1..).zip(servers).map(primary).collect(), asked: 0 }
    }

    fn primary(&mut self, server: &str) -> &mut Primary {
        &mut self.servers.iter_mut().find(|(name, _)| name == server).unwrap().1
    }

    fn fires(&mut self, server: &str, system: &str, check: &str, severity: Severity, before: i64) -> AlertRef {
        let at = secs(before);
        let alert = Reported {
            system: system.parse().unwrap(),
            check: check.into(),
            labels: Labels::new([("alertname", check)]),
            severity,
            title: format!("{check} is bad").into(),
            text: "".into(),
            links: Vec::new(),
            expr: None,
            value: None,
            starts: at,
            state: ReportedState::Firing { until: Some(NOW.plus(Span::from_hours(9))) },
        };
        let report = Report { source: "prometheus".into(), at, complete: false, alerts: vec![alert] };
        let primary = self.primary(server);
        primary.report(&report, at);
        let (origin, world) = (primary.world.origin, &primary.world);
        let found = world.alerts.iter().find(|(_, alert)| alert.system.as_str() == system && alert.check.as_str() == check);
        AlertRef { origin, alert: *found.unwrap().0 }
    }

    fn ask(&mut self, server: &str, by: &str, before: i64, intent: Intent) -> Result<(), RefusalCode> {
        self.asked += 1;
        let request = Request { id: RequestId([self.asked; 16]), by: by.into(), made: secs(before), intent, signed: None };
        self.primary(server).request(&request, secs(before)).map(drop).map_err(|refusal| refusal.code)
    }

    fn clears(&mut self, server: &str, system: &str, check: &str, before: i64) {
        let alert = Reported {
            system: system.parse().unwrap(),
            check: check.into(),
            labels: Labels::new([("alertname", check)]),
            severity: Severity::Info,
            title: "".into(),
            text: "".into(),
            links: Vec::new(),
            expr: None,
            value: None,
            starts: secs(before),
            state: ReportedState::Resolved { at: secs(before) },
        };
        self.primary(server).report(&Report { source: "prometheus".into(), at: secs(before), complete: false, alerts: vec![alert] }, secs(before));
    }

    fn change(&mut self, server: &str, system: &str, before: i64, title: &str) {
        let intent = Intent::Change { system: system.parse().unwrap(), title: title.into(), text: "".into(), version: None, links: Vec::new() };
        self.ask(server, "ci", before, intent).unwrap();
    }

    fn sky(&self) -> Sky {
        let seen = |(name, primary): &(String, Primary)| Seen {
            name: name.as_str().into(),
            world: Arc::new(primary.world.clone()),
            freshness: Freshness::Live { age: Span::ZERO },
        };
        Sky::new(self.servers.iter().map(seen).collect())
    }

    fn rows(&self) -> (Sky, Vec<AlertRow>) {
        let sky = self.sky();
        let rows = rows(&sky, NOW);
        (sky, rows)
    }

    fn under(&self, effect: AlertRef) -> Option<AlertRef> {
        self.rows().1.iter().find(|row| row.alert == effect).unwrap().cause.as_ref().map(|cause| cause.direct)
    }

    fn suspects(&self, alert: AlertRef) -> Vec<Suspect> {
        let (sky, rows) = self.rows();
        let graph = Graph::of(&sky);
        Changes::of(&sky, &graph).before(&mut Walker::new(&graph), &Layers::of(&rows), alert, NOW)
    }
}

const NET: &[Server<'static>] = &[
    ("infra", &[("dc1/ceph", &[]), ("dc1/dns", &[])]),
    ("shop", &[("shop", &["infra:dc1/ceph"]), ("shop/db", &[]), ("shop/api", &["shop/db"]), ("office", &[])]),
    ("club", &[("tickets", &["shop:shop/api"])]),
];

#[test]
fn a_cause_of_a_cause_stands_in_layers_over_three_servers_with_reasons() {
    let mut told = Told::new(NET);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 300);
    let db = told.fires("shop", "shop/db", "Slow", Severity::Critical, 260);
    let api = told.fires("shop", "shop/api", "Errors", Severity::Critical, 220);
    let tickets = told.fires("club", "tickets", "Down", Severity::Critical, 100);
    let office = told.fires("shop", "office", "Printer", Severity::Warning, 250);
    assert_eq!((told.under(db), told.under(api), told.under(tickets)), (Some(ceph), Some(db), Some(api)));
    assert_eq!((told.under(ceph), told.under(office)), (None, None), "what uses nothing that is wrong stands apart");
    let (sky, rows) = told.rows();
    let words = |alert: AlertRef| rows.iter().find(|row| row.alert == alert).unwrap().cause.as_ref().unwrap().words(&sky);
    assert_eq!(words(db), "uses infra dc1/ceph, began 40 s later");
    assert_eq!(words(api), "uses shop/db, began 40 s later");
    assert_eq!(words(tickets), "uses shop shop/api, began 2 min later");
    let now = Now::of(&sky, &rows);
    let head = now.entries.iter().find(|entry| rows[entry.row].alert == ceph).unwrap();
    let layers: Vec<(AlertRef, usize)> = head.effects.iter().map(|(row, depth)| (rows[*row].alert, *depth)).collect();
    assert_eq!(layers, [(db, 1), (api, 2), (tickets, 3)]);
    assert_eq!(with_beneath(&rows, &[db]), [db, api, tickets]);
    assert_eq!(head.places(&sky, &rows), "3 in shop, club");
}

#[test]
fn a_cause_may_be_seen_later_but_not_much_and_not_for_something_worse() {
    let late = |by: i64, severity: Severity| {
        let mut told = Told::new(NET);
        let db = told.fires("shop", "shop/db", "Slow", severity, 600);
        told.fires("infra", "dc1/ceph", "Osd", Severity::Warning, 600 - by);
        told.under(db).is_some()
    };
    assert!(late(BEFORE.secs(), Severity::Warning) && !late(BEFORE.secs() + 1, Severity::Warning));
    assert!(late(0, Severity::Critical) && !late(60, Severity::Critical), "what is worse and came first comes from something else");
}

#[test]
fn not_so_is_an_event_of_the_effects_primary_and_is_taken_back() {
    let mut told = Told::new(NET);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 300);
    let db = told.fires("shop", "shop/db", "Slow", Severity::Critical, 260);
    let episode = |told: &mut Told, alert: Fingerprint| told.primary("shop").world.alert(alert).unwrap().now.unwrap().episode;
    let episode = episode(&mut told, db.alert);
    let deny = Intent::DenyCause { alert: db.alert, episode, cause: ceph };
    told.ask("shop", "kim", 200, deny.clone()).unwrap();
    assert_eq!(told.under(db), None);
    assert_eq!(told.ask("shop", "jo", 190, deny.clone()), Err(RefusalCode::Invalid), "it is known already");
    // A restart forgets nothing: the world comes back from its bytes.
    let bytes = rmp_serde::to_vec_named(&told.primary("shop").world).unwrap();
    told.primary("shop").world = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(told.under(db), None);
    told.ask("shop", "kim", 150, Intent::RestoreCause { alert: db.alert, cause: ceph }).unwrap();
    assert_eq!(told.under(db), Some(ceph));
    assert_eq!(told.ask("shop", "kim", 140, Intent::RestoreCause { alert: db.alert, cause: ceph }), Err(RefusalCode::Over));
    let other = crate::model::id::EventId::default();
    assert_eq!(told.ask("shop", "kim", 130, Intent::DenyCause { alert: db.alert, episode: other, cause: ceph }), Err(RefusalCode::Over), "another episode");
}

#[test]
fn what_is_worse_than_its_cause_or_has_somebody_does_not_vanish() {
    let mut told = Told::new(NET);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Warning, 300);
    let db = told.fires("shop", "shop/db", "Slow", Severity::Critical, 260);
    let api = told.fires("shop", "shop/api", "Errors", Severity::Warning, 200);
    let acknowledge = |told: &mut Told, server: &str, by: &str, alert: AlertRef| {
        let episode = told.primary(server).world.alert(alert.alert).unwrap().now.unwrap().episode;
        told.ask(server, by, 100, Intent::Acknowledge { alert: alert.alert, episode, note: "".into() }).unwrap();
    };
    acknowledge(&mut told, "infra", "mira", ceph);
    acknowledge(&mut told, "shop", "kim", api);
    let (sky, rows) = told.rows();
    let now = Now::of(&sky, &rows);
    assert_eq!(now.entries.len(), 1);
    let entry = &now.entries[0];
    assert_eq!((entry.asks, entry.severity), (Asks::You, Severity::Critical), "mira has the cause, nobody has what is worse");
    assert_eq!(now.need_you, 1);
    assert_eq!(entry.besides(&rows), "1 critical, kim has 1");
    assert!(rows.iter().any(|row| row.alert == db && row.cause.is_some()));
}

#[test]
fn a_deploy_that_came_before_such_alerts_before_weighs_more_and_says_so() {
    let mut told = Told::new(NET);
    let day = 86_400;
    for ago in [20, 12, 5] {
        told.change("shop", "shop/api", ago * day + 300, "deploy");
        told.change("shop", "office", ago * day + 3_000, "office");
        let alert = told.fires("shop", "shop/api", "Errors", Severity::Critical, ago * day);
        let episode = told.primary("shop").world.alert(alert.alert).unwrap().now.unwrap().episode;
        told.ask("shop", "kim", ago * day - 600, Intent::Resolve { alert: alert.alert, episode, note: "".into() }).unwrap();
    }
    told.change("shop", "shop/api", 200, "deploy r9");
    let alert = told.fires("shop", "shop/api", "Errors", Severity::Critical, 100);
    let suspects = told.suspects(alert);
    assert_eq!((&*suspects[0].title, suspects[0].habit, suspects[0].likely), ("deploy r9", (3, 3), true));
    assert_eq!(suspects[0].habit_words(), "3 of its 3 earlier episodes came within 10 min after a deploy");
    assert!(suspects[0].weight > 1.0 && suspects.iter().all(|suspect| &*suspect.title != "office"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is open: a cause is another open alert, in its window, on a system that the effect's needs;
    /// layers end; and nothing is counted twice or lost.
    #[test]
    fn folding_loses_nothing_and_keeps_its_rules(
        fired in proptest::collection::vec((0_usize..6, 0_u8..3, 0_usize..3, 0_i64..4_000), 1..30)
    ) {
        let places = [("infra", "dc1/ceph"), ("infra", "dc1/dns"), ("shop", "shop/db"), ("shop", "shop/api"), ("shop", "office"), ("club", "tickets")];
        let mut told = Told::new(NET);
        let mut sorted = fired.clone();
        sorted.sort_by_key(|(_, _, _, before)| std::cmp::Reverse(*before));
        for (place, check, severity, before) in sorted {
            let (server, system) = places[place];
            told.fires(server, system, &format!("C{check}"), [Severity::Info, Severity::Warning, Severity::Critical][severity], before);
        }
        let (sky, rows) = told.rows();
        let graph = Graph::of(&sky);
        let mut walker = Walker::new(&graph);
        for row in &rows {
            let Some(cause) = &row.cause else { continue };
            let other = rows.iter().find(|other| other.alert == cause.direct).unwrap();
            prop_assert!(row.since <= other.since.plus(AFTER) && row.since.plus(BEFORE) >= other.since);
            prop_assert!(other.severity > Severity::Info && other.system == cause.system);
            let needed = walker.needs(graph.place(&row.system).unwrap());
            prop_assert!(needed.iter().any(|step| graph.system(step.node) == Some(&other.system)));
            let above = Layers::of(&rows).above(row.alert);
            prop_assert_eq!(above.last(), Some(&cause.root));
            prop_assert_eq!(above.len(), usize::from(cause.depth));
        }
        let now = Now::of(&sky, &rows);
        let mut shown: Vec<usize> = now.entries.iter().flat_map(|entry| std::iter::once(entry.row).chain(entry.effects.iter().map(|(row, _)| *row))).collect();
        shown.sort_unstable();
        prop_assert_eq!(shown, (0..rows.len()).collect::<Vec<_>>());
        // Servers in another order see the same.
        told.servers.reverse();
        let again: BTreeSet<(AlertRef, Option<AlertRef>)> = told.rows().1.iter().map(|row| (row.alert, row.cause.as_ref().map(|cause| cause.direct))).collect();
        let first: BTreeSet<(AlertRef, Option<AlertRef>)> = rows.iter().map(|row| (row.alert, row.cause.as_ref().map(|cause| cause.direct))).collect();
        prop_assert_eq!(first, again);
    }

    /// Nearer in time never ranks lower, all else equal; unrelated systems never appear; the answer does
    /// not depend on anything but what happened; what is alike keeps its order.
    #[test]
    fn suspects_are_ranked_by_nearness_and_never_unrelated(
        changes in proptest::collection::vec((0_usize..6, 0_i64..200_000), 1..40)
    ) {
        let places = [("infra", "dc1/ceph"), ("infra", "dc1/dns"), ("shop", "shop/db"), ("shop", "shop/api"), ("shop", "office"), ("shop", "shop")];
        let mut told = Told::new(NET);
        let mut sorted = changes.clone();
        sorted.sort_by_key(|(_, before)| std::cmp::Reverse(*before));
        for (number, (place, before)) in sorted.iter().enumerate() {
            let (server, system) = places[*place];
            told.change(server, system, before + 100, &format!("{system} {number}"));
        }
        let alert = told.fires("shop", "shop/db", "Slow", Severity::Critical, 100);
        let suspects = told.suspects(alert);
        let office: SystemId = "office".parse().unwrap();
        for suspect in &suspects {
            prop_assert!(suspect.system != office.as_str() && suspect.system != "dc1/dns", "{} is unrelated", suspect.system);
            prop_assert!(suspect.at.plus(suspect.before) == secs(100));
        }
        for (place, a) in suspects.iter().enumerate() {
            for b in suspects.iter().skip(place + 1).filter(|b| b.system == a.system && b.kind == a.kind) {
                prop_assert!(a.before <= b.before, "{} before {}", a.title, b.title);
                prop_assert!(a.weight >= b.weight);
            }
        }
        prop_assert_eq!(&suspects, &told.suspects(alert));
        told.servers.reverse();
        let mut again = told.suspects(alert);
        again.iter_mut().zip(&suspects).for_each(|(a, b)| a.system = b.system.clone());
        prop_assert_eq!(suspects, again);
    }
}

/// A mark at each server's head, as of so many seconds ago.
fn looked_at(told: &Told, before: i64) -> Marks {
    let mark = |(_, primary): &(String, Primary)| {
        let world = &primary.world;
        (world.origin, Mark { incarnation: world.incarnation, sequence: world.head, looked: Stamp { at: secs(before), count: 0 } })
    };
    told.servers.iter().map(mark).collect()
}

#[test]
fn since_one_last_looked_counts_what_is_new_still_open_recovered_and_changed() {
    let mut told = Told::new(&[("infra", &[("dc1/ceph", &[])]), ("shop", &[("shop", &[])])]);
    let still = told.fires("shop", "shop", "Payments", Severity::Warning, 30_000);
    told.fires("infra", "dc1/ceph", "OsdDown", Severity::Critical, 29_000);
    let before = told.rows().1;
    let marks = looked_at(&told, 21_600);
    assert_eq!(Looked::of(&told.sky(), &before, &marks, NOW).unwrap().words(NOW), "since you looked 6h ago: nothing new, 2 still open");

    let new = told.fires("shop", "shop", "Slow", Severity::Warning, 300);
    let report = Report { source: "prometheus".into(), at: secs(200), complete: true, alerts: Vec::new() };
    told.primary("infra").report(&report, secs(200));
    told.primary("infra").report(&report, secs(100));
    told.change("shop", "shop", 250, "deploy");
    let (sky, rows) = told.rows();
    let looked = Looked::of(&sky, &rows, &marks, NOW).unwrap();
    assert_eq!(looked.words(NOW), "since you looked 6h ago: 1 new, 1 still open, 1 recovered, 1 change");
    let new_ones: Vec<AlertRef> = rows.iter().filter(|row| is_new(row, &marks) == Some(true)).map(|row| row.alert).collect();
    assert_eq!(new_ones, [new], "and not {still:?}");
    assert_eq!(since(&sky, &marks), Some(secs(21_600)));

    // Once all is seen nothing is new, however often it is asked.
    let marks = looked_at(&told, 0);
    assert_eq!(Looked::of(&sky, &rows, &marks, NOW).unwrap().words(NOW), "since you looked a moment ago: nothing new, 2 still open");
}

#[test]
fn a_server_that_was_never_looked_at_is_named_and_its_alerts_are_not_called_new() {
    let mut told = Told::new(&[("infra", &[]), ("shop", &[("shop", &[])])]);
    told.fires("shop", "shop", "Slow", Severity::Warning, 300);
    let (sky, rows) = told.rows();
    assert_eq!(Looked::of(&sky, &rows, &Marks::default(), NOW), None);
    let marks: Marks = looked_at(&told, 3_600).iter().filter(|(origin, _)| *origin == Origin([1; 16])).map(|(origin, mark)| (origin, *mark)).collect();
    assert_eq!(Looked::of(&sky, &rows, &marks, NOW).unwrap().words(NOW), "since you looked 1h ago: nothing new, shop for the first time");
}

#[test]
fn effects_whose_cause_has_cleared_stay_together_for_a_while_and_then_stand_by_themselves() {
    let mut told = Told::new(NET);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 700);
    let db = told.fires("shop", "shop/db", "Slow", Severity::Critical, 660);
    let lag = told.fires("shop", "shop/db", "Lag", Severity::Warning, 650);
    let api = told.fires("shop", "shop/api", "Errors", Severity::Warning, 640);
    let tickets = told.fires("club", "tickets", "Down", Severity::Warning, 500);
    assert_eq!(told.under(db), Some(ceph));
    told.clears("infra", "dc1/ceph", "Osd", 180);
    let (sky, rows) = told.rows();
    let of = |alert: AlertRef| rows.iter().find(|row| row.alert == alert).unwrap();
    let cause = of(db).cause.as_ref().unwrap();
    assert_eq!((cause.direct, cause.cleared), (ceph, Some(secs(180))));
    assert_eq!(cause.words(&sky), "uses infra dc1/ceph, which has cleared, began 40 s later");
    assert_eq!(of(api).cause.as_ref().map(|cause| (cause.direct, cause.cleared)), Some((db, None)), "an open cause explains better");
    // One line, and all of it is taken with it.
    let now = Now::of(&sky, &rows);
    assert_eq!((now.entries.len(), now.need_you, now.folded), (1, 1, 3));
    assert_eq!(rows[now.entries[0].row].alert, db);
    assert_eq!(now.entries[0].beneath(&sky, &rows), "with it 3 in shop, club, probably from dc1/ceph, which has cleared");
    let taken: BTreeSet<AlertRef> = with_beneath(&rows, &[db]).into_iter().collect();
    assert_eq!(taken, BTreeSet::from([db, lag, api, tickets]));
    assert_eq!(with_beneath(&rows, &[lag]), [lag], "who stands under it stands for itself");
    // Whoever began only after it had cleared does not come from it.
    let late = told.fires("shop", "shop/db", "Late", Severity::Warning, 60);
    assert_eq!(told.under(late), None);
    // "Not so" holds for it as for an open one.
    let episode = told.rows().1.iter().find(|row| row.alert == lag).unwrap().episode;
    told.ask("shop", "kim", 30, Intent::DenyCause { alert: lag.alert, episode, cause: ceph }).unwrap();
    assert_eq!((told.under(lag), told.under(db)), (None, Some(ceph)));
    // Ten minutes after it cleared the rest is wrong by itself.
    let later = |minutes: i64| rows_at(&told.sky(), NOW.plus(Span::from_mins(minutes)));
    let folded = |rows: &[AlertRow]| rows.iter().filter(|row| row.cause.as_ref().is_some_and(|cause| cause.cleared.is_some())).count();
    assert_eq!((folded(&later(6)), folded(&later(7))), (1, 0));
}

#[test]
fn what_cleared_and_came_again_is_no_cause_that_has_cleared() {
    let mut told = Told::new(NET);
    told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 700);
    let db = told.fires("shop", "shop/db", "Slow", Severity::Critical, 660);
    told.clears("infra", "dc1/ceph", "Osd", 300);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 200);
    let (_, rows) = told.rows();
    let cause = rows.iter().find(|row| row.alert == db).unwrap().cause.clone();
    assert!(cause.is_none(), "its new episode began long after the effect: {cause:?}");
    assert!(rows.iter().any(|row| row.alert == ceph));
}

#[test]
fn a_server_s_own_configuration_is_near_all_that_it_keeps() {
    let mut told = Told::new(NET);
    let settings = |grace: &str| [("rules.grace".into(), grace.into()), ("mapping rules".into(), "2 (1a2b)".into())].into();
    told.primary("shop").settings(&settings("1m"), secs(86_400));
    told.primary("shop").settings(&settings("2m"), secs(400));
    told.primary("infra").settings(&settings("1m"), secs(390));
    let office = told.fires("shop", "office", "Printer", Severity::Warning, 300);
    let ceph = told.fires("infra", "dc1/ceph", "Osd", Severity::Critical, 300);
    let suspects = told.suspects(office);
    assert_eq!(suspects.len(), 1, "{suspects:?}");
    assert_eq!((&*suspects[0].title, suspects[0].likely), ("configuration changed: rules.grace 1m → 2m", true));
    assert_eq!(suspects[0].place_words(), "in its server's configuration");
    assert_eq!(told.suspects(ceph), [], "the first that is known of a configuration is no change");
}
