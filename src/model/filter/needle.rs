//! Searching: for a word without regard to case, and for what every match of a filter must contain.
//!
//! Scanning a hundred megabytes for one word costs less than splitting them into lines; so whoever
//! scans looks for the [`Needle`] first, over many lines at once, and understands only the lines that
//! have it.

use std::sync::Arc;

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::expr::{Expr, Term};

/// A word, found without regard to case (of ASCII letters, if it is ASCII; of all otherwise).
#[derive(Clone, Debug)]
pub(super) enum Word {
    Empty,
    /// Nothing in it has a case.
    Exact(Arc<memmem::Finder<'static>>),
    Letters(Arc<Letters>),
    /// Beyond ASCII.
    Folded(Regex),
}

impl Word {
    pub(super) fn new(text: &str) -> Word {
        if text.is_empty() {
            return Word::Empty;
        }
        if !text.is_ascii() {
            let folded = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
            return folded.map_or_else(|_| Word::Exact(Arc::new(memmem::Finder::new(text).into_owned())), Word::Folded);
        }
        if !text.bytes().any(|b| b.is_ascii_alphabetic()) {
            return Word::Exact(Arc::new(memmem::Finder::new(text).into_owned()));
        }
        Word::Letters(Arc::new(Letters::new(text.as_bytes())))
    }

    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Word::Empty => Some(0),
            Word::Exact(finder) => finder.find(text),
            Word::Letters(letters) => letters.find(text),
            Word::Folded(regex) => regex.find(text).map(|found| found.start()),
        }
    }
}

/// ASCII with letters in it.
#[derive(Debug)]
pub(super) struct Letters {
    text: Box<[u8]>,
    /// The byte that is rarest in logs, where it stands, and the one to look at next.
    rare: (u8, u8, usize),
    second: (u8, u8, usize),
}

impl Letters {
    fn new(text: &[u8]) -> Letters {
        let mut places: Vec<(u8, usize)> = text.iter().copied().enumerate().map(|(i, b)| (rank(b), i)).collect();
        places.sort_unstable();
        let both = |place: Option<&(u8, usize)>| {
            let at = place.map_or(0, |(_, at)| *at);
            let byte = text.get(at).copied().unwrap_or(0);
            (byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), at)
        };
        Letters { rare: both(places.first()), second: both(places.get(1).or(places.first())), text: text.into() }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        let (lower, upper, place) = self.rare;
        let (lower2, upper2, place2) = self.second;
        let mut from = place;
        loop {
            let rest = text.get(from..)?;
            let hit = from + if lower == upper { memchr::memchr(lower, rest)? } else { memchr::memchr2(lower, upper, rest)? };
            let start = hit - place;
            let here = text.get(start..start + self.text.len())?;
            if here.get(place2).is_some_and(|b| *b == lower2 || *b == upper2) && here.eq_ignore_ascii_case(&self.text) {
                return Some(start);
            }
            from = hit + 1;
        }
    }
}

/// How common a byte is in logs, roughly: English letters, digits and the usual signs, of both cases.
fn rank(byte: u8) -> u8 {
    const COMMON: &[u8] = b" e0taonirs1l2d:-.34567889cupm=/hgfyb,\"wv_k[]()xqjz";
    let place = COMMON.iter().position(|b| *b == byte.to_ascii_lowercase());
    place.map_or(0, |place| u8::try_from(COMMON.len() - place).unwrap_or(u8::MAX))
}

/// What every match of a filter has in its title or text.
#[derive(Clone, Debug)]
pub struct Needle(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Word {
        word: Word,
        text: Arc<str>,
    },
    Pattern {
        regex: Regex,
        /// `^` or `$` is in it: it asks for a line's ends, before which a carriage return may stand.
        anchored: bool,
    },
}

/// What a part of a filter must find, before it is compiled.
enum Part {
    /// With or without regard to case.
    Word { text: String, exact: bool },
    /// As text that several can be joined of.
    Pattern(String),
}

impl Needle {
    pub(super) fn of(expr: &Expr) -> Option<Needle> {
        match required(expr)? {
            Part::Word { text, exact } => {
                let word = if exact { Word::Exact(Arc::new(memmem::Finder::new(&text).into_owned())) } else { Word::new(&text) };
                Some(Needle(Kind::Word { word, text: text.into() }))
            }
            Part::Pattern(pattern) => across_lines(&pattern),
        }
    }

    /// Whether [`Needle::find`] may be trusted in this text of many lines.
    pub fn holds_in(&self, text: &[u8]) -> bool {
        match &self.0 {
            Kind::Word { .. } => true,
            Kind::Pattern { anchored, .. } => !anchored || memchr::memchr(b'\r', text).is_none(),
        }
    }

