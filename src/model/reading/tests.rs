//! Thresholds as rules and plugins write them, numbers as people read them, and what changed since when.

use proptest::prelude::*;

use super::number::{digits, words};
use super::*;
use crate::model::severity::Status;

const NOW: Time = Time::from_secs(1_795_230_000);

fn threshold(expr: &str) -> Option<Threshold> {
    rule(expr).threshold
}

#[test]
fn a_comparison_with_a_number_is_a_threshold() {
    for (expr, expected) in [
        ("up == 0", Threshold::Is(0.0)),
        ("shop_latency_seconds > 0.5", Threshold::Over(0.5)),
        ("(a / b) >= 1e3", Threshold::AtLeast(1e3)),
        ("((a<5))", Threshold::Under(5.0)),
        ("0.9 < a", Threshold::Over(0.9)),
        ("3 >= a", Threshold::AtMost(3.0)),
        ("a != 0x10", Threshold::Not(16.0)),
        ("time() - backup_time_seconds > 24 * 60 * 60", Threshold::Over(86_400.0)),
        ("a < 0.1 * 1024 ^ 3 # a tenth of a GiB", Threshold::Under(0.1 * 1024.0 * 1024.0 * 1024.0)),
        ("a > -(2 + 3) / 2", Threshold::Over(-2.5)),
        ("a > 1h30m", Threshold::Over(5_400.0)),
        ("sum by (job) (rate(errors_total{code=~\"5..\", path!=\"/x > 3\"}[5m])) > 10", Threshold::Over(10.0)),
        ("a > 5 and on (job) b < 3", Threshold::Over(5.0)),
        ("(a > 5 unless b) and c", Threshold::Over(5.0)),
        ("a > 5\n  and b", Threshold::Over(5.0)),
        ("a[5m] offset 1h > 7", Threshold::Over(7.0)),
    ] {
        assert_eq!(threshold(expr), Some(expected), "{expr}");
    }
}

#[test]
fn what_is_no_comparison_with_a_number_has_no_threshold() {
    for expr in [
        "",
        "up",
        "absent(up)",
        "a > b",
        "a > on (x) group_left b",
        "a > 5 or b > 3",
        "(a > 5) * 2",
        "sum(a > 5)",
        "a > bool 5",
        "1 < a < 5",
        "5 > 3",
        "a > (5",
        "a > 5)",
        "a > Inf",
        "a > 1/0",
        "a > 5 5",
        "a > 0xzz",
        "{a=\"b > 5",
        "\"a > 5",
    ] {
        assert_eq!(threshold(expr), None, "{expr}");
    }
}

#[test]
fn units_are_said_where_the_names_leave_no_doubt() {
    for (expr, unit) in [
        ("shop_latency_seconds > 1", "s"),
        ("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 0.5", "s"),
        ("time() - node_boot_time_seconds < 600", "s"),
        ("process_resident_memory_bytes > 2e9", "B"),
        ("rate(node_network_receive_bytes_total[5m]) > 1e6", "B/s"),
        ("sum(rate(http_requests_total[5m])) by (job) < 5", "/s"),
        ("100 - (avg by(instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100) > 80", "%"),
        ("100 * a / b > 5", "%"),
        ("node_hwmon_temp_celsius > 75", "°C"),
        // No doubt is left by these neither: they have no unit.
        ("rate(node_cpu_seconds_total[5m]) > 0.9", ""),
        ("a_bytes / b_bytes < 0.1", ""),
        ("count(x_seconds) > 3", ""),
        ("deriv(a_bytes[1h]) > 3", ""),
        ("a > 100", ""),
    ] {
        assert_eq!(rule(expr).unit, unit, "{expr}");
    }
}

#[test]
fn ranges_of_plugins_are_read_as_their_guidelines_say() {
    for (text, expected) in [
        ("10", Threshold::Over(10.0)),
        ("10:", Threshold::Under(10.0)),
        ("~:10", Threshold::Over(10.0)),
        ("10:20", Threshold::Outside(10.0, 20.0)),
        ("@10:20", Threshold::Within(10.0, 20.0)),
        ("@10:", Threshold::AtLeast(10.0)),
        ("@~:5", Threshold::AtMost(5.0)),
        ("-0.5:0.5", Threshold::Outside(-0.5, 0.5)),
    ] {
        assert_eq!(Threshold::parse(text), Some(expected), "{text}");
    }
    for text in ["", "80%", ":", "~:", "@", "inf", "10:x", "a:b:c", "NaN"] {
        assert_eq!(Threshold::parse(text), None, "{text}");
    }
}

