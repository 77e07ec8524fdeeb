//! How bad a log line says that it is: from the word where levels stand, or from what it tells.

use crate::model::severity::Severity;

/// A level that stands as one (`WARN`, `[error]`, `level=info`, `ERROR:`) counts first, from the left;
/// else the worst of the words that speak of trouble.
pub fn of_text(text: &[u8]) -> Severity {
    let text = text.get(..text.len().min(256)).unwrap_or(text);
    let mut told: Option<Severity> = None;
    let mut at = 0;
    let mut words = 0;
    while let Some(skip) = text.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_alphabetic)) {
        let start = at + skip;
        let rest = text.get(start..).unwrap_or(&[]);
        let length = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or(&[]);
        at = start + length;
        words += 1;
        if !(3..=9).contains(&length) {
            continue;
        }
        let mut lower = [0_u8; 9];
        for (to, from) in lower.iter_mut().zip(word) {
            *to = *from | 32;
        }
        let Some((severity, is_level)) = lower.get(..length).and_then(known) else { continue };
        let before = start.checked_sub(1).and_then(|i| text.get(i)).copied().unwrap_or(b' ');
        let after = text.get(at).copied().unwrap_or(b' ');
        let shouted = word.iter().all(u8::is_ascii_uppercase) && words <= 12;
        // A part of a name: `error-budget`, `x_info`, `warn2`.
        if (matches!(before, b'_' | b'-' | b'.' | b'/' | b'0'..=b'9') && !(shouted && before == b'.'))
            || matches!(after, b'_' | b'-' | b'/' | b'0'..=b'9' | b'=' | b'(')
        {
            continue;
        }
        let marked =
            matches!(before, b'[' | b'<' | b'=' | b':' | b'|' | b'"') || (matches!(after, b']' | b'>' | b'|') && words <= 12) || (after == b':' && words <= 6);
        if is_level && (shouted || marked) {
            return severity;
        }
        if severity >= Severity::Warning {
            told = told.max(Some(severity));
        }
    }
    told.unwrap_or(Severity::Info)
}

/// The severity of a lower-case word, and whether it is a level's name.
fn known(word: &[u8]) -> Option<(Severity, bool)> {
    Some(match word {
        b"trace" | b"debug" | b"verbose" | b"dbg" | b"trc" | b"finest" => (Severity::Debug, true),
        b"info" | b"notice" | b"inf" | b"log" => (Severity::Info, true),
        b"warn" | b"warning" | b"wrn" => (Severity::Warning, true),
        b"error" | b"err" | b"severe" => (Severity::Error, true),
        b"critical" | b"crit" | b"fatal" | b"emerg" | b"emergency" | b"panic" => (Severity::Critical, true),
        b"failed" | b"failure" | b"errors" | b"exception" | b"traceback" => (Severity::Error, false),
        _ => return None,
    })
}

/// The severity within a syslog priority.
pub fn of_priority(priority: u32) -> Severity {
    match priority % 8 {
        0..=2 => Severity::Critical,
        3 => Severity::Error,
        4 => Severity::Warning,
        5 | 6 => Severity::Info,
        _ => Severity::Debug,
    }
}

/// A level as a field of its own: a word, syslog's 0 to 7, or 10 to 60 as bunyan and pino have it.
pub fn of_field(value: &[u8]) -> Option<Severity> {
    let value = std::str::from_utf8(value).ok()?.trim();
    match value.parse::<u32>() {
        Ok(number @ 0..=7) => Some(of_priority(number)),
        Ok(0..=29) => Some(Severity::Debug),
        Ok(30..=39) => Some(Severity::Info),
        Ok(40..=49) => Some(Severity::Warning),
        Ok(50..=59) => Some(Severity::Error),
        Ok(60..=100) => Some(Severity::Critical),
        Ok(_) => None,
        Err(_) => Severity::from_word(value),
    }
}

/// `E` of klog.
pub fn of_letter(letter: u8) -> Option<Severity> {
    Some(match letter {
        b'I' => Severity::Info,
        b'W' => Severity::Warning,
        b'E' => Severity::Error,
        b'F' => Severity::Critical,
        _ => return None,
    })
}

/// The status of a request in the common log format: `"GET / HTTP/1.1" 503`.
pub fn of_request(text: &[u8]) -> Severity {
    let status = memchr::memmem::find_iter(text, b"\" ").find_map(|at| text.get(at + 2..at + 5).filter(|s| s.iter().all(u8::is_ascii_digit)));
    match status.and_then(<[u8]>::first) {
        Some(b'5') => Severity::Error,
        Some(b'4') => Severity::Warning,
        _ => Severity::Info,
    }
}
