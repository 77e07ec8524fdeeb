//! What Prometheus is asked about its past: raw samples of `ALERTS` by instant queries over a range
//! selector, how far back it remembers, and how often its rules are evaluated ("HTTP API" of Prometheus).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::join::Firing;
use crate::model::decide::fingerprint;
use crate::model::primary::Rules;
use crate::model::time::{Span, Time};
use crate::server::mapping::{Mapping, Pairs, Raw, Text};
use crate::server::source::client::{Client, PollError, Refused};
use crate::server::source::prometheus::data;

/// Bytes of one answer: some 700,000 samples. More than that is asked for in smaller slices.
pub(super) const LARGEST: usize = 16 << 20;

/// An interval that nothing tells is taken to be this long.
const STEP: Span = Span::from_mins(1);
const LONGEST_STEP: Span = Span::from_hours(1);

#[derive(Deserialize)]
struct Matrix<'a> {
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: Pairs<'a>,
    values: Vec<(f64, IgnoredAny)>,
}

#[derive(Deserialize)]
struct Groups<'a> {
    #[serde(borrow)]
    groups: Vec<Group<'a>>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(default)]
    interval: f64,
    #[serde(borrow)]
    rules: Vec<Rule<'a>>,
}

#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

/// How often rules are evaluated, by the name of their alert.
#[derive(Debug, Default)]
pub(super) struct Steps(HashMap<String, Span>);

fn span(secs: f64) -> Option<Span> {
    let duration = Duration::try_from_secs_f64(secs).ok()?;
    i64::try_from(duration.as_micros()).ok().map(Span::from_micros)
}

fn time(secs: f64) -> Option<Time> {
    span(secs).map(|span| Time::from_micros(span.micros()))
}

/// How often each alerting rule is evaluated now; nothing of one that is gone.
pub(super) async fn steps(client: &Client) -> Result<Steps, PollError> {
    let answer = client.get("/api/v1/rules?type=alert").await?;
    let groups: Groups<'_> = data(&answer.body)?;
    let mut out: HashMap<String, Span> = HashMap::new();
    for group in groups.groups {
        let Some(step) = span(group.interval).filter(|step| *step > Span::ZERO) else { continue };
        for rule in group.rules {
            let known = out.entry(rule.name.0.into_owned()).or_insert(step);
            *known = step.max(*known);
        }
    }
    Ok(Steps(out))
}

/// Since when it has samples; none: it does not say.
pub(in crate::server::source) async fn remembers(client: &Client, now: Time, reach: Span) -> Option<Time> {
    if let Ok(answer) = client.get_at_most("/metrics", LARGEST).await
        && let Some(lowest) = lowest(&answer.body)
    {
        return Some(lowest);
    }
    // Somebody who speaks for it and has no such page: whether there is any series is asked day by day.
    let probe = async |days: i64| {
        let (from, to) = (now.minus(Span::from_days(days + 1)), now.minus(Span::from_days(days)));
        let answer = client.get_at_most(&format!("/api/v1/labels?start={}&end={}", from.secs(), to.secs()), LARGEST).await.ok()?;
        data::<Vec<IgnoredAny>>(&answer.body).ok().map(|names| !names.is_empty())
    };
    let (mut has, mut lacks) = (-1_i64, reach.secs() / 86_400);
    if !probe(0).await? {
        return None;
    }
    while lacks - has > 1 {
        let middle = i64::midpoint(has, lacks);
        if probe(middle).await? { has = middle } else { lacks = middle }
    }
    Some(now.minus(Span::from_days(has + 1)))
}

/// `prometheus_tsdb_lowest_timestamp_seconds` of a page of metrics.
fn lowest(page: &[u8]) -> Option<Time> {
    let page = std::str::from_utf8(page).ok()?;
    let value = page.lines().find_map(|line| line.strip_prefix("prometheus_tsdb_lowest_timestamp_seconds "))?;
    let secs: f64 = value.trim().parse().ok()?;
    // Without any sample it is the end of all times.
    (secs > 0.0 && secs < 1e11).then(|| time(secs)).flatten()
}

/// The answer about what fired in (`from`, `to`].
pub(super) async fn slice(client: &Client, from: Time, to: Time) -> Result<bytes::Bytes, Refused> {
    let seconds = to.since(from).secs().max(1);
    let mut path = String::from("/api/v1/query?query=ALERTS%7Balertstate%3D%22firing%22%7D%5B");
    let _ = write!(path, "{seconds}s%5D&time={}", to.secs());
    client.get_at_most(&path, LARGEST).await.map(|answer| answer.body)
}

