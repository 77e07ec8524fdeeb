//! The filter language against an oracle, arbitrary text, and people's mistakes.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::model::event::{Actor, Draft, Event, LogLine};
use crate::model::id::EventId;
use crate::model::labels::Labels;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

const NOW: Time = Time::from_secs(1_795_226_220);

fn filter(text: &str) -> Filter {
    Filter::new(text, NOW, &TimeZone::UTC).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> FilterError {
    text.parse::<Expr>().expect_err(text)
}

/// Something to ask about, with every answer a field of it.
#[derive(Clone, Debug)]
struct Thing {
    at: Time,
    severity: Severity,
    kind: &'static str,
    system: &'static str,
    states: States,
    actor: Actor,
    title: String,
    text: String,
    labels: Labels,
}

impl Default for Thing {
    fn default() -> Thing {
        Thing {
            at: NOW.minus(Span::from_mins(5)),
            severity: Severity::Critical,
            kind: "alert.opened",
            system: "shop/varnish",
            states: States::NONE.with(State::Open),
            actor: Actor::Agent("web-1".into()),
            title: "hit rate 12 % (< 60 %)".into(),
            text: "first line\nsecond LINE, Grüße".into(),
            labels: Labels::new([("env", "prod"), ("mount", "/var")]),
        }
    }
}

impl Subject for Thing {
    fn at(&self) -> Time {
        self.at
    }
    fn severity(&self) -> Severity {
        self.severity
    }
    fn kind(&self) -> &str {
        self.kind
    }
    fn system(&self) -> Option<&str> {
        Some(self.system)
    }
    fn server(&self) -> Option<&str> {
        Some("infra")
    }
    fn states(&self) -> States {
        self.states
    }
    fn check(&self) -> Option<&str> {
        Some("hit rate")
    }
    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        test(&self.actor)
    }
    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        self.labels.get(name).map(Cow::Borrowed)
    }
    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        test(self.title.as_bytes()) || test(self.text.as_bytes())
    }
}

#[test]
fn every_field_matches_what_it_says() {
    let thing = Thing::default();
    for yes in [
        "",
        "rate",
        "HIT",
        "\"line\nsecond\"",
        "grüSSe or GRÜSSE or grüße",
        "\"12 % (\"",
        "system:shop/**",
        "system:shop/*",
        "system:**/varnish",
        "system:infra:shop/varnish",
        "system:*:shop/v*",
        "server:inf*",
        "severity:critical",
        "severity:error+",
        "severity:crit-",
        "kind:alert.*",
        "kind:*",
        "state:open",
        "state:firing",
        "not state:acked",
        "by:web-1",
        "actor:agent:*",
        "check:\"hit rate\"",
        "label.env=prod",
        "label.env!=test",
        "label.absent!=x",
        "label.absent=",
        "label.env=~(prod|test)",
        "label.env!~pro",
        "label.mount=/var",
        "since:6m",
        "since:6m until:4m",
        "/rate \\d+ %/",
        "/RATE/i",
        "/^hit/",
        "not (a9 b9)",
        "NOT zzz AND rate",
        "(zzz or rate) hit",
    ] {
        assert!(filter(yes).matches(&thing), "{yes}");
    }
    for no in [
        "system:shop",
        "system:*",
        "system:Shop/**",
        "system:club:shop/varnish",
        "severity:error",
        "severity:error-",
        "kind:alert",
        "state:acked",
        "by:web",
        "label.env=pro",
        "label.env=~pro",
        "label.absent=x",
        "since:4m",
        "until:6m",
        "/RATE/",
        "/^rate/",
        "rate zzz",
        "not rate",
        "agent:web-1",
        "source:*",
    ] {
        assert!(!filter(no).matches(&thing), "{no}");
    }
    assert!(filter("system:shop/varnish/**").matches(&thing), "what lies beneath, and the system itself");
}

#[test]
fn precedence_is_not_and_or() {
    let shown = |text: &str| text.parse::<Expr>().unwrap().to_string();
    assert_eq!(shown("a b or c"), "a b or c");
    assert_eq!(shown("(a b) or (c)"), "a b or c");
    assert_eq!(shown("a (b or c)"), "a (b or c)");
    assert_eq!(shown("not a b"), "not a b");
    assert_eq!(shown("not (a b)"), "not (a b)");
    assert_eq!(shown("not not a"), "a");
    assert_eq!(shown("not(a)or(b)"), "not a or b");
    assert_eq!(shown("  since:90m  until:\"yesterday 3am\" "), "since:90m until:\"yesterday 03:00\"");
    assert_eq!(shown("\"or\" \"a\\\"b\" f(x)"), "\"or\" \"a\\\"b\" \"f(x)\"");
    assert_eq!(shown("/a/b/ /var/log/"), "/a\\/b/ /var\\/log/");
}

