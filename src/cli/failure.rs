//! How a command ends when it does not end well: what went wrong, what to do, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::output;
use crate::model::intent::Refusal;

/// Which exit code it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// Refused, or it did not work: 1.
    Failed,
    /// What was asked for makes no sense as written: 2.
    Usage,
    /// A server could not be reached: 3.
    Unreachable,
    /// Whoever read our output has gone (`midwatch events | head`): nothing to say, 0.
    Closed,
}

/// Printed as `midwatch: cause. hint`, with whatever came from outside made harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub cause: String,
    /// What to do next; may be empty.
    pub hint: String,
}

impl Failure {
    pub fn failed(cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Failed, cause: cause.into(), hint: hint.into() }
    }

    pub fn usage(cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Usage, cause: cause.into(), hint: hint.into() }
    }

    pub fn unreachable(cause: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Unreachable, cause: cause.into(), hint: hint.into() }
    }

    pub fn code(&self) -> u8 {
        match self.kind {
            FailureKind::Closed => 0,
            FailureKind::Failed => 1,
            FailureKind::Usage => 2,
            FailureKind::Unreachable => 3,
        }
    }

    /// Says it on standard error, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        if self.kind != FailureKind::Closed {
            output::complain(&format!("midwatch: {self}"));
        }
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause.trim_end_matches(['.', '\n', ' ']);
        // A question ends with its own mark.
        let end = if cause.ends_with(['?', '!']) { "" } else { "." };
        if self.hint.is_empty() { f.write_str(cause) } else { write!(f, "{cause}{end} {}", self.hint) }
    }
}

impl std::error::Error for Failure {}

/// Of writing our own output: there is nothing else that a command writes without saying where.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { kind: FailureKind::Closed, cause: String::new(), hint: String::new() };
        }
        Failure::failed(format!("cannot write the output: {error}"), "Is the disk full that it goes to?")
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::failed(refusal.why, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_sentence_and_what_to_do() {
        let failure = Failure::failed("the server refused. ", "Ask sam");
        assert_eq!((failure.to_string().as_str(), failure.code()), ("the server refused. Ask sam", 1));
        assert_eq!(Failure::usage("no such thing", "").to_string(), "no such thing");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.code(), 0);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(), 1);
    }
}
