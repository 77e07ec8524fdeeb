//! The only way for text into a frame: cleaned, cut by what it takes on the screen, never in the middle of
//! a character.
//!
//! All of these draw within the buffer and leave what lies outside alone; what does not fit is not drawn.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

use super::link;
use crate::console::theme::Glyphs;
use crate::model::clean::{clean_line, clean_text};

/// A piece of a line in one style.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    pub text: Cow<'a, str>,
    pub style: Style,
}

impl<'a> Piece<'a> {
    pub fn new(text: impl Into<Cow<'a, str>>, style: Style) -> Piece<'a> {
        Piece { text: text.into(), style }
    }
}

/// The columns that a text takes, once it is clean.
pub fn width(text: &str) -> u16 {
    u16::try_from(columns(&clean_line(text))).unwrap_or(u16::MAX)
}

/// Of clean text.
fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(|c| c.width().unwrap_or(0)).sum() }
}

/// The text, clean, in at most `room` columns; what is cut off ends in the ellipsis.
pub fn cut<'a>(text: &'a str, room: u16, ellipsis: &str) -> Cow<'a, str> {
    let clean = clean_line(text);
    let room = usize::from(room);
    if columns(&clean) <= room {
        return clean;
    }
    let Some(kept) = room.checked_sub(columns(ellipsis)) else { return Cow::Borrowed("") };
    let mut out = String::new();
    let mut used = 0;
    for cluster in clean.graphemes(true) {
        used += columns(cluster);
        if used > kept {
            break;
        }
        out.push_str(cluster);
    }
    let out = out.trim_end();
    Cow::Owned(format!("{out}{ellipsis}"))
}

/// Puts one line into `room` columns from `x`, and says how many it took.
pub fn put(buffer: &mut Buffer, x: u16, y: u16, room: u16, text: &str, style: Style, glyphs: &Glyphs) -> u16 {
    let room = room.min(buffer.area.right().saturating_sub(x));
    let text = cut(text, room, glyphs.ellipsis);
    write(buffer, x, y, &text, style)
}

/// The same, against the right end of the columns: numbers and ages.
pub fn put_right(buffer: &mut Buffer, x: u16, y: u16, room: u16, text: &str, style: Style, glyphs: &Glyphs) -> u16 {
    let room = room.min(buffer.area.right().saturating_sub(x));
    let text = cut(text, room, glyphs.ellipsis);
    let used = u16::try_from(columns(&text)).unwrap_or(room);
    write(buffer, x.saturating_add(room.saturating_sub(used)), y, &text, style)
}

/// Puts pieces one after another into `room` columns; the first that does not fit is cut and ends the line.
pub fn put_pieces(buffer: &mut Buffer, x: u16, y: u16, room: u16, pieces: &[Piece<'_>], glyphs: &Glyphs) -> u16 {
    let room = room.min(buffer.area.right().saturating_sub(x));
    let mut used = 0u16;
    for (index, piece) in pieces.iter().enumerate() {
        let left = room.saturating_sub(used);
        let wanted = width(&piece.text);
        // A piece that would just fit is still cut when more follows, so that the reader sees that it does.
        let more = pieces.iter().skip(index + 1).any(|next| !next.text.is_empty());
        if wanted < left || (wanted == left && !more) {
            used = used.saturating_add(put(buffer, x.saturating_add(used), y, left, &piece.text, piece.style, glyphs));
            continue;
        }
        let marked = format!("{} ", piece.text);
        let text = if wanted == left { marked.as_str() } else { &piece.text };
        used = used.saturating_add(put(buffer, x.saturating_add(used), y, left, text, piece.style, glyphs));
        break;
    }
    used
}

/// Writes clean text.
fn write(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let mut at = x;
    let mut last: Option<u16> = None;
    for c in text.chars() {
        let wide = u16::try_from(c.width().unwrap_or(0)).unwrap_or(0);
        if wide == 0 {
            if let Some(cell) = last.and_then(|x| buffer.cell_mut((x, y))) {
                let joined = format!("{}{c}", cell.symbol());
                cell.set_symbol(&joined);
            }
            continue;
        }
        if at.saturating_add(wide) > buffer.area.right() {
            break;
        }
        let Some(cell) = buffer.cell_mut((at, y)) else { break };
        // What stood there before led elsewhere.
        cell.modifier -= link::MASK;
        cell.set_char(c).set_style(style);
        if wide == 2
            && let Some(tail) = buffer.cell_mut((at + 1, y))
        {
            tail.modifier -= link::MASK;
            tail.set_char(' ').set_style(style);
        }
        last = Some(at);
        at = at.saturating_add(wide);
    }
    at.saturating_sub(x)
}

/// Lines of at most `room` columns, broken between words where possible. At most `most` lines; the last
/// ends in the ellipsis when there is more.
pub fn wrap(text: &str, room: u16, most: usize, ellipsis: &str) -> Vec<String> {
    let room = usize::from(room.max(1));
    let mut lines: Vec<String> = Vec::new();
    let clean = clean_text(text);
    'text: for line in clean.trim_end_matches('\n').split('\n') {
        let mut current = String::new();
        let mut used = 0usize;
        for word in line.split_inclusive(' ') {
            let bare = word.trim_end_matches(' ');
            let wide = columns(bare);
            if used > 0 && used + wide > room {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
                used = 0;
                if lines.len() > most {
                    break 'text;
                }
            }
            if wide > room {
                for cluster in bare.graphemes(true) {
                    let wide = columns(cluster);
                    if used + wide > room && used > 0 {
                        lines.push(std::mem::take(&mut current));
                        used = 0;
                        if lines.len() > most {
                            break 'text;
                        }
                    }
                    current.push_str(cluster);
                    used += wide;
                }
                current.push_str(word.strip_prefix(bare).unwrap_or(""));
            } else {
                current.push_str(word);
            }
            used = columns(&current);
        }
        lines.push(current.trim_end().to_owned());
        if lines.len() > most {
            break;
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let marked = format!("{last} {ellipsis}");
            let shown = if columns(&marked) <= room {
                marked
            } else {
                cut(&format!("{last}{}", " .".repeat(room)), u16::try_from(room).unwrap_or(u16::MAX), ellipsis).into_owned()
            };
            *last = shown;
        }
    }
    lines
}

