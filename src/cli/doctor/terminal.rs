//! What the terminal is and can: what the environment says, and what it answers itself.

use std::io::IsTerminal;

use super::finding::{Finding, better, broken, fine};
use super::probe::Answers;
use crate::console::theme::Depth;

/// `variable` is the environment; `answers` is nothing when there was no terminal to ask.
pub(super) fn findings(variable: &dyn Fn(&str) -> Option<String>, answers: Option<&Answers>) -> Vec<Finding> {
    let mut out = Vec::new();
    let term = variable("TERM");
    if std::io::stdout().is_terminal() {
        out.push(size());
    } else {
        out.push(better("terminal", "the output is no terminal", "Run it where the console is to run"));
    }
    match term.as_deref() {
        None => out.push(better("TERM", "not set", "The console needs a terminal; set TERM to what it is")),
        Some("dumb") => out.push(better("TERM", "dumb", "The console needs a terminal that can move its cursor; the commands (midwatch now) work")),
        Some(term) => out.push(fine("TERM", term)),
    }
    out.extend(answers.map(answering));
    out.push(colour(variable, term.as_deref(), answers));
    if let Some((r, g, b)) = answers.and_then(|answers| answers.background) {
        let light = crate::console::screen::input::Answer::Background(r, g, b).is_light();
        let theme = crate::console::theme::Themes::for_background(light);
        out.push(fine("background", format!("{} (#{r:02x}{g:02x}{b:02x}): theme \"auto\" is {theme}", if light { "light" } else { "dark" })));
    }
    out.push(locale(variable));
    if let Some(answers) = answers.filter(|answers| !answers.is_silent()) {
        out.extend(widths(answers));
        out.push(match answers.synchronized {
            Some(true) => fine("updates", "synchronized (mode 2026): no frame is seen half drawn"),
            Some(false) | None => fine("updates", "not synchronized: a slow line may show a frame half drawn"),
        });
        out.push(if answers.kitty_keyboard {
            fine("keyboard", "tells every key apart (kitty's protocol); midwatch does without")
        } else {
            fine("keyboard", "as terminals always had it: Esc counts as a key after 50 ms without more")
        });
    }
    out.push(clipboard(variable, answers));
    out
}

fn size() -> Finding {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col >= 80 && size.ws_row >= 24 => fine("size", format!("{} columns, {} rows", size.ws_col, size.ws_row)),
        Ok(size) => better("size", format!("{} columns, {} rows", size.ws_col, size.ws_row), "80x24 or more is comfortable; it works from 40x10"),
        Err(error) => broken("size", format!("the terminal does not say its size: {error}"), "stty rows 24 cols 80"),
    }
}

fn answering(answers: &Answers) -> Finding {
    let name = answers.name.as_deref().unwrap_or("it does not say its name");
    match (&answers.kind, answers.took) {
        (Some(_), Some(took)) => fine("answers", format!("{name}; after {} ms", took.as_millis())),
        _ if answers.noise > 0 => {
            let words = format!("{} bytes came that are no answer to what was asked", answers.noise);
            better("answers", words, "Is something else writing to this terminal, or is the line damaged? What it can is taken from the environment")
        }
        _ => better(
            "answers",
            "the terminal answers no question",
            "Choose a theme by name: its background cannot be asked for. The rest is taken from the environment",
        ),
    }
}

fn colour(variable: &dyn Fn(&str) -> Option<String>, term: Option<&str>, answers: Option<&Answers>) -> Finding {
    let said = answers.is_some_and(|answers| answers.true_colour);
    match (variable("NO_COLOR"), variable("COLORTERM").as_deref(), term) {
        (Some(_), _, _) => fine("colour", "none: NO_COLOR is set"),
        (None, Some("truecolor" | "24bit"), _) if Depth::detect(variable) < Depth::True => fine("colour", "256: GNU screen shows no more of them"),
        (None, Some("truecolor" | "24bit"), _) => fine("colour", "16 million (COLORTERM)"),
        (None, _, _) if said => better(
            "colour",
            "the terminal says that it has 16 million, and COLORTERM does not",
            "Set COLORTERM=truecolor (over ssh: SendEnv and AcceptEnv COLORTERM)",
        ),
        (None, _, Some(term)) if term.contains("256color") || term.contains("direct") => {
            better("colour", "256", "If the terminal can do more, set COLORTERM=truecolor (over ssh: SendEnv and AcceptEnv COLORTERM)")
        }
        (None, _, _) => better("colour", "16", "If the terminal can do more, set COLORTERM=truecolor"),
    }
}

