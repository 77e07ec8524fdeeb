//! Today: what happened, in words, by system.

use crate::console::list::Move;
use crate::console::screen::text::wrap;
use crate::console::sight::Sight;
use crate::console::theme::Role;
use crate::model::time::{Span, Time};
use crate::model::view::today::{LineKind, Today, today};

#[derive(Debug, Default)]
pub struct TodayPane {
    pub text: Option<Today>,
    pub top: usize,
    /// Days before today.
    pub back: i32,
    pub height: usize,
    /// The text as it stands on the screen: words and how far each line is indented.
    pub wrapped: Vec<(Vec<(String, Role)>, u16)>,
}

impl TodayPane {
    pub fn settle(&mut self, sight: &Sight, width: u16, height: u16) {
        let (from, until) = self.span(sight);
        self.text = Some(today(sight.sky, from, until, sight.zone, None));
        self.height = usize::from(height);
        self.wrapped = self.text.as_ref().map(|text| lay_out(text, sight, width)).unwrap_or_default();
        self.top = self.top.min(self.wrapped.len().saturating_sub(self.height));
    }

    /// From midnight to midnight on the reader's clock; of today, up to now.
    fn span(&self, sight: &Sight) -> (Time, Time) {
        let now = sight.now.zoned(sight.zone);
        let day = now.checked_sub(jiff::Span::new().days(i64::from(self.back))).unwrap_or_else(|_| now.clone());
        let from = day.start_of_day().map_or(sight.now.minus(Span::from_days(1)), |start| Time::from(start.timestamp()));
        let until = day.tomorrow().and_then(|next| next.start_of_day()).map_or(sight.now, |end| Time::from(end.timestamp()));
        // In the small hours the evening before belongs to the night that one stands in.
        let from = if self.back == 0 && sight.now.since(from) < Span::from_hours(6) { from.minus(Span::from_hours(6)) } else { from };
        (from, until.min(sight.now))
    }

    pub fn go(&mut self, movement: Move) {
        let last = self.wrapped.len().saturating_sub(self.height);
        self.top = match movement {
            Move::Down => self.top + 1,
            Move::Up => self.top.saturating_sub(1),
            Move::HalfDown => self.top + self.height / 2,
            Move::HalfUp => self.top.saturating_sub(self.height / 2),
            Move::PageDown => self.top + self.height,
            Move::PageUp => self.top.saturating_sub(self.height),
            Move::First => 0,
            Move::Last => last,
        }
        .min(last);
    }

    pub fn day(&mut self, back: i32) {
        self.back = (self.back + back).clamp(0, 90);
        self.top = 0;
    }
}

/// The text in lines of the screen's width.
fn lay_out(text: &Today, sight: &Sight, width: u16) -> Vec<(Vec<(String, Role)>, u16)> {
    let room = width.saturating_sub(6).min(110);
    let day = |at: Time| at.zoned(sight.zone).strftime("%A %-d %B, %H:%M").to_string();
    let mut out: Vec<(Vec<(String, Role)>, u16)> =
        vec![(Vec::new(), 0), (vec![(format!("{} to {}", day(text.from), day(text.until)), Role::Muted)], 0), (Vec::new(), 0)];
    out.extend(wrap(&text.summary, room, 10, "…").into_iter().map(|line| (vec![(line, Role::Strong)], 0)));
    for caveat in &text.caveats {
        out.extend(wrap(caveat, room, 5, "…").into_iter().map(|line| (vec![(line, Role::FreshnessStale)], 0)));
    }
    for section in &text.sections {
        out.push((Vec::new(), 0));
        let mut heading = vec![(section.name.clone(), Role::Strong)];
        if section.title != section.name {
            heading.push((format!("  {}", section.title), Role::Muted));
        }
        out.push((heading, 0));
        let mut part = None;
        for line in &section.lines {
            if part != Some(line.part) {
                part = Some(line.part);
                out.push((vec![(line.part.word().to_owned(), Role::Heading)], 2));
            }
            let role = match line.kind {
                LineKind::StillOpen => Role::of_severity(line.severity),
                LineKind::Recovered => Role::Text,
                LineKind::Did => Role::Actor,
                LineKind::Changed => Role::Text,
            };
            out.extend(wrap(&line.words, room.saturating_sub(4), 4, "…").into_iter().map(|words| (vec![(words, role)], 4)));
        }
        out.extend(section.usual_words().map(|words| (vec![(words, Role::Muted)], 2)));
    }
    out
}
