//! Mapping: the defaults, the rules, the bounds.

use proptest::prelude::*;

use super::*;

fn raw<'a>(labels: &[(&'a str, &'a str)], annotations: &[(&'a str, &'a str)]) -> Raw<'a> {
    Raw { labels: Pairs::of(labels.iter().copied()), annotations: Pairs::of(annotations.iter().copied()), generator: "".into() }
}

fn defaults() -> Mapping {
    Mapping::new(&MappingConfig::default()).unwrap()
}

fn mapping(toml: &str) -> Mapping {
    Mapping::new(&toml::from_str(toml).unwrap()).unwrap()
}

#[test]
fn the_system_is_found_by_custom() {
    for (labels, system, via) in [
        (&[("system", "shop/varnish"), ("job", "x")][..], "shop/varnish", Via::Label("system")),
        (&[("service", "pay"), ("namespace", "shop")], "shop/pay", Via::Label("service")),
        (&[("app", "pay")], "pay", Via::Label("app")),
        (&[("job", "varnish")], "varnish", Via::Label("job")),
        (&[("job", "monitoring/varnish"), ("namespace", "shop")], "shop/varnish", Via::Label("job")),
        (&[("job", "node"), ("instance", "web-1:9100")], "web-1", Via::Label("instance")),
        (&[("job", "kube-state-metrics"), ("namespace", "shop"), ("instance", "10.0.0.1:8080")], "shop", Via::Label("namespace")),
        (&[("instance", "https://shop.example.org/health")], "shop.example.org", Via::Label("instance")),
        (&[("instance", "[2001:db8::1]:9100")], "2001-db8--1", Via::Label("instance")),
        (&[("alertname", "Watchdog")], "unmapped", Via::Nothing),
        (&[("alertname", "A"), ("service", "")], "unmapped", Via::Nothing),
        (&[("service", "../../etc")], "..-..-etc", Via::Label("service")),
    ] {
        let mapped = defaults().map(raw(labels, &[]));
        assert_eq!((mapped.system.as_str(), mapped.via), (system, via), "{labels:?}");
    }
}

#[test]
fn words_and_links_come_from_annotations() {
    let mut alert = raw(
        &[("alertname", "DiskFull"), ("severity", "page"), ("instance", "db-1:9100")],
        &[
            ("summary", "Disk of db-1\n is full"),
            ("description", "97 % used"),
            ("runbook_url", "https://wiki/disk"),
            ("dashboard", "javascript:alert(1)"),
            ("team", "storage"),
        ],
    );
    alert.generator = "http://kim:pw@prom:9090/graph?g0.expr=free+%3C+0.1&g0.tab=1".into();
    let mapped = defaults().map(alert);
    assert_eq!((&*mapped.title, mapped.check.as_str(), mapped.severity), ("Disk of db-1", "DiskFull", Severity::Critical));
    assert_eq!(&*mapped.text, "97 % used\ndashboard: javascript:alert(1)\nsummary: Disk of db-1\n is full\nteam: storage");
    let links: Vec<(&str, &str)> = mapped.links.iter().map(|link| (&*link.name, &*link.url)).collect();
    assert_eq!(links, [("runbook", "https://wiki/disk"), ("query", "http://prom:9090/graph?g0.expr=free+%3C+0.1&g0.tab=1")]);
    assert_eq!(mapped.expr.as_deref(), Some("free < 0.1"));
}

#[test]
fn an_alert_without_words_is_named_by_check_and_place() {
    let mapped = defaults().map(raw(&[("alertname", "Down"), ("instance", "web-1:80")], &[]));
    assert_eq!((&*mapped.title, &*mapped.text, mapped.severity), ("Down on web-1:80", "", Severity::Warning));
}

#[test]
fn rules_come_first_in_order_and_field_by_field() {
    let mapping = mapping(
        r#"
        [[map]]
        match = ['namespace="shop"', 'alertname=~"Varnish.*"']
        system = "shop/{service}"
        severity = "{priority}"
        links = [{ name = "graph", url = "https://g/{service}" }]
        [[map]]
        match = ['namespace=~"shop|club"']
        system = "{namespace}"
        severity = "error"
        title = "{alertname} in {namespace}"
        "#,
    );
    let labels = [("alertname", "VarnishDown"), ("namespace", "shop"), ("service", "cache"), ("priority", "P1")];
    let mapped = mapping.map(raw(&labels, &[("summary", "x")]));
    assert_eq!((mapped.system.as_str(), mapped.via, mapped.severity), ("shop/cache", Via::Rule(1), Severity::Critical));
    assert_eq!((&*mapped.title, &*mapped.links[0].url), ("VarnishDown in shop", "https://g/cache"));
    let mapped = mapping.map(raw(&labels[..2], &[]));
    assert_eq!((mapped.system.as_str(), mapped.via, mapped.severity), ("shop", Via::Rule(2), Severity::Error), "a rule that lacks its label is passed over");
    let mapped = mapping.map(raw(&[("alertname", "A"), ("namespace", "other")], &[]));
    assert_eq!(mapped.via, Via::Label("namespace"));
}

