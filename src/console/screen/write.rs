//! Writes moves, colours and text in the shortest way, knowing where the cursor is and what it wears.

use std::io::Write;

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::link::{self, CLOSING};
use super::scroll::Shift;

/// What the next character will look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

const PLAIN: Pen = Pen { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

/// One frame's bytes. Pen and cursor are remembered from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The frame with what goes around it.
    whole: Vec<u8>,
    /// Unknown at first, and after things that terminals do differently.
    pen: Option<Pen>,
    /// The screen's number of the link that is open; 0: none is.
    link: u8,
    cursor: Option<(u16, u16)>,
    /// The cursor's row is sure, its column is not.
    row: Option<u16>,
    width: u16,
    fills_erased: bool,
    scrolled: bool,
}

/// Frames below this are one packet; going round the terminal's own drawing is not worth 16 bytes.
const SMALL: usize = 160;

impl Writer {
    pub(super) fn begin(&mut self, width: u16, fills_erased: bool) {
        self.bytes.clear();
        self.width = width;
        self.fills_erased = fills_erased;
        self.scrolled = false;
    }

    /// The frame's bytes, within a synchronized update where that is worth it.
    pub(super) fn finish(&mut self, synchronized: bool) -> &[u8] {
        if synchronized && (self.scrolled || self.bytes.len() > SMALL) {
            self.whole.clear();
            self.whole.extend_from_slice(b"\x1b[?2026h");
            self.whole.extend_from_slice(&self.bytes);
            self.whole.extend_from_slice(b"\x1b[?2026l");
            &self.whole
        } else {
            &self.bytes
        }
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Everything blank in the terminal's own colours, from wherever it was.
    /// A link that somebody left open is closed, where there are links.
    pub(super) fn clear_screen(&mut self, links: bool) {
        self.raw(if links { CLOSING } else { "" });
        self.raw("\x1b[r\x1b[m\x1b[H\x1b[2J");
        self.pen = Some(PLAIN);
        self.at(0, 0);
        self.scrolled = true;
    }

    /// What comes after is no link. A link is open within one row only, and never when a frame is over.
    pub(super) fn close_link(&mut self) {
        if std::mem::take(&mut self.link) != 0 {
            self.raw(CLOSING);
        }
    }

    pub(super) fn scroll(&mut self, shift: &Shift) {
        // Some terminals fill what comes in with the background that is set: it must be the default one.
        self.wear_ground(Color::Reset);
        self.push(format_args!("\x1b[{};{}r", shift.top + 1, shift.bottom + 1));
        let letter = if shift.by > 0 { 'S' } else { 'T' };
        match shift.by.unsigned_abs() {
            1 => self.push(format_args!("\x1b[{letter}")),
            n => self.push(format_args!("\x1b[{n}{letter}")),
        }
        // Resetting the margins puts the cursor into the corner.
        self.raw("\x1b[r");
        self.at(0, 0);
        self.scrolled = true;
    }

    /// Whether erasing can make blanks of this background.
    pub(super) fn can_erase(&self, ground: Color) -> bool {
        ground == Color::Reset || self.fills_erased
    }

    pub(super) fn erase_tail(&mut self, ground: Color) {
        self.wear_ground(ground);
        self.raw("\x1b[K");
    }

    /// Erases cells and leaves the cursor where it is.
    pub(super) fn erase(&mut self, cells: u16, ground: Color) {
        self.wear_ground(ground);
        self.push(format_args!("\x1b[{cells}X"));
    }

    fn wear_ground(&mut self, ground: Color) {
        self.close_link();
        self.wear(|pen| Pen { bg: ground, modifier: pen.modifier - Modifier::REVERSED - Modifier::UNDERLINED - Modifier::CROSSED_OUT, ..pen });
    }

    /// The cursor's column, if it is on this row and known.
    pub(super) fn column_on(&self, y: u16) -> Option<u16> {
        self.cursor.filter(|(_, row)| *row == y).map(|(x, _)| x)
    }

    /// Whether a cell could be written without changing colours.
    pub(super) fn wears(&self, cell: &Cell) -> bool {
        self.link == link::of(cell.modifier) && self.pen == Some(pen_for(cell, self.pen))
    }

    /// Writes a cell where the cursor stands.
    pub(super) fn cell(&mut self, cell: &Cell, wide: u16, links: &link::Shown) {
        let symbol = cell.symbol();
        self.link(link::of(cell.modifier), links);
        self.wear(|pen| pen_for(cell, Some(pen)));
        self.bytes.extend_from_slice(symbol.as_bytes());
        if let Some((x, y)) = self.cursor {
            let x = x.saturating_add(wide);
            // In the last column terminals wait before they wrap, and after clusters they disagree.
            if x < self.width && is_predictable(symbol) {
                self.at(x, y);
            } else {
                self.cursor = None;
                self.row = Some(y);
            }
        }
    }

    /// Moves by the shortest way.
    pub(super) fn move_to(&mut self, x: u16, y: u16) {
        if self.cursor == Some((x, y)) {
            return;
        }
        if self.row != Some(y) {
            self.close_link();
        }
        let mut best = absolute(x, y);
        let mut offer = |way: Vec<u8>| {
            if way.len() < best.len() {
                best = way;
            }
        };
        if let Some((from_x, from_y)) = self.cursor {
            let down = vertical(from_y, y);
            if from_y == y || from_x == x {
                offer(down.iter().copied().chain(horizontal(from_x, x)).collect());
            }
            offer(std::iter::once(b'\r').chain(down.iter().copied()).chain(horizontal(0, x)).collect());
        } else if let Some(from_y) = self.row {
            offer(std::iter::once(b'\r').chain(vertical(from_y, y)).chain(horizontal(0, x)).collect());
        }
        self.bytes.extend_from_slice(&best);
        self.at(x, y);
    }

    fn at(&mut self, x: u16, y: u16) {
        self.cursor = Some((x, y));
        self.row = Some(y);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        let _ = self.bytes.write_fmt(text);
    }

    /// Opens the link that comes next, if it is another one.
    fn link(&mut self, number: u8, links: &link::Shown) {
        if self.link == number {
            return;
        }
        self.close_link();
        if let Some(address) = links.address(number) {
            self.link = number;
            self.bytes.extend_from_slice(address.opening().as_bytes());
        }
    }

    fn wear(&mut self, change: impl Fn(Pen) -> Pen) {
        let want = change(self.pen.unwrap_or(PLAIN));
        let Some(have) = self.pen else {
            self.raw("\x1b[");
            let all = parameters(PLAIN, want);
            self.raw(if all.is_empty() { "" } else { "0;" });
            self.raw(&all);
            self.raw("m");
            self.pen = Some(want);
            return;
        };
        if have == want {
            return;
        }
        let step = parameters(have, want);
        let anew = parameters(PLAIN, want);
        let anew = if anew.is_empty() { anew } else { format!(";{anew}") };
        let parameters = if step.len() <= anew.len() { step } else { anew };
        self.raw("\x1b[");
        self.raw(&parameters);
        self.raw("m");
        self.pen = Some(want);
    }
}

/// What a cell needs of the pen: a blank shows no foreground, so it takes the one that is there.
fn pen_for(cell: &Cell, pen: Option<Pen>) -> Pen {
    let pen = pen.unwrap_or(PLAIN);
    let modifier = cell.modifier - link::MASK;
    if cell.symbol() == " " && modifier.is_empty() {
        Pen { bg: cell.bg, modifier: pen.modifier - Modifier::REVERSED - Modifier::UNDERLINED - Modifier::CROSSED_OUT, ..pen }
    } else {
        Pen { fg: cell.fg, bg: cell.bg, modifier }
    }
}

/// Characters whose width all terminals agree on.
fn is_predictable(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => u32::from(c) < 0x1_f000,
        _ => false,
    }
}

