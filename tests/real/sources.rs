//! Debian's Prometheus, Alertmanager and amtool, feeding a running server.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use midwatch::link::clock::OsRandom;
use midwatch::model::event::Actor;
use midwatch::model::world::{Alert, World};
use midwatch::server::mapping::{Mapping, MappingConfig};
use midwatch::server::source::{Source, SourceConfig, SourceKind, SourceState};
use midwatch::server::{Config, Listen, Running, Server};
use tempfile::TempDir;

use crate::daemon::{Daemon, client, command, eventually, free_port};

/// A server in this process, on a real port, with a real store.
pub struct Midwatch {
    pub running: Running,
    address: String,
    token: std::path::PathBuf,
    _folder: Option<TempDir>,
}

impl Midwatch {
    async fn start() -> Midwatch {
        Midwatch::configured("").await
    }

    async fn configured(more: &str) -> Midwatch {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Midwatch { _folder: Some(folder), ..Midwatch::at(&data, more).await }
    }

    /// With its data where they stay.
    pub async fn at(data: &Path, more: &str) -> Midwatch {
        let text = format!("name = \"test\"\nlisten = \"127.0.0.1:0\"\ndata = {data:?}\n{more}");
        let server = Server::open(&Config::parse(&text, "test.toml").unwrap()).await.unwrap();
        let running = server.spawn();
        let Some(Listen::Tcp(address)) = &running.address else { panic!("not on TCP: {:?}", running.address) };
        Midwatch { address: address.to_string(), token: data.join("intake.token"), _folder: None, running }
    }

    pub async fn world(&self) -> World {
        self.running.core.read(|primary| primary.world.clone()).await.unwrap()
    }

    pub async fn open(&self) -> Vec<Alert> {
        self.world().await.open_alerts().map(|(_, alert)| alert.clone()).collect()
    }

    /// Waits until exactly this one alert is open, held by all of these.
    async fn one_open(&self, check: &str, holders: &[&str]) -> Alert {
        eventually(&format!("one alert {check} held by {holders:?}"), async || match &*self.open().await {
            [alert] if alert.check.as_str() == check && holders.iter().all(|name| alert.holders.contains(&Actor::Source((*name).into()))) => Ok(alert.clone()),
            other => Err(format!("{:?}", other.iter().map(|alert| (&alert.check, &alert.labels, &alert.holders)).collect::<Vec<_>>())),
        })
        .await
    }

    async fn none_open(&self) {
        eventually("no alert is open", async || match &*self.open().await {
            [] => Ok(()),
            other => Err(format!("{:?}", other.iter().map(|alert| (&alert.check, &alert.holders)).collect::<Vec<_>>())),
        })
        .await;
    }

    /// Polls a source every second, until the answer is dropped.
    fn pull(&self, kind: SourceKind, name: &str, port: u16) -> Pulled {
        let text = format!("kind = \"{kind}\"\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}\"\ninterval = \"1s\"\nsettle = \"1s\"\n");
        let config: SourceConfig = toml::from_str(&text).unwrap();
        let mapping = Arc::new(Mapping::new(&MappingConfig::default()).unwrap());
        let (states, seen) = tokio::sync::watch::channel(SourceState::default());
        let task = tokio::spawn(Source::new(config).unwrap().run(self.running.core.clone(), mapping, Arc::new(OsRandom), states));
        Pulled { task, seen }
    }

    fn amtool(&self, arguments: &[&str]) -> (bool, String) {
        let folder = self.token.parent().unwrap();
        let file = folder.join("amtool-http.yml");
        std::fs::write(&file, format!("authorization:\n  credentials_file: {}\n", self.token.display())).unwrap();
        amtool(&format!("http://{}", self.address), Some(&file), arguments)
    }
}

struct Pulled {
    task: tokio::task::JoinHandle<()>,
    seen: tokio::sync::watch::Receiver<SourceState>,
}

