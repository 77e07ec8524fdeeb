//! JSON lines without building values: the top level's keys and raw values, in one pass.
//!
//! What is not JSON after all gives fewer fields, never a panic; who needs certainty parses.

use std::borrow::Cow;
use std::ops::ControlFlow;

/// Visits the top level: each key without its quotes, each value as it stands.
pub fn fields<'a>(line: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8]) -> ControlFlow<()>) {
    let mut at = match line.iter().position(|b| !b.is_ascii_whitespace()) {
        Some(at) if line.get(at) == Some(&b'{') => at + 1,
        _ => return,
    };
    loop {
        let Some(quote) = skip(line, at, |b| b.is_ascii_whitespace() || b == b',') else { return };
        if line.get(quote) != Some(&b'"') {
            return;
        }
        let Some(end) = string_end(line, quote) else { return };
        let Some(colon) = skip(line, end, |b| b.is_ascii_whitespace()).filter(|at| line.get(*at) == Some(&b':')) else { return };
        let Some(start) = skip(line, colon + 1, |b| b.is_ascii_whitespace()) else { return };
        let Some(stop) = value_end(line, start) else { return };
        let (Some(key), Some(value)) = (line.get(quote + 1..end - 1), line.get(start..stop)) else { return };
        if visit(key, value).is_break() {
            return;
        }
        at = stop;
    }
}

/// The raw value of one key.
pub fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    fields(line, |key, value| {
        if key == name {
            found = Some(value);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}

fn skip(line: &[u8], from: usize, over: impl Fn(u8) -> bool) -> Option<usize> {
    line.get(from..)?.iter().position(|b| !over(*b)).map(|at| from + at)
}

/// The place behind the closing quote of the string that opens at `quote`.
fn string_end(line: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', line.get(at..)?)?;
        if line.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn value_end(line: &[u8], start: usize) -> Option<usize> {
    match line.get(start)? {
        b'"' => string_end(line, start),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = start;
            loop {
                match line.get(at)? {
                    b'"' => {
                        at = string_end(line, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let rest = line.get(start..)?;
            let length = rest.iter().position(|b| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace()).unwrap_or(rest.len());
            (length > 0).then_some(start + length)
        }
    }
}

/// A value's text: a string without quotes and escapes, anything else as it stands.
pub fn text(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) else {
        return Cow::Borrowed(value);
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    match serde_json::from_slice::<String>(value) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(inner),
    }
}

/// Whether a word stands in JSON as it is: nothing in it is ever escaped by those who write JSON.
pub fn stands_as_is(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'/' | b'<' | b'>' | b'&' | b'\'' | b'+' | b'=') || b == b' ')
}
