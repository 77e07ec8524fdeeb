//! A corpus of hostile strings, each after a failure that somebody had, drawn through every way for text
//! into a frame. Whatever comes, the terminal sees text.

use midwatch::console::screen::{Abilities, Screen, ask, text};
use midwatch::console::theme::Glyphs;
use midwatch::model::clean::{clean_line, clean_text, disguise};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Name of the failure, and a string of its kind.
pub(crate) fn corpus() -> Vec<(&'static str, String)> {
    vec![
        ("t1 clear and home", "\x1b[2J\x1b[Hroot@host# ".into()),
        ("t1 return over what was said", "all is lost\rall is well".into()),
        ("t2 remote error", "remote: \x1b[31mfatal\x1b[0m\x08\x08\x08\x08\x08fine".into()),
        ("t3 address in a prompt", "Password for 'https://trusted.example\r\n@evil.example': ".into()),
        ("t4 string without end", "\x1b]0;title".into()),
        ("t4 string within a string", "\x1bP\x1b]52;c;eA==\x07\x1b\\".into()),
        ("t4 escape at the end", "abc\x1b".into()),
        ("t5 notice", "\x1b]9;x\x07\x1b]777;notify;a;b\x1b\\\x1b]99;;x\x1b\\".into()),
        ("t6 title and report", "\x1b]2;rm -rf ~\x07\x1b[21t".into()),
        ("t6 clipboard", "\x1b]52;c;cm0gLXJmIH4K\x07".into()),
        ("t7 marks", format!("a{}", "\u{301}".repeat(10_000))),
        ("t7 marks without a base", "\u{20dd}\u{301}".repeat(100)),
        ("t11 device reports", "\x1b[6n\x1b[c\x1b[>c\x1bZ\x05\x1b[?15n".into()),
        ("t11 c1", "\u{9b}2J\u{9d}0;x\u{9c}\u{90}q\u{9c}\u{84}\u{85}".into()),
        ("t12 override", "access \u{202e}nwodtuhs\u{202c} \u{2066}ok\u{2069}".into()),
        ("t12 invisible", "ro\u{200b}bin\u{feff}\u{2060}\u{ad}\u{e0041}".into()),
        ("joiners", "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 👍🏽 🇩🇪".into()),
        ("shift in and out, bell, null", "\x0e\x0f\x07\0\x0b\x0c\x7f".into()),
        ("lines", "a\nb\r\nc\u{2028}d\u{2029}e\u{85}f\u{b}g".into()),
        ("wide at the edge", "磁".repeat(300)),
        ("long", "x".repeat(1_000_000)),
        ("kitty graphics", "\x1b_Ga=T,f=100;AAAA\x1b\\".into()),
        ("mode changes", "\x1b[?1049l\x1b[?1000h\x1b[4h\x1bc\x1b(0".into()),
        ("halves", "\u{1160}\u{115f}\u{3164}\u{ffa0}\u{fff9}a\u{fffb}".into()),
    ]
}

fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'))
}

#[test]
fn t1_t12_cleaned_text_is_text() {
    for (name, text) in corpus() {
        assert!(is_harmless(&clean_line(&text)), "{name}: {:?}", clean_line(&text).chars().take(80).collect::<String>());
        assert!(clean_text(&text).split('\n').all(is_harmless), "{name}");
    }
}

#[test]
fn t1_t12_every_way_into_a_frame_draws_text() {
    let glyphs = &Glyphs::UNICODE;
    let style = Style::new();
    let moves = regex::Regex::new("\x1b\\[\\??[0-9;]*[A-Za-z]|[\r\n\x08]").unwrap();
    for (name, text) in corpus() {
        let mut screen = Screen::new(40, 6, Abilities::default());
        let bytes = screen
            .draw(|buffer| {
                text::put(buffer, 0, 0, 40, &text, style, glyphs);
                text::put_right(buffer, 3, 1, 20, &text, style, glyphs);
                text::put_pieces(buffer, 0, 2, 40, &[text::Piece::new(text.as_str(), style), text::Piece::new(text.as_str(), style)], glyphs);
                text::put_wrapped(buffer, Rect::new(0, 3, 7, 2), &text, style, glyphs);
                text::hints(buffer, 0, 5, 40, &[(text.clone(), &text)], [style; 2], glyphs);
                text::frame(buffer, Rect::new(20, 2, 20, 4), &text, style, style, glyphs);
                // Whoever writes into the buffer past all of these meets the second wall.
                buffer[(39, 5)].set_symbol(&text);
                None
            })
            .to_vec();
        let mut terminal = vt100::Parser::new(6.try_into().unwrap(), 40.try_into().unwrap(), 0);
        let mut frame = vec![b'#'; 1];
        frame.extend_from_slice(&bytes);
        terminal.process(&frame);
        let screen = terminal.screen();
        assert!(screen.hide_cursor() && !screen.alternate_screen(), "{name}: modes were changed");
        assert!(bytes.len() < 4_000, "{name}: {} bytes for a small frame", bytes.len());
        let drawn = String::from_utf8(bytes).unwrap();
        assert!(is_harmless(&moves.replace_all(&drawn, "")), "{name}: {drawn:?}");
        for control in ["\x1b[6n", "\x1b[c", "\x1b[21t", "\x1b]", "\x1bP", "\x1bc", "\x1b[?1049l", "\x1b[?1000h"] {
            assert!(!drawn.contains(control), "{name} got {control:?} through");
        }
    }
}

#[test]
fn t5_notices_hold_nothing_but_their_own_frame() {
    for (name, text) in corpus() {
        let ways = ask::Ways { bell: true, osc9: true, osc777: true };
        let notice = ask::notify(&text, &text, ways, ask::Between::Nothing);
        assert_eq!(notice.chars().filter(|c| c.is_control()).count(), 5, "{name}: {notice:?}");
    }
}

#[test]
fn t8_t12_names_that_hide_something_are_flagged() {
    for name in ["ro\u{202e}nib", "robin\u{200b}", "rоbin", "ｒｏｂｉｎ", "robin\x1b[8m", "\u{2066}root\u{2069}"] {
        assert!(disguise(name).is_some(), "{name:?}");
    }
    assert_eq!(disguise("robin@laptop"), None);
}
