//! Hyperlinks (OSC 8, <https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>): text that leads
//! somewhere when it is clicked.
//!
//! A cell says which link it belongs to in the bits of its modifier that nothing else uses, so that links
//! scroll, are compared and are painted over like any other look. The number that [`Links`] gives is that of
//! one frame; the screen has numbers of its own, which an address keeps for as long as it is shown.
//!
//! An [`Address`] is the only thing that can stand in the sequence, and nothing that could end it can stand
//! in an address.

use std::fmt::Write;
use std::sync::Arc;

use ratatui::style::Modifier;

/// The bits of a modifier that ratatui leaves free.
const BITS: u16 = 0b1111_1110_0000_0000;
const SHIFT: u32 = 9;
/// All of them.
pub(super) const MASK: Modifier = Modifier::from_bits_retain(BITS);
/// Numbers that the bits can say; 0 is no link.
pub(super) const NUMBERS: usize = 128;
/// Most links of one frame: the screen needs numbers for those of two.
const MOST: usize = 60;
/// Longer addresses are refused by terminals (VTE's limit is 2,083 bytes).
const LONGEST: usize = 2_000;

/// Which link a cell belongs to; 0: to none.
pub(super) const fn of(modifier: Modifier) -> u8 {
    // Seven bits.
    (modifier.bits() >> SHIFT).to_le_bytes()[0]
}

/// The modifier that says it.
pub(super) fn modifier(number: u8) -> Modifier {
    Modifier::from_bits_retain(u16::from(number) << SHIFT)
}

/// A web or mail address as it may stand in the sequence: printable ASCII, bounded, with a scheme that is
/// safe to click, and showing the host that it leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address(Arc<str>);

impl Address {
    /// From anywhere outside. What is no web or mail address, holds control characters, hides its host
    /// behind a user name, or is too long, is none.
    pub fn new(text: &str) -> Option<Address> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => {
                let host = rest.strip_prefix("//")?.split(['/', '?', '#', '\\']).next()?;
                // What stands before an `@` can only make it look like another host.
                if host.is_empty() || host.contains('@') {
                    return None;
                }
            }
            "mailto" if !rest.is_empty() => {}
            _ => return None,
        }
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return None;
        }
        let mut out = format!("{scheme}:");
        for byte in rest.bytes() {
            match byte {
                // A backslash is a slash to some browsers, and a quote or a bracket ends an address in what is pasted.
                b'\\' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' | b' ' | 0x7f.. | ..0x20 => {
                    // Writing to memory cannot fail.
                    let _ = write!(out, "%{byte:02X}");
                }
                plain => out.push(char::from(plain)),
            }
        }
        (out.len() <= LONGEST).then(|| Address(out.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What opens it. The parts of an address that is wrapped or stands twice have one id, so that the
    /// terminal shows them as one.
    pub(super) fn opening(&self) -> String {
        // FNV-1a: the same in every frame and in every run.
        let id = self.0.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("\x1b]8;id={id:x};{}\x1b\\", self.0)
    }
}

/// What closes every link.
pub(super) const CLOSING: &str = "\x1b]8;;\x1b\\";

/// The links of a frame, as they are painted.
#[derive(Debug, Default)]
pub struct Links {
    addresses: Vec<Address>,
}

impl Links {
    /// What makes text a link to there; nothing when that is no address, or when there are too many.
    pub fn to(&mut self, url: &str) -> Option<Modifier> {
        let address = Address::new(url)?;
        let known = self.addresses.iter().position(|known| *known == address);
        let place = match known {
            Some(place) => place,
            None if self.addresses.len() < MOST => {
                self.addresses.push(address);
                self.addresses.len() - 1
            }
            None => return None,
        };
        u8::try_from(place + 1).ok().map(modifier)
    }
}

/// The screen's own numbers.
#[derive(Debug)]
pub(super) struct Shown {
    addresses: [Option<Address>; NUMBERS],
}

impl Default for Shown {
    fn default() -> Shown {
        Shown { addresses: [const { None }; NUMBERS] }
    }
}

impl Shown {
    /// For each number of the frame the screen's; addresses that are shown already keep theirs.
    pub(super) fn number(&mut self, links: &Links) -> [u8; NUMBERS] {
        let mut numbers = [0; NUMBERS];
        for (address, number) in links.addresses.iter().zip(numbers.iter_mut().skip(1)) {
            let known = self.addresses.iter().position(|known| known.as_ref() == Some(address));
            let free = || self.addresses.iter().skip(1).position(Option::is_none).map(|place| place + 1);
            let Some(place) = known.or_else(free) else { continue };
            if let Some(slot) = self.addresses.get_mut(place) {
                *slot = Some(address.clone());
                *number = u8::try_from(place).unwrap_or(0);
            }
        }
        numbers
    }

    /// Once the frame is drawn, nothing but its own is shown.
    pub(super) fn keep(&mut self, links: &Links) {
        for slot in &mut self.addresses {
            if slot.as_ref().is_some_and(|address| !links.addresses.contains(address)) {
                *slot = None;
            }
        }
    }

    pub(super) fn address(&self, number: u8) -> Option<&Address> {
        self.addresses.get(usize::from(number))?.as_ref()
    }
}

/// Whether a terminal makes links of OSC 8, and how that is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Support {
    pub links: bool,
    pub why: String,
}

