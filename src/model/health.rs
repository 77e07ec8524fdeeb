//! Whether a server itself is well: what it measures of itself, and what of that is wrong, in words, with
//! what to do.
//!
//! The server judges, by [`judge`], so that screen and command line say the same whatever their version.
//! These are the latest numbers and no events: they come on a lossy channel, and the latest wins.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::severity::Severity;
use super::time::{Span, Time};

/// What a server says of itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Health {
    /// When it was measured, by the server's clock.
    pub at: Time,
    /// What is wrong, the worst first. Empty: the server is well.
    #[serde(default)]
    pub wrong: Vec<Wrong>,
    #[serde(default)]
    pub numbers: Numbers,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wrong {
    pub severity: Severity,
    /// In a word or two, for where there is little room: "disk".
    pub word: Arc<str>,
    pub what: Arc<str>,
    /// What to do about it.
    pub advice: Arc<str>,
}

/// What is measured. What a server does not know it leaves out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Numbers {
    /// Appends that wait for the disk, and how long the oldest has waited.
    pub queued: u64,
    pub waiting: Span,
    /// Events that the full-text index has not reached, and since how long there have been many.
    pub unindexed: u64,
    pub behind: Span,
    /// Of the log on disk.
    pub log_bytes: u64,
    /// Of the file system that holds the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Room>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_backup: Option<Time>,
    /// Why nothing can be kept now, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Arc<str>>,
    /// What the full check found wrong with the log, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Arc<str>>,
    pub sources: Vec<SourceHealth>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryHealth>,
    /// The certificate that others renew, where the server speaks TLS by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateHealth>,
    /// What was pushed and refused within the last ten minutes, and the last of it.
    pub refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<Refused>,
}

impl Numbers {
    /// The numbers in a line: size of the log, room, what waits, the last backup.
    pub fn sentence(&self, now: Time) -> String {
        let mut out = Bytes(self.log_bytes).to_string();
        if let Some(room) = self.disk {
            out += &format!(", {} of {} free", Bytes(room.free), Bytes(room.total));
        }
        if self.queued > 0 {
            out += &format!(", {} to write", counted(self.queued, "append", "appends"));
        }
        if self.unindexed > 0 {
            out += &format!(", {} to index", counted(self.unindexed, "event", "events"));
        }
        match self.last_backup {
            Some(at) => out += &format!(", backup {} ago", super::history::coarse(now.since(at))),
            None => out += ", no backup yet",
        }
        out
    }
}

/// Room on a file system, in bytes: what an ordinary user may still take, and of how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Room {
    pub free: u64,
    pub total: u64,
}

/// A source that the server asks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceHealth {
    pub name: Arc<str>,
    /// When it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// Polls in a row that failed, and why the last did.
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
    /// Rules that it cannot evaluate, and one of them with its error.
    pub broken_rules: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_rule: Option<Arc<str>>,
}

/// A Git repository whose commits the server tells.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositoryHealth {
    pub name: Arc<str>,
    /// When it was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Time>,
    /// Looks in a row that failed, and why the last did.
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
}

/// The certificate of a server's TLS.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateHealth {
    /// When the one that is shown ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,
    /// Why the files as they are now are not used, and the one before still is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    pub at: Time,
    /// Which route.
    pub route: Arc<str>,
    pub why: Arc<str>,
}

/// From where on something is wrong. The values are documented in `wire/PROTOCOL.md`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// An append that waits for longer.
    pub waiting: Span,
    /// More events than this out of the index's reach, for longer than that.
    pub unindexed: u64,
    pub behind: Span,
    /// Less room than this.
    pub low: u64,
    pub very_low: u64,
    /// A backup older than this, where there has been one.
    pub backup: Span,
    /// Polls in a row that fail.
    pub failures: u32,
    /// A certificate that ends sooner.
    pub certificate: Span,
    /// Refusals within ten minutes.
    pub refused: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            waiting: Span::from_secs(5),
            unindexed: 10_000,
            behind: Span::from_mins(2),
            low: 1 << 30,
            very_low: 256 << 20,
            backup: Span::from_days(8),
            failures: 3,
            certificate: Span::from_days(7),
            refused: 3,
        }
    }
}