#[test]
fn numbers_are_short_and_have_their_units() {
    for (value, unit, expected) in [
        (0.0, "", "0"),
        (-0.0, "", "0"),
        (0.087, "", "0.087"),
        (0.000_012_34, "", "1.23e-5"),
        (97.46, "%", "97.5 %"),
        (1_234.0, "", "1.23k"),
        (999.99, "", "1k"),
        (-1_234_567.0, "", "-1.23M"),
        (f64::MAX, "", "infinite"),
        (0.25, "s", "250 ms"),
        (93.0, "s", "93 s"),
        (7_100.0, "s", "118 min"),
        (93_600.0, "s", "26 h"),
        (2_592_000.0, "s", "30 days"),
        (250.0, "ms", "250 ms"),
        (2_254_857_830.0, "B", "2.1 GiB"),
        (1_500.0, "B/s", "1.46 KiB/s"),
        (12.345, "/s", "12.3/s"),
        (2_643.0, "MB", "2643 MB"),
        (7.0, "c", "7"),
    ] {
        assert_eq!(words(value, unit, 3), expected, "{value} {unit}");
    }
    assert_eq!((digits(&[1_003.0, 1_000.0], ""), words(1_003.0, "", 4)), (4, "1.003k".to_owned()), "what differs looks different");
}

fn observation(metrics: Vec<Metric>) -> Observation {
    Observation {
        agent: "web-1".into(),
        check: "disk".into(),
        system: "shop/web-1".parse().unwrap(),
        at: NOW,
        status: Status::Critical,
        text: "full".into(),
        details: "".into(),
        metrics,
        every: Span::from_mins(1),
        attempts: 1,
        runbook: None,
    }
}

fn metric(name: &str, value: f64, unit: &str, warning: &str, critical: &str) -> Metric {
    Metric { name: name.into(), value, unit: unit.into(), warning: warning.into(), critical: critical.into() }
}

const ALERT: Fingerprint = Fingerprint([7; 16]);

fn said(reading: &Reading, expr: Option<&str>) -> Vec<String> {
    Numbers::of(reading, NOW, expr).lines.iter().map(Line::words).collect()
}

#[test]
fn the_number_that_crossed_its_threshold_is_said_first() {
    let metrics = vec![
        metric("/", 5e10, "B", "1e9:", "5e8:"),
        metric("inodes", 3.0, "", "", ""),
        metric("/var", 97.5, "%", "80", "90"),
        metric("/srv", 85.0, "%", "80", "90"),
        metric("odd", 1.0, "", "80%", ""),
        metric("unknown", f64::NAN, "", "", "1"),
    ];
    let reading = Reading::of_check(ALERT, &observation(metrics));
    let expected = [
        "/var 97.5 %, critical over 90 %, warning over 80 %",
        "/srv 85 %, critical over 90 %, warning over 80 %",
        "/ 46.6 GiB, critical under 477 MiB, warning under 954 MiB",
        "odd 1, warning 80%",
        "inodes 3",
    ];
    assert_eq!(said(&reading, None), expected);
}

#[test]
fn a_rules_value_stands_beside_the_number_in_its_expression() {
    let reading = |value: f64| Reading::of_rule(ALERT, "prom".into(), NOW, value);
    assert_eq!(said(&reading(0.087), Some("e / r > 0.05")), ["0.087, fires over 0.05"]);
    assert_eq!(said(&reading(0.0), Some("up == 0")), ["0, fires at 0"]);
    assert_eq!(said(&reading(1_003.0), Some("queue > 1000")), ["1.003k, fires over 1k"]);
    assert_eq!(said(&reading(42.0), Some("a > b")), ["42"]);
    assert_eq!(said(&reading(42.0), None), ["42"]);
    assert_eq!(said(&reading(f64::INFINITY), Some("a / b > 2")), ["infinite, fires over 2"]);
    assert!(!Numbers::of(&reading(0.04), NOW, Some("a > 0.05")).lines[0].crossed, "it is better than that by now");
}

#[test]
fn only_what_changed_is_said_and_how_new_the_rest_is() {
    let prom: SourceId = "prom".into();
    let at = |seconds: i64| NOW.plus(Span::from_secs(seconds));
    let other = Fingerprint([8; 16]);
    let put = |latest: &mut Latest, alert: Fingerprint, seconds: i64, value: f64| latest.put(Reading::of_rule(alert, "prom".into(), at(seconds), value));
    let (mut server, mut reader) = (Latest::default(), Latest::default());
    put(&mut server, ALERT, 0, 5.0);
    put(&mut server, other, 0, 6.0);
    server.told(&prom, at(0));
    reader.take(server.since(0));
    assert_eq!(reader.of(ALERT).map(|(reading, at)| (reading.metrics[0].value, at)), Some((5.0, at(0))));
    let known = server.version();
    put(&mut server, ALERT, 15, 5.0);
    put(&mut server, other, 15, 7.0);
    server.told(&prom, at(15));
    let changed = server.since(known);
    assert_eq!(changed.readings.iter().map(|reading| reading.alert).collect::<Vec<_>>(), [other]);
    reader.take(changed);
    assert_eq!(reader.of(ALERT).unwrap().1, at(15), "the same, and as new");
    // The source lists one of them no longer: it has no number, whoever else holds it open.
    let known = server.version();
    put(&mut server, other, 30, 7.0);
    server.told(&prom, at(30));
    reader.take(server.since(known));
    assert_eq!((reader.of(ALERT), reader.of(other).unwrap().1), (None, at(30)));
    // One that never told numbers changes nothing, and what is over is forgotten.
    let known = server.version();
    server.told(&"am".into(), at(40));
    assert!(server.since(known).is_empty());
    server.retain(|alert| alert == other);
    assert_eq!(server.since(0).readings.len(), 1);
}

