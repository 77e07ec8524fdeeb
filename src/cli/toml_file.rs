//! Reading a configuration file so that a mistake in it is found: file, line, column, what was
//! expected, and the nearest right name.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::model::nearest::{nearest_expected, place};

/// No configuration of ours is larger; what is, is the wrong file.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Tables within tables, or lists within lists, beyond which a file is refused unread (B1).
pub const DEEPEST: usize = 64;

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
        let (message, hint) = words(&error);
        Failure::failed(format!("{}:{line}:{column}: {message}", path.display()), hint)
    })
}

/// What is wrong, on one line, and the nearest right name when a name was wrong.
pub fn words(error: &toml::de::Error) -> (String, String) {
    let message = error.message().trim().replace('\n', ", ");
    let hint = nearest_expected(&message, []).map(|right| format!("Did you mean `{right}`?")).unwrap_or_default();
    (message, hint)
}

/// Where brackets nest too deeply, counted before anything recursive reads them. Brackets in strings
/// count too, which only makes a strange file stranger.
pub fn too_deep(text: &str) -> Option<usize> {
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
}
