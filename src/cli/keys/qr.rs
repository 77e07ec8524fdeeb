//! A QR code in half blocks: two modules of the code to a cell.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// What the code is drawn on: its dark modules must be darker than its light ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paper {
    /// White, with black on it: the terminal has colours, and its own background does not matter.
    Own,
    /// The terminal's, without colours: ink is light.
    Dark,
    /// As [`Paper::Dark`]: ink is dark.
    Light,
}

impl Paper {
    /// By the variable that rxvt, Konsole and others set (`15;0`: ink and background of the 16 colours).
    /// Where nothing is said the background is dark, as most are.
    pub fn of_terminal(colorfgbg: Option<&str>) -> Paper {
        match colorfgbg.and_then(|text| text.rsplit(';').next()).and_then(|back| back.parse::<u8>().ok()) {
            Some(7 | 9..=15) => Paper::Light,
            Some(_) | None => Paper::Dark,
        }
    }
}

/// Black on white, of the part of the 256 colours that themes leave alone.
const OWN: (&str, &str) = ("\x1b[38;5;16;48;5;231m", "\x1b[0m");

/// The lines of the code, each with its newline. `None`: the text is too long for one.
pub fn lines(text: &str, paper: Paper) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    // In the crate's words `Dark` is a filled half cell: the terminal's ink.
    let (dark, light) = if paper == Paper::Dark { (Dense1x2::Light, Dense1x2::Dark) } else { (Dense1x2::Dark, Dense1x2::Light) };
    let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).quiet_zone(true).build();
    let (before, after) = if paper == Paper::Own { OWN } else { ("", "") };
    Some(drawn.lines().map(|line| format!("{before}{line}{after}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_key_fits_beneath_a_prompt_of_24_lines() {
        let lines = lines(LINE, Paper::Dark).unwrap();
        assert!(lines.len() <= 23 && lines.iter().all(|line| line.trim_end_matches('\n').chars().count() == 45), "{}", lines.concat());
    }

    /// The first finder pattern's corner is dark, its surroundings light: on each paper in its own ink.
    #[test]
    fn what_is_dark_is_darker_than_what_is_light() {
        let cell = |paper, row: usize, column: usize| lines(LINE, paper).unwrap()[row].trim_start_matches(OWN.0).chars().nth(column).unwrap();
        // The quiet zone is four modules: two lines, four columns.
        assert_eq!((cell(Paper::Dark, 0, 0), cell(Paper::Dark, 2, 4)), ('█', ' '));
        assert_eq!((cell(Paper::Light, 0, 0), cell(Paper::Light, 2, 4)), (' ', '█'));
        assert_eq!((cell(Paper::Own, 0, 0), cell(Paper::Own, 2, 4)), (' ', '█'));
        assert!(lines(LINE, Paper::Own).unwrap().iter().all(|line| line.starts_with(OWN.0) && line.ends_with("\x1b[0m\n")));
    }

    #[test]
    fn the_background_is_what_the_terminal_says() {
        assert_eq!(Paper::of_terminal(Some("0;15")), Paper::Light);
        assert_eq!(Paper::of_terminal(Some("15;default;0")), Paper::Dark);
        assert_eq!(Paper::of_terminal(None), Paper::Dark);
    }
}
