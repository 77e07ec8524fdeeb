//! From a source's labels to midwatch's words: system, check, severity, title, text, links.
//!
//! One pure function for every way in, so that an alert that comes by several of them is one alert:
//! its identity is made of what stands here. `[[map]]` rules come first, in order; for each field the
//! first rule that matches and gives it counts, then a sensible default does.

mod config;
mod defaults;
pub mod explain;
pub mod matcher;
mod raw;
mod redact;
mod shelf;
mod template;

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

pub use config::{LinkRule, MapRule, MappingConfig, MappingError};
pub use raw::{Pairs, Raw, Text};

use self::matcher::Matcher;
use self::redact::Redaction;
use self::shelf::Shelf;
use self::template::Template;
use crate::model::event::Link;
use crate::model::id::{CheckId, SystemId};
use crate::model::labels::Labels;
use crate::model::report::{Reported, ReportedState};
use crate::model::severity::Severity;
use crate::model::time::Time;

/// Bytes of a title and of a text that are kept.
pub const LONGEST_TITLE: usize = 400;
pub const LONGEST_TEXT: usize = 16_384;
const LONGEST_LINK: usize = 2_048;
const MOST_LINKS: usize = 12;
/// The label that says what was cut, and keeps alerts apart that differ in what was.
pub const CUT: &str = "midwatch_cut";

/// A mapping, compiled from its configuration once.
#[derive(Clone, Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
    redaction: Redaction,
    words: defaults::Words,
    shelf: Arc<Shelf>,
}

#[derive(Clone, Debug)]
struct Rule {
    matchers: Vec<Matcher>,
    system: Option<Template>,
    check: Option<Template>,
    severity: Option<Template>,
    title: Option<Template>,
    text: Option<Template>,
    links: Vec<(Arc<str>, Template)>,
}

/// Where an alert lands, and why there.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    pub system: SystemId,
    pub check: CheckId,
    pub severity: Severity,
    pub title: Arc<str>,
    pub text: Arc<str>,
    pub links: Vec<Link>,
    pub labels: Labels,
    pub expr: Option<Arc<str>>,
    pub via: Via,
    pub cuts: Cuts,
}

/// What claimed an alert for its system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Via {
    /// The `[[map]]` rule with this number, from 1.
    Rule(usize),
    /// The default: this label.
    Label(&'static str),
    /// Nothing did.
    Nothing,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Rule(number) => write!(f, "[[map]] rule {number}"),
            Via::Label(name) => write!(f, "its label `{name}`"),
            Via::Nothing => f.write_str("no rule and no label"),
        }
    }
}

/// What of an alert was not kept as it came.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cuts {
    pub labels: u32,
    pub values: u32,
    pub texts: u32,
    pub redacted: u32,
}