/// What the environment says; nothing when it says nothing, and the terminal's name has to.
pub fn by_environment(var: impl Fn(&str) -> Option<String>) -> Option<Support> {
    let some = |links: bool, why: &str| Some(Support { links, why: why.to_owned() });
    let var = |name: &str| var(name).filter(|value| !value.is_empty());
    let term = var("TERM").unwrap_or_default();
    let program = var("TERM_PROGRAM").unwrap_or_default();
    if ["dumb", "linux", "cons", "vt", "ansi"].iter().any(|name| term.starts_with(name)) {
        return some(false, "a terminal of this kind has none");
    }
    if var("TMUX").is_some() {
        let version = (program == "tmux").then(|| var("TERM_PROGRAM_VERSION")).flatten();
        return by_name(&format!("tmux {}", version.unwrap_or_default()));
    }
    if var("STY").is_some() {
        return some(false, "GNU screen does not pass them on");
    }
    if let Some(version) = var("VTE_VERSION").and_then(|version| version.parse::<u32>().ok()) {
        return Some(vte(version));
    }
    if let Some(version) = var("KONSOLE_VERSION").and_then(|version| version.parse::<u32>().ok()) {
        return some(version >= 201_200, "Konsole has them from 20.12 on");
    }
    match program.as_str() {
        "iTerm.app" | "WezTerm" | "vscode" | "ghostty" | "mintty" | "rio" | "contour" => return some(true, &program),
        "Apple_Terminal" => return some(false, "Apple's Terminal has none"),
        _ => {}
    }
    for name in ["KITTY_WINDOW_ID", "WT_SESSION", "ALACRITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR", "WEZTERM_PANE", "DOMTERM"] {
        if var(name).is_some() {
            return some(true, name);
        }
    }
    for name in ["kitty", "foot", "alacritty", "wezterm", "ghostty", "contour", "rio"] {
        if term.split('-').any(|part| part == name) {
            return some(true, &term);
        }
    }
    None
}

/// What its own name says (XTVERSION).
pub fn by_name(name: &str) -> Option<Support> {
    let (program, version) = name.split_once([' ', '(']).unwrap_or((name, ""));
    let numbers: Vec<u32> = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let (major, minor) = (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0));
    let links = match program.to_ascii_lowercase().as_str() {
        "tmux" => {
            let why = "tmux keeps them from 3.4 on";
            return Some(Support { links: (major, minor) >= (3, 4), why: why.to_owned() });
        }
        "vte" => return Some(vte(major)),
        "konsole" => (major, minor) >= (20, 12),
        "kitty" | "foot" | "wezterm" | "iterm2" | "mintty" | "ghostty" | "contour" | "xterm.js" | "rio" | "alacritty" => true,
        "xterm" | "screen" => false,
        _ => return None,
    };
    Some(Support { links, why: program.to_owned() })
}

