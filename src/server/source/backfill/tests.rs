//! A Prometheus made up here, asked over loopback: interrupted, too small for large answers, one of two.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::*;
use crate::link::clock::SeededRandom;
use crate::model::event::Kind;
use crate::model::history::{History, Verdict};
use crate::model::world::{Alert, World};
use crate::server::intake::fake::Fake;
use crate::server::mapping::MappingConfig;
use crate::server::source::config::{SourceConfig, SourceKind};

const NOW: i64 = 1_795_229_820;
const DAY: i64 = 86_400;

/// Remembers when alerts fired: their labels, and samples every minute in these spans.
#[derive(Default)]
struct Past {
    spans: Vec<(&'static str, Vec<(i64, i64)>)>,
    lowest: i64,
    queries: AtomicUsize,
    /// More than so many seconds at once are too much for it.
    widest: i64,
    /// Whatever reaches over this time is too much for it.
    poison: Mutex<Option<i64>>,
    /// Answers no more than so many queries.
    patience: Mutex<Option<usize>>,
}

impl Past {
    fn answer(&self, request: &Request) -> Response {
        if request.uri().path() == "/metrics" {
            return format!("prometheus_tsdb_lowest_timestamp_seconds {}\n", self.lowest).into_response();
        }
        if request.uri().path() != "/api/v1/query" {
            return StatusCode::NOT_FOUND.into_response();
        }
        let asked = self.queries.fetch_add(1, Ordering::SeqCst);
        if self.patience.lock().unwrap().is_some_and(|most| asked >= most) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let query = request.uri().query().unwrap();
        let wide: i64 = query.split("%5B").nth(1).and_then(|rest| rest.split("s%5D").next()).unwrap().parse().unwrap();
        let to: i64 = query.split("time=").nth(1).unwrap().parse().unwrap();
        let poisoned = self.poison.lock().unwrap().is_some_and(|at| at > to - wide && at <= to);
        if poisoned || (self.widest > 0 && wide > self.widest) {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        let series = self.spans.iter().filter_map(|(labels, spans)| {
            let values: Vec<String> = spans
                .iter()
                .flat_map(|(from, until)| (*from..=*until).step_by(60))
                .filter(|at| *at > to - wide && *at <= to)
                .map(|at| format!("[{at},\"1\"]"))
                .collect();
            (!values.is_empty())
                .then(|| format!("{{\"metric\":{{\"__name__\":\"ALERTS\",\"alertstate\":\"firing\",{labels}}},\"values\":[{}]}}", values.join(",")))
        });
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}}}", series.collect::<Vec<_>>().join(",")).into_response()
    }
}

const SLOW: &str = r#""alertname":"Slow","job":"shop""#;
const DISK: &str = r#""alertname":"Disk","job":"db""#;

/// Twelve times on Saturdays; and a disk that was full for days, over many edges, twice.
fn story() -> Past {
    let saturdays = (1..=12).rev().map(|weeks| (NOW - weeks * 7 * DAY, NOW - weeks * 7 * DAY + 600)).collect();
    let days = vec![(NOW - 40 * DAY, NOW - 30 * DAY), (NOW - 20 * DAY, NOW - 19 * DAY)];
    Past { spans: vec![(SLOW, saturdays), (DISK, days)], lowest: NOW - 88 * DAY, ..Past::default() }
}

struct Scene {
    past: Arc<Past>,
    client: Arc<Client>,
    core: Fake,
}