/// Puts wrapped text into an area, and says how many rows it took.
pub fn put_wrapped(buffer: &mut Buffer, area: Rect, text: &str, style: Style, glyphs: &Glyphs) -> u16 {
    let lines = wrap(text, area.width, usize::from(area.height), glyphs.ellipsis);
    let mut rows = 0u16;
    for line in lines {
        put(buffer, area.x, area.y.saturating_add(rows), area.width, &line, style, glyphs);
        rows = rows.saturating_add(1);
    }
    rows
}

/// Gives cells a style without touching what stands in them.
pub fn paint(buffer: &mut Buffer, area: Rect, style: Style) {
    buffer.set_style(area, style);
}

/// Makes cells blank, in a style: for what floats above.
pub fn blank(buffer: &mut Buffer, area: Rect, style: Style) {
    for position in area.intersection(buffer.area).positions() {
        if let Some(cell) = buffer.cell_mut(position) {
            cell.reset();
            cell.set_style(style);
        }
    }
}

/// A thin line.
pub fn rule(buffer: &mut Buffer, x: u16, y: u16, room: u16, style: Style, glyphs: &Glyphs) {
    for x in x..x.saturating_add(room).min(buffer.area.right()) {
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.set_symbol(glyphs.rule).set_style(style);
        }
    }
}