fn absolute(x: u16, y: u16) -> Vec<u8> {
    match (x, y) {
        (0, 0) => b"\x1b[H".to_vec(),
        (0, _) => format!("\x1b[{}H", y + 1).into_bytes(),
        _ => format!("\x1b[{};{}H", y + 1, x + 1).into_bytes(),
    }
}

fn vertical(from: u16, to: u16) -> Vec<u8> {
    match to.abs_diff(from) {
        0 => Vec::new(),
        // Raw mode leaves the column alone at a line feed, and no row below the last is ever wanted.
        n @ 1..=3 if to > from => vec![b'\n'; usize::from(n)],
        1 => b"\x1b[A".to_vec(),
        n => format!("\x1b[{n}{}", if to > from { 'B' } else { 'A' }).into_bytes(),
    }
}

fn horizontal(from: u16, to: u16) -> Vec<u8> {
    match to.abs_diff(from) {
        0 => Vec::new(),
        n @ 1..=3 if to < from => vec![8; usize::from(n)],
        1 => b"\x1b[C".to_vec(),
        n if to > from => {
            let by = format!("\x1b[{n}C");
            let column = format!("\x1b[{}G", to + 1);
            if by.len() <= column.len() { by } else { column }.into_bytes()
        }
        n => {
            let by = format!("\x1b[{n}D");
            let column = format!("\x1b[{}G", to + 1);
            if by.len() <= column.len() { by } else { column }.into_bytes()
        }
    }
}

/// The parameters of SGR that turn one pen into the other, without a reset.
fn parameters(have: Pen, want: Pen) -> String {
    let mut out = String::new();
    let mut add = |text: &str| {
        if !out.is_empty() {
            out.push(';');
        }
        out.push_str(text);
    };
    let (gone, mut new) = (have.modifier - want.modifier, want.modifier - have.modifier);
    // Bold and dim are switched off together.
    if gone.intersects(Modifier::BOLD | Modifier::DIM) {
        add("22");
        new |= want.modifier & (Modifier::BOLD | Modifier::DIM);
    }
    for (modifier, code) in [(Modifier::ITALIC, "23"), (Modifier::UNDERLINED, "24"), (Modifier::REVERSED, "27"), (Modifier::CROSSED_OUT, "29")] {
        if gone.contains(modifier) {
            add(code);
        }
    }
    let on = [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
        (Modifier::CROSSED_OUT, "9"),
    ];
    for (modifier, code) in on {
        if new.contains(modifier) {
            add(code);
        }
    }
    if have.fg != want.fg {
        add(&colour(want.fg, 30));
    }
    if have.bg != want.bg {
        add(&colour(want.bg, 40));
    }
    out
}

/// `base` is 30 for the foreground, 40 for the background.
fn colour(colour: Color, base: u8) -> String {
    let bright = base + 60;
    let code = match colour {
        Color::Reset => base + 9,
        Color::Black => base,
        Color::Red => base + 1,
        Color::Green => base + 2,
        Color::Yellow => base + 3,
        Color::Blue => base + 4,
        Color::Magenta => base + 5,
        Color::Cyan => base + 6,
        Color::Gray => base + 7,
        Color::DarkGray => bright,
        Color::LightRed => bright + 1,
        Color::LightGreen => bright + 2,
        Color::LightYellow => bright + 3,
        Color::LightBlue => bright + 4,
        Color::LightMagenta => bright + 5,
        Color::LightCyan => bright + 6,
        Color::White => bright + 7,
        Color::Indexed(index) => return format!("{};5;{index}", base + 8),
        Color::Rgb(r, g, b) => return format!("{};2;{r};{g};{b}", base + 8),
    };
    code.to_string()
}