#[test]
fn a_wrong_rule_is_named() {
    for (rule, word) in [
        ("match = ['a=~\"(\"']\nsystem = 'x'", "not an expression"),
        ("match = ['a']\nsystem = 'x'", "expected `=`"),
        ("system = 'shop/{'", "names no label"),
        ("match = ['a=b']", "gives nothing"),
        ("severity = 'dire'", "write debug, info"),
    ] {
        let config: MappingConfig = toml::from_str(&format!("[[map]]\nsystem = 'ok'\n[[map]]\n{rule}")).unwrap();
        let error = Mapping::new(&config).unwrap_err();
        assert!(error.rule == 2 && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn labels_by_the_thousand_are_cut_said_and_still_identify() {
    let many = |odd: &str| {
        let mut pairs: Vec<(String, String)> = (0..5_000).map(|i| (format!("a{i:05}"), "v".to_owned())).collect();
        pairs.push(("alertname".to_owned(), "Odd".to_owned()));
        pairs.push(("zzz".to_owned(), odd.to_owned()));
        defaults().map(Raw { labels: Pairs::of(pairs), ..Raw::default() })
    };
    let (one, other) = (many("1"), many("2"));
    assert_eq!((one.labels.len(), one.labels.get("alertname")), (Labels::MOST, Some("Odd")));
    assert_eq!(one.cuts.labels, 5_002 - 63);
    assert!(one.labels.get(CUT).is_some_and(|mark| mark.starts_with("4939 labels dropped")));
    assert!(one.text.ends_with("[4939 more labels cut]"), "{}", one.text);
    assert_ne!(one.labels, other.labels, "alerts that differ in a dropped label stay two");
    assert_eq!(one.labels, many("1").labels);
}

#[test]
fn a_megabyte_of_annotation_is_cut_with_a_mark() {
    let long = "ä".repeat(1 << 20);
    let mapped = defaults().map(raw(&[("alertname", "A"), ("v", &long)], &[("summary", &long), ("description", &long)]));
    assert!(mapped.title.len() < 500 && mapped.title.ends_with('…'));
    assert!(mapped.text.len() < 40_000 && mapped.text.contains("bytes kept]"), "{}", mapped.text.len());
    assert!(mapped.labels.get("v").unwrap().len() <= Labels::LONGEST);
    assert!(mapped.cuts.texts >= 2 && mapped.cuts.values == 1);
}

#[test]
fn secrets_never_leave_the_mapping() {
    let mapped = defaults().map(raw(&[("alertname", "A"), ("db_password", "hunter22")], &[("summary", "try hunter22")]));
    assert!(!format!("{mapped:?}").contains("hunter22"));
    let mapping = mapping("redact = ['tenant']");
    assert!(!format!("{:?}", mapping.map(raw(&[("tenant", "acme-corp")], &[]))).contains("acme-corp"));
}

#[test]
fn an_explanation_says_what_lands_where_and_what_nowhere() {
    let mapping = mapping("[[map]]\nmatch = ['team=\"web\"']\nsystem = 'shop'");
    let alerts = [
        raw(&[("alertname", "Slow"), ("team", "web")], &[("summary", "slow \u{1b}[31m")]),
        raw(&[("alertname", "Up"), ("job", "pay")], &[]),
        raw(&[("alertname", "Watchdog")], &[]),
    ];
    let explanation = mapping.explain(alerts);
    assert_eq!(explanation.nowhere().count(), 1);
    let text = explanation.to_string();
    for line in
        ["3 alerts to 2 systems", "shop  (by [[map]] rule 1)", "pay  (by its label `job`)", "1 would land nowhere", "match = ['alertname=\"Watchdog\"']"]
    {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains('\u{1b}'));
    assert!(serde_json::to_string(&explanation).unwrap().contains("\"nowhere\":true"));
}

proptest! {
    #[test]
    fn mapping_never_panics_and_is_the_same_each_time(
        labels in proptest::collection::vec(("[a-z_]{0,12}", "\\PC{0,40}"), 0..80),
        annotations in proptest::collection::vec(("(summary|description|runbook_url|[a-z]{1,8})", ".{0,80}"), 0..6),
        generator in "(https?://[a-z@:]{0,12}(/graph\\?g0.expr=[a-z%0-9+]{0,20})?|.{0,20})",
    ) {
        let mapping = defaults();
        let raw = Raw { labels: Pairs::of(labels.clone()), annotations: Pairs::of(annotations), generator: generator.as_str().into() };
        let one = mapping.map(raw.clone());
        prop_assert_eq!(&one, &mapping.map(raw.clone()));
        prop_assert!(one.labels.len() <= Labels::MOST && !one.title.is_empty() && !one.title.contains('\n'));
        // The order in which a source names labels makes no difference, when names are unique.
        let unique: std::collections::BTreeMap<_, _> = labels.into_iter().collect();
        let there = mapping.map(Raw { labels: Pairs::of(unique.clone()), ..raw.clone() });
        let back = mapping.map(Raw { labels: Pairs::of(unique.into_iter().rev()), ..raw });
        prop_assert_eq!(there, back);
    }
}

#[test]
fn the_alerts_of_one_rule_share_what_they_have_in_common() {
    let mapping = Mapping::new(&MappingConfig::default()).unwrap();
    let [one, other] = ["a", "b"].map(|host| {
        mapping.map(Raw {
            labels: Pairs::of([("alertname", "DiskFull"), ("instance", host)]),
            annotations: Pairs::of([("runbook_url", "https://runbooks.example/disk"), ("description", "Make room.")]),
            generator: "http://prom.example/graph?g0.expr=disk_free+%3C+1".into(),
        })
    });
    assert!(std::ptr::eq(one.check.as_str(), other.check.as_str()));
    assert!(Arc::ptr_eq(&one.text, &other.text));
    assert!(Arc::ptr_eq(one.expr.as_ref().unwrap(), other.expr.as_ref().unwrap()));
    assert!(one.links.iter().zip(&other.links).all(|(one, other)| Arc::ptr_eq(&one.url, &other.url)));
    assert_eq!(one.links.len(), 2);
}