fn locale(variable: &dyn Fn(&str) -> Option<String>) -> Finding {
    match variable("LC_ALL").or_else(|| variable("LC_CTYPE")).or_else(|| variable("LANG")) {
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => fine("locale", locale),
        Some(locale) => {
            better("locale", format!("{locale} is not UTF-8: the console draws with ASCII alone"), "Set LANG=C.UTF-8 when the terminal shows UTF-8")
        }
        None => better("locale", "not set: the console draws with ASCII alone", "Set LANG=C.UTF-8 when the terminal shows UTF-8"),
    }
}

/// Whether what is printed takes the columns that we count.
fn widths(answers: &Answers) -> Option<Finding> {
    let widths = answers.widths();
    let (what, wanted, got) = *widths.iter().find(|(_, wanted, got)| wanted != got).or_else(|| widths.first())?;
    Some(match (what, wanted == got) {
        (_, true) => fine("characters", "as wide as midwatch counts them"),
        (what, false) if what.starts_with('é') => broken(
            "characters",
            format!("{what} takes {got} columns: the terminal does not read UTF-8"),
            "Switch it to UTF-8, or set ascii = true in console.toml",
        ),
        (what, false) if wanted == 1 => {
            let hint = "Set the terminal's ambiguous-width characters to narrow, or ascii = true in console.toml";
            broken("characters", format!("{what}, takes {got} columns, not {wanted}: rows would not line up"), hint)
        }
        (what, false) => better(
            "characters",
            format!("{what}, takes {got} columns, not {wanted}"),
            "Rows with such characters may not line up; a newer terminal counts as Unicode does",
        ),
    })
}

fn clipboard(variable: &dyn Fn(&str) -> Option<String>, answers: Option<&Answers>) -> Finding {
    let says = answers.is_some_and(|answers| answers.clipboard || answers.kind.as_ref().is_some_and(|kind| kind.contains(&52)));
    if says {
        return fine("clipboard", "by OSC 52: the terminal says that it takes it");
    }
    if variable("VTE_VERSION").and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version < 7_600) {
        return better("clipboard", "this terminal (VTE before 0.76) does not take OSC 52", "Copy with the mouse while shift is held");
    }
    let far = if variable("SSH_CONNECTION").is_some() { ", through ssh" } else { "" };
    fine("clipboard", format!("by OSC 52{far}, if the terminal's settings allow it; it does not say"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn of(pairs: &[(&str, &str)], answers: Option<&Answers>, what: &str) -> Finding {
        let lookup = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        findings(&lookup, answers).into_iter().find(|finding| finding.what == what).unwrap()
    }

    #[test]
    fn the_environment_says_what_the_terminal_can() {
        let of = |pairs: &[(&str, &str)], what| of(pairs, None, what);
        assert_eq!(of(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], "colour").verdict, Verdict::Ok);
        assert_eq!(of(&[("TERM", "xterm-256color")], "colour").words, "256");
        assert_eq!(of(&[("TERM", "linux"), ("NO_COLOR", "1")], "colour").words, "none: NO_COLOR is set");
        assert_eq!(of(&[("TERM", "dumb")], "TERM").verdict, Verdict::CouldBeBetter);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")], "locale").verdict, Verdict::Ok);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], "locale").verdict, Verdict::CouldBeBetter);
        assert_eq!(of(&[("VTE_VERSION", "7402")], "clipboard").verdict, Verdict::CouldBeBetter);
        assert_eq!(of(&[("VTE_VERSION", "7800")], "clipboard").verdict, Verdict::Ok);
    }

    #[test]
    fn what_the_terminal_says_itself_counts_more() {
        let answers = Answers { true_colour: true, kind: Some(vec![62, 52]), columns: vec![2, 3, 2], background: Some((250, 250, 240)), ..Answers::default() };
        let one = |what| of(&[("TERM", "xterm-256color")], Some(&answers), what);
        assert!(one("colour").words.contains("16 million") && one("colour").hint.contains("COLORTERM=truecolor"));
        assert!(one("background").words.contains("light") && one("background").words.contains("daylight"));
        assert_eq!(one("characters").verdict, Verdict::Ok);
        assert!(one("clipboard").words.contains("says that it takes it"));
        let not_utf8 = Answers { columns: vec![3, 4, 4], kind: Some(vec![1]), ..Answers::default() };
        assert_eq!(of(&[], Some(&not_utf8), "characters").verdict, Verdict::Broken);
        let wide_glyphs = Answers { columns: vec![2, 3, 3], kind: Some(vec![1]), ..Answers::default() };
        assert!(of(&[], Some(&wide_glyphs), "characters").hint.contains("ambiguous-width"));
    }
}
