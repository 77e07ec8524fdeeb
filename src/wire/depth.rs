//! Counts how deep a frame is nested before anything parses it, without recursion: the depth limits of
//! parsers have been evaded, and a stack that overflows takes the whole process along.

use super::codec::WireError;

/// Messages: envelope, message, list, item, and what an event or world nests.
pub const MESSAGE: usize = 32;
/// One event: its data may nest what an intake was given.
pub const EVENT: usize = 24;

/// Refuses MessagePack that is nested deeper than `most`, that ends early, or that has something behind
/// its one value. Strings and binaries are skipped, not looked into.
pub fn check_messagepack(bytes: &[u8], most: usize) -> Result<(), WireError> {
    let end = skip(bytes, 0, most)?;
    if end == bytes.len() { Ok(()) } else { Err(WireError::Malformed(format!("{} bytes behind the message", bytes.len().saturating_sub(end)))) }
}

/// Where the value that starts at `start` ends.
pub(super) fn skip(bytes: &[u8], start: usize, most: usize) -> Result<usize, WireError> {
    // How many values are still to come on each level. Bounded by `most`.
    // Most values that are skipped hold no others: then nothing is allocated.
    let mut open: Vec<u64> = Vec::new();
    let mut at = start;
    loop {
        let marker = *bytes.get(at).ok_or_else(short)?;
        at += 1;
        let children = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            0x80..=0x8f => u64::from(marker & 0x0f) * 2,
            0x90..=0x9f => u64::from(marker & 0x0f),
            0xa0..=0xbf => pass(bytes, &mut at, u64::from(marker & 0x1f))?,
            0xcc | 0xd0 => pass(bytes, &mut at, 1)?,
            0xcd | 0xd1 => pass(bytes, &mut at, 2)?,
            0xca | 0xce | 0xd2 => pass(bytes, &mut at, 4)?,
            0xcb | 0xcf | 0xd3 => pass(bytes, &mut at, 8)?,
            // Extensions: a type byte, then 1, 2, 4, 8 or 16 bytes.
            0xd4..=0xd8 => pass(bytes, &mut at, 1 + (1 << (marker - 0xd4)))?,
            0xc4 | 0xd9 => lengthy(bytes, &mut at, 1, 0)?,
            0xc5 | 0xda => lengthy(bytes, &mut at, 2, 0)?,
            0xc6 | 0xdb => lengthy(bytes, &mut at, 4, 0)?,
            0xc7 => lengthy(bytes, &mut at, 1, 1)?,
            0xc8 => lengthy(bytes, &mut at, 2, 1)?,
            0xc9 => lengthy(bytes, &mut at, 4, 1)?,
            0xdc => number(bytes, &mut at, 2)?,
            0xdd => number(bytes, &mut at, 4)?,
            0xde => number(bytes, &mut at, 2)? * 2,
            0xdf => number(bytes, &mut at, 4)? * 2,
            0xc1 => return Err(WireError::Malformed("the byte c1 is no MessagePack".into())),
        };
        if children > 0 {
            // Each child takes a byte at least: a count beyond what is left is a lie.
            if children > u64::try_from(bytes.len().saturating_sub(at)).unwrap_or(u64::MAX) {
                return Err(short());
            }
            if open.len() >= most {
                return Err(WireError::TooDeep(most));
            }
            open.push(children);
            continue;
        }
        loop {
            let Some(left) = open.last_mut() else { return Ok(at) };
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
    }
}

fn short() -> WireError {
    WireError::Malformed("it ends early".into())
}

fn pass(bytes: &[u8], at: &mut usize, length: u64) -> Result<u64, WireError> {
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length)).filter(|end| *end <= bytes.len()).ok_or_else(short)?;
    *at = end;
    Ok(0)
}

fn lengthy(bytes: &[u8], at: &mut usize, width: usize, more: u64) -> Result<u64, WireError> {
    let length = number(bytes, at, width)?;
    pass(bytes, at, length + more)
}

/// A big-endian number of `width` bytes.
pub(super) fn number(bytes: &[u8], at: &mut usize, width: usize) -> Result<u64, WireError> {
    let end = at.checked_add(width).ok_or_else(short)?;
    let digits = bytes.get(*at..end).ok_or_else(short)?;
    *at = end;
    Ok(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

/// Refuses JSON that is nested deeper than `most`. What is no JSON at all is left to the parser.
pub fn check_json(text: &str, most: usize) -> Result<(), WireError> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return Err(WireError::TooDeep(most));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