#[test]
fn ages_do_not_tick() {
    let numbers = |age: i64| Numbers { at: NOW.minus(Span::from_secs(age)), lines: Vec::new() }.age_words(NOW);
    assert_eq!([0, 59, 60, 119, 120, 7_300].map(numbers), ["now", "now", "1m ago", "1m ago", "2m ago", "2h ago"]);
    assert_eq!(Numbers { at: NOW.plus(Span::from_secs(9)), lines: Vec::new() }.age_words(NOW), "now", "their clock is ahead");
}

#[test]
fn hostile_expressions_cost_little() {
    for text in ["(", "{", "[", "\"", "-", "^2", "a and ", "((", "1^", "not", "🦀", "\\"] {
        let long = text.repeat(40_000 / text.len());
        rule(&long);
        rule(long.get(..(super::rule::LONGEST / text.len()) * text.len()).unwrap());
    }
    let deep = format!("{}a > 5{}", "(".repeat(8_000), ")".repeat(8_000));
    assert_eq!(threshold(&deep), Some(Threshold::Over(5.0)));
    assert_eq!(threshold(&format!("a > {}5{}", "(".repeat(5_000), ")".repeat(5_000))), None, "nobody means that");
}

proptest! {
    #[test]
    fn any_text_may_stand_as_an_expression(text in "\\PC{0,80}") {
        rule(&text);
    }

    #[test]
    fn anything_made_of_its_words_may_stand_as_an_expression(words in prop::collection::vec(prop::sample::select(vec![
        "a", "up{x=\"y\"}", "5", "1e9", "0x1f", "100", "(", ")", ">", "<", "==", "!=", ">=", "<=", "=", "!", "and", "or", "unless", "bool", "by", "on",
        "sum", "rate", "[5m]", "[", "{", "\"", "'", "`", "#", "\n", "+", "-", "*", "/", "%", "^", ",", "time()", "x_bytes", "5m", ".", "1.2.3", "é",
    ]), 0..40), gap in "[ ]?") {
        let text = words.join(&gap);
        let found = rule(&text);
        // A threshold never comes from nowhere: it is a number, and one that was compared with.
        if let Some(threshold) = found.threshold {
            prop_assert!(threshold.numbers().iter().all(|number| number.is_finite()));
            prop_assert!(text.contains(['>', '<', '=', '!']));
        }
    }

    #[test]
    fn a_number_compared_with_is_the_threshold(limit in -1e12_f64..1e12, left in prop::sample::select(vec!["a", "sum(rate(a[5m])) / b", "(a - 5)", "100 * a"])) {
        prop_assert_eq!(threshold(&format!("{left} > {limit}")), Some(Threshold::Over(limit)));
        prop_assert_eq!(threshold(&format!("({limit} >= ({left}))")), Some(Threshold::AtMost(limit)));
    }

    #[test]
    fn numbers_that_differ_look_different_or_nearly_equal(a in prop::num::f64::NORMAL, b in prop::num::f64::NORMAL, unit in prop::sample::select(vec!["", "%", "s", "B", "MB"])) {
        let enough = digits(&[a, b], unit);
        prop_assert!(words(a, unit, enough).len() <= 40, "{}", words(a, unit, enough));
    }

    #[test]
    fn a_reader_that_hears_all_changes_knows_what_the_server_knows(steps in prop::collection::vec((0_u8..4, 0_u8..3, -3_i32..3, 0_u8..4), 1..60)) {
        let (mut server, mut reader, mut heard) = (Latest::default(), Latest::default(), 0);
        for (second, (alert, source, value, what)) in (0_i64..).zip(steps) {
            let at = NOW.plus(Span::from_secs(second));
            let source: SourceId = format!("s{source}").as_str().into();
            match what {
                0 | 1 => server.put(Reading::of_rule(Fingerprint([alert; 16]), source, at, f64::from(value))),
                2 => server.told(&source, at),
                _ => {
                    reader.take(server.since(heard));
                    heard = server.version();
                    for alert in 0..4 {
                        let (told, known) = (server.of(Fingerprint([alert; 16])), reader.of(Fingerprint([alert; 16])));
                        prop_assert_eq!(told.map(|(reading, _)| &reading.metrics), known.map(|(reading, _)| &reading.metrics));
                    }
                }
            }
        }
    }
}
