//! Colours: how many the terminal has, the nearest of those, and how well two can be told apart.

use ratatui::style::{Color, Style};

/// How many colours the terminal shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Depth {
    /// `NO_COLOR`: attributes alone.
    None,
    /// The 16 that the terminal calls its own.
    Sixteen,
    /// xterm's cube.
    Indexed,
    True,
}

impl Depth {
    /// From the environment's `NO_COLOR` (<https://no-color.org>), `COLORTERM` and `TERM`.
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Depth {
        let term = var("TERM").unwrap_or_default();
        if var("NO_COLOR").is_some_and(|v| !v.is_empty()) || matches!(term.as_str(), "dumb" | "vt100" | "vt220") {
            return Depth::None;
        }
        // GNU screen before 5 takes the parts of a 24-bit colour for attributes, whatever the terminal around can
        // (COLORTERM is that one's); 256 it brings down by itself. tmux calls itself screen too.
        if var("STY").is_some() || (term.starts_with("screen") && var("TMUX").is_none()) {
            return Depth::Indexed;
        }
        if var("COLORTERM").is_some_and(|v| v == "truecolor" || v == "24bit") || term.ends_with("-direct") {
            return Depth::True;
        }
        if ["kitty", "ghostty", "alacritty", "foot", "wezterm"].iter().any(|name| term.contains(name)) {
            return Depth::True;
        }
        if term.contains("256color") { Depth::Indexed } else { Depth::Sixteen }
    }
}

/// The style in colours that the terminal has.
pub fn lower(style: Style, depth: Depth) -> Style {
    Style { fg: style.fg.and_then(|c| lower_colour(c, depth)), bg: style.bg.and_then(|c| lower_background(c, depth)), ..style }
}

/// With 16 colours, a background that is nearly black or white is left to the terminal: its own 16 are
/// unknown to us, and a grey bar may swallow the text on it.
fn lower_background(colour: Color, depth: Depth) -> Option<Color> {
    match (colour, depth) {
        (Color::Rgb(r, g, b), Depth::Sixteen) if spread(r, g, b) < 64 => None,
        _ => lower_colour(colour, depth),
    }
}

fn spread(r: u8, g: u8, b: u8) -> u8 {
    r.max(g).max(b).saturating_sub(r.min(g).min(b))
}

fn lower_colour(colour: Color, depth: Depth) -> Option<Color> {
    match (colour, depth) {
        (_, Depth::None) => None,
        (Color::Rgb(r, g, b), Depth::Indexed) => Some(Color::Indexed(nearest_indexed(r, g, b))),
        (Color::Rgb(r, g, b), Depth::Sixteen) => nearest_of_sixteen(r, g, b),
        (other, _) => Some(other),
    }
}

const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of xterm's cube (16 to 231) and grey ramp (232 to 255).
fn nearest_indexed(r: u8, g: u8, b: u8) -> u8 {
    let mut best = (u32::MAX, 16u8);
    for index in 16u8..=255 {
        let (cr, cg, cb) = indexed(index);
        let far = distance((r, g, b), (cr, cg, cb));
        if far < best.0 {
            best = (far, index);
        }
    }
    best.1
}

/// What an index from 16 up looks like.
fn indexed(index: u8) -> (u8, u8, u8) {
    match index.checked_sub(232) {
        Some(grey) => {
            let level = grey.saturating_mul(10).saturating_add(8);
            (level, level, level)
        }
        None => {
            let at = index.saturating_sub(16);
            let step = |n: u8| STEPS.get(usize::from(n)).copied().unwrap_or(0);
            (step(at / 36), step(at / 6 % 6), step(at % 6))
        }
    }
}

/// Hue decides, since nobody knows what the 16 look like here; greys become the terminal's own text.
fn nearest_of_sixteen(r: u8, g: u8, b: u8) -> Option<Color> {
    let high = r.max(g).max(b);
    if spread(r, g, b) < 40 {
        return match high {
            0..=140 => Some(Color::DarkGray),
            141..=199 => Some(Color::Gray),
            _ => None,
        };
    }
    // Either one part stands out, or one is missing: that is the hue.
    let low = r.min(g).min(b);
    let middle = u16::from(r) + u16::from(g) + u16::from(b) - u16::from(high) - u16::from(low);
    let stands_out = u16::from(high) - middle > middle - u16::from(low);
    Some(match (stands_out, high == r, high == g, low == r, low == g) {
        (true, true, ..) => Color::LightRed,
        (true, _, true, ..) => Color::Green,
        (true, ..) => Color::LightBlue,
        (false, _, _, true, _) => Color::Cyan,
        (false, _, _, _, true) => Color::Magenta,
        (false, ..) => Color::Yellow,
    })
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let part = |x: u8, y: u8, weight: u32| u32::from(x.abs_diff(y)).pow(2) * weight;
    part(a.0, b.0, 2) + part(a.1, b.1, 4) + part(a.2, b.2, 3)
}

/// WCAG 2's contrast ratio, 1 to 21; nothing for colours that only the terminal knows.
pub fn contrast(a: Color, b: Color) -> Option<f64> {
    let (a, b) = (luminance(a)?, luminance(b)?);
    Some((a.max(b) + 0.05) / (a.min(b) + 0.05))
}

/// <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
fn luminance(colour: Color) -> Option<f64> {
    let Color::Rgb(r, g, b) = colour else { return None };
    let part = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    Some(0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b))
}
