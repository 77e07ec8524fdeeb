//! Time stamps in bytes: the parsers that a million lines pass through, written by hand.
//!
//! Each takes a line from where its stamp begins and answers with the time and where the stamp ends, or
//! nothing. jiff is asked only for what zones do, and remembered by the quarter of an hour; the tests
//! hold every parser against jiff.

use jiff::civil;
use jiff::tz::TimeZone;

use crate::model::time::Time;

/// A stamp that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// Where the stamp ends, in bytes of the line.
    pub end: usize,
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What stamps alone do not say: the zone of those without one, the year of those without one.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    /// Nothing was written later than this, give or take a day: the file's own time.
    latest: Time,
    /// The quarter of an hour that was asked for last, and its offset, if one holds in all of it.
    quarter: i64,
    offset: i64,
}

impl Zone {
    pub fn new(zone: TimeZone, latest: Time) -> Zone {
        Zone { zone, latest, quarter: i64::MIN, offset: 0 }
    }

    /// A file that grows is written now.
    pub fn moved_on(&mut self, latest: Time) {
        self.latest = self.latest.max(latest);
    }

    pub fn latest(&self) -> Time {
        self.latest
    }

    /// From microseconds on the wall clock to microseconds since 1970.
    fn utc(&mut self, local: i64) -> i64 {
        const QUARTER: i64 = 900 * SECOND;
        let quarter = local.div_euclid(QUARTER);
        if quarter == self.quarter {
            return local - self.offset;
        }
        let start = self.ask(quarter * QUARTER);
        if start == self.ask(quarter * QUARTER + QUARTER - SECOND) {
            (self.quarter, self.offset) = (quarter, start);
            return local - start;
        }
        local - self.ask(local)
    }

    /// The offset at a time on the wall clock.
    fn ask(&self, local: i64) -> i64 {
        let wall = Time::from_micros(local).timestamp().to_zoned(TimeZone::UTC).datetime();
        match self.zone.to_ambiguous_timestamp(wall).compatible() {
            Ok(timestamp) => local - timestamp.as_microsecond().div_euclid(SECOND) * SECOND - local.rem_euclid(SECOND),
            Err(_) => 0,
        }
    }
}

/// Days since 1970 of a date in the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_has(year: i64, month: i64, day: i64) -> bool {
    let most = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=most).contains(&day)
}

#[inline]
fn two(a: u8, b: u8) -> Option<i64> {
    let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    (a < 10 && b < 10).then(|| i64::from(a) * 10 + i64::from(b))
}

/// Microseconds within a day; a leap second is the one before it, again.
#[inline]
fn clock(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second <= 60).then(|| (hour * 3_600 + minute * 60 + second.min(59)) * SECOND)
}

/// `.123456` or `,123`: microseconds, and how long it is. Digits beyond the sixth are passed over.
#[inline]
fn fraction(text: &[u8]) -> (i64, usize) {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return (0, 0);
    };
    let (mut micros, mut scale, mut length) = (0_i64, 100_000_i64, 0_usize);
    for byte in digits.iter().take(12) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        micros += i64::from(digit) * scale;
        scale /= 10;
        length += 1;
    }
    if length == 0 { (0, 0) } else { (micros, length + 1) }
}

/// `Z`, `+01:00`, `-0330`, `+01`, ` UTC`, ` +0100`: the offset and its length.
#[inline]
fn offset(text: &[u8]) -> Option<(i64, usize)> {
    match text {
        [b'Z' | b'z', ..] => Some((0, 1)),
        [b' ', b'Z', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_alphanumeric) => Some((0, 2)),
        [b' ', b'U', b'T', b'C', ..] | [b' ', b'G', b'M', b'T', ..] => Some((0, 4)),
        [b'U', b'T', b'C', ..] => Some((0, 3)),
        [b' ', sign @ (b'+' | b'-'), rest @ ..] if rest.get(..4).is_some_and(|r| r.iter().all(u8::is_ascii_digit)) => {
            signed(*sign, rest).map(|(o, n)| (o, n + 2))
        }
        [sign @ (b'+' | b'-'), rest @ ..] => signed(*sign, rest).map(|(o, n)| (o, n + 1)),
        _ => None,
    }
}