impl Drop for Pulled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn amtool(url: &str, http: Option<&Path>, arguments: &[&str]) -> (bool, String) {
    let mut command = command("amtool", "prometheus-alertmanager");
    command.arg(format!("--alertmanager.url={url}"));
    if let Some(file) = http {
        command.arg(format!("--http.config.file={}", file.display()));
    }
    let output = command.args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Alertmanager, notifying midwatch by webhook if a server is given.
pub async fn alertmanager(folder: &Path, to: Option<&Midwatch>) -> (Daemon, u16) {
    let port = free_port();
    let webhook = to.map_or_else(String::new, |to| {
        format!(
            "  webhook_configs:\n  - url: http://{}/api/v1/webhook/alertmanager\n    send_resolved: true\n    http_config:\n      authorization:\n        credentials_file: {}\n",
            to.address,
            to.token.display()
        )
    });
    let config = format!(
        "route:\n  receiver: mid\n  group_by: [alertname]\n  group_wait: 100ms\n  group_interval: 1s\n  repeat_interval: 1h\nreceivers:\n- name: mid\n{webhook}"
    );
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, config).unwrap();
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.path={}", folder.join("alertmanager").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    (Daemon::start("prometheus-alertmanager", "prometheus-alertmanager", folder, &arguments, &ready).await, port)
}

/// What fires when `shop_broken` is 1.
const RULES: &str = "groups:\n- name: shop\n  rules:\n  - alert: ShopBroken\n    expr: shop_broken == 1\n    labels:\n      severity: critical\n    annotations:\n      summary: The shop is broken on {{ $labels.instance }}\n      runbook_url: https://wiki.example.org/shop\n";

/// Prometheus, scraping `target` every second; its rule fires when `shop_broken` is 1.
async fn prometheus(folder: &Path, target: u16, alertmanagers: &str) -> (Daemon, u16) {
    prometheus_with(RULES, folder, target, alertmanagers).await
}

async fn prometheus_with(rules: &str, folder: &Path, target: u16, alertmanagers: &str) -> (Daemon, u16) {
    let port = free_port();
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let config = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n  external_labels:\n    prometheus: a\n    cluster: eu\nrule_files: [rules.yml]\nalerting:\n  alertmanagers:\n{alertmanagers}scrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: ['127.0.0.1:{target}']\n"
    );
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--rules.alert.resend-delay=1s".to_owned(),
    ];
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    (Daemon::start("prometheus", "prometheus", folder, &arguments, &ready).await, port)
}

