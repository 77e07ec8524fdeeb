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

/// The themes that name their colours; the others leave them to the terminal.
const COLOURED: [&str; 4] = ["midwatch", "daylight", "high-contrast", "colour-blind"];

#[test]
fn text_can_be_read_on_what_it_stands_on() {
    // WCAG 2.2 AA: 4.5 for text. Faint text, rules and empty cells are decoration.
    for name in COLOURED {
        let theme = Theme::shipped(name, Depth::True, false).unwrap();
        let ground = |role: Role| theme.style(role).bg;
        let grounds: Vec<Color> = [Role::Background, Role::Bar, Role::Overlay, Role::Selection].into_iter().filter_map(ground).collect();
        assert!(grounds.len() >= 3, "{name} has no ground of its own");
        for role in Role::ALL.iter().filter(|role| !matches!(role, Role::Faint | Role::Rule | Role::StripEmpty)) {
            for style in [theme.style(*role), theme.selected(*role)] {
                let Some(fg) = style.fg else { continue };
                for bg in style.bg.map_or(grounds.clone(), |bg| vec![bg]) {
                    let ratio = contrast(fg, bg).unwrap();
                    assert!(ratio >= 4.5, "{name}: {} has a contrast of {ratio:.2}", role.name());
                }
            }
        }
    }
    // More than AA: 7 for text, where contrast is the point (AAA).
    let theme = Theme::shipped("high-contrast", Depth::True, false).unwrap();
    for role in [Role::Text, Role::Muted, Role::SeverityCritical, Role::SeverityWarning, Role::SeverityUnknown, Role::Fine, Role::Actor, Role::Key] {
        let style = theme.style(role);
        assert!(contrast(style.fg.unwrap(), style.bg.or(theme.style(Role::Background).bg).unwrap()).unwrap() >= 7.0, "{}", role.name());
    }
}

type Matrix = [[f64; 3]; 3];

/// How red-blind and green-blind eyes see, in linear light: Machado, Oliveira and Fernandes,
/// "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
const PROTANOPIA: Matrix = [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]];
const DEUTERANOPIA: Matrix = [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]];
const EVERYBODY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// A colour as such eyes see it, in CIE L*a*b* (D65).
fn seen(colour: Color, eyes: &Matrix) -> [f64; 3] {
    let Color::Rgb(r, g, b) = colour else { panic!("{colour:?} has no parts") };
    let linear = [r, g, b].map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let times = |matrix: &Matrix, v: [f64; 3]| matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>());
    let light = times(eyes, linear).map(|c| c.clamp(0.0, 1.0));
    let xyz = times(&[[0.412_456, 0.357_576, 0.180_438], [0.212_673, 0.715_152, 0.072_175], [0.019_334, 0.119_192, 0.950_304]], light);
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let [x, y, z] = [f(xyz[0] / 0.950_47), f(xyz[1]), f(xyz[2] / 1.088_83)];
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The least distance (CIE76; 2.3 is just noticeable) between any two of what colour has to tell apart.
fn closest(theme: &Theme, eyes: &Matrix) -> (f64, String) {
    let roles = [Role::SeverityCritical, Role::SeverityWarning, Role::SeverityUnknown, Role::Fine];
    let mut least = (f64::MAX, String::new());
    for (place, a) in roles.iter().enumerate() {
        for b in &roles[place + 1..] {
            let (p, q) = (seen(theme.style(*a).fg.unwrap(), eyes), seen(theme.style(*b).fg.unwrap(), eyes));
            let far = p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
            if far < least.0 {
                least = (far, format!("{} and {}", a.name(), b.name()));
            }
        }
    }
    least
}

#[test]
fn the_colour_blind_theme_tells_severities_apart_for_every_eye() {
    let theme = Theme::shipped("colour-blind", Depth::True, false).unwrap();
    for (eyes, matrix) in [("everybody", EVERYBODY), ("protanopia", PROTANOPIA), ("deuteranopia", DEUTERANOPIA)] {
        let (far, which) = closest(&theme, &matrix);
        assert!(far >= 30.0, "{eyes}: {which} are only {far:.1} apart");
    }
    // The measure can fail: it does for the usual red, amber and green.
    assert!(closest(&Theme::shipped("midwatch", Depth::True, false).unwrap(), &DEUTERANOPIA).0 < 20.0);
}

#[test]
fn a_theme_that_leaves_colours_to_the_terminal_names_no_other() {
    for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
        let theme = Theme::shipped("terminal", depth, false).unwrap();
        for role in Role::ALL {
            let style = theme.style(*role);
            assert!(style.bg.is_none(), "{}: its own background stays", role.name());
            assert!(!matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_))), "{}", role.name());
        }
    }
}

#[test]
fn themes_say_what_they_are_for_and_a_users_own_goes_before_a_shipped_one() {
    let themes =
        Themes { files: vec![("mine".into(), "# Blue.\ninherits = \"midwatch\"\n".into()), ("mono".into(), "[scopes]\n".into())], ..Themes::default() };
    let names = themes.names();
    assert_eq!(names.len(), SHIPPED.len() + 1);
    assert!(names.contains(&("mine".into(), "Blue.".into())) && names.contains(&("mono".into(), String::new())));
    assert!(Themes::default().names().iter().all(|(_, words)| words.ends_with('.')), "{names:?}");
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
    assert_eq!(Depth::detect(with(&[("TERM", "screen"), ("COLORTERM", "truecolor"), ("STY", "1.x")])), Depth::Indexed);
    assert_eq!(Depth::detect(with(&[("TERM", "screen.xterm-256color"), ("COLORTERM", "truecolor")])), Depth::Indexed, "over ssh STY is not known");
    assert_eq!(Depth::detect(with(&[("TERM", "screen-256color"), ("COLORTERM", "truecolor"), ("TMUX", "x")])), Depth::True);
    assert!(Glyphs::locale_is_utf8(none));
    assert!(!Glyphs::locale_is_utf8(with(&[("LANG", "C")])));
    assert!(Glyphs::locale_is_utf8(with(&[("LC_ALL", "de_DE.utf8"), ("LANG", "C")])));
}

#[test]
fn without_colours_every_theme_says_with_attributes_what_mono_says() {
    let mono = Theme::shipped("mono", Depth::None, false).unwrap();
    for name in ["midwatch", "daylight", "high-contrast", "colour-blind", "terminal"] {
        let theme = Theme::shipped(name, Depth::None, false).unwrap();
        for role in Role::ALL {
            let (style, least) = (theme.style(*role), mono.style(*role));
            assert_eq!((style.fg, style.bg), (None, None), "{name}: {role:?}");
            assert!(style.add_modifier.contains(least.add_modifier), "{name}: {role:?} is {style:?}, mono has {least:?}");
        }
        assert_ne!(theme.style(Role::Heading), theme.style(Role::Text), "{name}");
    }
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
