//! How bad something is: of events and alerts ([`Severity`]), and of a check's result ([`Status`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// From least to most urgent. `Unknown` stands between: nobody can say that all is well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Debug,
    #[default]
    Info,
    Unknown,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 6] = [Severity::Debug, Severity::Info, Severity::Unknown, Severity::Warning, Severity::Error, Severity::Critical];

    pub const fn word(self) -> &'static str {
        match self {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Unknown => "unknown",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }

    /// 0 to 5, in order.
    pub const fn rank(self) -> u8 {
        match self {
            Severity::Debug => 0,
            Severity::Info => 1,
            Severity::Unknown => 2,
            Severity::Warning => 3,
            Severity::Error => 4,
            Severity::Critical => 5,
        }
    }

    pub fn from_rank(rank: u8) -> Severity {
        Severity::ALL.get(usize::from(rank)).copied().unwrap_or(Severity::Critical)
    }

    /// The severities' names that other software uses (syslog, Alertmanager's customs, log levels).
    pub fn from_word(word: &str) -> Option<Severity> {
        let word = word.trim();
        if word.len() > 16 {
            return None;
        }
        Some(match word.to_ascii_lowercase().as_str() {
            "debug" | "trace" | "verbose" | "fine" | "finer" | "finest" | "dbg" | "trc" => Severity::Debug,
            "info" | "information" | "informational" | "notice" | "none" | "ok" | "success" | "inf" | "log" | "p5" => Severity::Info,
            "unknown" => Severity::Unknown,
            "warning" | "warn" | "wrn" | "minor" | "p3" | "p4" | "low" | "medium" | "moderate" | "ticket" => Severity::Warning,
            "error" | "err" | "severe" | "major" | "p2" | "high" | "failure" => Severity::Error,
            "critical" | "crit" | "fatal" | "emergency" | "emerg" | "alert" | "panic" | "page" | "p1" | "p0" | "disaster" => Severity::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A check's latest result, as plugins have it (exit codes 0 to 3 of the Monitoring Plugins
/// Development Guidelines).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl Status {
    pub const fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Unknown => "unknown",
            Status::Warning => "warning",
            Status::Critical => "critical",
        }
    }

    pub const fn is_ok(self) -> bool {
        matches!(self, Status::Ok)
    }

    pub const fn severity(self) -> Severity {
        match self {
            Status::Ok => Severity::Info,
            Status::Unknown => Severity::Unknown,
            Status::Warning => Severity::Warning,
            Status::Critical => Severity::Critical,
        }
    }

    /// Exit codes other than 0 to 2 are unknown.
    pub const fn from_exit_code(code: i32) -> Status {
        match code {
            0 => Status::Ok,
            1 => Status::Warning,
            2 => Status::Critical,
            _ => Status::Unknown,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Status, ()> {
        [Status::Ok, Status::Unknown, Status::Warning, Status::Critical].into_iter().find(|s| s.word().eq_ignore_ascii_case(text)).ok_or(())
    }
}