/// Something that breaks: a page of metrics with one number.
async fn shop() -> (Arc<AtomicBool>, u16) {
    let broken = Arc::new(AtomicBool::new(false));
    let shown = broken.clone();
    let router = Router::new().route("/metrics", get(move || async move { format!("shop_broken {}\n", u8::from(shown.load(Ordering::SeqCst))) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (broken, port)
}

fn push_to(midwatch: &Midwatch) -> String {
    format!("  - authorization:\n      credentials_file: {}\n    static_configs:\n    - targets: ['{}']\n", midwatch.token.display(), midwatch.address)
}

#[tokio::test]
async fn prometheus_alone_needs_no_alertmanager() {
    let folder = tempfile::tempdir().unwrap();
    let (midwatch, (broken, target)) = (Midwatch::start().await, shop().await);
    let (_prometheus, _) = prometheus(folder.path(), target, &push_to(&midwatch)).await;
    broken.store(true, Ordering::SeqCst);
    let alert = midwatch.one_open("ShopBroken", &["prometheus"]).await;
    assert_eq!((alert.system.as_str(), alert.severity.word()), ("shop", "critical"));
    assert_eq!(&*alert.title, &format!("The shop is broken on 127.0.0.1:{target}"));
    assert_eq!(alert.expr.as_deref(), Some("shop_broken == 1"));
    let links: Vec<&str> = alert.links.iter().map(|link| &*link.name).collect();
    assert_eq!(links, ["runbook", "query"]);
    broken.store(false, Ordering::SeqCst);
    midwatch.none_open().await;
    midwatch.running.stop().await;
}

/// Go's own checks of certificates take the one that a server makes of its key.
#[tokio::test]
async fn prometheus_pushes_over_tls_to_a_server_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (midwatch, (broken, target)) = (Midwatch::configured("[tls]\n").await, shop().await);
    let certificate = midwatch.token.with_file_name("server.crt");
    let push = push_to(&midwatch).replacen(
        "  - authorization",
        &format!("  - scheme: https\n    tls_config:\n      ca_file: {}\n    authorization", certificate.display()),
        1,
    );
    let (_prometheus, _) = prometheus(folder.path(), target, &push).await;
    broken.store(true, Ordering::SeqCst);
    midwatch.one_open("ShopBroken", &["prometheus"]).await;
    midwatch.running.stop().await;
}

#[tokio::test]
async fn the_same_alert_by_every_way_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let (midwatch, (broken, target)) = (Midwatch::start().await, shop().await);
    let (_alertmanager, am) = alertmanager(folder.path(), Some(&midwatch)).await;
    let both = format!("{}  - static_configs:\n    - targets: ['127.0.0.1:{am}']\n", push_to(&midwatch));
    let (_prometheus, prom) = prometheus(folder.path(), target, &both).await;
    let mut pulled = [midwatch.pull(SourceKind::Alertmanager, "am", am), midwatch.pull(SourceKind::Prometheus, "prom", prom)];
    for source in &mut pulled {
        source.seen.wait_for(|state| state.answered.is_some()).await.unwrap();
    }
    broken.store(true, Ordering::SeqCst);
    let alert = midwatch.one_open("ShopBroken", &["prometheus", "alertmanager-webhook", "am", "prom"]).await;
    assert_eq!((alert.episodes, alert.labels.get("cluster")), (1, Some("eu")));
    broken.store(false, Ordering::SeqCst);
    midwatch.none_open().await;
    let world = midwatch.world().await;
    assert_eq!(world.alerts.len(), 1, "{:?}", world.alerts.values().map(|alert| &alert.labels).collect::<Vec<_>>());
    assert_eq!(world.alerts.values().map(|alert| alert.episodes).collect::<Vec<_>>(), [1]);
}

// amtool is waited for while the server answers it: both at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amtool_adds_queries_and_is_told_about_silences() {
    let midwatch = Midwatch::start().await;
    let added = midwatch.amtool(&["alert", "add", "alertname=DiskFull", "system=shop/db", "severity=page", "--annotation=summary=97 % used"]);
    assert!(added.0, "{}", added.1);
    midwatch.one_open("DiskFull", &["prometheus"]).await;
    for (query, found) in [
        (&["alert", "query", "system=shop/db"][..], true),
        (&["alert", "query", "DiskFull"], true),
        (&["alert", "query", "alertname=~Disk.*", "severity!=critical"], true),
        (&["alert", "query", "alertname=Other"], false),
        (&["alert", "query", "--silenced"], false),
        (&["-o", "extended", "alert", "query"], true),
        (&["-o", "json", "alert", "query"], true),
        (&["alert", "query", "--receiver=midwatch"], true),
    ] {
        let (ok, output) = midwatch.amtool(query);
        assert!(ok && output.contains("DiskFull") == found, "{query:?}: {output}");
    }
    let (ok, output) = midwatch.amtool(&["silence", "add", "alertname=DiskFull", "--comment=x", "--author=kim"]);
    assert!(!ok && output.contains("midwatch snooze"), "{output}");
    let (ok, output) = midwatch.amtool(&["silence", "expire", "f47ac10b-58cc-4372-a567-0e02b2c3d479"]);
    assert!(!ok && output.contains("midwatch snooze"), "{output}");
    for arguments in [&["silence", "query"][..], &["config", "show"], &["cluster", "show"]] {
        let (ok, output) = midwatch.amtool(arguments);
        assert!(ok, "{arguments:?}: {output}");
    }
    let (ok, output) = amtool(&format!("http://{}", midwatch.address), None, &["alert", "query"]);
    assert!(!ok && !output.contains("DiskFull"), "without a token: {output}");
}

#[tokio::test]
async fn a_source_in_the_configuration_is_polled() {
    let folder = tempfile::tempdir().unwrap();
    let (_alertmanager, port) = alertmanager(folder.path(), None).await;
    let (ok, output) = amtool(&format!("http://127.0.0.1:{port}"), None, &["alert", "add", "alertname=Slow", "service=web"]);
    assert!(ok, "{output}");
    let source = format!(
        "[[source]]\nkind = \"alertmanager\"\nname = \"am\"\nurl = \"http://127.0.0.1:{port}\"\n[[map]]\nmatch = ['service=\"web\"']\nsystem = \"shop/{{service}}\"\n"
    );
    let midwatch = Midwatch::configured(&source).await;
    assert_eq!(midwatch.one_open("Slow", &["am"]).await.system.as_str(), "shop/web");
    midwatch.running.stop().await;
}

