//! Reading a configuration file so that a mistake in it is found: file, line, column, what was
//! expected, and the nearest right name.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::failure::Failure;

/// No configuration of ours is larger; what is, is the wrong file.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Tables within tables, or lists within lists, beyond which a file is refused unread (B1).
const DEEPEST: usize = 64;

/// The file's text, or nothing when there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()), "Check the path and who may read it");
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if metadata.is_dir() {
        return Err(Failure::failed(format!("{} is a folder, not a file", path.display()), "Name the file in it"));
    }
    if metadata.len() > LARGEST {
        return Err(Failure::failed(format!("{} is larger than 4 MiB", path.display()), "Is it the right file?"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(Failure::failed(format!("{}: byte {} is not UTF-8", path.display(), error.utf8_error().valid_up_to() + 1), "Save the file as UTF-8")),
    }
}

/// The file's content as `T`. `path` is for the words only.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    if let Some(at) = too_deep(text) {
        let (line, column) = place(text, at);
        return Err(Failure::failed(format!("{}:{line}:{column}: brackets within brackets, more than {DEEPEST} deep", path.display()), "Flatten it"));
    }
    toml::from_str(text).map_err(|error| {
        let (line, column) = error.span().map_or((1, 1), |span| place(text, span.start));
        let message = error.message().trim().replace('\n', ", ");
        Failure::failed(format!("{}:{line}:{column}: {message}", path.display()), hint(&message))
    })
}

/// Line and column, from 1, of a byte.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before: String = text.char_indices().take_while(|(i, _)| *i < at).map(|(_, c)| c).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// From "unknown field `thme`, expected one of `theme`, `keymap`": "Did you mean `theme`?".
fn hint(message: &str) -> String {
    if !message.starts_with("unknown") {
        return String::new();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(wrong) = quoted.next() else { return String::new() };
    nearest(wrong, quoted).map(|right| format!("Did you mean `{right}`?")).unwrap_or_default()
}

/// The name among `names` that `wrong` was probably meant to be.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = names.into_iter().map(|name| (distance(wrong, name), name)).min_by_key(|(distance, _)| *distance)?;
    let allowed = (wrong.chars().count().max(best.1.chars().count()) / 3).max(1);
    (best.0 <= allowed).then_some(best.1)
}

/// How many letters must be changed, added, dropped or swapped with their neighbour (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(100).collect(), b.chars().take(100).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (get(&above, j) + usize::from(x != y)).min(get(&above, j + 1) + 1).min(get(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

/// Where brackets nest too deeply, counted before anything recursive reads them. Brackets in strings
/// count too, which only makes a strange file stranger.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        #[allow(dead_code)]
        theme: String,
        #[serde(default)]
        #[allow(dead_code)]
        keymap: u8,
    }

    fn refused(text: &str) -> String {
        parse::<Sample>(Path::new("console.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_shown_with_its_place_and_the_nearest_right_name() {
        let words = refused("# x\nthme = \"day\"\n");
        assert!(words.starts_with("console.toml:2:1: unknown field `thme`"), "{words}");
        assert!(words.ends_with("Did you mean `theme`?"), "{words}");
        assert!(refused("keymap = \"ä\"").starts_with("console.toml:1:10: invalid type"), "{}", refused("keymap = \"ä\""));
        assert!(refused("a = [").starts_with("console.toml:1:"), "{}", refused("a = ["));
        assert!(!refused("zzzzzzz = 1").contains("Did you mean"), "nothing is near");
    }

    #[test]
    fn b1_deep_nesting_is_refused_before_it_is_read() {
        let words = refused(&format!("theme = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(words.contains("deep"), "{words}");
    }

    #[test]
    fn swapped_letters_are_one_mistake() {
        assert_eq!(distance("thmee", "theme"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("severs", ["servers", "theme"]), Some("servers"));
        assert_eq!(nearest("x", ["servers", "theme"]), None);
    }
}
