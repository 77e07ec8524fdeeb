//! Frames, read back by a terminal emulator: what is on the screen, and what it cost.

use proptest::prelude::*;
use ratatui::style::{Color, Modifier, Style};

use super::*;
use crate::console::theme::Glyphs;

const FULL: Abilities = Abilities { synchronized: true, fills_erased: true, ascii: false, links: true };

/// What a terminal shows: for each cell its text and looks, as far as they can be seen.
fn seen(terminal: &vt100::Parser) -> Vec<String> {
    let screen = terminal.screen();
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let mut out = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            let cell = screen.cell(y, x).unwrap();
            if cell.is_wide_continuation() {
                continue;
            }
            let text = if cell.contents().is_empty() { " " } else { cell.contents() };
            let visible = text != " " || cell.inverse() || cell.underline();
            let looks = if visible { format!("{:?}{}{}{}{}", cell.fgcolor(), cell.bold(), cell.dim(), cell.italic(), cell.underline()) } else { String::new() };
            out.push(format!("{y},{x} {text} {looks} {:?} {}", cell.bgcolor(), cell.inverse()));
        }
    }
    out
}

fn terminal(width: u16, height: u16) -> vt100::Parser {
    vt100::Parser::new(height.try_into().unwrap(), width.try_into().unwrap(), 0)
}

/// One picture, as a list of rows that are drawn over a ground.
#[derive(Clone, Debug)]
struct Picture {
    rows: Vec<(String, u8)>,
    selected: usize,
    cursor: Option<(u16, u16)>,
}

fn style(look: u8) -> Style {
    match look % 8 {
        0 => Style::new(),
        1 => Style::new().fg(Color::Rgb(200, 100, 50)),
        2 => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        3 => Style::new().bg(Color::Indexed(17)),
        4 => Style::new().add_modifier(Modifier::REVERSED),
        5 => Style::new().add_modifier(Modifier::UNDERLINED | Modifier::DIM),
        6 => Style::new().fg(Color::LightBlue).bg(Color::Rgb(20, 17, 15)).add_modifier(Modifier::ITALIC),
        _ => Style::new().add_modifier(Modifier::BOLD),
    }
}

fn paint_picture(buffer: &mut Buffer, picture: &Picture) -> Option<Position> {
    let width = buffer.area.width;
    for (y, (row, look)) in picture.rows.iter().enumerate() {
        let y = u16::try_from(y).unwrap();
        if look & 8 != 0 {
            text::paint(buffer, Rect::new(0, y, width, 1).intersection(buffer.area), style(*look));
        }
        let at = text::put(buffer, 2, y, width, row, style(*look), &Glyphs::UNICODE);
        text::put(buffer, at + 4, y, width, "end", style(look.wrapping_add(3)), &Glyphs::UNICODE);
        if usize::from(y) == picture.selected {
            text::put(buffer, 0, y, 1, "▌", style(2), &Glyphs::UNICODE);
        }
    }
    picture.cursor.map(Position::from)
}

fn row() -> impl Strategy<Value = (String, u8)> {
    let text = prop_oneof![
        4 => "[a-f ]{0,24}",
        2 => "[a磁盘 e\u{301}]{0,14}",
        1 => "[😀x🇩🇪é  ]{0,12}",
        1 => Just(String::new()),
    ];
    (text, 0u8..16)
}