fn signed(sign: u8, text: &[u8]) -> Option<(i64, usize)> {
    let [h0, h1, ..] = text else { return None };
    let hours = two(*h0, *h1)?;
    let (minutes, length) = match text {
        [_, _, b':', m0, m1, ..] => (two(*m0, *m1)?, 5),
        [_, _, m0, m1, ..] if m0.is_ascii_digit() => (two(*m0, *m1)?, 4),
        _ => (0, 2),
    };
    let offset = (hours * 60 + minutes) * 60 * SECOND;
    (hours <= 25 && minutes < 60).then_some((if sign == b'-' { -offset } else { offset }, length))
}

/// RFC 3339, ISO 8601 with `T`, a space or `_` between, `-` or `/` in the date, `.` or `,` before the
/// fraction, with or without a zone.
#[inline]
pub fn iso(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let &[y0, y1, y2, y3, dash, m0, m1, dash2, d0, d1, between, h0, h1, colon, i0, i1, colon2, s0, s1] = text.first_chunk::<19>()?;
    if !matches!(dash, b'-' | b'/') || dash2 != dash || !matches!(between, b'T' | b't' | b' ' | b'_') || colon != b':' || colon2 != b':' {
        return None;
    }
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    if !month_has(year, month, day) {
        return None;
    }
    let local = days(year, month, day) * DAY + clock(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?)?;
    let rest = text.get(19..)?;
    let (micros, length) = fraction(rest);
    finish(local + micros, text, 19 + length, zone)
}

fn finish(local: i64, text: &[u8], end: usize, zone: &mut Zone) -> Option<Stamp> {
    match offset(text.get(end..)?) {
        Some((offset, length)) => Some(Stamp { at: local - offset, end: end + length }),
        None => Some(Stamp { at: zone.utc(local), end }),
    }
}

fn month(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8; 3]; 12] = [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let &[a, b, c] = name.first_chunk::<3>()?;
    let name = [a | 32, b | 32, c | 32];
    NAMES.iter().position(|known| **known == name).and_then(|at| i64::try_from(at + 1).ok())
}

/// `Nov 21 02:57:00`, `Nov  1 …`; the year is the latest in which this was not after the file's time.
#[inline]
pub fn syslog(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let &[_, _, _, space, d0, d1, space2, h0, h1, colon, i0, i1, colon2, s0, s1] = text.first_chunk::<15>()?;
    if space != b' ' || space2 != b' ' || colon != b':' || colon2 != b':' {
        return None;
    }
    let month = month(text)?;
    let day = two(if d0 == b' ' { b'0' } else { d0 }, d1)?;
    let clock = clock(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?)?;
    let (micros, length) = fraction(text.get(15..)?);
    Some(Stamp { at: in_year(month, day, clock + micros, zone)?, end: 15 + length })
}

/// The latest year in which this day and time is no more than a day after the file's own time.
fn in_year(month: i64, day: i64, clock: i64, zone: &mut Zone) -> Option<i64> {
    let latest = zone.latest.micros() + DAY;
    // Years of the Gregorian calendar have 365.2425 days.
    let this = 1970 + latest.div_euclid(DAY) * 10_000 / 3_652_425;
    for year in (this - 8..=this + 1).rev() {
        if month_has(year, month, day) {
            let at = zone.utc(days(year, month, day) * DAY + clock);
            if at <= latest {
                return Some(at);
            }
        }
    }
    None
}

