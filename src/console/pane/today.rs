//! Today: what happened, in words, by system. The text is made when events came, the span changed or a
//! minute went by; between that, frames draw what is there.

use crate::command::TodaySpan;
use crate::console::list::Move;
use crate::console::screen::text::{width as columns, wrap};
use crate::console::sight::Sight;
use crate::console::theme::Role;
use crate::model::clean::clean_line;
use crate::model::id::{EventId, Incarnation, Sequence};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::view::glossary::{self, Entry};
use crate::model::view::today::{Ask, Known, Part, Piece, Reach, Sentence, SentenceKind, Today, Words, span, tell};

/// Columns that a line of prose has at most: longer ones are hard to follow.
const MEASURE: u16 = 104;
/// Events of a file that are read for one span.
const READ: usize = 100_000;

#[derive(Debug)]
pub struct TodayPane {
    pub which: TodaySpan,
    /// Days before today.
    pub back: i32,
    pub told: Option<Today>,
    /// The text as it stands on the screen.
    pub lines: Vec<Line>,
    pub columns: Columns,
    pub top: usize,
    pub height: usize,
    /// The sentence where one is.
    pub selected: usize,
    made: Option<Made>,
}

/// One line of the screen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    pub indent: u16,
    pub words: Vec<(String, Role)>,
    /// The sentence that it is a part of.
    pub sentence: Option<usize>,
    /// What stands before the words of a sentence's first line.
    pub head: Option<Head>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Head {
    /// The part of the day, where it differs from the line before.
    pub label: String,
    pub kind: SentenceKind,
    pub severity: Severity,
    pub when: String,
}

/// Where the columns of a text begin.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Columns {
    pub glyph: u16,
    pub when: u16,
    pub words: u16,
    room: u16,
}

/// What the text was made from.
#[derive(PartialEq, Debug)]
struct Made {
    from: Time,
    until: Option<Time>,
    minute: i64,
    version: u64,
    held: usize,
    width: u16,
    worlds: Vec<(Incarnation, Sequence, bool)>,
}

impl Default for TodayPane {
    fn default() -> TodayPane {
        TodayPane { which: TodaySpan::Day, back: 0, told: None, lines: Vec::new(), columns: Columns::default(), top: 0, height: 0, selected: 0, made: None }
    }
}

impl TodayPane {
    pub fn settle(&mut self, sight: &Sight, width: u16, height: u16) {
        self.height = usize::from(height);
        let (from, until) = self.span(sight);
        let worlds = sight.sky.servers.iter().map(|seen| (seen.world.incarnation, seen.world.head, seen.freshness.is_live())).collect();
        let held = if sight.past.alone { sight.timeline.held() } else { 0 };
        let made = Made { from, until, minute: sight.now.secs().div_euclid(60), version: sight.past.version, held, width, worlds };
        if self.made.as_ref() != Some(&made) {
            self.make(sight, from, until, width);
            self.made = Some(made);
        }
        self.show_selected();
    }

    fn make(&mut self, sight: &Sight, from: Time, until: Option<Time>, width: u16) {
        let here = self.sentence().map(name);
        let ask = Ask { from, until: until.unwrap_or(sight.now).min(sight.now), now: sight.now, zone: sight.zone.clone(), system: None };
        let known = if sight.past.alone { vec![of_files(sight, from, ask.until)] } else { sight.past.known() };
        let told = tell(sight.sky, &known, &ask);
        let entries = glossary::entries(sight.sky);
        self.columns = Columns::of(&told, width);
        self.lines = lay_out(&told, &self.title(&told, sight), &entries, width, &self.columns);
        self.told = Some(told);
        // The place is kept at the same sentence, though others came before it.
        let again = here.and_then(|here| self.sentences().position(|sentence| name(sentence) == here));
        self.selected = again.unwrap_or(self.selected).min(self.sentences().count().saturating_sub(1));
    }

    /// From when to when; no end: up to now, whenever that is.
    pub fn span(&self, sight: &Sight) -> (Time, Option<Time>) {
        let today = || span::day(0, sight.now, sight.zone).0;
        match (self.which, self.back) {
            (TodaySpan::Look, _) => (sight.looked.filter(|looked| *looked < sight.now).unwrap_or_else(today), None),
            (TodaySpan::Shift, _) => (span::shift_start(sight.shifts, sight.now, sight.zone), None),
            (TodaySpan::Day, 0) => (today(), None),
            (TodaySpan::Day, back) => {
                let (from, until) = span::day(back, sight.now, sight.zone);
                (from, Some(until))
            }
        }
    }

