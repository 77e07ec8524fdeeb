//! Sources polled over a real loopback socket; what answers is made up here.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::*;
use crate::link::clock::SeededRandom;
use crate::server::intake::fake::Fake;
use crate::server::mapping::MappingConfig;

const NOW: i64 = 1_795_228_740;

/// A source that answers as it is told.
#[derive(Default)]
struct Double {
    alerts: Mutex<String>,
    uptime: Mutex<String>,
    status: AtomicU16,
    polls: AtomicU64,
    authorization: Mutex<String>,
}

impl Double {
    fn answer(&self, request: &Request) -> Response {
        let read = |text: &Mutex<String>| text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.authorization.lock().unwrap() = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        match self.status.load(Ordering::SeqCst) {
            0 => {}
            302 => return Redirect::temporary("http://127.0.0.1:1/elsewhere").into_response(),
            status => return StatusCode::from_u16(status).unwrap().into_response(),
        }
        match request.uri().path() {
            "/api/v2/status" => format!("{{\"uptime\":\"{}\"}}", read(&self.uptime)).into_response(),
            "/api/v2/alerts" => {
                self.polls.fetch_add(1, Ordering::SeqCst);
                read(&self.alerts).into_response()
            }
            "/api/v2/silences" => "[]".into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn lists(&self, alerts: &str) {
        *self.alerts.lock().unwrap() = alerts.to_owned();
    }
}

async fn double() -> (Arc<Double>, SourceConfig) {
    let double = Arc::new(Double::default());
    double.lists(ONE);
    *double.uptime.lock().unwrap() = "2020-01-01T00:00:00Z".to_owned();
    let shared = double.clone();
    let router = Router::new().fallback(move |request: Request| {
        let double = shared.clone();
        async move { double.answer(&request) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = SourceConfig::new(SourceKind::Alertmanager, &format!("http://{}", listener.local_addr().unwrap()));
    config.name = Some("am".to_owned());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (double, config)
}

const ONE: &str = r#"[{"labels":{"alertname":"Down","job":"db"},"annotations":{},"startsAt":"2026-11-21T02:30:00Z","endsAt":"2026-11-21T02:43:00Z"}]"#;

fn mapping() -> Mapping {
    Mapping::new(&MappingConfig::default()).unwrap()
}

async fn polled(source: &mut Source, core: &Fake) {
    let (report, silences, _) = source.poll(&mapping(), || core.now()).await.unwrap();
    source.deliver(core, report, silences, false).await.unwrap();
}

#[tokio::test]
async fn what_is_absent_twice_is_over() {
    let (double, config) = double().await;
    let (core, mut source) = (Fake::new(Time::from_secs(NOW)), Source::new(config).unwrap());
    polled(&mut source, &core).await;
    assert_eq!(core.open(), [("db".to_owned(), "Down".to_owned())]);
    double.lists("[]");
    polled(&mut source, &core).await;
    assert_eq!(core.open().len(), 1, "absent once proves nothing");
    polled(&mut source, &core).await;
    assert_eq!(core.open().len(), 0);
}

#[tokio::test]
async fn absence_from_a_young_alertmanager_proves_nothing() {
    let (double, config) = double().await;
    let (core, mut source) = (Fake::new(Time::from_secs(NOW)), Source::new(config).unwrap());
    polled(&mut source, &core).await;
    double.lists("[]");
    *double.uptime.lock().unwrap() = jiff::Timestamp::now().to_string();
    for _ in 0..4 {
        polled(&mut source, &core).await;
    }
    assert_eq!(core.open().len(), 1);
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_resolves_nothing() {
    let (double, config) = double().await;
    let core = Fake::new(Time::from_secs(NOW));
    let mut source = Source::new(config).unwrap();
    source.config.interval = Span::from_millis(20);
    polled(&mut source, &core).await;
    double.status.store(503, Ordering::SeqCst);
    let (states, mut seen) = watch::channel(SourceState::default());
    let task = tokio::spawn(source.run(core.clone(), Arc::new(mapping()), Arc::new(SeededRandom::new(1)), states));
    seen.wait_for(|state| state.failures >= FAILURES).await.unwrap();
    core.at(Time::from_secs(NOW + 3_600));
    let kinds = core.kinds();
    assert!(kinds.iter().any(|kind| kind == "source.failed") && !kinds.iter().any(|kind| kind == "alert.cleared"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "alert.unrefreshed"), "{kinds:?}");
    assert!(seen.borrow().error.as_ref().unwrap().contains("answers 503"));
    double.status.store(0, Ordering::SeqCst);
    seen.wait_for(|state| state.failures == 0 && state.firing == 1).await.unwrap();
    task.abort();
    assert!(core.kinds().iter().any(|kind| kind == "source.recovered"), "{:?}", core.kinds());
}

#[tokio::test]
async fn f6_redirects_and_endless_answers_are_refused() {
    let (double, config) = double().await;
    let mut source = Source::new(config.clone()).unwrap();
    double.status.store(302, Ordering::SeqCst);
    let error = source.ask().await.err().unwrap().to_string();
    assert!(error.contains("points to http://127.0.0.1:1/elsewhere") && error.contains("not followed"), "{error}");
    double.status.store(0, Ordering::SeqCst);
    double.lists(&format!("[{}]", " ".repeat(100_000)));
    source.client = Arc::new(Client::new(&config).unwrap().reading_at_most(50_000));
    let error = source.ask().await.err().unwrap().to_string();
    assert!(error.contains("more than 50000 bytes"), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_read_anew_and_never_printed() {
    let (double, config) = double().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let mut source = Source::new(SourceConfig { token_file: Some(file.clone()), ..config.clone() }).unwrap();
    source.ask().await.unwrap();
    assert_eq!(*double.authorization.lock().unwrap(), "Bearer first");
    std::fs::write(&file, "second").unwrap();
    source.ask().await.unwrap();
    assert_eq!(*double.authorization.lock().unwrap(), "Bearer second");
    std::fs::remove_file(&file).unwrap();
    assert!(source.ask().await.err().unwrap().0.contains("must hold the password or token"));
    let basic = SourceConfig { username: Some("kim".to_owned()), password: Some(Secret::new("hunter22")), ..config };
    Source::new(basic).unwrap().ask().await.unwrap();
    assert_eq!(*double.authorization.lock().unwrap(), "Basic a2ltOmh1bnRlcjIy");
    double.status.store(401, Ordering::SeqCst);
    assert!(source.ask().await.err().unwrap().0.contains("must hold"), "a secret that cannot be read comes first");
    let open = Source::new(SourceConfig { username: None, token_file: None, ..source.config }).unwrap().ask().await;
    assert!(open.err().unwrap().0.contains("`username` and `password_file`"));
}

#[tokio::test]
async fn a_source_is_explained() {
    let (double, config) = double().await;
    double.lists(r#"[{"labels":{"alertname":"Watchdog"},"annotations":{},"startsAt":"2026-11-21T02:30:00Z"}]"#);
    let explanation = Source::new(config).unwrap().explain(&mapping()).await.unwrap();
    assert_eq!(explanation.nowhere().count(), 1);
}

#[test]
fn pauses_differ_by_a_tenth() {
    let random = SeededRandom::new(7);
    let pauses: Vec<Duration> = (0..50).map(|_| jittered(Duration::from_secs(10), &random)).collect();
    assert!(pauses.iter().all(|pause| (9..=11).contains(&pause.as_secs())) && pauses.windows(2).any(|pair| pair[0] != pair[1]));
}

#[tokio::test]
async fn sources_start_together_and_say_how_they_are() {
    let (double, config) = double().await;
    let core = Fake::new(Time::from_secs(NOW));
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(3));
    let twice = [config.clone(), config.clone()];
    assert!(Sources::start(&twice, &core, &Arc::new(mapping()), &random).unwrap_err().0.contains("another `name`"));
    let mut sources = Sources::start(&[config], &core, &Arc::new(mapping()), &random).unwrap();
    let watch = sources.watch();
    assert!(watch.to_string().contains("midwatch_source_up{source=\"am\"} 0"), "{watch}");
    sources.answered().await;
    assert_eq!((core.open().len(), sources.states()[0].firing), (1, 1));
    assert!(watch.to_string().contains("midwatch_source_up{source=\"am\"} 1"), "{watch}");
    drop(sources);
    assert_eq!(double.polls.load(Ordering::SeqCst), 1);
}