#[tokio::test]
async fn what_amtool_tells_an_alertmanager_is_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let midwatch = Midwatch::start().await;
    let (alertmanager, port) = alertmanager(folder.path(), None).await;
    let url = format!("http://127.0.0.1:{port}");
    let (ok, output) = amtool(&url, None, &["alert", "add", "alertname=Slow", "service=web", "--annotation=summary=slow"]);
    assert!(ok, "{output}");
    let (ok, output) = amtool(&url, None, &["silence", "add", "service=web", "--comment=known", "--author=kim", "--duration=1h"]);
    assert!(ok, "{output}");
    let mut pulled = midwatch.pull(SourceKind::Alertmanager, "am", port);
    let alert = midwatch.one_open("Slow", &["am"]).await;
    assert_eq!((alert.system.as_str(), &*alert.title), ("web", "slow"));
    let silence = eventually("the silence is known", async || {
        let world = midwatch.world().await;
        world.sources.get(&"am".into()).and_then(|source| source.silences.values().next().cloned()).ok_or_else(|| format!("{:?}", world.sources))
    })
    .await;
    assert_eq!((&*silence.by, &*silence.comment, &*silence.matchers[0].value), ("kim", "known", "web"));
    // Alertmanager goes: that is said, and nothing is resolved by it.
    drop(alertmanager);
    pulled.seen.wait_for(|state| state.failures >= 3).await.unwrap();
    let checks = eventually("the source is said to be unreachable", async || {
        let world = midwatch.world().await;
        let failing = world.sources.get(&"am".into()).is_some_and(|source| source.failing_since.is_some());
        failing.then(|| world.open_alerts().map(|(_, alert)| alert.check.to_string()).collect::<Vec<_>>()).ok_or_else(|| format!("{:?}", world.sources))
    })
    .await;
    assert!(checks.contains(&"Slow".to_owned()), "{checks:?}");
    assert!(client().get(format!("http://{}/-/ready", midwatch.address)).send().await.unwrap().status().is_success());
}

/// A page of metrics with a latency in seconds, in thousandths.
async fn slow_shop() -> (Arc<AtomicU64>, u16) {
    let latency = Arc::new(AtomicU64::new(20));
    let shown = latency.clone();
    let page = move || async move {
        let thousandths = shown.load(Ordering::SeqCst);
        format!("shop_latency_seconds {}.{:03}\n", thousandths / 1_000, thousandths % 1_000)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(page))).await });
    (latency, port)
}

// The command is waited for while the server answers it: both at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_rule_fires_is_said_with_its_value_now_beside_its_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let (latency, target) = slow_shop().await;
    let rules = "groups:\n- name: shop\n  rules:\n  - alert: ShopSlow\n    expr: avg by (job) (shop_latency_seconds) > 0.3\n    labels:\n      system: shop\n";
    let (_prometheus, port) = prometheus_with(rules, folder.path(), target, "  - static_configs: []\n").await;
    let source = format!("[[source]]\nkind = \"prometheus\"\nname = \"prom\"\nurl = \"http://127.0.0.1:{port}\"\ninterval = \"1s\"\n");
    let midwatch = Midwatch::configured(&source).await;
    latency.store(1_250, Ordering::SeqCst);
    midwatch.one_open("ShopSlow", &["prom"]).await;
    let config = folder.path().join("console.toml");
    let data = midwatch.token.parent().unwrap();
    std::fs::write(&config, format!("accept_new = true\n[servers.test]\nurl = \"ws://{}\"\ntoken_file = {:?}\n", midwatch.address, data.join("console.token")))
        .unwrap();
    let alerts = |more: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .arg("alerts")
            .args(more)
            .arg("--config")
            .arg(&config)
            .env("HOME", folder.path())
            .output();
        let out = out.unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let head = midwatch.world().await.head;
    for (thousandths, value, words) in [(1_250, 1.25, "1.25 s, fires over 300 ms"), (870, 0.87, "870 ms, fires over 300 ms")] {
        latency.store(thousandths, Ordering::SeqCst);
        let alert = eventually(words, async || {
            let said: serde_json::Value = serde_json::from_str(alerts(&["--json"]).trim()).map_err(|error| error.to_string())?;
            if said["numbers"]["words"] == words { Ok(said) } else { Err(said.to_string()) }
        })
        .await;
        assert_eq!(alert["expr"], "avg by (job) (shop_latency_seconds) > 0.3");
        let number = &alert["numbers"]["values"][0];
        assert_eq!((number["value"].as_f64(), &number["unit"], &number["crossed"]), (Some(value), &"s".into(), &true.into()), "{alert}");
        assert_eq!(number["thresholds"], serde_json::json!([{"level": "fires", "when": "over", "numbers": [0.3]}]));
        assert!(alerts(&[]).contains(words), "{}", alerts(&[]));
    }
    assert_eq!(midwatch.world().await.head, head, "values are no events");
    midwatch.running.stop().await;
}