    fn title(&self, told: &Today, sight: &Sight) -> String {
        let day = |at: Time, pattern: &str| at.zoned(sight.zone).strftime(pattern).to_string();
        let until = day(told.until, "%H:%M");
        match (self.which, self.back) {
            (TodaySpan::Look, _) if sight.looked.is_none() => format!("You have not looked here before: since {}", day(told.from, "%A %H:%M")),
            (TodaySpan::Look, _) => format!("Since you last looked, {}, until {until}", day(told.from, "%A %-d %B %H:%M")),
            (TodaySpan::Shift, _) if sight.shifts.is_empty() => format!("Since midnight: no `shifts` are configured; until {until}"),
            (TodaySpan::Shift, _) => format!("Since the shift began, {}, until {until}", day(told.from, "%A %H:%M")),
            (TodaySpan::Day, 0) => format!("{}, {} until {until}", day(told.until, "%A %-d %B"), since(told, sight)),
            (TodaySpan::Day, _) => match days_ago(told.from, sight) {
                1 => format!("Yesterday, {}", day(told.from, "%A %-d %B")),
                days => format!("{}, {days} days ago", day(told.from, "%A %-d %B")),
            },
        }
    }

    fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.told.iter().flat_map(Today::sentences)
    }

    pub fn sentence(&self) -> Option<&Sentence> {
        self.sentences().nth(self.selected)
    }

    pub fn select(&mut self, sentence: usize) {
        self.selected = sentence.min(self.sentences().count().saturating_sub(1));
    }

    pub fn go(&mut self, movement: Move) {
        let last = self.sentences().count().saturating_sub(1);
        let line = self.lines.iter().position(|line| line.sentence == Some(self.selected)).unwrap_or(0);
        // By pages one goes through lines, and stands on the sentence found there.
        let by = |lines: isize| {
            let wanted = line.saturating_add_signed(lines);
            let reached = self.lines.iter().enumerate().filter(|(place, _)| if lines > 0 { *place <= wanted } else { *place <= wanted.max(1) });
            reached.filter_map(|(_, line)| line.sentence).next_back().unwrap_or(0)
        };
        let height = isize::try_from(self.height).unwrap_or(20);
        self.selected = match movement {
            Move::Down => self.selected + 1,
            Move::Up => self.selected.saturating_sub(1),
            Move::HalfDown => by(height / 2).max(self.selected + 1),
            Move::HalfUp => by(-height / 2).min(self.selected.saturating_sub(1)),
            Move::PageDown => by(height).max(self.selected + 1),
            Move::PageUp => by(-height).min(self.selected.saturating_sub(1)),
            Move::First => 0,
            Move::Last => last,
        }
        .min(last);
        self.show_selected();
    }

    /// Scrolls as little as it takes for the selected sentence to be seen whole, with its heading.
    fn show_selected(&mut self) {
        let own = |line: &Line| line.sentence == Some(self.selected);
        let (first, end) = match (self.lines.iter().position(own), self.lines.iter().rposition(own)) {
            (Some(first), Some(last)) => (first, last + 1),
            _ => (0, 0),
        };
        let heading = self.lines.get(..first).map_or(first, |before| before.iter().rposition(|line| line.sentence.is_some()).map_or(0, |last| last + 1));
        self.top = self.top.max(end.saturating_sub(self.height)).min(heading).min(self.lines.len().saturating_sub(self.height.min(self.lines.len())));
        if end > self.top + self.height {
            self.top = first;
        }
    }

    pub fn day(&mut self, back: i32) {
        self.which = TodaySpan::Day;
        self.back = (self.back + back).clamp(0, 3_650);
        (self.top, self.selected) = (0, 0);
    }

    /// Back to the day where one is.
    pub fn of_the_day(&mut self) {
        if self.back != 0 {
            self.day(-self.back);
        }
    }

    pub fn tell_of(&mut self, which: TodaySpan) {
        *self = TodayPane { which, height: self.height, ..TodayPane::default() };
    }
}

/// From the real today, wherever the panes are.
fn days_ago(day: Time, sight: &Sight) -> i32 {
    let date = |at: Time| at.zoned(sight.zone).date();
    date(sight.present).since((jiff::Unit::Day, date(day))).map_or(0, |span| span.get_days())
}

/// What a sentence is known by when the text is made anew.
fn name(sentence: &Sentence) -> (SentenceKind, Option<EventId>) {
    (sentence.kind, sentence.events.first().copied())
}

/// "since midnight", or since when.
fn since(told: &Today, sight: &Sight) -> String {
    let from = told.from.zoned(sight.zone);
    if from.date() == told.until.zoned(sight.zone).date() { "since midnight".to_owned() } else { format!("since {}", from.strftime("%A %H:%M")) }
}

/// Where there are files and no servers, the timeline holds all that there is.
fn of_files(sight: &Sight, from: Time, until: Time) -> Known {
    let first = sight.timeline.find((from, EventId::default()));
    let slots = (first..sight.timeline.len()).map_while(|row| sight.timeline.slot(row)).take_while(|slot| slot.at < until).take(READ);
    Known { events: slots.filter_map(|slot| slot.event()).collect(), reach: Reach::Whole }
}

impl Columns {
    fn of(told: &Today, width: u16) -> Columns {
        let several = told.until.since(told.from) > Span::from_days(1);
        let glyph = match width {
            ..60 => 0,
            _ if several => 15,
            _ => 11,
        };
        let when = told.sections.iter().flat_map(|section| &section.sentences).map(|sentence| columns(&sentence.when)).max().unwrap_or(5).max(5);
        let words = glyph + 2 + when + 1;
        Columns { glyph, when: glyph + 2, words, room: width.saturating_sub(words + 4).min(MEASURE) }
    }
}

