//! The intakes over a real loopback socket, into the real primary.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fake::Fake;
use super::*;
use crate::model::event::Kind;
use crate::server::mapping::MappingConfig;

const NOW: i64 = 1_795_228_740;

struct Server {
    base: String,
    core: Fake,
    counts: Arc<Counts>,
    http: reqwest::Client,
}

async fn serve() -> Server {
    serve_with(|config| config.token_required = false).await
}

async fn serve_with(change: impl FnOnce(&mut Config)) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let core = Fake::new(Time::from_secs(NOW));
    let mapping = Mapping::new(&MappingConfig::default()).unwrap();
    let mut config = Config::new(Arc::new(mapping), vec![Token::new("prom-a", "s3cret"), Token::new("", "other")], Time::from_secs(NOW));
    change(&mut config);
    let (router, counts) = router(core.clone(), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server { base, core, counts, http: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl Server {
    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        self.send(self.http.post(format!("{}{path}", self.base)).body(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(self.http.get(format!("{}{path}", self.base))).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn at(seconds: i64) -> String {
    Time::from_secs(NOW + seconds).to_string()
}

/// As Prometheus 2.42 pushes: a start, an end some four intervals ahead, a generator.
fn pushed(name: &str, ends: i64) -> Value {
    json!({
        "labels": { "alertname": name, "severity": "critical", "job": "varnish", "instance": "v1:6081", "prometheus": "a" },
        "annotations": { "summary": format!("{name} \"now\""), "runbook_url": "https://wiki/x" },
        "startsAt": at(-60), "endsAt": at(ends), "generatorURL": "http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    })
}

#[tokio::test]
async fn a_push_opens_and_its_end_resolves() {
    let server = serve().await;
    assert_eq!(server.post("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()).await.0, 200);
    assert_eq!(server.core.open(), [("varnish".to_owned(), "Down \"now\"".to_owned())]);
    assert_eq!(server.post("/api/v2/alerts", json!([pushed("Down", 0)]).to_string()).await.0, 200);
    assert_eq!((server.core.open().len(), server.core.kinds().last().map(String::as_str)), (0, Some("alert.cleared")));
}

#[tokio::test]
async fn a_lease_that_passes_is_not_refreshed_and_not_resolved() {
    let server = serve().await;
    server.post("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()).await;
    server.core.at(Time::from_secs(NOW + 241));
    assert_eq!(server.core.open().len(), 1);
    assert_eq!(server.core.kinds().last().map(String::as_str), Some("alert.unrefreshed"));
}

#[tokio::test]
async fn an_end_ahead_without_a_rule_is_the_callers_own_word() {
    let server = serve().await;
    let mut alert = pushed("Down", 600);
    alert["generatorURL"] = json!("");
    server.post("/api/v2/alerts", json!([alert]).to_string()).await;
    server.core.at(Time::from_secs(NOW + 599));
    assert_eq!(server.core.open().len(), 1);
    server.core.at(Time::from_secs(NOW + 601));
    assert_eq!((server.core.open().len(), server.core.kinds().last().map(String::as_str)), (0, Some("alert.cleared")));
}

#[tokio::test]
async fn the_message_s_own_clock_decides_what_is_over() {
    let server = serve().await;
    // The sender's clock is ten minutes behind: what it vouches for until its own future is not over.
    let date = "Sat, 21 Nov 2026 02:29:00 GMT";
    let request = server.http.post(format!("{}/api/v2/alerts", server.base)).header("date", date).body(json!([pushed("Down", -540)]).to_string());
    let mut alert = pushed("Down", -540);
    alert["startsAt"] = json!(at(-700));
    assert_eq!(server.send(request.body(json!([alert]).to_string())).await.0, 200);
    assert_eq!(server.core.open().len(), 1);
}

#[tokio::test]
async fn either_of_a_pair_keeps_an_alert_open() {
    let server = serve().await;
    let of = |replica: &str, ends: i64| {
        let mut alert = pushed("Down", ends);
        alert["labels"]["prometheus_replica"] = json!(replica);
        json!([alert]).to_string()
    };
    for body in [of("a", 240), of("b", 240), of("a", 0)] {
        server.post("/api/v2/alerts", body).await;
    }
    assert_eq!(server.core.open().len(), 1, "{:?}", server.core.kinds());
    server.post("/api/v2/alerts", of("b", 0)).await;
    assert_eq!(server.core.open().len(), 0);
}

#[tokio::test]
async fn a_pair_without_a_replica_label_is_told_apart_by_its_tokens_alone() {
    let server = serve_with(|_| {}).await;
    let push = async |token: &str, ends: i64| {
        let request = server.http.post(format!("{}/api/v2/alerts", server.base)).bearer_auth(token).body(json!([pushed("Down", ends)]).to_string());
        assert_eq!(server.send(request).await.0, 200);
        server.core.open().len()
    };
    // Each with its own token: either keeps it open.
    assert_eq!((push("s3cret", 240).await, push("other", 240).await), (1, 1));
    assert_eq!(push("s3cret", 0).await, 1, "{:?}", server.core.kinds());
    assert_eq!(push("other", 0).await, 0);
    // With one token they are one source: its latest word counts.
    assert_eq!((push("other", 240).await, push("other", 240).await, push("other", 0).await), (1, 1, 0));
}

#[tokio::test]
async fn odd_times_follow_alertmanager() {
    let server = serve().await;
    for (starts, ends, status, open) in [
        (Some("1970-01-01T00:00:00Z"), Some("9999-12-31T23:59:59Z"), 200, 1),
        (None, Some("1970-01-01T00:00:00Z"), 200, 0),
        (Some("0001-01-01T00:00:00Z"), Some("0001-01-01T00:00:00Z"), 200, 1),
        (Some("9999-01-01T00:00:00Z"), None, 200, 1),
        (Some("2026-11-21T02:39:00Z"), Some("2026-11-20T02:39:00Z"), 400, 0),
        (Some("soon"), None, 400, 0),
    ] {
        let server = serve().await;
        let mut alert = json!({ "labels": { "alertname": "Odd" } });
        for (name, time) in [("startsAt", starts), ("endsAt", ends)] {
            if let Some(time) = time {
                alert[name] = json!(time);
            }
        }
        let (got, words) = server.post("/api/v2/alerts", json!([alert]).to_string()).await;
        assert_eq!((got, server.core.open().len()), (status, open), "{starts:?} {ends:?} {words}");
        for event in server.core.events() {
            assert!(event.at <= Time::from_secs(NOW), "an event from the future: {event:?}");
        }
    }
    // Without an end it is over when it was not repeated for `resolve_timeout`.
    server.post("/api/v2/alerts", r#"[{"labels":{"alertname":"Short"}}]"#).await;
    server.core.at(Time::from_secs(NOW + 299));
    assert_eq!(server.core.open().len(), 1);
    server.core.at(Time::from_secs(NOW + 301));
    assert_eq!(server.core.open().len(), 0);
}

#[tokio::test]
async fn bad_alerts_are_named_and_the_good_ones_taken() {
    let server = serve().await;
    let body = json!([pushed("Good", 240), { "labels": {} }, { "labels": { "alertname": "A" }, "startsAt": "x" }]).to_string();
    let (status, words) = server.post("/api/v2/alerts", body).await;
    assert_eq!((status, server.core.open().len()), (400, 1));
    let words: String = serde_json::from_str(&words).unwrap();
    assert!(words.contains("alert 2: it has no labels") && words.contains("alert 3: startsAt: `x` is not a time"), "{words}");
}

#[tokio::test]
async fn b1_malformed_bodies_get_words_and_change_nothing() {
    let server = serve_with(|config| {
        config.token_required = false;
        config.largest = 1 << 20;
    })
    .await;
    for path in ["/api/v2/alerts", "/api/v1/webhook/alertmanager", "/api/v1/events"] {
        for (body, status, words) in [
            (b"[{".to_vec(), 400, ""),
            (b"\xff\xfe[]".to_vec(), 400, "not UTF-8"),
            ("[".repeat(100_000).into_bytes(), 400, ""),
            (format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(), 400, "nests"),
            (vec![b' '; (1 << 20) + 1], 413, "larger than 1048576 bytes"),
            (b"7".to_vec(), 400, ""),
        ] {
            let (got, answer) = server.post(path, body).await;
            assert!(got == status && answer.contains(words), "{path}: {got} {answer}");
        }
    }
    assert!(server.core.events().is_empty());
    assert_eq!(server.counts.refused.load(Ordering::Relaxed), 18);
    assert!(server.counts.to_string().contains("\nmidwatch_intake_refused_total 18\n"));
}

#[tokio::test]
async fn b2_compressed_bodies_are_not_unpacked() {
    let server = serve().await;
    let request = server.http.post(format!("{}/api/v2/alerts", server.base)).header("content-encoding", "gzip").body(vec![0x1f, 0x8b]);
    let (status, words) = server.send(request).await;
    assert!(status == 415 && words.contains("without Content-Encoding"), "{words}");
}

#[tokio::test]
async fn a_body_without_a_length_is_capped_too() {
    let server = serve_with(|config| {
        config.token_required = false;
        config.largest = 10_000;
    })
    .await;
    let chunks = futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000])));
    let body = axum::body::Body::from_stream(chunks);
    let error = guard::body(&Intake { core: (), config: Arc::new(small()), counts: Arc::default() }, body).await.unwrap_err();
    assert_eq!(error.status, 413);
    drop(server);
}

fn small() -> Config {
    let mut config = Config::new(Arc::new(Mapping::new(&MappingConfig::default()).unwrap()), Vec::new(), Time::from_secs(NOW));
    config.largest = 10_000;
    config
}

#[tokio::test]
async fn n4_every_intake_wants_a_token_on_loopback_too() {
    let server = serve_with(|_| {}).await;
    let url = |path: &str| format!("{}{path}", server.base);
    for path in ["/api/v2/alerts", "/api/v2/status", "/api/v2/silences", "/api/v2/receivers", "/api/v2/alerts/groups", "/api/v2/silence/x"] {
        assert_eq!(server.send(server.http.get(url(path))).await.0, 401, "{path}");
    }
    for path in ["/api/v2/alerts", "/api/v1/webhook/alertmanager", "/api/v1/events", "/api/v2/silences"] {
        let (status, words) = server.post(path, "[]").await;
        assert!(status == 401 && words.contains("credentials_file"), "{path}: {words}");
        assert_eq!(server.send(server.http.post(url(path)).bearer_auth("s3creT").body("[]")).await.0, 401);
    }
    for request in [server.http.get(url("/api/v2/alerts")).bearer_auth("s3cret"), server.http.get(url("/api/v2/alerts")).basic_auth("any", Some("other"))] {
        assert_eq!(server.send(request).await.0, 200);
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(server.send(server.http.get(url(path))).await.0, 200);
    }
    let push = server.http.post(url("/api/v2/alerts")).bearer_auth("s3cret").body(json!([pushed("Down", 240)]).to_string());
    assert_eq!(server.send(push).await.0, 200);
    assert_eq!(server.core.events()[0].actor.to_string(), "source:prom-a", "a token's name is its source's");
}

#[tokio::test]
async fn n3_pages_in_browsers_are_refused() {
    let server = serve().await;
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")] {
        let request = server.http.post(format!("{}/api/v1/events", server.base)).header(name, value).body("{\"title\":\"x\"}");
        let (status, words) = server.send(request).await;
        assert!(status == 403 && words.contains("browser"), "{name}: {value}: {words}");
    }
    assert!(server.core.events().is_empty());
}

#[tokio::test]
async fn what_the_core_cannot_keep_is_not_acknowledged() {
    let server = serve().await;
    server.core.full(true);
    for (path, body) in [("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()), ("/api/v1/events", "{\"title\":\"x\"}".to_owned())] {
        let (status, words) = server.post(path, body).await;
        assert!(status == 503 && words.contains("the disk is full"), "{words}");
    }
    server.core.full(false);
    assert_eq!(server.post("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()).await.0, 200);
}

#[tokio::test]
async fn lists_hold_every_required_field_and_are_filtered() {
    let server = serve().await;
    let mut other = pushed("Slow", 240);
    other["labels"]["job"] = json!("db");
    server.post("/api/v2/alerts", json!([pushed("Down", 240), other]).to_string()).await;
    let all = server.get("/api/v2/alerts").await;
    for alert in all.as_array().unwrap() {
        for field in ["annotations", "receivers", "fingerprint", "startsAt", "updatedAt", "endsAt", "status", "labels", "generatorURL"] {
            assert!(!alert[field].is_null(), "{field} is missing: {alert}");
        }
        for field in ["state", "silencedBy", "inhibitedBy", "mutedBy"] {
            assert!(!alert["status"][field].is_null(), "status.{field} is missing: {alert}");
        }
    }
    assert_eq!(all[0]["endsAt"], at(240));
    for (query, count) in [
        ("filter=alertname%3D%22Down%22", 1),
        ("filter=alertname%3DDown&filter=job%3Ddb", 0),
        ("filter=%7Balertname%3D~%22Down%7CSlow%22%7D", 2),
        ("filter=system%3D%22db%22", 1),
        ("filter=job!~%22d.*%22", 1),
        ("active=false", 0),
        ("silenced=false&inhibited=false&unprocessed=true", 2),
        ("receiver=mid.*", 2),
        ("receiver=web", 0),
    ] {
        assert_eq!(server.get(&format!("/api/v2/alerts?{query}")).await.as_array().unwrap().len(), count, "{query}");
    }
    let groups = server.get("/api/v2/alerts/groups").await;
    assert_eq!((groups.as_array().unwrap().len(), &groups[0]["labels"]["system"], groups[0]["alerts"].as_array().unwrap().len()), (2, &json!("db"), 1));
    let (status, words) = server.send(server.http.get(format!("{}/api/v2/alerts?filter=%3D", server.base))).await;
    assert!(status == 400 && words.contains("column 1"), "{words}");
}

#[tokio::test]
async fn silences_are_shown_and_refused_with_words() {
    let server = serve().await;
    server.post("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()).await;
    let matcher = crate::model::event::SilenceMatcher { name: "job".into(), value: "varn.*".into(), regex: true, equal: true };
    let (starts, ends) = (Time::from_secs(NOW - 5), Time::from_secs(NOW + 900));
    let silence = Silence { id: "7".into(), matchers: vec![matcher], starts, ends, by: "kim".into(), comment: "wait".into() };
    server.core.silences("am".into(), vec![silence]).await.unwrap();
    let shown = server.get("/api/v2/silences").await;
    assert_eq!((&shown[0]["id"], &shown[0]["status"]["state"], &shown[0]["matchers"][0]["isRegex"]), (&json!("7"), &json!("active"), &json!(true)));
    assert_eq!(server.get("/api/v2/silence/7").await["createdBy"], "kim");
    let alert = &server.get("/api/v2/alerts").await[0];
    assert_eq!(alert["status"], json!({ "state": "suppressed", "silencedBy": ["7"], "inhibitedBy": [], "mutedBy": [] }));
    assert_eq!(server.get("/api/v2/alerts?silenced=false").await, json!([]));
    let (status, words) = server.post("/api/v2/silences", "{}").await;
    assert!(status == 400 && words.contains("midwatch snooze"), "{words}");
}

fn webhook(status: &str, ends: &str, truncated: u64) -> String {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": truncated, "status": status, "receiver": "mid", "groupLabels": {}, "commonLabels": {},
        "commonAnnotations": {}, "externalURL": "http://am", "alerts": [{
            "status": status, "labels": pushed("Down", 0)["labels"], "annotations": { "summary": "Down \"now\"" },
            "startsAt": at(-60), "endsAt": ends, "generatorURL": "", "fingerprint": "ab",
        }],
    })
    .to_string()
}

#[tokio::test]
async fn a_webhook_opens_until_it_resolves() {
    let server = serve().await;
    let path = "/api/v1/webhook/alertmanager";
    assert_eq!(server.post(path, webhook("firing", "0001-01-01T00:00:00Z", 3)).await, (200, "{\"left_out_by_alertmanager\":3,\"taken\":1}".to_owned()));
    server.core.at(Time::from_secs(NOW + 86_400));
    assert_eq!(server.core.open().len(), 1, "a webhook promises no repetition");
    assert!(server.core.events().iter().any(|event| event.title.contains("left out 3 alerts")));
    assert_eq!(server.post(path, webhook("resolved", &at(86_000), 0)).await.0, 200);
    assert_eq!(server.core.open().len(), 0);
    let (status, words) = server.post(path, webhook("firing", "", 0).replace("\"4\"", "\"3\"")).await;
    assert!(status == 400 && words.contains("4 is read"), "{words}");
}

#[tokio::test]
async fn the_same_alert_by_push_and_webhook_is_one() {
    let server = serve().await;
    server.post("/api/v2/alerts", json!([pushed("Down", 240)]).to_string()).await;
    server.post("/api/v1/webhook/alertmanager", webhook("firing", "0001-01-01T00:00:00Z", 0)).await;
    assert_eq!((server.core.open().len(), server.core.kinds()), (1, vec!["alert.opened".to_owned(), "alert.held".to_owned()]));
}

#[tokio::test]
async fn events_are_taken_one_or_many() {
    let server = serve().await;
    let one = "{\n \"title\": \"deploy 4f3a2c\",\n \"kind\": \"change\", \"version\": \"4f3a2c\", \"system\": \"shop\", \"links\": [\"https://ci/1\"]\n}\n";
    assert_eq!(server.post("/api/v1/events", one).await, (200, "{\"taken\":1}".to_owned()));
    let many = "{\"title\":\"a\",\"severity\":\"warn\",\"at\":\"2026-11-21T02:00:00Z\"}\n\n{\"title\":\"b\",\"kind\":\"backup.done\",\"data\":{\"bytes\":7},\"actor\":\"user:kim\"}\r\n";
    assert_eq!(server.post("/api/v1/events", many).await.1, "{\"taken\":2}");
    let events = server.core.events();
    assert_eq!((events[0].kind.name(), events[0].system.as_ref().unwrap().as_str(), &*events[0].links[0].url), ("change", "shop", "https://ci/1"));
    assert_eq!((events[1].at, events[1].severity.word()), ("2026-11-21T02:00:00Z".parse().unwrap(), "warning"));
    assert!(matches!(&events[2].kind, Kind::Other(other) if &*other.kind == "backup.done" && other.data == json!({ "bytes": 7 })));
    assert_eq!(events[2].actor.to_string(), "source:user:kim", "a token of the intakes' speaks for no person");
}

#[tokio::test]
async fn bad_lines_are_named_and_nothing_is_taken() {
    let server = serve().await;
    let body = "{\"title\":\"good\"}\n{\"title\":\"\"}\nnonsense\n{\"title\":\"x\",\"kind\":\"alert.opened\"}\n{\"title\":\"x\",\"system\":\"a b\"}\n{\"title\":\"x\",\"colour\":1}\n{\"title\":\"x\",\"links\":[\"javascript:1\"]}";
    let (status, answer) = server.post("/api/v1/events", body).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["error"]), (400, &json!("nothing was taken: 6 of 7 events cannot be read")));
    let lines: Vec<_> = answer["lines"].as_array().unwrap().iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    for (line, word) in ["title is empty", "expected", "midwatch's own", "not a system's id", "unknown field `colour`", "no link"].iter().enumerate() {
        assert!(answer["lines"][line]["why"].as_str().unwrap().contains(word), "{answer}");
    }
    assert!(server.core.events().is_empty());
}

#[tokio::test]
async fn what_is_cut_is_said() {
    let server = serve().await;
    let labels: serde_json::Map<String, Value> = (0..1_000).map(|i| (format!("l{i}"), json!("v"))).collect();
    let event = json!({ "title": "x".repeat(5_000), "text": "y".repeat(1 << 20), "labels": labels }).to_string();
    let (status, answer) = server.post("/api/v1/events", event).await;
    assert!(status == 200 && answer.contains("\"labels_dropped\":937") && answer.contains("\"texts_cut\":2"), "{answer}");
    let event = &server.core.events()[0];
    assert!(event.text.contains("bytes kept]") && event.labels.len() == 64 && event.title.ends_with('…'));
}

#[tokio::test]
async fn status_has_what_amtool_reads() {
    let server = serve().await;
    let status = server.get("/api/v2/status").await;
    for field in ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"] {
        assert!(status["versionInfo"][field].is_string(), "{field}");
    }
    assert!(status["cluster"]["status"] == "disabled" && status["config"]["original"].is_string() && status["uptime"] == at(0));
    assert_eq!(server.get("/api/v2/receivers").await, json!([{ "name": "midwatch" }]));
}

#[tokio::test]
async fn times_that_a_wrong_clock_made_are_said_to_the_sender_and_in_the_event() {
    let server = serve().await;
    let event = |title: &str, at: &str| json!({ "title": title, "at": at, "text": "done" }).to_string();
    let body = [event("backup", "2099-01-01T00:00:00Z"), event("moon", "1970-01-01T00:00:00Z"), event("now", &at(0)), event("soon", &at(60))].join("\n");
    let (status, answer) = server.post("/api/v1/events", body).await;
    assert_eq!((status, serde_json::from_str::<Value>(&answer).unwrap()), (200, json!({ "taken": 4, "times_taken_as_now": 1, "times_long_past": 1 })));
    let events = server.core.events();
    let of = |title: &str| events.iter().find(|event| &*event.title == title).map(|event| (event.at, event.text.to_string())).unwrap();
    let now = Time::from_secs(NOW);
    assert_eq!(of("backup"), (now, "done\n[the sender's time 2099-01-01T00:00:00Z was not believed: it lies ahead of this server's clock]".to_owned()));
    assert_eq!(of("moon"), (Time::from_secs(0), "done".to_owned()), "old events may be told of");
    assert_eq!((of("now").0, of("soon").0), (now, Time::from_secs(NOW + 60)));
}

#[tokio::test]
async fn a_token_for_some_systems_says_and_reads_nothing_of_others() {
    let limit = ["shop/**".parse().unwrap(), "varnish".parse().unwrap()];
    let server = serve_with(|config| config.tokens = vec![Token::new("ci", "narrow").limited(&limit), Token::new("", "wide")]).await;
    let send = |path: &'static str, token: &'static str, body: String| {
        let request = server.http.post(format!("{}{path}", server.base)).bearer_auth(token).body(body);
        server.send(request)
    };
    let ask = |path: &'static str, token: &'static str| server.send(server.http.get(format!("{}{path}", server.base)).bearer_auth(token));
    let event = |system: &str| json!({ "title": "deploy", "kind": "change", "system": system }).to_string();
    assert_eq!(send("/api/v1/events", "narrow", event("shop/db")).await.0, 200);
    assert_eq!(send("/api/v1/events", "wide", event("vault")).await.0, 200);
    for (body, words) in [
        (event("vault"), "the token `ci` is for shop/**, varnish alone, and vault is none of them"),
        (json!({ "title": "x" }).to_string(), "and this names no system"),
        (format!("{}\n{}", event("shop"), event("shopping")), "shopping is none of them"),
    ] {
        let (status, said) = send("/api/v1/events", "narrow", body).await;
        assert!(status == 403 && said.contains(words) && said.contains("nothing was taken"), "{status} {said}");
    }
    // The alerts of a push count one by one, those of a notification together.
    let elsewhere = json!({ "labels": { "alertname": "Down", "system": "vault" } });
    let (status, said) = send("/api/v2/alerts", "narrow", json!([elsewhere, pushed("Down", 240)]).to_string()).await;
    assert!(status == 403 && said.contains("not these: alert 1") && said.contains("vault is none of them"), "{status} {said}");
    assert_eq!(server.core.open(), [("varnish".to_owned(), "Down \"now\"".to_owned())]);
    let hook = json!({ "version": "4", "receiver": "m", "alerts": [{ "status": "firing", "labels": { "alertname": "Down", "system": "vault" } }] });
    assert_eq!(send("/api/v1/webhook/alertmanager", "narrow", hook.to_string()).await.0, 403);
    assert_eq!(send("/api/v1/webhook/alertmanager", "wide", hook.to_string()).await.0, 200);
    for path in ["/api/v2/alerts", "/api/v2/alerts/groups"] {
        let (narrow, wide) = (ask(path, "narrow").await.1, ask(path, "wide").await.1);
        assert!(narrow.contains("varnish") && !narrow.contains("vault") && wide.contains("vault"), "{narrow}");
    }
    assert_eq!([ask("/api/v2/silences", "narrow").await.0, ask("/api/v2/silences", "wide").await.0], [403, 200]);
    let (_, last) = server.counts.refusals.lately(Time::from_secs(NOW));
    assert!(last.unwrap().why.contains("this names no system"));
}
