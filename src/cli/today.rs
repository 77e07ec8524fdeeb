//! `midwatch today`: what happened, in words, for somebody who has not looked for long. The text is the
//! console's own; here it is written plain, as Markdown or as JSON Lines.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::settings::Settings;
use super::{Context, Failure};
use crate::client::{Paging, Place, ServerIndex};
use crate::model::clean::clean_line;
use crate::model::filter::When;
use crate::model::id::EventId;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::looked;
use crate::model::view::today::reading::{Page, Reading};
use crate::model::view::today::{Known, Part, Piece, Section, Sentence, SentenceKind, Today, Words, span, tell};

/// Say what happened, in words
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch today\nExample: midwatch today --system shop --since 3d\nExample: midwatch today --since last-look\nExample: midwatch today --since shift --markdown"
)]
pub struct Args {
    /// Only this system and what lies beneath it
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// From when on: 3h, 2d, 14:00, 2026-11-20, `last-look` (since you last looked, at any of your consoles), `shift` (its
    /// start, from `shifts` in the configuration); without it, today
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to when; without it, now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Markdown, for a ticket or a chat
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// One JSON object a line: a sentence, with the events that it was made from
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct SentenceLine<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    at: Time,
    part: &'static str,
    severity: Severity,
    words: String,
    events: &'a [EventId],
}

#[derive(Serialize)]
struct CaveatLine<'a> {
    kind: &'static str,
    words: &'a str,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (now, zone) = (context.at()?.unwrap_or_else(ask::now), TimeZone::system());
    let until = args.until.as_deref().map(|text| time(text, now, &zone)).transpose()?.unwrap_or(now).min(now);
    let settings = context.settings()?;
    let from = match args.since.as_deref() {
        // Known once the servers have answered.
        Some("last-look") => None,
        Some("shift") => Some(span::shift_start(&settings.shift_starts(), now, &zone)),
        Some(text) => Some(time(text, now, &zone)?),
        None if args.until.is_some() => Some(span::day(0, until, &zone).0),
        None => Some(span::day(0, now, &zone).0),
    };
    if from.is_some_and(|from| from >= until) {
        return Err(Failure::usage("that span is empty: it ends before it begins".to_owned(), "`--since 3h`, or `--since yesterday --until 14:00`"));
    }
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let from = match from {
            Some(from) => from,
            None => since_last_look(&mut ask, context, &settings, now, &zone).await?,
        };
        let mut known = Vec::new();
        for place in 0..ask.sky().servers.len() {
            known.push(match ask.server_at(place) {
                Some(server) => read(&mut ask, server, from, until).await?,
                None => Known::default(),
            });
        }
        let asked = crate::model::view::today::Ask { from, until, now, zone: zone.clone(), system: args.system.clone() };
        let told = tell(&ask.sky(), &known, &asked);
        print(args, &told, &zone)?;
        ask.all_reached()
    })
}

/// From when on the person has not looked; of somebody who never did, today.
async fn since_last_look(ask: &mut Ask, context: &Context, settings: &Settings, now: Time, zone: &TimeZone) -> Result<Time, Failure> {
    let home = settings.home(ask.asked.iter().map(|asked| &*asked.config.name));
    let kept = super::console::marks_file(context, &settings.person());
    let marks = ask.read_marks(kept, home).await;
    Ok(looked::since(&ask.sky(), &marks).filter(|since| *since < now).unwrap_or_else(|| {
        super::output::tell("midwatch: you have not looked at any of these servers yet; this is today");
        span::day(0, now, zone).0
    }))
}

/// All that one server keeps of the span.
async fn read(ask: &mut Ask, server: ServerIndex, from: Time, until: Time) -> Result<Known, Failure> {
    let mut reading = Reading::new(from, Some(until));
    while let Some((page, limit)) = reading.wants() {
        let page = match page {
            Page::Before(at, sequence) => Paging::Before(Some(Place { at, sequence })),
            Page::After(at, sequence) => Paging::After(Some(Place { at, sequence })),
        };
        let told = ask.page(server, page, limit, &mut |_, _| {}).await?;
        reading.take(&told.events, true, told.complete);
    }
    Ok(reading.known())
}

/// A time as people write it.
pub fn time(text: &str, now: Time, zone: &TimeZone) -> Result<Time, Failure> {
    let when: When = text.parse().map_err(|error| Failure::usage(format!("{error}"), "Write 3h, 2d, 14:00 or 2026-11-20"))?;
    Ok(when.resolve(now, zone))
}

fn print(args: &Args, told: &Today, zone: &TimeZone) -> Result<(), Failure> {
    let mut out = Output::new();
    if args.json {
        json(&mut out, told)?;
    } else if args.markdown {
        for line in markdown(told, zone) {
            out.line(&line)?;
        }
    } else {
        plain(&mut out, told, zone)?;
    }
    out.finish()
}

fn json(out: &mut Output, told: &Today) -> Result<(), Failure> {
    for sentence in &told.summary {
        out.json(&sentence_line(None, sentence))?;
    }
    for caveat in &told.caveats {
        out.json(&CaveatLine { kind: "caveat", words: caveat })?;
    }
    for section in &told.sections {
        for sentence in &section.sentences {
            out.json(&sentence_line(Some(&section.name), sentence))?;
        }
    }
    Ok(())
}