    /// Whether a match may be found within other text, as of a title within JSON.
    pub fn holds_within(&self) -> bool {
        !matches!(self.0, Kind::Pattern { anchored: true, .. })
    }

    /// The first place at or after `from` where a match may be. `text` may be many lines: what is found
    /// in the whole stands in one of them, or is no match after all. Go on behind the line, not behind
    /// the place.
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.0 {
            Kind::Word { word, .. } => word.find(text.get(from..)?).map(|at| at + from),
            // Handed the whole text, so that what stands before `from` still counts for `^` and `\b`.
            Kind::Pattern { regex, .. } if from <= text.len() => regex.find_at(text, from).map(|found| found.start()),
            Kind::Pattern { .. } => None,
        }
    }

    /// The word, if it is one: what writes its text differently (JSON) can tell whether it would be found.
    pub fn word(&self) -> Option<&str> {
        match &self.0 {
            Kind::Word { text, .. } => Some(text),
            Kind::Pattern { .. } => None,
        }
    }
}

fn required(expr: &Expr) -> Option<Part> {
    match expr {
        Expr::Term(Term::Text(text)) if !text.is_empty() => Some(Part::Word { text: text.clone(), exact: false }),
        Expr::Term(Term::Pattern { pattern, any_case }) => {
            let literal = if *any_case { None } else { literal(&parser(false).parse(pattern).ok()?) };
            // A pattern's flags end with it.
            Some(match literal.filter(|text| text.len() >= 3) {
                Some(text) => Part::Word { text, exact: true },
                None => Part::Pattern(format!("(?{}:{pattern})", if *any_case { "i" } else { "-i" })),
            })
        }
        Expr::Term(_) | Expr::All | Expr::Not(_) => None,
        // The longest word is likely the rarest; any word is found faster than a pattern.
        Expr::And(parts) => parts.iter().filter_map(required).max_by_key(|part| match part {
            Part::Word { text, .. } => text.len(),
            Part::Pattern(_) => 0,
        }),
        Expr::Or(parts) => {
            let mut any = Vec::with_capacity(parts.len());
            for part in parts {
                any.push(match required(part)? {
                    Part::Word { text, exact: true } => format!("(?-i:{})", regex::escape(&text)),
                    Part::Word { text, .. } if text.is_ascii() => format!("(?i-u:{})", regex::escape(&text)),
                    Part::Word { text, .. } => format!("(?i:{})", regex::escape(&text)),
                    Part::Pattern(pattern) => pattern,
                });
            }
            Some(Part::Pattern(any.join("|")))
        }
    }
}

fn parser(multi_line: bool) -> regex_syntax::Parser {
    regex_syntax::ParserBuilder::new().multi_line(multi_line).utf8(false).nest_limit(64).build()
}

/// The longest text that every match of a pattern has in it.
fn literal(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_owned),
        HirKind::Capture(capture) => self::literal(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => self::literal(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(self::literal).max_by_key(String::len),
        HirKind::Repetition(_) | HirKind::Alternation(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Empty => None,
    }
}

/// A pattern made for single texts, for use over many lines at once: `^` and `$` hold at every line. One
/// that asks for the very start or end of the text (`\A`, `\z`) cannot be used so; nor one that could
/// run on over all lines from each of them, which would take for ever.
fn across_lines(pattern: &str) -> Option<Needle> {
    let parsed = parser(true).parse(pattern).ok()?;
    let properties = parsed.properties();
    let looks = properties.look_set();
    if looks.contains(Look::Start) || looks.contains(Look::End) || properties.minimum_len() == Some(0) || runs_on(&parsed, false) {
        return None;
    }
    let regex = RegexBuilder::new(pattern).multi_line(true).size_limit(4 << 20).dfa_size_limit(4 << 20).nest_limit(64).build().ok()?;
    Some(Needle(Kind::Pattern { regex, anchored: looks.contains(Look::EndLF) || looks.contains(Look::StartLF) }))
}

/// Whether a repetition without an end could take in line breaks.
fn runs_on(hir: &Hir, repeated: bool) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => repeated && class.iter().any(|range| range.start() <= '\n' && '\n' <= range.end()),
        HirKind::Class(Class::Bytes(class)) => repeated && class.iter().any(|range| range.start() <= b'\n' && b'\n' <= range.end()),
        HirKind::Literal(literal) => repeated && literal.0.contains(&b'\n'),
        HirKind::Repetition(repetition) => runs_on(&repetition.sub, repeated || repetition.max.is_none_or(|max| max > 100)),
        HirKind::Capture(capture) => runs_on(&capture.sub, repeated),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(|part| runs_on(part, repeated)),
        HirKind::Look(_) | HirKind::Empty => false,
    }
}