#[test]
fn errors_say_column_expectation_and_the_nearest_word() {
    let error = refused("grüße sevrity:warning");
    assert_eq!((error.column, error.nearest.as_deref()), (7, Some("severity")));
    assert!(error.to_string().starts_with("column 7: no field `sevrity`; did you mean `severity`? Expected one of system,"), "{error}");
    let error = refused("severity:warnign+");
    assert_eq!((error.column, error.nearest.as_deref()), (10, Some("warning")));
    assert_eq!(refused("state:akced").nearest.as_deref(), Some("acked"));
    for (text, column, hint) in [
        ("(a", 1, "not closed"),
        ("a)", 2, "closes nothing"),
        ("a or", 5, "ends here"),
        ("or a", 1, "`or` stands where"),
        ("not", 4, "ends here"),
        ("()", 2, "nothing stands before"),
        ("\"a", 1, "not closed"),
        ("a \"b\"c", 6, "follows directly"),
        ("/var/log", 1, "a path goes in quotes"),
        ("//", 1, "empty"),
        ("/a(/", 1, "no regular expression"),
        ("system:", 8, "no value follows"),
        ("system:\"\"", 8, "empty"),
        ("since:soon", 7, "`soon` is no time"),
        ("label.=x", 7, "no label's name"),
        ("label.env", 10, "no comparison follows"),
        ("label.env=~(", 12, "no regular expression"),
        ("label:env=prod", 1, "no field `label`"),
        ("http://example.org", 1, "in quotes: \"http://example.org\""),
    ] {
        let error = refused(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
}

#[test]
fn b5_hostile_patterns_and_lengths_are_refused() {
    for bomb in ["/(a{1000}){1000}/", "/((((((((x{9}){9}){9}){9}){9}){9}){9}){9}){9}/", "label.a=~\"(\\pL{500}){500}\""] {
        let error = refused(bomb).to_string();
        assert!(error.contains("memory"), "{error}");
    }
    let nested = format!("/{}a{}/", "(".repeat(40), ")".repeat(40));
    assert!(nested.parse::<Expr>().is_err());
    assert!(refused(&"(".repeat(4_000)).to_string().contains("within each other"));
    assert!(refused(&"not ".repeat(1_000)).to_string().contains("within each other"));
    assert!(refused(&"a".repeat(LONGEST + 1)).to_string().contains("at most 4096"));
    // What it is when it is written out counts as well: it has to be read again from there.
    assert!(refused(&format!("/{}/", "[/]".repeat(1_300))).to_string().contains("written out"));
    assert!(refused(&"a ".repeat(MOST_TERMS + 1)).to_string().contains("too many terms"));
    assert!(refused(&"/a/ ".repeat(MOST_PATTERNS + 1)).to_string().contains("too many regular"));
    // Such a pattern would take exponential time with a backtracking engine.
    let thing = Thing { title: "a".repeat(50_000), ..Thing::default() };
    assert!(!filter("/(a+)+(a+)+b/").matches(&thing));
}

#[test]
fn bounds_are_those_that_every_match_obeys() {
    let bounds = |text: &str| {
        let (since, until) = filter(text).bounds();
        (since.map(|t| NOW.since(t).secs()), until.map(|t| NOW.since(t).secs()))
    };
    assert_eq!(bounds("since:10s a until:5s since:20s"), (Some(10), Some(5)));
    assert_eq!(bounds("since:10s or since:20s"), (Some(20), None));
    assert_eq!(bounds("since:10s or a"), (None, None));
    assert_eq!(bounds("not since:10s"), (None, None));
}

#[test]
fn needles_are_found_where_matches_are() {
    let needle = |text: &str| filter(text).needle().cloned();
    assert_eq!(needle("severity:error+ oom").unwrap().word(), Some("oom"));
    assert_eq!(needle("ab longer c").unwrap().word(), Some("longer"));
    assert_eq!(needle("/x=(a|b) sev=P1/").unwrap().word(), Some(" sev=P1"));
    assert!(needle("not a").is_none());
    assert!(needle("a or state:open").is_none());
    assert!(needle("/\\Aab?/").is_none());
    assert!(needle("/a[^x]*|b/").is_none());
    let either = needle("oom or /disk|mem$/").unwrap();
    assert_eq!(either.find(b"1\n2 mem\n3 OOM", 0), Some(4));
    assert_eq!(either.find(b"1\n2 mem\n3 OOM", 8), Some(10));
    assert!(!either.holds_in(b"mem\r\n"));
}

#[test]
fn completion_offers_fields_and_values() {
    let mut known = |field: Field, name: Option<&str>| match (field, name) {
        (Field::System, _) => vec!["shop/varnish".to_owned(), "infra/dc1".to_owned()],
        (Field::Check, _) => vec!["hit rate".to_owned()],
        (Field::Label, None) => vec!["env".to_owned()],
        (Field::Label, Some("env")) => vec!["prod".to_owned(), "test".to_owned()],
        _ => Vec::new(),
    };
    let mut at = |text: &str, cursor: usize| {
        let done = complete(text, cursor, &mut known);
        let first = done.candidates.first().map(|c| c.text.clone()).unwrap_or_default();
        (format!("{}{first}{}", text.split_at(done.from).0, text.split_at(done.to).1), done.candidates.len())
    };
    assert_eq!(at("a sev", 5).0, "a severity:");
    assert_eq!(at("a sev b", 5).0, "a severity: b");
    assert_eq!(at("severity:w", 10).0, "severity:warning");
    assert_eq!(at("not (system:dc", 14).0, "not (system:infra/dc1");
    assert_eq!(at("check:hit", 9).0, "check:\"hit rate\"");
    assert_eq!(at("check:\"hit r", 12).0, "check:\"hit rate\"");
    assert_eq!(at("label.e", 7).0, "label.env=");
    assert_eq!(at("label.env!=t", 12).0, "label.env!=test");
    assert_eq!(at("ü", 1), ("system:".to_owned(), 14));
    assert_eq!(at("zzz", 3).1, 0);
}

#[test]
fn an_event_is_a_subject() {
    let mut draft = Draft::new(NOW, Actor::User("kim".into()), LogLine {}, "deploy 4f3a2c").on("shop/varnish".parse().unwrap());
    draft.labels = Labels::new([("env", "prod")]);
    let event: Event = draft.stamp(EventId::default(), NOW);
    assert!(filter("by:kim by:user:kim kind:log label.env=prod deploy system:shop/** severity:info").matches(&event));
    assert!(!filter("server:infra").matches(&event));
    assert!(filter("server:infra system:infra:shop/** kim or deploy").matches(&OnServer { subject: &event, server: "infra" }));
}

fn any_when() -> impl Strategy<Value = When> {
    let clock = (0_i8..24, 0_i8..60, 0_i8..60).prop_map(|(h, m, s)| jiff::civil::Time::constant(h, m, s, 0));
    prop_oneof![
        (0_i64..10_000_000).prop_map(|n| When::Ago(Span::from_millis(n * 500))),
        any::<i64>().prop_map(|n| When::At(Time::from_micros(n))),
        clock.clone().prop_map(When::Clock),
        (0_i8..=1, clock.clone()).prop_map(|(n, t)| When::Day(n, t)),
        (1_i8..=7, clock.clone()).prop_map(|(n, t)| When::Weekday(jiff::civil::Weekday::from_monday_one_offset(n).unwrap(), t)),
        (1_i16..9999, 1_i8..=12, 1_i8..=28, clock).prop_map(|(y, m, d, t)| When::Local(jiff::civil::Date::constant(y, m, d).to_datetime(t))),
    ]
}

fn any_term() -> impl Strategy<Value = Term> {
    let names =
        prop_oneof![Just(Field::System), Just(Field::Server), Just(Field::Kind), Just(Field::Check), Just(Field::Agent), Just(Field::Source), Just(Field::By)];
    let value = prop_oneof!["[a-z*/.]{1,8}", "\\PC{1,8}"];
    let level = prop_oneof![Just(Level::Exactly), Just(Level::AndWorse), Just(Level::AndBetter)];
    let operator = prop_oneof![Just(Operator::Equal), Just(Operator::NotEqual), Just(Operator::Matches), Just(Operator::NotMatches)];
    prop_oneof![
        prop_oneof!["[a-zA-Z]{0,4}", "\\PC{0,12}", "(?s).{0,6}", Just("not".to_owned()), Just("label.x".to_owned())].prop_map(Term::Text),
        ("[a-z/ .)(]{1,8}", any::<bool>())
            .prop_filter_map("a pattern", |(pattern, any_case)| { regex::bytes::Regex::new(&pattern).ok().map(|_| Term::Pattern { pattern, any_case }) }),
        (names, value).prop_map(|(field, value)| Term::Name(field, value)),
        (0_u8..6, level).prop_map(|(rank, level)| Term::Severity(Severity::from_rank(rank), level)),
        (0..State::ALL.len()).prop_map(|i| Term::State(State::ALL[i])),
        any_when().prop_map(Term::Since),
        any_when().prop_map(Term::Until),
        ("[a-z_.]{1,6}", operator, "[a-z |/\"]{0,6}").prop_map(|(name, operator, value)| Term::Label { name, operator, value }),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    any_term().prop_map(Expr::Term).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::and),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::or),
            inner.prop_map(Expr::negate),
        ]
    })
}

