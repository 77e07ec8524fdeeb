//! What an agent can look at: one file for each kind of check.
//!
//! A check takes its arguments and a [`Context`] and answers with an [`Outcome`]; it never fails otherwise. What it cannot
//! find out is `unknown`, with words that say what to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::de::ValueDeserializer;

use crate::link::Clock;
use crate::model::observation::Metric;
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

pub mod clock;
pub mod disk;
pub mod dns;
pub mod file;
pub mod http;
pub mod load;
pub mod log;
pub mod memory;
pub mod perfdata;
pub mod plugin;
pub mod process;
pub mod systemd;
pub mod tcp;
pub mod threshold;

/// Declares every kind of check once: how it is called in the configuration, its arguments, its run.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident($arguments:ty) = $name:literal, $run:path;)*) => {
        /// What a check does, with its arguments.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Kind {
            $($(#[$doc])* $variant($arguments),)*
        }

        impl Kind {
            /// As the configuration calls them.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Reads the arguments of the kind of this name; nothing when there is no such kind.
            pub fn read(name: &str, arguments: ValueDeserializer<'_>) -> Option<Result<Kind, toml::de::Error>> {
                match name {
                    $($name => Some(serde::Deserialize::deserialize(arguments).map(Kind::$variant)),)*
                    _ => None,
                }
            }

            pub const fn name(&self) -> &'static str {
                match self {
                    $(Kind::$variant(_) => $name,)*
                }
            }

            async fn look(&self, context: &Context) -> Outcome {
                match self {
                    $(Kind::$variant(arguments) => $run(arguments, context).await,)*
                }
            }
        }
    };
}

kinds! {
    /// How many processes want to run, for each core.
    Load(load::Load) = "load", load::run;
    Memory(memory::Memory) = "memory", memory::run;
    /// Free space of the filesystems.
    Disk(disk::Disk) = "disk", disk::space;
    /// Free inodes of the filesystems.
    Inodes(disk::Disk) = "inodes", disk::inodes;
    /// Failed units.
    Systemd(systemd::Systemd) = "systemd", systemd::run;
    /// How many processes of a name or command line there are.
    Process(process::Processes) = "process", process::run;
    Tcp(tcp::Tcp) = "tcp", tcp::run;
    Http(http::Http) = "http", http::run;
    Dns(dns::Dns) = "dns", dns::run;
    File(file::File) = "file", file::run;
    /// New lines of a file that match a pattern.
    Log(log::Log) = "log", log::run;
    /// How far this machine's clock is from a time server's.
    Clock(clock::ClockOffset) = "clock", clock::run;
    /// A Nagios or Sensu check plugin.
    Plugin(plugin::Plugin) = "plugin", plugin::run;
}

impl Kind {
    /// One run. Takes little longer than the limit, whatever happens.
    pub async fn run(&self, context: &Context) -> Outcome {
        match self {
            // Knows best how to end what it started, and keeps what it said until then.
            Kind::Plugin(_) => self.look(context).await,
            _ => match tokio::time::timeout(context.limit, self.look(context)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::unknown(format!("no result within {}: what is looked at hangs, or `timeout` is too short", context.limit_words())),
            },
        }
    }

    /// How many bad results in a row count when the configuration does not say: what is seen once and never again must
    /// count at once.
    pub const fn attempts(&self) -> u32 {
        match self {
            Kind::Log(_) | Kind::File(_) | Kind::Systemd(_) => 1,
            _ => 3,
        }
    }
}

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
#[derive(Clone)]
pub struct Context {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// How long the run may take.
    pub limit: Duration,
    /// Where this check, and no other, may remember something from run to run; none: nothing is remembered.
    pub memory: Option<PathBuf>,
}

impl Context {
    fn limit_words(&self) -> String {
        Span::from(self.limit).to_string()
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

/// A number of an outcome.
pub fn metric(name: &str, value: f64, unit: &str) -> Metric {
    Metric { name: name.into(), value, unit: unit.into(), warning: "".into(), critical: "".into() }
}

/// Runs what may block (a read of /proc, a `stat`) beside the event loop.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Outcome> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Outcome::unknown(format!("this check broke off: {error}; please report it")))
}

/// A file of /proc or /sys, at most 1 MiB of it. Not every machine and container has every one.
fn proc_text(path: &str) -> Result<String, Outcome> {
    use std::io::Read;
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes)) {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(Outcome::unknown(format!("{path} cannot be read ({error}): this machine or container does not show it"))),
    }
}

#[cfg(test)]
pub(crate) fn test_context(limit_ms: u64) -> Context {
    Context { clock: Arc::new(crate::link::SystemClock), limit: Duration::from_millis(limit_ms), memory: None }
}