/// What is wrong, the worst first.
pub fn judge(numbers: &Numbers, limits: &Limits, now: Time) -> Vec<Wrong> {
    let mut out = Vec::new();
    let mut wrong =
        |severity, word: &str, what: String, advice: &str| out.push(Wrong { severity, word: word.into(), what: what.into(), advice: advice.into() });
    if let Some(why) = &numbers.failing {
        wrong(Severity::Critical, "keeps nothing", why.to_string(), "What is sent meanwhile is refused; agents and consoles keep theirs and send it again");
    }
    if let Some(why) = &numbers.damage {
        wrong(Severity::Error, "log damaged", format!("the log is damaged: {why}"), "Restore the last backup with `midwatch restore`");
    }
    if let Some(room) = numbers.disk {
        let severity = if room.free < limits.very_low { Some(Severity::Critical) } else { (room.free < limits.low).then_some(Severity::Warning) };
        if let Some(severity) = severity {
            let what = format!("{} of {} are free where the log is", Bytes(room.free), Bytes(room.total));
            wrong(severity, "disk", what, "Make room there, or keep less with `[retention]`; without room nothing more is kept");
        }
    }
    for source in &numbers.sources {
        if source.failures >= limits.failures {
            let since =
                source.answered.map_or_else(|| "has never answered".to_owned(), |at| format!("has not answered for {}", super::history::coarse(now.since(at))));
            let why = source.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let advice = "Its alerts are shown as they were. `midwatch source test` tries it and says more";
            wrong(Severity::Error, "source", format!("{} {since}{why}", source.name), advice);
        }
        if source.broken_rules > 0 {
            let one = source.broken_rule.as_ref().map_or_else(String::new, |rule| format!(": {rule}"));
            let what = format!("{} cannot evaluate {}{one}", source.name, counted(source.broken_rules, "rule", "rules"));
            wrong(Severity::Warning, "rules", what, "Correct the rules there: what they would say is not known");
        }
    }
    for repository in numbers.repositories.iter().filter(|repository| repository.failures >= limits.failures) {
        let since =
            repository.read.map_or_else(|| "has never been read".to_owned(), |at| format!("has not been read for {}", super::history::coarse(now.since(at))));
        let why = repository.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let advice = "Its new commits are missing among the changes until it can be read: mend it, or its `[[repository]]` in the configuration";
        wrong(Severity::Warning, "repository", format!("{} {since}{why}", repository.name), advice);
    }
    if let Some(certificate) = &numbers.certificate {
        let left = certificate.ends.map(|ends| ends.since(now));
        if let Some(why) = &certificate.why {
            let what = format!("the new certificate is not used: {why}");
            wrong(Severity::Error, "certificate", what, "The one before it still is. Correct the files that `[tls]` names; they are looked at again at once");
        } else if left.is_some_and(|left| left <= Span::ZERO) {
            wrong(
                Severity::Critical,
                "certificate",
                "the certificate has ended".to_owned(),
                "Nobody comes in by it any more: renew it, or look at what should",
            );
        } else if let Some(left) = left.filter(|left| *left < limits.certificate) {
            let what = format!("the certificate ends in {}", super::history::coarse(left));
            wrong(Severity::Warning, "certificate", what, "Renew it, or look at what should: the files that `[tls]` names are read again by themselves");
        }
    }
    if numbers.waiting >= limits.waiting {
        let what = format!(
            "what came in {} ago is not on the disk yet, {} wait",
            super::history::coarse(numbers.waiting),
            counted(numbers.queued, "append", "appends")
        );
        wrong(Severity::Warning, "slow disk", what, "Look at what else writes to this disk");
    }
    if numbers.unindexed > limits.unindexed && numbers.behind >= limits.behind {
        let what = format!("the full-text index is {} behind, for {}", counted(numbers.unindexed, "event", "events"), super::history::coarse(numbers.behind));
        wrong(Severity::Warning, "index", what, "Searches take longer and find all the same. If it does not catch up, the server's log says why");
    }
    if let Some(at) = numbers.last_backup
        && now.since(at) > limits.backup
    {
        let what = format!("the last backup was {} ago", super::history::coarse(now.since(at)));
        wrong(Severity::Warning, "backup", what, "Make one with `midwatch backup`, or look at what should");
    }
    if numbers.refused >= limits.refused {
        let last = numbers.last_refused.as_ref().map_or_else(String::new, |last| format!("; the last, {}: {}", last.route, last.why));
        let what = format!("{} refused within ten minutes{last}", counted(numbers.refused, "push was", "pushes were"));
        wrong(Severity::Warning, "pushes refused", what, "Somebody sends what does not arrive: the server's log says from where");
    }
    out.sort_by_key(|wrong| std::cmp::Reverse(wrong.severity));
    out
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// An amount of bytes as people read it: `2.1 GiB`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut tenths, mut unit) = (u128::from(self.0).saturating_mul(10), "B");
        for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if tenths < 10_240 {
                break;
            }
            (tenths, unit) = (tenths / 1_024, larger);
        }
        if unit == "B" || tenths >= 1_000 { write!(f, "{} {unit}", tenths / 10) } else { write!(f, "{}.{} {unit}", tenths / 10, tenths % 10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_795_230_000);

    fn words(numbers: &Numbers) -> Vec<String> {
        judge(numbers, &Limits::default(), NOW).iter().map(|wrong| wrong.word.to_string()).collect()
    }

    #[test]
    fn a_server_with_nothing_to_complain_of_is_well() {
        let fine = Numbers {
            queued: 20,
            unindexed: 9_000,
            behind: Span::from_days(1),
            disk: Some(Room { free: 1 << 30, total: 1 << 40 }),
            last_backup: Some(Time::from_secs(NOW.secs() - 8 * 86_400)),
            sources: vec![SourceHealth { name: "prom".into(), failures: 2, ..SourceHealth::default() }],
            refused: 2,
            ..Numbers::default()
        };
        assert_eq!(words(&fine), Vec::<String>::new());
        assert_eq!(words(&Numbers::default()), Vec::<String>::new(), "what is not measured is not wrong");
    }

    #[test]
    fn each_limit_counts_from_where_it_is() {
        let none = Numbers::default;
        for (numbers, word, severity) in [
            (Numbers { disk: Some(Room { free: (1 << 30) - 1, total: 1 << 40 }), ..none() }, "disk", Severity::Warning),
            (Numbers { disk: Some(Room { free: (256 << 20) - 1, total: 1 << 40 }), ..none() }, "disk", Severity::Critical),
            (Numbers { waiting: Span::from_secs(5), ..none() }, "slow disk", Severity::Warning),
            (Numbers { unindexed: 10_001, behind: Span::from_mins(2), ..none() }, "index", Severity::Warning),
            (Numbers { last_backup: Some(Time::from_secs(NOW.secs() - 9 * 86_400)), ..none() }, "backup", Severity::Warning),
            (Numbers { refused: 3, ..none() }, "pushes refused", Severity::Warning),
            (Numbers { failing: Some("no room".into()), ..none() }, "keeps nothing", Severity::Critical),
            (Numbers { damage: Some("a page".into()), ..none() }, "log damaged", Severity::Error),
        ] {
            let wrong = judge(&numbers, &Limits::default(), NOW);
            assert_eq!(wrong.iter().map(|wrong| (&*wrong.word, wrong.severity)).collect::<Vec<_>>(), [(word, severity)]);
            assert!(wrong.iter().all(|wrong| !wrong.what.is_empty() && !wrong.advice.is_empty()));
        }
        assert!(words(&Numbers { unindexed: 1_000_000, behind: Span::from_secs(119), ..none() }).is_empty(), "it may still catch up");
    }

    #[test]
    fn a_source_that_fails_is_named_with_its_words_and_the_worst_comes_first() {
        let source = SourceHealth {
            name: "prom".into(),
            answered: Some(Time::from_secs(NOW.secs() - 600)),
            failures: 4,
            why: Some("connection refused".into()),
            ..SourceHealth::default()
        };
        let numbers = Numbers { refused: 9, sources: vec![source], failing: Some("no room".into()), ..Numbers::default() };
        let wrong = judge(&numbers, &Limits::default(), NOW);
        assert_eq!(wrong.iter().map(|wrong| &*wrong.word).collect::<Vec<_>>(), ["keeps nothing", "source", "pushes refused"]);
        assert_eq!(&*wrong[1].what, "prom has not answered for 10m: connection refused");
    }

    #[test]
    fn a_repository_that_cannot_be_read_is_named_with_its_words() {
        let of = |failures, read| RepositoryHealth { name: "shop".into(), read, failures, why: Some("there is no such folder".into()) };
        let said = |repository| judge(&Numbers { repositories: vec![repository], ..Numbers::default() }, &Limits::default(), NOW);
        assert_eq!(said(of(2, None)), [], "most failures are short");
        let wrong = said(of(3, Some(Time::from_secs(NOW.secs() - 7_200))));
        assert_eq!((&*wrong[0].word, &*wrong[0].what), ("repository", "shop has not been read for 2h: there is no such folder"));
        assert_eq!(&*said(of(3, None))[0].what, "shop has never been read: there is no such folder");
    }

    #[test]
    fn a_certificate_that_ends_or_cannot_be_read_is_said_in_time() {
        let of = |days: i64, why: Option<&str>| {
            let certificate = CertificateHealth { ends: Some(Time::from_secs(NOW.secs() + days * 86_400)), why: why.map(Arc::from) };
            judge(&Numbers { certificate: Some(certificate), ..Numbers::default() }, &Limits::default(), NOW)
        };
        assert_eq!(of(30, None), []);
        assert_eq!((of(6, None)[0].severity, &*of(6, None)[0].what), (Severity::Warning, "the certificate ends in 6d"));
        assert_eq!((of(-1, None)[0].severity, &*of(-1, None)[0].what), (Severity::Critical, "the certificate has ended"));
        let broken = of(30, Some("key.pem is not the key of cert.pem"));
        assert_eq!((broken[0].severity, &*broken[0].what), (Severity::Error, "the new certificate is not used: key.pem is not the key of cert.pem"));
    }

    #[test]
    fn bytes_are_for_people() {
        for (bytes, words) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (200 << 20, "200 MiB"), (u64::MAX, "16383 PiB")] {
            assert_eq!(Bytes(bytes).to_string(), words);
        }
    }
}
