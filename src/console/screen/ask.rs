//! What we ask of a terminal beside drawing: put text on the clipboard, tell somebody something.
//!
//! These are the only sequences that carry text to the terminal's own commands. The clipboard gets it in
//! Base64; a notice is cleaned and cut, and no character that could end or split its sequence is left.

use crate::console::notice::Wishes;
use crate::model::clean::clean_line;

/// What stands between us and the terminal, and must be told to pass sequences on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Between {
    #[default]
    Nothing,
    Tmux,
    Screen,
}

impl Between {
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Between {
        if var("TMUX").is_some() {
            Between::Tmux
        } else if var("STY").is_some() {
            Between::Screen
        } else {
            Between::Nothing
        }
    }

    fn pass(self, sequence: &str) -> String {
        match self {
            Between::Nothing => sequence.to_owned(),
            Between::Tmux => format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
            // screen takes some 768 bytes at a time, and joins what follows at once.
            Between::Screen => {
                let chars: Vec<char> = sequence.chars().collect();
                chars.chunks(250).map(|part| format!("\x1bP{}\x1b\\", part.iter().collect::<String>())).collect()
            }
        }
    }
}

/// Terminals cut longer texts, or refuse them.
const LONGEST_COPY: usize = 74_000;

/// Puts text on the clipboard (OSC 52), or says how much too long it is.
pub fn copy(text: &str, between: Between) -> Result<String, String> {
    if text.len() > LONGEST_COPY {
        return Err(format!("{} bytes are more than the {LONGEST_COPY} that terminals put on the clipboard; export them instead", text.len()));
    }
    let sequence = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    Ok(match between {
        // tmux may take it for its own buffers, and may pass it on: either helps.
        Between::Tmux => format!("{sequence}{}", between.pass(&sequence)),
        Between::Nothing | Between::Screen => between.pass(&sequence),
    })
}

/// What somebody is told by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ways {
    pub bell: bool,
    pub osc9: bool,
    pub osc777: bool,
}

impl Ways {
    /// As somebody wishes. Of the two kinds of notices many terminals know both, and would show it twice: without a
    /// wish it is OSC 777 where that is the one that is known (rxvt, VTE), else OSC 9.
    pub fn of(wishes: &Wishes, var: impl Fn(&str) -> Option<String>) -> Ways {
        let term = var("TERM").unwrap_or_default();
        let seven = var("VTE_VERSION").is_some() || term.starts_with("rxvt") || term.starts_with("contour");
        Ways { bell: wishes.bell, osc9: wishes.osc9.unwrap_or(!seven), osc777: wishes.osc777.unwrap_or(seven) }
    }
}

/// A notice on the desktop, and the bell.
pub fn notify(title: &str, text: &str, ways: Ways, between: Between) -> String {
    let harmless = |text: &str, most: usize| -> String { clean_line(text).chars().map(|c| if c == ';' { ',' } else { c }).take(most).collect() };
    let (title, text) = (harmless(title, 60), harmless(text, 200));
    let mut out = String::new();
    if ways.osc777 {
        out.push_str(&between.pass(&format!("\x1b]777;notify;{title};{text}\x07")));
    }
    if ways.osc9 {
        // ConEmu gives numbers at the start another meaning.
        out.push_str(&between.pass(&format!("\x1b]9;{title}: {text}\x07")));
    }
    if ways.bell {
        out.push('\x07');
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18u32, 12, 6, 0].into_iter().enumerate() {
            let letter = usize::try_from(word >> shift & 63).ok().and_then(|index| LETTERS.get(index)).copied().unwrap_or(b'=');
            out.push(if at > part.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        assert_eq!(["", "f", "fo", "foo", "foobar"].map(|text| base64(text.as_bytes())), ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]);
    }

    #[test]
    fn copies_pass_what_is_between() {
        assert_eq!(copy("foo", Between::Nothing).unwrap(), "\x1b]52;c;Zm9v\x07");
        assert_eq!(copy("foo", Between::Tmux).unwrap(), "\x1b]52;c;Zm9v\x07\x1bPtmux;\x1b\x1b]52;c;Zm9v\x07\x1b\\");
        assert!(copy(&"x".repeat(80_000), Between::Nothing).unwrap_err().contains("export"));
        let long = copy(&"x".repeat(900), Between::Screen).unwrap();
        assert!(long.split("\x1b\\").all(|part| part.len() < 300));
    }

    const ALL: Ways = Ways { bell: true, osc9: true, osc777: true };

    #[test]
    fn each_way_can_be_switched_off_and_none_is_used_twice() {
        let ways = |wishes: &Wishes, term: &str, vte: bool| {
            let ways = Ways::of(wishes, |name| match name {
                "TERM" => Some(term.to_owned()),
                "VTE_VERSION" if vte => Some("7600".to_owned()),
                _ => None,
            });
            notify("midwatch", "x", ways, Between::Nothing)
        };
        assert_eq!(ways(&Wishes::ALL, "xterm-kitty", false), "\x1b]9;midwatch: x\x07\x07", "once, although it knows both");
        assert_eq!(ways(&Wishes::ALL, "xterm-256color", true), "\x1b]777;notify;midwatch;x\x07\x07");
        assert_eq!(ways(&Wishes { bell: false, ..Wishes::ALL }, "rxvt-unicode", false), "\x1b]777;notify;midwatch;x\x07");
        assert_eq!(ways(&Wishes { osc9: Some(false), ..Wishes::ALL }, "foot", false), "\x07");
        assert_eq!(ways(&Wishes::NONE, "foot", true), "");
    }

    #[test]
    fn t5_t6_a_notice_carries_no_sequence() {
        let notice = notify("a\x07b;c", "\x1b]52;c;eA==\x07\u{9c}", ALL, Between::Nothing);
        let controls: Vec<char> = notice.chars().filter(|c| c.is_control()).collect();
        assert_eq!(controls, ['\x1b', '\x07', '\x1b', '\x07', '\x07'], "our own alone");
        assert!(notice.starts_with("\x1b]777;notify;a␇b,c;␛]52,c,eA==␇\u{fffd}\x07"), "{notice:?}");
        assert!(notify("t", &"x".repeat(9_999), ALL, Between::Nothing).len() < 700);
    }
}