/// A frame for what floats above, blank inside, and the area inside it.
pub fn frame(buffer: &mut Buffer, area: Rect, title: &str, frame: Style, inside: Style, glyphs: &Glyphs) -> Rect {
    let area = area.intersection(buffer.area);
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    blank(buffer, area, inside);
    let frame = inside.patch(frame);
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    rule(buffer, area.x, area.y, area.width, frame, glyphs);
    rule(buffer, area.x, bottom, area.width, frame, glyphs);
    for y in area.y..=bottom {
        for x in [area.x, right] {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.set_symbol(glyphs.vertical).set_style(frame);
            }
        }
    }
    let [top_left, top_right, bottom_left, bottom_right] = glyphs.corners;
    for (x, y, corner) in [(area.x, area.y, top_left), (right, area.y, top_right), (area.x, bottom, bottom_left), (right, bottom, bottom_right)] {
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.set_symbol(corner);
        }
    }
    if !title.is_empty() && area.width > 6 {
        put(buffer, area.x + 2, area.y, area.width - 4, &format!(" {} ", clean_line(title)), inside, glyphs);
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

/// A strip: one cell for each value, as high as it is beside `most`, each in its own style.
pub fn strip(buffer: &mut Buffer, x: u16, y: u16, cells: &[(u64, Style)], most: u64, glyphs: &Glyphs) -> u16 {
    let mut used = 0u16;
    for (value, style) in cells {
        let at = x.saturating_add(used);
        let Some(cell) = buffer.cell_mut((at, y)) else { break };
        if *value == 0 {
            cell.set_symbol(if glyphs.is_ascii { glyphs.dot } else { glyphs.bars[1] }).set_style(*style);
        } else {
            // The lowest bar is the empty cell's line.
            let bar = glyphs.bar(*value, most);
            cell.set_symbol(if bar == glyphs.bars[1] { glyphs.bars[2] } else { bar }).set_style(*style);
        }
        used = used.saturating_add(1);
    }
    used
}

/// Key hints, `a ack  s snooze`, as many as there is room for, whole ones only. The styles are that of the
/// keys and that of the words.
pub fn hints(buffer: &mut Buffer, x: u16, y: u16, room: u16, hints: &[(String, &str)], styles: [Style; 2], glyphs: &Glyphs) -> u16 {
    let [key, words] = styles;
    let mut used = 0u16;
    for (index, (keys, what)) in hints.iter().enumerate() {
        let gap = if index == 0 { 0 } else { 2 };
        let wanted = width(keys).saturating_add(width(what)).saturating_add(gap + 1);
        if used.saturating_add(wanted) > room {
            break;
        }
        used += gap;
        used += put(buffer, x.saturating_add(used), y, room, keys, key, glyphs);
        used += 1;
        used += put(buffer, x.saturating_add(used), y, room, what, words, glyphs);
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(buffer: &Buffer) -> String {
        buffer.content.iter().map(|cell| cell.symbol()).collect()
    }

    fn line(room: u16) -> Buffer {
        Buffer::empty(Rect::new(0, 0, room, 1))
    }

    #[test]
    fn what_is_cut_ends_in_an_ellipsis() {
        assert_eq!(cut("varnish", 7, "…"), "varnish");
        assert_eq!(cut("varnish", 5, "…"), "varn…");
        assert_eq!(cut("disk is full", 8, "…"), "disk is…");
        assert_eq!(cut("磁盘满了", 6, "…"), "磁盘…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2, "…"), "e\u{301}…");
        assert_eq!(cut("x", 0, "…"), "");
    }

    #[test]
    fn t1_nothing_uncleaned_reaches_the_buffer() {
        let mut buffer = line(12);
        put(&mut buffer, 0, 0, 12, "a\x1b[2J\nb", Style::new(), &Glyphs::UNICODE);
        assert_eq!(shown(&buffer).trim_end(), "a␛[2J↵b");
    }

    #[test]
    fn columns_stay_straight() {
        let mut buffer = line(10);
        put_right(&mut buffer, 0, 0, 6, "4m12s", Style::new(), &Glyphs::UNICODE);
        put(&mut buffer, 7, 0, 99, "磁盘", Style::new(), &Glyphs::UNICODE);
        assert_eq!(shown(&buffer), " 4m12s 磁 …");
    }

    #[test]
    fn pieces_are_cut_as_one_line() {
        let mut buffer = line(9);
        let used = put_pieces(&mut buffer, 0, 0, 9, &[Piece::new("by ", Style::new()), Piece::new("kim, sam", Style::new())], &Glyphs::ASCII);
        assert_eq!((shown(&buffer).as_str(), used), ("by kim,~ ", 8));
        let mut buffer = line(3);
        put_pieces(&mut buffer, 0, 0, 3, &[Piece::new("abc", Style::new()), Piece::new("d", Style::new())], &Glyphs::ASCII);
        assert_eq!(shown(&buffer), "ab~");
    }

    #[test]
    fn prose_is_wrapped_between_words() {
        assert_eq!(wrap("the disk of ceph is full", 9, 9, "…"), ["the disk", "of ceph", "is full"]);
        assert_eq!(wrap("aaaaaaaaaa b", 4, 9, "…"), ["aaaa", "aaaa", "aa b"]);
        assert_eq!(wrap("one\n\ntwo\n", 9, 9, "…"), ["one", "", "two"]);
        assert_eq!(wrap("the disk of ceph is full", 9, 2, "…"), ["the disk", "of ceph …"]);
        assert_eq!(wrap("", 9, 2, "…"), [""]);
    }

    #[test]
    fn hints_are_whole_or_absent() {
        let mut buffer = line(14);
        hints(&mut buffer, 0, 0, 14, &[("a".into(), "ack"), ("s".into(), "snooze"), ("c".into(), "note")], [Style::new(); 2], &Glyphs::UNICODE);
        assert_eq!(shown(&buffer), "a ack         ");
    }

    #[test]
    fn drawing_outside_does_nothing() {
        let mut buffer = line(3);
        put(&mut buffer, 5, 0, 9, "abc", Style::new(), &Glyphs::UNICODE);
        put(&mut buffer, 0, 7, 9, "abc", Style::new(), &Glyphs::UNICODE);
        rule(&mut buffer, 2, 0, 9, Style::new(), &Glyphs::UNICODE);
        strip(&mut buffer, 9, 0, &[(1, Style::new())], 1, &Glyphs::UNICODE);
        frame(&mut buffer, Rect::new(0, 0, 9, 9), "x", Style::new(), Style::new(), &Glyphs::UNICODE);
        assert_eq!(shown(&buffer), "  ─");
    }
}