/// What a slice says, joined by alert: series that differ in what does not identify are one.
pub(super) fn read(body: &[u8], mapping: &Mapping, external: &[(String, String)], rules: &Rules, steps: &mut Steps) -> Result<Vec<Firing>, PollError> {
    let matrix: Matrix<'_> = data(body)?;
    let mut out: BTreeMap<_, Firing> = BTreeMap::new();
    let series: Vec<(Pairs<'_>, Vec<Time>)> = matrix
        .result
        .into_iter()
        .map(|series| {
            let mut times: Vec<Time> = series.values.iter().filter_map(|(secs, _)| time(*secs)).collect();
            times.sort_unstable();
            (series.metric, times)
        })
        .collect();
    let shortest = series.iter().filter_map(|(_, times)| shortest(times)).min();
    for (metric, times) in series {
        let step = steps.of(&metric, &times, shortest);
        let labels = metric.without(&["__name__", "alertstate"]).without_empty().or(external.iter().cloned());
        let mapped = mapping.map(Raw { labels, ..Raw::default() });
        let alert = fingerprint(&mapped.system, &mapped.check, &mapped.labels, rules);
        match out.get_mut(&alert) {
            None => {
                out.insert(alert, Firing { alert, mapped, times, step });
            }
            Some(known) => {
                known.times.extend(times);
                known.times.sort_unstable();
                known.step = known.step.max(step);
                known.mapped.severity = known.mapped.severity.max(mapped.severity);
            }
        }
    }
    Ok(out.into_values().collect())
}

/// The shortest time between two samples.
fn shortest(times: &[Time]) -> Option<Span> {
    times.windows(2).filter_map(|pair| Some(pair.get(1)?.since(*pair.first()?))).filter(|gap| *gap > Span::ZERO).min()
}

/// Whether these are evaluations one after the other, and not beginnings of something that flaps.
fn steady(times: &[Time], step: Span) -> bool {
    let gaps = times.windows(2).filter_map(|pair| Some(pair.get(1)?.since(*pair.first()?)));
    let near = gaps.filter(|gap| gap.micros() * 2 <= step.micros() * 3).count();
    times.len() >= 4 && near * 4 >= (times.len() - 1) * 3
}

impl Steps {
    /// How often the alert's rule was evaluated. What the rule says now may not have held then: where the
    /// samples of a series always stand further apart, that counts, for what is older too.
    fn of(&mut self, metric: &Pairs<'_>, times: &[Time], of_all: Option<Span>) -> Span {
        let name = metric.get("alertname").unwrap_or_default();
        let rule = self.0.get(name).copied();
        let own = shortest(times).filter(|own| *own <= Span::from_mins(5) && steady(times, *own));
        if let Some(own) = own.filter(|own| rule.is_none_or(|rule| *own > rule)) {
            self.0.insert(name.to_owned(), own);
            return own;
        }
        rule.or(of_all).unwrap_or(STEP).min(LONGEST_STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::mapping::MappingConfig;

    #[test]
    fn series_that_differ_in_a_replica_are_one_alert() {
        let body = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"ALERTS","alertname":"Slow","alertstate":"firing","job":"shop","severity":"warning","replica":"a"},"values":[[1790000000.5,"1"],[1790000015.5,"1"]]},
            {"metric":{"__name__":"ALERTS","alertname":"Slow","alertstate":"firing","job":"shop","severity":"warning","replica":"b"},"values":[[1790000007,"1"]]}]}}"#;
        let mapping = Mapping::new(&MappingConfig::default()).unwrap();
        let firing = read(body, &mapping, &[("cluster".to_owned(), "eu".to_owned())], &Rules::default(), &mut Steps::default()).unwrap();
        assert_eq!(firing.len(), 1);
        assert_eq!((firing[0].times.len(), firing[0].step), (3, Span::from_secs(15)));
        assert_eq!((firing[0].mapped.system.as_str(), firing[0].mapped.labels.get("cluster")), ("shop", Some("eu")));
        assert_eq!((firing[0].mapped.labels.get("alertstate"), firing[0].mapped.labels.get("__name__")), (None, None));
        assert_eq!(firing[0].times[0], Time::from_millis(1_790_000_000_500));
        let wrong = read(b"<html>", &mapping, &[], &Rules::default(), &mut Steps::default()).unwrap_err();
        assert!(wrong.0.contains("is `url` that of a Prometheus"), "{wrong}");
    }

    #[test]
    fn the_interval_is_the_rules_or_what_the_samples_tell() {
        let rule = HashMap::from([("Slow".to_owned(), Span::from_secs(15))]);
        let step = |metric: &Pairs<'_>, times: &[Time], of_all| Steps(rule.clone()).of(metric, times, of_all);
        let slow = Pairs::of([("alertname", "Slow")]);
        let times = |gaps: &[i64]| {
            let mut now = 1_790_000_000;
            gaps.iter()
                .map(|gap| {
                    now += gap;
                    Time::from_secs(now)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(step(&slow, &times(&[15, 15, 15, 15]), None), Span::from_secs(15));
        assert_eq!(step(&slow, &times(&[60, 60, 60, 60]), None), Span::from_secs(60), "the rule was evaluated less often then");
        assert_eq!(step(&slow, &times(&[0, 3_000]), None), Span::from_secs(15), "two samples tell nothing");
        assert_eq!(step(&slow, &times(&[60, 150, 60, 200, 90]), None), Span::from_secs(15), "it flapped");
        let gone = Pairs::of([("alertname", "Gone")]);
        assert_eq!(step(&gone, &times(&[0]), Some(Span::from_secs(30))), Span::from_secs(30));
        assert_eq!(step(&gone, &times(&[0]), None), STEP);
        let mut steps = Steps(rule.clone());
        steps.of(&slow, &times(&[60, 60, 60, 60]), None);
        assert_eq!(steps.of(&slow, &times(&[0, 60]), None), Span::from_secs(60), "what was learned holds for what is older");
    }

    #[test]
    fn how_far_back_is_read_from_its_metrics() {
        let page = b"# TYPE x gauge\nprometheus_tsdb_lowest_timestamp_seconds 1.787e+09\n";
        assert_eq!(lowest(page), Some(Time::from_secs(1_787_000_000)));
        assert_eq!(lowest(b"prometheus_tsdb_lowest_timestamp_seconds 9.223372036854775e+15\n"), None);
        assert_eq!(lowest(b"up 1\n"), None);
    }
}