/// Words of two letters, so that random texts have them.
fn small_expr() -> impl Strategy<Value = Expr> {
    let term = prop_oneof![
        "[aAb]{1,2}".prop_map(Term::Text),
        prop::sample::select(vec!["a", "b", "ab?a", "^a", "b$", "a.b", "[^a]b", "a[^b]*a"])
            .prop_map(|pattern| Term::Pattern { pattern: pattern.into(), any_case: false }),
        (0_u8..6).prop_map(|rank| Term::Severity(Severity::from_rank(rank), Level::AndWorse)),
        "[ab*/]{1,5}".prop_map(|value| Term::Name(Field::System, value)),
        "[ab]{0,2}".prop_map(|value| Term::Label { name: "l".into(), operator: Operator::NotEqual, value }),
    ];
    term.prop_map(Expr::Term).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::and),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::or),
            inner.prop_map(Expr::negate),
        ]
    })
}

/// The plainest reading of the language.
fn oracle(expr: &Expr, thing: &Thing) -> bool {
    let texts = || [thing.title.as_str(), thing.text.as_str()];
    match expr {
        Expr::All => true,
        Expr::And(parts) => parts.iter().all(|part| oracle(part, thing)),
        Expr::Or(parts) => parts.iter().any(|part| oracle(part, thing)),
        Expr::Not(inner) => !oracle(inner, thing),
        Expr::Term(Term::Text(word)) => texts().iter().any(|text| text.to_lowercase().contains(&word.to_lowercase())),
        Expr::Term(Term::Pattern { pattern, .. }) => texts().iter().any(|text| regex::Regex::new(pattern).unwrap().is_match(text)),
        Expr::Term(Term::Severity(severity, _)) => thing.severity >= *severity,
        Expr::Term(Term::Name(_, name)) => glob(name.as_bytes(), thing.system.as_bytes()),
        Expr::Term(Term::Label { value, .. }) => thing.labels.get("l").unwrap_or("") != value,
        Expr::Term(other) => panic!("{other:?}"),
    }
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let starts = |text: &str| pattern.starts_with(text.as_bytes());
    match (pattern, name) {
        ([], _) => name.is_empty(),
        (b"/**", []) => true,
        _ if starts("**/") => glob(&pattern[3..], name) || (0..name.len()).any(|i| name[i] == b'/' && glob(&pattern[3..], &name[i + 1..])),
        _ if starts("**") => {
            let rest = pattern.iter().position(|b| *b != b'*').unwrap_or(pattern.len());
            (0..=name.len()).any(|i| glob(&pattern[rest..], &name[i..]))
        }
        ([b'*', rest @ ..], _) => (0..=name.len()).take_while(|i| !name[..*i].contains(&b'/')).any(|i| glob(rest, &name[i..])),
        ([p, rest @ ..], [n, tail @ ..]) => p == n && glob(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_again(expr in any_expr()) {
        let text = expr.to_string();
        if text.len() <= LONGEST {
            prop_assert_eq!(text.parse::<Expr>().map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?, expr, "{}", text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}", cursor in 0_usize..70) {
        let _ = text.parse::<Expr>().map(|expr| Filter::compile(expr, NOW, &TimeZone::UTC).matches(&Thing::default()));
        complete(&text, cursor, &mut |_, _| vec![text.clone()]);
    }

    #[test]
    fn text_of_the_language_s_own_signs_never_panics(text in "(not |or |[()\"/ \\\\:=~!.*]|label\\.|severity:|since:|a){0,30}") {
        if let Ok(expr) = text.parse::<Expr>() {
            prop_assert_eq!(expr.to_string().parse::<Expr>().unwrap(), expr);
        }
    }

    #[test]
    fn matches_agrees_with_the_oracle(expr in small_expr(), title in "[aAbB\n]{0,6}", text in "[ab\n]{0,4}", rank in 0_u8..6, system in prop::sample::select(vec!["a", "a/b", "b/a/b", "ab", "a/a/b/b"]), label in "[ab]{0,2}") {
        let thing = Thing { title, text, severity: Severity::from_rank(rank), system, labels: Labels::new([("l", label)]), ..Thing::default() };
        let expected = oracle(&expr, &thing);
        let filter = Filter::compile(expr.clone(), NOW, &TimeZone::UTC);
        prop_assert_eq!(filter.matches(&thing), expected, "{}", &expr);
        let twice = format!("not (not ({expr}))").parse::<Expr>().unwrap();
        prop_assert_eq!(&twice, &expr);
        // A match has the needle in it, wherever the text stands.
        if let (true, Some(needle)) = (expected, filter.needle()) {
            let many = format!("zz\n{}\nzz\n{}\nzz\n", thing.title, thing.text);
            prop_assert!(needle.find(many.as_bytes(), 0).is_some_and(|at| at >= 2), "{}", &expr);
        }
    }
}