impl Scene {
    async fn of(past: Past) -> Scene {
        let past = Arc::new(past);
        let shared = past.clone();
        let router = Router::new().fallback(move |request: Request| {
            let past = shared.clone();
            async move { past.answer(&request) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = SourceConfig::new(SourceKind::Prometheus, &format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Scene { past, client: Arc::new(Client::new(&config).unwrap()), core: Fake::new(Time::from_secs(NOW)) }
    }

    fn backfill(&self, source: &str) -> Backfill<Fake> {
        Backfill {
            client: self.client.clone(),
            source: SourceId::new(source),
            reach: crate::model::history::REACH,
            external: Some(Vec::new()),
            core: self.core.clone(),
            mapping: Arc::new(Mapping::new(&MappingConfig::default()).unwrap()),
            random: Arc::new(SeededRandom::new(1)),
            pause: Duration::from_millis(2),
        }
    }

    /// All that is not filled in yet.
    async fn fill(&self, source: &str) {
        let (_, none) = mpsc::unbounded_channel();
        self.backfill(source).run(none).await;
    }

    fn alert(&self, check: &str) -> Alert {
        (**self.core.world().alerts.values().find(|alert| alert.check.as_str() == check).unwrap()).clone()
    }
}

fn told(world: &World) -> Vec<(String, i64, i64)> {
    let all = world.alerts.values().flat_map(|alert| alert.past.iter().map(|past| (alert.check.to_string(), past.from.secs(), past.until.secs())));
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

#[tokio::test]
async fn the_past_is_told_once_and_wakes_nobody() {
    let scene = Scene::of(story()).await;
    scene.fill("prom").await;
    let world = scene.core.world();
    assert_eq!(told(&world).len(), 14, "{:?}", told(&world));
    assert!(world.open.is_empty());
    assert!(scene.core.events().iter().all(|event| matches!(event.kind, Kind::AlertPast(_) | Kind::SourcePast(_))));
    let filled = world.sources[&"prom".into()].filled.clone().unwrap();
    assert_eq!((filled.complete, filled.from.secs(), filled.until.secs()), (true, NOW - 88 * DAY, NOW));
    let slow = scene.alert("Slow");
    let history = History::of(&slow, &world, &jiff::tz::TimeZone::UTC, Time::from_secs(NOW));
    assert_eq!((history.verdict, history.before, history.known.days()), (Verdict::Recurring, 12, 88));
    let disk: Vec<i64> = scene.alert("Disk").past.iter().map(|past| past.until.since(past.from).secs()).collect();
    assert_eq!(disk, [10 * DAY + 60, DAY + 60], "days over many edges are one episode");
    // Again, and by the other one of a pair: nothing is doubled.
    let before = told(&world);
    scene.fill("prom").await;
    scene.fill("prom-b").await;
    assert_eq!(told(&scene.core.world()), before);
    assert_eq!(scene.alert("Slow").episodes, 12);
}

#[tokio::test]
async fn what_is_too_much_is_asked_for_in_smaller_slices() {
    let scene = Scene::of(Past { widest: 3 * 3_600, lowest: NOW - 22 * DAY, ..story() }).await;
    scene.fill("prom").await;
    let known: Vec<(String, i64)> = told(&scene.core.world()).into_iter().map(|(check, from, _)| (check, (NOW - from) / DAY)).collect();
    assert_eq!(known, [("Disk", 20), ("Slow", 21), ("Slow", 14), ("Slow", 7)].map(|(check, days)| (check.to_owned(), days)));
    let queries = scene.past.queries.load(Ordering::SeqCst);
    assert!((22 * 8..22 * 8 + 20).contains(&queries), "{queries} queries: what is too much is not tried again and again");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stood() {
    let quiet = Scene::of(story()).await;
    quiet.fill("prom").await;
    let whole = told(&quiet.core.world());
    let queries = quiet.past.queries.load(Ordering::SeqCst);
    // It stops to answer in the middle of the disk's ten days, and at a few other places.
    for stop in [3, 21, 36, 60] {
        let scene = Scene::of(story()).await;
        *scene.past.patience.lock().unwrap() = Some(stop);
        {
            let first = scene.fill("prom");
            tokio::pin!(first);
            while scene.past.queries.load(Ordering::SeqCst) <= stop {
                assert!(futures_util::poll!(&mut first).is_pending());
                tokio::task::yield_now().await;
            }
        }
        *scene.past.patience.lock().unwrap() = None;
        scene.past.queries.store(0, Ordering::SeqCst);
        scene.fill("prom").await;
        assert_eq!(told(&scene.core.world()), whole, "stopped after {stop}");
        if stop >= 21 {
            assert!(scene.past.queries.load(Ordering::SeqCst) < queries, "what was told is not asked for again");
        }
    }
}

#[tokio::test]
async fn what_midwatch_saw_itself_is_not_told_again() {
    use crate::model::report::{Report, Reported};
    let scene = Scene::of(story()).await;
    let mapped = scene
        .backfill("x")
        .mapping
        .map(crate::server::mapping::Raw { labels: crate::server::mapping::Pairs::of([("alertname", "Slow"), ("job", "shop")]), ..Default::default() });
    let report = |state: ReportedState, at: i64| Report {
        source: "am".into(),
        at: Time::from_secs(at),
        alerts: vec![Reported { title: "the shop is slow".into(), ..mapped.clone().reported(Time::from_secs(NOW - 7 * DAY - 30), state) }],
        complete: false,
    };
    crate::server::intake::Core::report(&scene.core, report(ReportedState::Firing { until: None }, NOW - 7 * DAY)).await.unwrap();
    crate::server::intake::Core::report(&scene.core, report(ReportedState::Resolved { at: Time::from_secs(NOW - 7 * DAY + 700) }, NOW - 7 * DAY + 700))
        .await
        .unwrap();
    scene.fill("prom").await;
    let slow = scene.alert("Slow");
    assert_eq!((slow.episodes, slow.past.len(), slow.past.iter().filter(|past| past.filled).count()), (12, 12, 11));
    assert_eq!(&*slow.title, "the shop is slow", "its own words stay");
}

#[test]
fn slices_lie_within_days_and_meet() {
    let mut cursor = Time::from_secs(NOW);
    let mut edges = vec![cursor];
    for width in [FIRST, FIRST, WIDEST, WIDEST, Span::from_micros(WIDEST.micros() / 8), NARROWEST, FIRST, WIDEST] {
        let from = older_edge(cursor, width);
        assert!(from < cursor && cursor.since(from) <= width);
        assert_eq!(day(from), day(cursor.minus(Span::from_secs(1))), "within one day");
        cursor = from;
        edges.push(cursor);
    }
    assert_eq!(edges[3].secs() % 86_400, 0, "a day ends with it");
}

#[tokio::test]
async fn what_was_too_much_is_a_gap_that_is_filled_in_later() {
    // A minute in the middle of the disk's second time is too much, whatever is asked for.
    let past = Past { poison: Mutex::new(Some(NOW - 20 * DAY + 3_600)), ..story() };
    let scene = Scene::of(past).await;
    tokio::time::timeout(Duration::from_secs(120), scene.fill("prom")).await.unwrap();
    let filled = scene.core.world().sources[&"prom".into()].filled.clone().unwrap();
    assert_eq!((filled.complete, filled.from.secs(), filled.gaps.len()), (true, NOW - 88 * DAY, 1), "it goes on behind it: {filled:?}");
    let (from, to) = filled.gaps[0];
    assert!(from.secs() < NOW - 20 * DAY + 3_600 && to.secs() >= NOW - 20 * DAY + 3_600 && to.since(from) <= NARROWEST, "{filled:?}");
    *scene.past.poison.lock().unwrap() = None;
    scene.past.queries.store(0, Ordering::SeqCst);
    scene.fill("prom").await;
    assert_eq!(scene.past.queries.load(Ordering::SeqCst), 1, "the gap alone is asked for");
    assert_eq!(scene.core.world().sources[&"prom".into()].filled.clone().unwrap().gaps, []);
}

#[tokio::test]
async fn what_was_missed_while_it_was_away_is_filled_in_when_it_is_back() {
    let scene = Scene::of(Past {
        spans: vec![(SLOW, vec![(NOW - 3 * DAY, NOW - 3 * DAY + 600), (NOW + 7_200, NOW + 7_800)])],
        lowest: NOW - 88 * DAY,
        ..Past::default()
    })
    .await;
    scene.fill("prom").await;
    assert_eq!(scene.alert("Slow").past.len(), 1, "the other one is still to come");
    scene.core.at(Time::from_secs(NOW + 10_800));
    let (missed, gaps) = mpsc::unbounded_channel();
    missed.send((Time::from_secs(NOW + 3_600), Time::from_secs(NOW + 10_800))).unwrap();
    drop(missed);
    scene.backfill("prom").run(gaps).await;
    assert_eq!(
        told(&scene.core.world()).iter().map(|(_, from, until)| (from - NOW, until - NOW)).collect::<Vec<_>>(),
        [(-3 * DAY, -3 * DAY + 660), (7_200, 7_860)]
    );
    let filled = scene.core.world().sources[&"prom".into()].filled.clone().unwrap();
    assert_eq!((filled.gaps.len(), filled.until.secs()), (0, NOW));
    assert!(scene.core.world().open.is_empty());
}

#[test]
fn what_a_new_life_missed_is_known_from_the_world() {
    use crate::model::world::Filled;
    let (now, source): (Time, SourceId) = (Time::from_secs(NOW), "prom".into());
    let mut world = World::default();
    world.unwatched.push_back((Time::from_secs(NOW - 7_200), Time::from_secs(NOW - 5)));
    assert_eq!(missed(&world, &source, now), None, "a new source's whole past is filled in");
    let known = world.sources.entry(source.clone()).or_default();
    known.filled =
        Some(Filled { from: Time::from_secs(NOW - 88 * DAY), until: Time::from_secs(NOW - DAY), complete: true, running: Vec::new(), gaps: Vec::new() });
    assert_eq!(missed(&world, &source, now), Some(Time::from_secs(NOW - 7_200)));
    assert_eq!(missed(&world, &source, now.plus(Span::from_hours(1))), None, "that was an earlier one");
    world.sources.get_mut(&source).unwrap().failing_since = Some(Time::from_secs(NOW - 9_000));
    assert_eq!(missed(&world, &source, now), Some(Time::from_secs(NOW - 9_000)));
}