/// Its versions before 0.50.2 crash on some.
fn vte(version: u32) -> Support {
    Support { links: version >= 5_002, why: "VTE has them from 0.50 on".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Option<String> {
        Address::new(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn t3_t4_what_is_no_address_is_no_link() {
        for good in ["https://wiki.example.org/varnish?a=b&c=d#e", "http://[::1]:9090/graph", "mailto:sam@example.org"] {
            assert_eq!(address(good).as_deref(), Some(good));
        }
        assert_eq!(address("HTTPS://a/b c\"é\\d").as_deref(), Some("https://a/b%20c%22%C3%A9%5Cd"));
        for bad in [
            "",
            "wiki",
            "https:",
            "https://",
            "https:///etc/passwd",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "ssh://host",
            "x-man-page://ls",
            "mailto:",
            "https://trusted.example@evil.example/",
            "https://trusted.example\\@evil.example\x1b]",
            "https://a/\x1b\\",
            "https://a/\x07x",
            "https://a/\u{9c}",
            "https://a/\nb",
        ] {
            assert_eq!(address(bad), None, "{bad:?}");
        }
        assert_eq!(address(&format!("https://a/{}", "x".repeat(LONGEST))), None);
        assert_eq!(address(&format!("https://a/{}", "é".repeat(LONGEST / 3))), None, "too long once it is written out");
    }

    proptest! {
        #[test]
        fn an_address_holds_nothing_that_could_end_it(text in "(https?|mailto|HTTP):(//)?\\PC{0,60}|.{0,80}") {
            if let Some(address) = Address::new(&text) {
                let opening = address.opening();
                prop_assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(opening.matches('\x1b').count(), 2);
                prop_assert!(opening.len() < LONGEST + 20);
            }
        }
    }

    #[test]
    fn a_number_fits_into_what_ratatui_leaves_free() {
        assert!((Modifier::all() & MASK).is_empty(), "ratatui uses these bits now");
        assert!((0..128).all(|number| of(modifier(number) | Modifier::all()) == number));
    }

    #[test]
    fn an_address_keeps_its_number_while_it_is_shown() {
        let frame = |urls: &[&str]| {
            let mut links = Links::default();
            urls.iter().for_each(|url| assert!(links.to(url).is_some()));
            links
        };
        let mut shown = Shown::default();
        let first = frame(&["https://a", "https://b"]);
        assert_eq!(shown.number(&first)[1..4], [1, 2, 0]);
        shown.keep(&first);
        let second = frame(&["https://c", "https://b"]);
        assert_eq!(shown.number(&second)[1..4], [3, 2, 0], "what a shows is not c's while both may be on the screen");
        shown.keep(&second);
        assert_eq!(shown.number(&frame(&["https://d"]))[1..3], [1, 0]);
        let mut many = Links::default();
        let numbered = (0..200).filter(|n| many.to(&format!("https://host{n}")).is_some()).count();
        assert_eq!(numbered, MOST);
    }

    #[test]
    fn terminals_are_known_by_their_environment_or_their_name() {
        let by =
            |pairs: &[(&str, &str)]| by_environment(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).map(|support| support.links);
        assert_eq!(by(&[("TERM", "xterm-256color")]), None, "that is what most call themselves");
        assert_eq!(by(&[("TERM", "xterm-kitty")]), Some(true));
        assert_eq!(by(&[("TERM", "foot")]), Some(true));
        assert_eq!(by(&[("TERM", "linux")]), Some(false));
        assert_eq!(by(&[("TERM", "xterm-256color"), ("VTE_VERSION", "7200")]), Some(true));
        assert_eq!(by(&[("TERM", "xterm-256color"), ("VTE_VERSION", "4205")]), Some(false));
        assert_eq!(by(&[("TERM", "screen"), ("STY", "1.x"), ("VTE_VERSION", "7200")]), Some(false));
        let tmux =
            |version| by(&[("TERM", "tmux-256color"), ("TMUX", "x"), ("TERM_PROGRAM", "tmux"), ("TERM_PROGRAM_VERSION", version), ("VTE_VERSION", "7200")]);
        assert_eq!((tmux("3.3a"), tmux("3.4"), tmux("next-3.6"), tmux("")), (Some(false), Some(true), Some(true), Some(false)));
        let name = |name| by_name(name).map(|support| support.links);
        for (said, links) in [
            ("foot(1.16.2)", Some(true)),
            ("WezTerm 20240203", Some(true)),
            ("VTE(7600)", Some(true)),
            ("Konsole 20.8", Some(false)),
            ("tmux 3.3a", Some(false)),
        ] {
            assert_eq!(name(said), links, "{said}");
        }
        assert_eq!((name("XTerm(390)"), name("SomethingNew 1"), name("")), (Some(false), None, None));
    }
}
