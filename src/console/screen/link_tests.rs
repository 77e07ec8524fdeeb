//! Frames with links, read back by an emulator that knows what every cell leads to.

use proptest::prelude::*;
use ratatui::style::{Color, Style};

use super::link::{Address, Links};
use super::*;
use crate::console::theme::Glyphs;

const FULL: Abilities = Abilities { synchronized: true, fills_erased: true, ascii: false, links: true };

/// A terminal, as far as frames use one: for each cell its character and where it leads.
struct Linked {
    width: usize,
    cells: Vec<(char, String)>,
    at: (usize, usize),
    margins: (usize, usize),
    open: String,
    /// How often a link was opened, and how often closed.
    counts: (usize, usize),
    /// Nothing was drawn yet.
    fresh: bool,
}

impl Linked {
    fn new(width: usize, height: usize) -> Linked {
        Linked {
            width,
            cells: vec![(' ', String::new()); width * height],
            at: (0, 0),
            margins: (0, height - 1),
            open: String::new(),
            counts: (0, 0),
            fresh: true,
        }
    }

    fn process(&mut self, bytes: &[u8]) {
        let mut rest = std::str::from_utf8(bytes).unwrap();
        while let Some(c) = rest.chars().next() {
            self.fresh &= rest.starts_with("\x1b[?2026h") || rest.starts_with("\x1b]");
            if let Some(after) = rest.strip_prefix("\x1b]") {
                let (body, after) = after.split_once("\x1b\\").expect("a string that ends");
                self.link(body);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("\x1b[") {
                let (body, _) = after.split_at(after.find(|c: char| c.is_ascii_alphabetic()).unwrap());
                let (last, after) = after.strip_prefix(body).and_then(|rest| rest.split_at_checked(1)).unwrap();
                self.control(body, last);
                rest = after;
            } else {
                match c {
                    '\r' => self.at.0 = 0,
                    '\n' => self.down(1),
                    '\x08' => self.at.0 -= 1,
                    c => {
                        let (x, y) = self.at;
                        self.cells[y * self.width + x] = (c, self.open.clone());
                        self.at.0 = (x + 1).min(self.width - 1);
                    }
                }
                rest = rest.strip_prefix(c).unwrap();
            }
        }
    }

    fn link(&mut self, body: &str) {
        let parts: Vec<&str> = body.splitn(3, ';').collect();
        assert_eq!((parts.len(), parts[0]), (3, "8"), "{body:?}");
        if parts[2].is_empty() {
            // Before the first frame, whatever somebody may have left open.
            assert!(!self.open.is_empty() || self.fresh, "closed twice");
            self.counts.1 += usize::from(!self.fresh);
        } else {
            assert!(parts[1].starts_with("id=") && self.open.is_empty(), "opened within another: {body:?}");
            self.counts.0 += 1;
        }
        self.open = parts[2].to_owned();
    }

    fn down(&mut self, rows: usize) {
        assert!(self.open.is_empty(), "a link leaks over the end of its line");
        self.at.1 += rows;
    }

    fn control(&mut self, text: &str, last: &str) {
        let numbers: Vec<usize> = text.split(';').filter_map(|part| part.parse().ok()).collect();
        let number = |place: usize| numbers.get(place).copied().unwrap_or(1).max(1);
        let row = self.at.1 * self.width;
        match last {
            "H" => self.at = (number(1) - 1, number(0) - 1),
            "A" => self.at.1 -= number(0),
            "B" => self.down(number(0)),
            "C" => self.at.0 += number(0),
            "D" => self.at.0 -= number(0),
            "G" => self.at.0 = number(0) - 1,
            "J" => self.cells.fill((' ', String::new())),
            "K" | "X" => {
                assert!(self.open.is_empty(), "blanks lead nowhere");
                let until = if last == "K" { self.width } else { self.at.0 + number(0) };
                self.cells[row + self.at.0..row + until].fill((' ', String::new()));
            }
            "r" => {
                self.margins = (number(0) - 1, numbers.get(1).map_or(self.cells.len() / self.width, |bottom| *bottom) - 1);
                self.at = (0, 0);
            }
            "S" | "T" => {
                assert!(self.open.is_empty(), "rows that come in lead nowhere");
                let by = number(0) * self.width;
                let rows = &mut self.cells[self.margins.0 * self.width..(self.margins.1 + 1) * self.width];
                let entering = rows.len() - by;
                if last == "S" {
                    rows.rotate_left(by);
                    rows[entering..].fill((' ', String::new()));
                } else {
                    rows.rotate_right(by);
                    rows[..by].fill((' ', String::new()));
                }
            }
            _ => {}
        }
    }

    fn row(&self, y: usize) -> Vec<&str> {
        self.cells[y * self.width..(y + 1) * self.width].iter().map(|(_, url)| url.as_str()).collect()
    }
}

/// A row: text, where its second half leads, and its colour.
type Row = (String, Option<String>, u8);

fn paint(buffer: &mut Buffer, links: &mut Links, rows: &[Row]) {
    let glyphs = &Glyphs::UNICODE;
    let width = buffer.area.width;
    for (y, (words, url, look)) in (0_u16..).zip(rows) {
        let style = if look % 2 == 0 { Style::new() } else { Style::new().fg(Color::Indexed(*look)) };
        let x = text::put(buffer, 0, y, width, words, style, glyphs);
        let mark = url.as_deref().and_then(|url| links.to(url)).unwrap_or_default();
        text::put(buffer, x + 1, y, width, &format!("go {words} there"), style.add_modifier(mark), glyphs);
    }
}

/// What each cell of a row leads to, counted from the text alone.
fn expected(width: usize, (words, url, _): &Row) -> Vec<String> {
    let mut cells = vec![String::new(); width];
    let from = words.len() + 1;
    let address = url.as_deref().and_then(Address::new).map_or_else(String::new, |address| address.as_str().to_owned());
    cells[from..(from + words.len() + 9).min(width)].fill(address);
    cells
}

fn row() -> impl Strategy<Value = Row> {
    let url = prop_oneof![
        2 => Just(None),
        3 => "https://[ab]".prop_map(Some),
        1 => Just(Some("https://c.example/d?e=f".to_owned())),
        1 => "[a-z:/\\x1b;]{0,9}".prop_map(Some),
    ];
    ("[a-c ]{0,8}", url, 0..4_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_cell_leads_where_it_was_painted_to(
        mut rows in prop::collection::vec(row(), 10),
        edits in prop::collection::vec((0..3_u8, 0..10_usize, row()), 1..12),
        fills in any::<bool>(),
    ) {
        let mut screen = Screen::new(30, 10, Abilities { fills_erased: fills, ..FULL });
        let mut here = Linked::new(30, 10);
        for (kind, at, fresh) in edits {
            match kind {
                0 => rows[at] = fresh,
                1 => {
                    rows.remove(0);
                    rows.push(fresh);
                }
                _ => {
                    rows.pop();
                    rows.insert(0, fresh);
                }
            }
            here.process(screen.draw_linked(|buffer, links| {
                paint(buffer, links, &rows);
                None
            }));
            prop_assert!(here.open.is_empty(), "a frame ends without a link");
            for (y, row) in rows.iter().enumerate() {
                prop_assert_eq!(here.row(y), expected(30, row), "row {} of {:?}", y, rows);
            }
            let again = screen.draw_linked(|buffer, links| {
                paint(buffer, links, &rows);
                None
            });
            prop_assert!(again.is_empty(), "what is shown costs nothing");
        }
    }
}

fn rows(urls: &[&str]) -> Vec<Row> {
    urls.iter().enumerate().map(|(n, url)| (format!("row {n}"), Some((*url).to_owned()), 0)).collect()
}

#[test]
fn a_link_costs_its_bytes_once_and_scrolls_with_its_row() {
    let draw = |screen: &mut Screen, rows: &[Row]| {
        screen
            .draw_linked(|buffer, links| {
                paint(buffer, links, rows);
                None
            })
            .to_vec()
    };
    let mut screen = Screen::new(60, 8, FULL);
    let mut rows = rows(&["https://a.example"; 8]);
    for (n, row) in rows.iter_mut().enumerate() {
        row.1 = Some(format!("https://host{n}.example/a/runbook"));
    }
    let mut here = Linked::new(60, 8);
    here.process(&draw(&mut screen, &rows));
    assert_eq!(here.counts, (8, 8), "each is opened once, blanks within it are part of it");
    rows.remove(0);
    rows.push(("the last row".into(), None, 0));
    let bytes = draw(&mut screen, &rows);
    assert!(!bytes.windows(3).any(|three| three == b"\x1b]8"), "{:?}", String::from_utf8_lossy(&bytes));
    here.process(&bytes);
    assert!(here.row(0).contains(&"https://host1.example/a/runbook"));
    // What is painted over a link is none.
    let bytes = screen
        .draw_linked(|buffer, links| {
            paint(buffer, links, &rows);
            text::put(buffer, 0, 0, 60, "something else, over the whole of the row", Style::new(), &Glyphs::UNICODE);
            text::blank(buffer, Rect::new(0, 1, 60, 1), Style::new());
            None
        })
        .to_vec();
    here.process(&bytes);
    assert!(here.row(0).iter().chain(&here.row(1)).all(|url| url.is_empty()));
}

#[test]
fn a_terminal_without_links_gets_none() {
    let mut screen = Screen::new(60, 3, Abilities { links: false, ..FULL });
    let rows = rows(&["https://a", "https://b", "https://c"]);
    let bytes = screen.draw_linked(|buffer, links| {
        paint(buffer, links, &rows);
        None
    });
    assert!(!bytes.contains(&b']'));
    assert!(bytes.windows(5).any(|five| five == b"there"));
}

#[test]
fn t3_t4_a_hostile_address_is_text_alone() {
    let mut screen = Screen::new(60, 3, FULL);
    let long = format!("https://a/{}", "x".repeat(5_000));
    let rows = rows(&["https://a/\x1b\\\x1b]52;c;eA==\x07", "javascript:alert(1)", &long]);
    let bytes = screen.draw_linked(|buffer, links| {
        paint(buffer, links, &rows);
        None
    });
    let drawn = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(drawn.matches("\x1b]").count(), 1, "the closing one before the first frame alone: {drawn:?}");
    assert!(bytes.len() < 400);
}
