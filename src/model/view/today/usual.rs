//! Whether what happened is usual: the verdict of the past before it, as a sentence.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::gather::Story;
use super::prose::Words;
use crate::model::episode::day;
use crate::model::history::{History, Verdict, ago, ordinal};
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, Open, World};

#[derive(Clone, Debug)]
pub(super) struct Usual {
    /// Nothing that one must look at.
    pub usual: bool,
    words: String,
}

/// What was to be said of it when it began: the span's own episodes count as one.
pub(super) fn usual(world: &World, story: &Story, from: Time, until: Time, zone: &TimeZone) -> Option<Usual> {
    let alert = world.alert(story.alert)?;
    let began = story.began(from);
    let then = as_of(alert, story, began);
    let history = History::of(&then, world, zone, if story.is_open() { until } else { began.max(from) });
    Some(Usual { usual: history.usual, words: sentence(&history, began) })
}

/// The alert as its past stood when the story began.
fn as_of(alert: &Alert, story: &Story, began: Time) -> Alert {
    let mut then = alert.clone();
    then.past.retain(|past| past.from < began);
    let today = day(began);
    then.days.retain(|d| i64::from(d.day) <= today);
    // Days are counted whole: of the one on which it began, only what came before.
    let before = then.past.iter().filter(|past| day(past.from) == today).count();
    let open = story.is_open();
    let count = u16::try_from(before + usize::from(open)).unwrap_or(u16::MAX);
    for known in then.days.iter_mut().filter(|d| i64::from(d.day) == today) {
        known.count = count;
    }
    if count == 0 {
        then.days.retain(|d| i64::from(d.day) < today || then.past.iter().any(|past| day(past.until) >= i64::from(d.day)));
    }
    then.flapping = story.flapping;
    then.now = open.then_some(Open { episode: story.token(), since: began, heard: None, unrefreshed: None });
    then
}

fn sentence(history: &History, began: Time) -> String {
    let days = history.known.days();
    match history.verdict {
        Verdict::New => match days {
            0 => "First time, as far as is known.".to_owned(),
            1 => "First time in the day known.".to_owned(),
            2..90 => format!("First time in the {days} days known."),
            _ => "First time in 90 days.".to_owned(),
        },
        Verdict::Rare => match history.last {
            Some(last) => format!("The {} time, the last {}.", ordinal(history.before.saturating_add(1)), since(last, began)),
            None => format!("The {} time.", ordinal(history.before.saturating_add(1))),
        },
        Verdict::Recurring => {
            let day = history.habit.days.map(|days| format!("on {}", days.word()));
            let hour = history.habit.hours.map(|(from, to)| format!("between {from}:00 and {to}:00"));
            let when = day.into_iter().chain(hour).collect::<Vec<_>>().join(" ");
            let when = if when.is_empty() { "now and then".to_owned() } else { when };
            match history.lengths.itself_percent() {
                Some(80..) => format!("Happens {when}, mostly gone after {}.", super::long(history.lengths.median)),
                Some(_) | None => format!("Happens {when}."),
            }
        }
        Verdict::Chronic => "Nearly always so.".to_owned(),
        Verdict::Flapping => "Comes and goes.".to_owned(),
    }
}

/// "3 days before", else the date.
fn since(last: Time, began: Time) -> String {
    let age = began.since(last);
    if age < Span::from_days(14) { format!("{} before", super::long(age)) } else { format!("on {}", ago(last, began)) }
}

impl Usual {
    pub fn say(&self, words: Words) -> Words {
        words.text(" ").past(self.words.clone())
    }
}

/// Titles of stories, each once, in order.
pub(super) fn titles<'a>(stories: impl Iterator<Item = &'a Story>) -> Vec<Arc<str>> {
    let mut out: Vec<Arc<str>> = Vec::new();
    for story in stories {
        if !out.contains(&story.title) {
            out.push(story.title.clone());
        }
    }
    out
}