fn pictures(height: usize) -> impl Strategy<Value = Vec<Picture>> {
    let edit = (0..4u8, 0..height, 0..height, row(), -4i8..5, prop::option::of((0..30u16, 0..12u16)));
    (prop::collection::vec(row(), height), prop::collection::vec((edit, prop::collection::vec(row(), 4)), 1..8)).prop_map(move |(rows, edits)| {
        let mut picture = Picture { rows, selected: 0, cursor: None };
        let mut out = vec![picture.clone()];
        for ((kind, at, to, row, by, cursor), fresh) in edits {
            match kind {
                0 => picture.rows[at] = row,
                1 => picture.selected = at,
                _ => {
                    let (top, bottom) = (at.min(to), at.max(to));
                    for fresh in fresh.into_iter().take(usize::from(by.unsigned_abs())) {
                        if by > 0 {
                            picture.rows.remove(top);
                            picture.rows.insert(bottom, fresh);
                        } else {
                            picture.rows.remove(bottom);
                            picture.rows.insert(top, fresh);
                        }
                    }
                    if kind == 3 {
                        picture.rows[0] = row;
                    }
                }
            }
            picture.cursor = cursor;
            out.push(picture.clone());
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn frame_after_frame_shows_what_one_drawing_shows(pictures in pictures(12), fills in any::<bool>()) {
        let abilities = Abilities { fills_erased: fills, ..FULL };
        let (width, height) = (30, 12);
        let mut screen = Screen::new(width, height, abilities);
        let mut here = terminal(width, height);
        for picture in &pictures {
            here.process(screen.draw(|buffer| paint_picture(buffer, picture)));
            let mut fresh = terminal(width, height);
            fresh.process(Screen::new(width, height, abilities).draw(|buffer| paint_picture(buffer, picture)));
            prop_assert_eq!(seen(&here), seen(&fresh));
            prop_assert_eq!(here.screen().hide_cursor(), picture.cursor.is_none_or(|(x, y)| x >= width || y >= height));
            if let Some((x, y)) = picture.cursor.filter(|(x, y)| *x < width && *y < height) {
                prop_assert_eq!(here.screen().cursor_position(), (y, x));
            }
            prop_assert!(screen.draw(|buffer| paint_picture(buffer, picture)).len() <= 12, "only the cursor may move");
        }
    }

    #[test]
    fn t11_no_control_character_passes_the_second_wall(
        symbols in prop::collection::vec(prop_oneof![any::<String>(), "[\\x00-\\x1f\\x7f-\\u{9f}]", "a[\\x00-\\x1f\\u{80}-\\u{9f}]?"], 1..20),
    ) {
        let mut screen = Screen::new(20, 1, Abilities { synchronized: false, ..FULL });
        screen.draw(|_| None);
        let bytes = screen.draw(|buffer| {
            for (cell, symbol) in buffer.content.iter_mut().zip(&symbols) {
                cell.set_symbol(symbol);
            }
            None
        });
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        // Take our own moves out; what is left must be text.
        let moves = regex::Regex::new("\x1b\\[[0-9;]*[A-Za-z]|[\r\n\x08]").unwrap();
        prop_assert!(!moves.replace_all(&text, "").chars().any(char::is_control), "{:?}", text);
    }
}

#[test]
fn ascii_terminals_get_ascii() {
    let mut screen = Screen::new(10, 1, Abilities { ascii: true, ..FULL });
    let bytes = screen.draw(|buffer| {
        text::put(buffer, 0, 0, 10, "é磁▲", Style::new(), &Glyphs::ASCII);
        None
    });
    assert!(bytes.is_ascii());
}

/// A list as dense as the one that the peers were measured with (shared bench `tui`): 200x50, 5 columns.
fn dense(buffer: &mut Buffer, top: usize, selected: usize) {
    let mut state = 42u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let width = buffer.area.width;
    text::put(
        buffer,
        0,
        0,
        width,
        &format!("time          sev  region       node        message                 {selected} of 10000"),
        Style::new().add_modifier(Modifier::BOLD),
        &Glyphs::UNICODE,
    );
    let rows: Vec<String> = (0..200)
        .map(|i| {
            format!(
                "{:02}:{:02}:{:02}.{:03}|P{}|eu-west-{}|node-{:04}|HighLatency value={} over threshold {} for {}m, id={:016x} runbook=rb/{} owner=team-{}",
                i / 3600,
                i / 60 % 60,
                i % 60,
                random(1000),
                random(4),
                random(4),
                random(800),
                random(5000),
                random(1000),
                random(30),
                random(u64::MAX >> 33) * 0x1_0001_0001,
                random(300),
                random(20)
            )
        })
        .collect();
    for y in 1..buffer.area.height - 1 {
        let row = usize::from(y) - 1 + top;
        let parts: Vec<&str> = rows[row].split('|').collect();
        let colour = match parts[1] {
            "P0" => Color::Rgb(255, 107, 87),
            "P1" => Color::Rgb(232, 176, 74),
            _ => Color::Rgb(154, 142, 128),
        };
        let emphasis = if row == selected { Modifier::BOLD } else { Modifier::empty() };
        if row == selected {
            text::put(buffer, 0, y, 1, "▌", Style::new().fg(Color::Rgb(224, 164, 88)), &Glyphs::UNICODE);
        }
        for (part, x, room, style) in [
            (0, 2, 13, Style::new()),
            (1, 16, 4, Style::new().fg(colour)),
            (2, 21, 12, Style::new().add_modifier(emphasis)),
            (3, 34, 10, Style::new()),
            (4, 45, 155, Style::new()),
        ] {
            text::put(buffer, x, y, room, parts[part], style, &Glyphs::UNICODE);
        }
    }
    text::put(
        buffer,
        0,
        buffer.area.height - 1,
        width,
        &format!("row {selected}/10000 - 4 servers connected"),
        Style::new().bg(Color::Rgb(30, 26, 23)),
        &Glyphs::UNICODE,
    );
}

fn median(mut sizes: Vec<usize>) -> usize {
    sizes.sort_unstable();
    sizes[sizes.len() / 2]
}

#[test]
fn g10_a_key_costs_few_bytes() {
    let mut screen = Screen::new(200, 50, FULL);
    let first = screen
        .draw(|b| {
            dense(b, 0, 0);
            None
        })
        .len();
    assert_eq!(
        screen
            .draw(|b| {
                dense(b, 0, 0);
                None
            })
            .len(),
        0,
        "nothing changed"
    );
    let select = median(
        (1..20)
            .map(|i| {
                screen
                    .draw(|b| {
                        dense(b, 0, i);
                        None
                    })
                    .len()
            })
            .collect(),
    );
    let scroll = median(
        (1..40)
            .map(|i| {
                screen
                    .draw(|b| {
                        dense(b, i, i + 24);
                        None
                    })
                    .len()
            })
            .collect(),
    );
    let back = median(
        (1..39)
            .rev()
            .map(|i| {
                screen
                    .draw(|b| {
                        dense(b, i, i + 24);
                        None
                    })
                    .len()
            })
            .collect(),
    );
    eprintln!("bytes at 200x50: first {first}, selection {select}, scroll down {scroll}, scroll up {back}");
    assert!(select <= 120, "selection: {select}");
    assert!(scroll <= 440 && back <= 440, "scroll: {scroll}, {back}");
}

#[test]
fn a_resize_or_a_foreign_hand_draws_everything_again() {
    let mut screen = Screen::new(20, 3, FULL);
    let paint = |b: &mut Buffer| {
        text::put(b, 0, 0, 20, "hello", Style::new(), &Glyphs::UNICODE);
        None
    };
    screen.draw(paint);
    assert!(screen.draw(paint).is_empty());
    screen.forget();
    assert!(screen.draw(paint).windows(4).any(|w| w == b"\x1b[2J"));
    screen.resize(10, 2);
    let mut here = terminal(10, 2);
    here.process(screen.draw(paint));
    assert_eq!(here.screen().contents(), "hello");
}