impl Cuts {
    pub fn add(&mut self, more: Cuts) {
        let Cuts { labels, values, texts, redacted } = self;
        for (sum, more) in [(labels, more.labels), (values, more.values), (texts, more.texts), (redacted, more.redacted)] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// An event's own words and labels, within the bounds of an alert's.
#[derive(Clone, Debug)]
pub struct Kept {
    pub title: Arc<str>,
    pub text: Arc<str>,
    pub labels: Labels,
    pub cuts: Cuts,
}

impl Mapping {
    /// Compiles a configuration, or says which rule is wrong and how.
    pub fn new(config: &MappingConfig) -> Result<Mapping, MappingError> {
        let rules = config.map.iter().zip(1..).map(|(rule, number)| rule.compile(number)).collect::<Result<_, _>>()?;
        let redaction = match &config.redact {
            Some(names) => Redaction::new(names),
            None => Redaction::new(&redact::DEFAULT),
        };
        Ok(Mapping { rules, redaction: redaction.map_err(|why| MappingError { rule: 0, why })?, words: defaults::Words::new(), shelf: Arc::new(Shelf::new()) })
    }

    /// Where this alert lands. Never fails: what nothing claims is `unmapped`.
    pub fn map(&self, mut raw: Raw<'_>) -> Mapped {
        let mut cuts = Cuts { redacted: self.redaction.redact(&mut raw), ..Cuts::default() };
        let (labels, kept) = bounded(&raw.labels);
        (cuts.labels, cuts.values) = kept;
        let rules: Vec<(usize, &Rule)> = self.rules.iter().zip(1..).filter(|(rule, _)| rule.claims(&raw)).map(|(rule, number)| (number, rule)).collect();
        let first = |of: fn(&Rule) -> &Option<Template>| rules.iter().find_map(|(number, rule)| Some((*number, of(rule).as_ref()?.fill(&raw)?)));

        let (system, via) = match first(|r| &r.system) {
            Some((number, system)) => (SystemId::lenient(&system), Via::Rule(number)),
            None => defaults::system(&raw),
        };
        let check = match first(|r| &r.check) {
            Some((_, check)) => CheckId::new(&check),
            None => CheckId::new(raw.labels.some("alertname").unwrap_or("alert")),
        };
        let severity = first(|r| &r.severity).and_then(|(_, word)| Severity::from_word(&word)).unwrap_or_else(|| defaults::severity(&raw));
        let title = first(|r| &r.title).map(|(_, title)| title);
        let (title, used) = match &title {
            Some(title) => (one_line(title, &mut cuts), None),
            None => defaults::title(&raw, &check, &mut cuts),
        };
        let text = match first(|r| &r.text) {
            Some((_, text)) => block(&text, &mut cuts).into(),
            None => defaults::text(&raw, used, &mut cuts),
        };
        let text = self.shelf.share(marked(text, cuts));
        let links = self.links(&raw, &rules);
        let expr = defaults::expression(&raw.generator).map(|expr| self.shelf.share(expr));
        let check = check.shared(|check| self.shelf.share(check));
        Mapped { system, check, severity, title, text, links, labels, expr, via, cuts }
    }

    /// Words and labels that need no mapping: bounded, and without secrets, like an alert's.
    pub fn keep(&self, title: &str, text: &str, labels: Pairs<'_>) -> Kept {
        let mut raw = Raw { labels, annotations: Pairs::of([("title", title), ("text", text)]), generator: "".into() };
        let mut cuts = Cuts { redacted: self.redaction.redact(&mut raw), ..Cuts::default() };
        let (labels, kept) = bounded(&raw.labels);
        (cuts.labels, cuts.values) = kept;
        let title = one_line(raw.annotations.get("title").unwrap_or_default(), &mut cuts);
        let text = marked(block(raw.annotations.get("text").unwrap_or_default(), &mut cuts).into(), cuts);
        Kept { title, text, labels, cuts }
    }

    fn links(&self, raw: &Raw<'_>, rules: &[(usize, &Rule)]) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let mut add = |name: &Arc<str>, url: &str| {
            if is_link(url) && links.len() < MOST_LINKS && !links.iter().any(|link| &*link.url == url) {
                links.push(Link { name: name.clone(), url: self.shelf.share(url.into()) });
            }
        };
        for (name, template) in rules.iter().flat_map(|(_, rule)| &rule.links) {
            if let Some(url) = template.fill(raw) {
                add(name, &url);
            }
        }
        for (name, url) in raw.annotations.iter().filter_map(|(name, value)| Some((self.words.link(name)?, value))) {
            add(name, url);
        }
        if !raw.generator.is_empty() {
            add(&self.words.query, &defaults::without_credentials(&raw.generator));
        }
        links
    }
}

impl Rule {
    fn claims(&self, raw: &Raw<'_>) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(raw.labels.get(&matcher.name).unwrap_or_default()))
    }
}

impl Mapped {
    /// As the core takes it.
    pub fn reported(self, starts: Time, state: ReportedState) -> Reported {
        let Mapped { system, check, severity, title, text, links, labels, expr, via: _, cuts: _ } = self;
        Reported { system, check, severity, title, text, labels, links, expr, value: None, starts, state }
    }
}

/// At most [`Labels::MOST`] labels of at most [`Labels::LONGEST`] bytes. What is cut is counted and
/// hashed into a label of its own, so that alerts which differ there stay two.
fn bounded(labels: &Pairs<'_>) -> (Labels, (u32, u32)) {
    let fits = |value: &str| value.len() <= Labels::LONGEST;
    if labels.len() <= Labels::MOST && labels.iter().all(|(name, value)| fits(name) && fits(value)) {
        return (Labels::new(labels.iter()), (0, 0));
    }
    let mut hash = <sha2::Sha256 as sha2::Digest>::new();
    let (mut dropped, mut shortened) = (0_u32, 0_u32);
    let mut kept: Vec<(&str, &str)> = Vec::with_capacity(Labels::MOST);
    // The alert's name identifies it for people: it stays whatever stands before it in the alphabet.
    let name = labels.get("alertname").map(|value| ("alertname", value));
    for (label, value) in name.into_iter().chain(labels.iter().filter(|(name, _)| *name != "alertname")) {
        let room = kept.len() + 1 < Labels::MOST && fits(label);
        if !room || !fits(value) {
            for part in [label, "\0", value, "\0"] {
                sha2::Digest::update(&mut hash, part.as_bytes());
            }
        }
        if room {
            shortened += u32::from(!fits(value));
            kept.push((label, head(value, Labels::LONGEST)));
        } else {
            dropped = dropped.saturating_add(1);
        }
    }
    let mut mark = format!("{dropped} labels dropped, {shortened} values shortened, ");
    for byte in sha2::Digest::finalize(hash).iter().take(8) {
        let _ = write!(mark, "{byte:02x}");
    }
    (Labels::new(kept.into_iter().chain([(CUT, &*mark)])), (dropped, shortened))
}

/// The first `most` bytes at most, at a character's edge.
pub(super) fn head(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// A text with a last line that says what of the labels was cut.
fn marked(text: Arc<str>, cuts: Cuts) -> Arc<str> {
    let mut said = Vec::new();
    match cuts.labels {
        0 => {}
        1 => said.push("1 more label cut".to_owned()),
        many => said.push(format!("{many} more labels cut")),
    }
    match cuts.values {
        0 => {}
        1 => said.push("1 label's value shortened".to_owned()),
        many => said.push(format!("{many} labels' values shortened")),
    }
    match (said.is_empty(), text.is_empty()) {
        (true, _) => text,
        (false, true) => format!("[{}]", said.join(", ")).into(),
        (false, false) => format!("{text}\n[{}]", said.join(", ")).into(),
    }
}

/// A title: one line, control characters and runs of space become one space, cut with a mark.
pub(super) fn one_line(text: &str, cuts: &mut Cuts) -> Arc<str> {
    let plain = |c: char| !c.is_control() && (c == ' ' || !c.is_whitespace());
    if text.len() <= LONGEST_TITLE && text.chars().all(plain) && !text.contains("  ") && text.trim().len() == text.len() {
        return text.into();
    }
    let mut out = String::new();
    // A megabyte of words is not gone through for one line.
    for word in head(text, LONGEST_TITLE * 4).split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.len() > LONGEST_TITLE || text.len() > LONGEST_TITLE * 4 {
        cuts.texts = cuts.texts.saturating_add(1);
        out.truncate(head(&out, LONGEST_TITLE).len());
        out.push('…');
    }
    out.into()
}

/// A text of several lines, cut with a mark.
pub(super) fn block(text: &str, cuts: &mut Cuts) -> String {
    let text = text.trim_end();
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    cuts.texts = cuts.texts.saturating_add(1);
    let kept = head(text, LONGEST_TEXT);
    format!("{kept}…\n[cut: {} of {} bytes kept]", kept.len(), text.len())
}

/// Whether it can be a link: http or https, not too long, nothing that a terminal would act on.
pub(super) fn is_link(url: &str) -> bool {
    let scheme = |name: &str| url.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    url.len() <= LONGEST_LINK && (scheme("http://") || scheme("https://")) && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests;
