//! What an agent can look at: one file for each kind of check.
//!
//! A check takes its arguments and a [`Context`] and answers with an [`Outcome`]; it never fails otherwise. What it cannot
//! find out is `unknown`, with words that say what to do.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::observation::Metric;
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

pub mod perfdata;
pub mod plugin;

/// What a check found.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub status: Status,
    /// One line for people.
    pub text: String,
    pub details: String,
    pub metrics: Vec<Metric>,
}

impl Outcome {
    pub fn new(status: Status, text: impl Into<String>) -> Outcome {
        Outcome { status, text: text.into(), details: String::new(), metrics: Vec::new() }
    }

    pub fn unknown(text: impl Into<String>) -> Outcome {
        Outcome::new(Status::Unknown, text)
    }

    pub fn with(mut self, metrics: Vec<Metric>) -> Outcome {
        self.metrics = metrics;
        self
    }

    pub fn details(mut self, details: impl Into<String>) -> Outcome {
        self.details = details.into();
        self
    }
}

/// What a check is handed for one run.
#[derive(Clone, Debug)]
pub struct Context {
    /// The wall clock's time at the start of the run.
    pub now: Time,
    /// How long the run may take.
    pub limit: Duration,
    /// Where this check, and no other, may remember something from run to run; none: nothing is remembered.
    pub memory: Option<PathBuf>,
}

impl Context {
    fn limit_words(&self) -> String {
        Span::from(self.limit).to_string()
    }
}

/// A number of an outcome.
pub fn metric(name: &str, value: f64, unit: &str) -> Metric {
    Metric { name: name.into(), value, unit: unit.into(), warning: "".into(), critical: "".into() }
}
