//! A file: whether it is there, how old, how large. For backups, exports, lock files, heartbeats.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::threshold::{Amount, bytes, float};
use super::{Context, Outcome, blocking, metric};
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: PathBuf,
    /// When it was last written longer ago than this.
    pub warning: Option<Span>,
    pub critical: Option<Span>,
    /// Smaller is critical.
    pub min_size: Option<Amount>,
    /// Larger is a warning.
    pub max_size: Option<Amount>,
    /// Whether it is critical that it is not there (or, with false, that it is).
    #[serde(default = "yes")]
    pub exists: bool,
}

fn yes() -> bool {
    true
}

pub async fn run(file: &File, context: &Context) -> Outcome {
    let path = file.path.clone();
    let found = match blocking(move || std::fs::metadata(path).and_then(|found| Ok((found.len(), found.modified()?)))).await {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    let path = file.path.display();
    match found {
        Ok((size, modified)) => {
            let modified = jiff::Timestamp::try_from(modified).map_or(Time::MIN, Time::from);
            judge(file, size, modified, context.now())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !file.exists => Outcome::new(Status::Ok, format!("{path} is not there, as it should be")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::new(Status::Critical, format!("{path} does not exist")),
        Err(error) => Outcome::unknown(format!("{path} cannot be looked at: {error}; the agent's user needs to reach its folder")),
    }
}

fn judge(file: &File, size: u64, modified: Time, now: Time) -> Outcome {
    let path = file.path.display();
    let age = now.since(modified);
    let older = |limit: Option<Span>| limit.is_some_and(|limit| age > limit);
    let limit = |amount: Option<Amount>| amount.and_then(|amount| if let Amount::Bytes(bytes) = amount { Some(bytes) } else { None });
    let size = float(size);
    let mut number = metric("age", age.duration().as_secs_f64(), "s");
    number.warning = file.warning.map_or_else(String::new, |s| s.secs().to_string()).into();
    number.critical = file.critical.map_or_else(String::new, |s| s.secs().to_string()).into();
    let facts = format!("{path} was written {age} ago and has {}", bytes(size));
    let (status, words) = if !file.exists {
        (Status::Critical, format!("{path} exists, written {age} ago, and should not"))
    } else if limit(file.min_size).is_some_and(|least| size < least) {
        (Status::Critical, format!("{facts}, too small"))
    } else if older(file.critical) {
        (Status::Critical, format!("{facts}, too old"))
    } else if older(file.warning) {
        (Status::Warning, format!("{facts}, too old"))
    } else if limit(file.max_size).is_some_and(|most| size > most) {
        (Status::Warning, format!("{facts}, too large"))
    } else {
        (Status::Ok, facts)
    };
    Outcome::new(status, words).with(vec![number, metric("size", size, "B")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::SteadyClock;

    fn file(path: PathBuf) -> File {
        File {
            path,
            warning: Some(Span::from_mins(1)),
            critical: Some(Span::from_mins(2)),
            min_size: Some(Amount::Bytes(3.0)),
            max_size: Some(Amount::Bytes(9.0)),
            exists: true,
        }
    }

    #[tokio::test]
    async fn age_size_and_absence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let mut context = super::super::test_context(5_000);
        assert_eq!(run(&file(path.clone()), &context).await.text, format!("{} does not exist", path.display()));
        assert_eq!(run(&File { exists: false, ..file(path.clone()) }, &context).await.status, Status::Ok);
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(run(&file(path.clone()), &context).await.status, Status::Ok);
        assert_eq!(run(&File { exists: false, ..file(path.clone()) }, &context).await.status, Status::Critical);
        for (later, status) in [(90, Status::Warning), (150, Status::Critical)] {
            context.clock = std::sync::Arc::new(SteadyClock::new(Time::from(jiff::Timestamp::now()).plus(Span::from_secs(later))));
            assert_eq!(run(&file(path.clone()), &context).await.status, status);
        }
        for (content, status) in [("1", Status::Critical), ("1234567890", Status::Warning)] {
            context.clock = std::sync::Arc::new(SteadyClock::new(Time::from_secs(0)));
            std::fs::write(&path, content).unwrap();
            assert_eq!(run(&file(path.clone()), &context).await.status, status);
        }
    }
}
