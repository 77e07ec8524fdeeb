//! What the doctor finds: one line each, and what to do about it.

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Ok,
    CouldBeBetter,
    Broken,
}

impl Verdict {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::CouldBeBetter => "could be better",
            Verdict::Broken => "broken",
        }
    }
}

#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub(super) struct Finding {
    pub what: &'static str,
    pub verdict: Verdict,
    pub words: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// A server that does not answer: the command ends with 3.
    #[serde(skip)]
    pub unreachable: bool,
}

pub(super) fn fine(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Ok, words: words.into(), hint: String::new(), unreachable: false }
}

pub(super) fn better(what: &'static str, words: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::CouldBeBetter, hint: hint.into(), ..fine(what, words) }
}

pub(super) fn broken(what: &'static str, words: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Broken, hint: hint.into(), ..fine(what, words) }
}
