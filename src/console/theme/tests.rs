//! Themes: all of them load, can be read, and say what is wrong.

use ratatui::style::Color;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

#[test]
fn every_shipped_theme_loads_at_every_depth() {
    for (name, _) in SHIPPED {
        for depth in [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True] {
            let theme = Theme::shipped(name, depth, false).unwrap();
            for role in Role::ALL {
                let style = theme.style(*role);
                for colour in [style.fg, style.bg].into_iter().flatten() {
                    match depth {
                        Depth::None => panic!("{name} {role:?}: a colour without colours"),
                        Depth::Sixteen => assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_))),
                        Depth::Indexed => assert!(!matches!(colour, Color::Rgb(..))),
                        Depth::True => {}
                    }
                }
            }
        }
    }
}

#[test]
fn text_can_be_read_on_what_it_stands_on() {
    // WCAG 2.2 AA: 4.5 for text. Faint text, rules and empty cells are decoration.
    for name in ["midwatch", "daylight"] {
        let theme = Theme::shipped(name, Depth::True, false).unwrap();
        let ground = theme.style(Role::Background).bg.unwrap();
        let bar = theme.style(Role::Bar).bg.unwrap();
        for role in Role::ALL.iter().filter(|role| !matches!(role, Role::Faint | Role::Rule | Role::StripEmpty)) {
            let style = theme.style(*role);
            let Some(fg) = style.fg else { continue };
            for bg in style.bg.map_or(vec![ground, bar], |bg| vec![bg]) {
                let ratio = contrast(fg, bg).unwrap();
                assert!(ratio >= 4.5, "{name}: {} has a contrast of {ratio:.2}", role.name());
            }
        }
    }
}

#[test]
fn what_a_theme_does_not_name_looks_like_what_is_above_it() {
    let files = [("mine".to_owned(), "inherits = \"midwatch\"\n[palette]\namber = \"#112233\"\n[scopes]\n\"severity\" = \"red\"\n".to_owned())];
    let theme = Theme::load("mine", &files, Depth::True, true).unwrap();
    assert_eq!(theme.style(Role::SelectionMark).fg, Some(Color::Rgb(0x11, 0x22, 0x33)));
    assert_eq!(theme.style(Role::Fine).fg, Some(Color::Rgb(0x86, 0xb9, 0x8f)));
    assert!(theme.glyphs.is_ascii);
    let own = [("own".to_owned(), "[scopes]\n\"severity\" = \"red\"\n".to_owned())];
    let theme = Theme::load("own", &own, Depth::True, false).unwrap();
    assert_eq!(theme.severity(Severity::Warning).fg, Some(Color::Red));
}

#[test]
fn mistakes_are_told_with_their_line() {
    let said = |text: &str| Theme::load("mine", &[("mine".to_owned(), text.to_owned())], Depth::True, false).unwrap_err().to_string();
    assert_eq!(said("[scopes]\n\"severity.critcal\" = \"red\"\n"), "mine.toml:2:1: there is no scope `severity.critcal`; did you mean `severity.critical`?");
    assert_eq!(said("[palette]\na = \"#12345\"\n"), "mine.toml:2:5: `#12345` is no colour; write it like #e0a458");
    assert_eq!(said("[scopes]\ntext = \"rde\"\n"), "mine.toml:2:8: there is no colour `rde`; did you mean `red`?");
    assert_eq!(said("inherits = \"daylite\"\n"), "there is no theme `daylite`; did you mean `daylight`?");
    assert!(said("inherits = \"mine\"\n").contains("in a circle"));
    assert!(said("[scopes]\ntext = { bald = true }\n").starts_with("mine.toml:2:10: `bald` is not"));
}

#[test]
fn the_environment_says_how_many_colours_there_are() {
    let with = |pairs: &'static [(&'static str, &'static str)]| move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    assert_eq!(Depth::detect(none), Depth::Sixteen);
    assert_eq!(Depth::detect(with(&[("TERM", "xterm-256color")])), Depth::Indexed);
    assert_eq!(Depth::detect(with(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")])), Depth::True);
    assert_eq!(Depth::detect(with(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")])), Depth::None);
    assert_eq!(Depth::detect(with(&[("TERM", "linux")])), Depth::Sixteen);
    assert!(Glyphs::locale_is_utf8(none));
    assert!(!Glyphs::locale_is_utf8(with(&[("LANG", "C")])));
    assert!(Glyphs::locale_is_utf8(with(&[("LC_ALL", "de_DE.utf8"), ("LANG", "C")])));
}

#[test]
fn severities_keep_their_hue_in_sixteen_colours() {
    let theme = Theme::shipped("midwatch", Depth::Sixteen, false).unwrap();
    assert_eq!(theme.severity(Severity::Critical).fg, Some(Color::LightRed));
    assert_eq!(theme.severity(Severity::Warning).fg, Some(Color::Yellow));
    assert_eq!(theme.style(Role::Fine).fg, Some(Color::Green));
    assert_eq!(theme.severity(Severity::Unknown).fg, Some(Color::Magenta));
}

#[test]
fn every_glyph_is_one_cell_wide_and_ascii_is_ascii() {
    use unicode_width::UnicodeWidthStr;
    for glyphs in [Glyphs::UNICODE, Glyphs::ASCII] {
        let g = glyphs;
        let all = [
            g.critical,
            g.error,
            g.warning,
            g.unknown,
            g.info,
            g.debug,
            g.fine,
            g.live,
            g.late,
            g.gone,
            g.folded,
            g.unfolded,
            g.selected,
            g.marked,
            g.pointer,
            g.arrow,
            g.clock,
            g.good,
            g.bad,
            g.bookmark,
            g.pending,
            g.link,
            g.ellipsis,
            g.dot,
            g.rule,
            g.vertical,
            g.branch,
            g.last_branch,
            g.trunk,
        ];
        for glyph in all.iter().chain(&g.corners).chain(&g.bars) {
            assert_eq!(glyph.width(), 1, "{glyph}");
            assert!(!g.is_ascii || glyph.is_ascii(), "{glyph}");
        }
    }
    assert_eq!(["▁", "█", " "], [Glyphs::UNICODE.bar(1, 1_000), Glyphs::UNICODE.bar(9, 9), Glyphs::UNICODE.bar(0, 9)]);
}