/// The text in lines of the screen's width.
fn lay_out(told: &Today, title: &str, entries: &[Entry], width: u16, at: &Columns) -> Vec<Line> {
    let many = told.until.since(told.from) > Span::from_days(1);
    let whole = width.saturating_sub(5).min(MEASURE + at.words);
    let mut out = vec![Line::default(), line(0, vec![(title.to_owned(), Role::Muted)]), Line::default()];
    for (place, sentence) in told.summary.iter().enumerate() {
        out.extend(styled(&pieces(&sentence.words, Role::Strong, Role::Strong, entries), whole, 0, Some(place)));
    }
    for caveat in &told.caveats {
        out.extend(styled(&[(caveat.clone(), Role::FreshnessStale)], whole, 0, None));
    }
    let mut place = told.summary.len();
    for section in &told.sections {
        out.push(Line::default());
        let mut heading = vec![(section.name.clone(), Role::Strong)];
        if !section.title.is_empty() {
            heading.push((format!("  {}", section.title), Role::Muted));
        }
        out.push(line(0, heading));
        let mut last: Option<String> = None;
        for sentence in &section.sentences {
            let label = label(sentence, many);
            let shown = (last.as_ref() != Some(&label)).then(|| label.clone());
            out.extend(lines_of(sentence, shown, place, at, entries));
            last = Some(label);
            place += 1;
        }
    }
    out
}

fn line(indent: u16, words: Vec<(String, Role)>) -> Line {
    Line { indent, words, ..Line::default() }
}

/// The part of the day, short.
fn label(sentence: &Sentence, many: bool) -> String {
    match (sentence.kind, sentence.part) {
        (SentenceKind::Usual, _) => "as usual".to_owned(),
        (_, Part::Before) => "before".to_owned(),
        (_, Part::Of(date, part)) if many => format!("{} {}", date.strftime("%a"), part.word()),
        (_, Part::Of(_, part)) => part.word().to_owned(),
    }
}

fn lines_of(sentence: &Sentence, label: Option<String>, place: usize, at: &Columns, entries: &[Entry]) -> Vec<Line> {
    let quiet = sentence.kind == SentenceKind::Usual;
    let role = match sentence.kind {
        SentenceKind::StillOpen | SentenceKind::Said => Role::of_severity(sentence.severity),
        SentenceKind::Did => Role::Actor,
        SentenceKind::Usual => Role::Muted,
        SentenceKind::Over | SentenceKind::Odd | SentenceKind::Changed | SentenceKind::Summary => Role::Strong,
    };
    let text = if quiet { Role::Muted } else { Role::Text };
    let mut out = styled(&pieces(&sentence.words, text, role, entries), at.room, at.words, Some(place));
    if let Some(first) = out.first_mut() {
        let when = if quiet { String::new() } else { sentence.when.clone() };
        first.head = Some(Head { label: label.unwrap_or_default(), kind: sentence.kind, severity: sentence.severity, when });
    }
    out
}

/// The pieces of a sentence with what they are; words of the glossary are marked.
fn pieces(words: &Words, text: Role, outside: Role, entries: &[Entry]) -> Vec<(String, Role)> {
    let mut out = Vec::new();
    for piece in &words.0 {
        let (said, role) = match piece {
            Piece::Outside(said) => (clean_line(said).into_owned(), outside),
            Piece::Past(said) => (said.clone(), Role::Muted),
            Piece::Text(_) | Piece::Time(_) | Piece::Length(_) | Piece::Count { .. } => (piece.to_string(), text),
        };
        let mut at = 0;
        for hit in glossary::find(&said, entries) {
            out.push((said.get(at..hit.from).unwrap_or_default().to_owned(), role));
            out.push((said.get(hit.from..hit.until).unwrap_or_default().to_owned(), Role::Link));
            at = hit.until;
        }
        out.push((said.get(at..).unwrap_or_default().to_owned(), role));
    }
    out.retain(|(said, _)| !said.is_empty());
    out
}

/// Pieces in lines of so many columns, broken between words.
fn styled(pieces: &[(String, Role)], room: u16, indent: u16, sentence: Option<usize>) -> Vec<Line> {
    let full: String = pieces.iter().map(|(said, _)| said.as_str()).collect();
    let mut from = 0;
    let mut out = Vec::new();
    for shown in wrap(&full, room, 30, "…") {
        let begins = full.get(from..).and_then(|rest| rest.find(&shown)).map_or(from, |skipped| from + skipped);
        let ends = (begins + shown.len()).min(full.len());
        let mut words = Vec::new();
        let mut at = 0;
        for (said, role) in pieces {
            let (a, b) = (begins.max(at), ends.min(at + said.len()));
            if a < b
                && let Some(part) = said.get(a - at..b - at)
            {
                words.push((part.to_owned(), *role));
            }
            at += said.len();
        }
        out.push(Line { indent, words, sentence, head: None });
        from = ends;
    }
    out
}