/// `1121 02:57:00.123456` of klog, `20261121 02:57:00.123456` of glog, behind the letter.
pub fn klog(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let (year, skip) = match text {
        [a, b, c, d, m0, _, _, _, b' ', ..] if m0.is_ascii_digit() => (Some(two(*a, *b)? * 100 + two(*c, *d)?), 4),
        _ => (None, 0),
    };
    let &[m0, m1, d0, d1, space, h0, h1, colon, i0, i1, colon2, s0, s1, _] = text.get(skip..)?.first_chunk::<14>()?;
    if space != b' ' || colon != b':' || colon2 != b':' {
        return None;
    }
    let (month, day, clock) = (two(m0, m1)?, two(d0, d1)?, clock(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?)?);
    let (micros, length) = fraction(text.get(skip + 13..)?);
    let at = match year {
        Some(year) if month_has(year, month, day) => zone.utc(days(year, month, day) * DAY + clock + micros),
        Some(_) => return None,
        None => in_year(month, day, clock + micros, zone)?,
    };
    Some(Stamp { at, end: skip + 13 + length })
}

/// `21/Nov/2026:02:57:00 +0100` of the common log format, behind the bracket.
#[inline]
pub fn clf(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let &[d0, d1, slash, _, _, _, slash2, y0, y1, y2, y3, colon, h0, h1, _, i0, i1, _, s0, s1] = text.first_chunk::<20>()?;
    if slash != b'/' || slash2 != b'/' || colon != b':' {
        return None;
    }
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, month(text.get(3..)?)?, two(d0, d1)?);
    if !month_has(year, month, day) {
        return None;
    }
    let local = days(year, month, day) * DAY + clock(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?)?;
    finish(local, text, 20, zone)
}

/// `Sat Nov 21 02:57:00.123456 2026`, as asctime and Apache's error log have it.
pub fn ctime(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let &[_, _, _, b' ', _, _, _, b' ', d0, d1, b' ', h0, h1, b':', i0, i1, b':', s0, s1, _] = text.first_chunk::<20>()? else {
        return None;
    };
    let month = month(text.get(4..)?)?;
    let day = two(if d0 == b' ' { b'0' } else { d0 }, d1)?;
    let clock = clock(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?)?;
    let (micros, length) = fraction(text.get(19..)?);
    let &[b' ', y0, y1, y2, y3] = text.get(19 + length..)?.first_chunk::<5>()? else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let at = month_has(year, month, day).then(|| days(year, month, day) * DAY + clock + micros)?;
    Some(Stamp { at: zone.utc(at), end: 24 + length })
}

/// Seconds, milli-, micro- or nanoseconds since 1970, told apart by how many digits there are; from
/// 2001 on, so that other numbers are not taken for times.
#[inline]
pub fn epoch(text: &[u8]) -> Option<Stamp> {
    let mut number = 0_i64;
    let mut digits = 0_usize;
    for byte in text.iter().take(20) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.checked_mul(10)?.checked_add(i64::from(digit))?;
        digits += 1;
    }
    let at = match digits {
        10 => {
            let (micros, length) = fraction(text.get(10..)?);
            return (number < 4_102_444_800).then(|| Stamp { at: number * SECOND + micros, end: 10 + length }).filter(|stamp| ended(text, stamp.end));
        }
        13 => number * 1_000,
        16 => number,
        19 => number / 1_000,
        _ => return None,
    };
    (at < 4_102_444_800 * SECOND && ended(text, digits)).then_some(Stamp { at, end: digits })
}

/// Whether no word or number goes on here.
fn ended(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// Any of the forms that a field of its own may have: in JSON, in logfmt.
pub fn any(text: &[u8], zone: &mut Zone) -> Option<Stamp> {
    iso(text, zone).or_else(|| epoch(text)).or_else(|| clf(text, zone)).or_else(|| ctime(text, zone)).or_else(|| slow(text))
}

/// RFC 2822 and what else jiff reads; for rare formats alone.
fn slow(text: &[u8]) -> Option<Stamp> {
    let text = std::str::from_utf8(text.get(..text.len().min(48))?).ok()?;
    let timestamp = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?,
    };
    Some(Stamp { at: Time::from(timestamp).micros(), end: text.len() })
}

/// The wall clock's reading as a time stamp for people.
pub fn wall(at: Time, zone: &TimeZone) -> civil::DateTime {
    at.zoned(zone).datetime()
}