fn sentence_line<'a>(system: Option<&'a str>, sentence: &'a Sentence) -> SentenceLine<'a> {
    SentenceLine {
        kind: sentence.kind.word(),
        system,
        at: sentence.at,
        part: sentence.part.word(),
        severity: sentence.severity,
        words: sentence.words.to_string(),
        events: &sentence.events,
    }
}

/// What the text is about: "Friday 20 November 18:00 to Saturday 21 November 02:57".
fn heading(told: &Today, zone: &TimeZone) -> String {
    let (from, until) = (told.from.zoned(zone), told.until.zoned(zone));
    let day = "%A %-d %B, %H:%M";
    let end = if from.date() == until.date() { "%H:%M" } else { day };
    format!("{} to {}", from.strftime(day), until.strftime(end))
}

fn plain(out: &mut Output, told: &Today, zone: &TimeZone) -> Result<(), Failure> {
    out.toned(&[(Tone::Muted, &heading(told, zone))])?;
    let summary: Vec<String> = told.summary.iter().map(|sentence| sentence.words.to_string()).collect();
    out.toned(&[(Tone::Strong, &summary.join(" "))])?;
    for caveat in &told.caveats {
        out.toned(&[(Tone::Stale, "But: "), (Tone::Plain, caveat)])?;
    }
    for section in &told.sections {
        out.line("")?;
        let title = if section.title.is_empty() { String::new() } else { format!("  {}", section.title) };
        out.toned(&[(Tone::Strong, &section.name), (Tone::Muted, &title)])?;
        for (part, sentences) in parts(section) {
            out.toned(&[(Tone::Muted, &format!("  {}", part_words(told, part)))])?;
            for sentence in sentences {
                let (mark, tone) = mark(sentence);
                let when = if sentence.when.is_empty() || sentence.kind == SentenceKind::Usual { String::new() } else { format!("{} ", sentence.when) };
                out.toned(&[(Tone::Plain, "    "), (tone, mark), (Tone::Muted, &format!(" {when}")), (Tone::Plain, &sentence.words.to_string())])?;
            }
        }
    }
    Ok(())
}

/// Sentences of the same part of the day, which stand together.
fn parts(section: &Section) -> Vec<(Option<Part>, Vec<&Sentence>)> {
    let mut out: Vec<(Option<Part>, Vec<&Sentence>)> = Vec::new();
    for sentence in &section.sentences {
        let part = (sentence.kind != SentenceKind::Usual).then_some(sentence.part);
        match out.last_mut() {
            Some((last, sentences)) if *last == part => sentences.push(sentence),
            _ => out.push((part, vec![sentence])),
        }
    }
    out
}

fn part_words(told: &Today, part: Option<Part>) -> String {
    part.map_or_else(|| "as usual".to_owned(), |part| part.words(told.from, told.until))
}

const fn mark(sentence: &Sentence) -> (&'static str, Tone) {
    match sentence.kind {
        SentenceKind::StillOpen => ("!", Tone::Severity(sentence.severity)),
        SentenceKind::Over => ("+", Tone::Fine),
        SentenceKind::Odd => ("?", Tone::Stale),
        SentenceKind::Said => ("\"", Tone::Severity(sentence.severity)),
        SentenceKind::Changed => ("~", Tone::Plain),
        SentenceKind::Did => ("-", Tone::Plain),
        SentenceKind::Usual | SentenceKind::Summary => ("=", Tone::Muted),
    }
}

fn markdown(told: &Today, zone: &TimeZone) -> Vec<String> {
    let mut out = vec![format!("# {}", heading(told, zone)), String::new()];
    out.push(told.summary.iter().map(|sentence| marked(&sentence.words)).collect::<Vec<_>>().join(" "));
    out.extend(told.caveats.iter().flat_map(|caveat| [String::new(), format!("> {}", escaped(caveat))]));
    for section in &told.sections {
        out.extend([
            String::new(),
            if section.title.is_empty() {
                format!("## {}", escaped(&section.name))
            } else {
                format!("## {} – {}", escaped(&section.name), escaped(&section.title))
            },
        ]);
        for (part, sentences) in parts(section) {
            out.extend([String::new(), format!("*{}*", part_words(told, part)), String::new()]);
            out.extend(sentences.into_iter().map(|sentence| {
                let when = if sentence.when.is_empty() || sentence.kind == SentenceKind::Usual { String::new() } else { format!("**{}** ", sentence.when) };
                format!("- {when}{}", marked(&sentence.words))
            }));
        }
    }
    out
}

/// Our words as they are, those from outside escaped.
fn marked(words: &Words) -> String {
    words.0.iter().map(|piece| if let Piece::Outside(text) = piece { escaped(text) } else { piece.to_string() }).collect()
}

/// Text that means nothing in Markdown or HTML: a backslash before each of ASCII's punctuation (CommonMark, 2.4).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean_line(text).chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | ':' | ';' | '?' | '%' | '/' | '\'' | '"' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_no_markup() {
        let words = Words::new().outside("**disk** <b>[x](http://evil)</b> | `rm` \u{1b}[31m\n# big").text(", still open.");
        assert_eq!(marked(&words), "\\*\\*disk\\*\\* \\<b\\>\\[x\\]\\(http://evil\\)\\</b\\> \\| \\`rm\\` ↵\\# big, still open.");
    }
}
