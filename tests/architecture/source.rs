//! The source files as these tests read them: with comments and strings taken out.

use std::path::{Path, PathBuf};

pub struct Source {
    /// From the package's root: `src/model/time.rs`.
    pub path: PathBuf,
    pub text: String,
    /// The same without comments, strings and characters; line breaks stay where they are.
    pub code: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below these folders, sorted by path.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut out = Vec::new();
    for folder in folders {
        visit(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                out.push(Source { path: path.strip_prefix(root()).unwrap().to_owned(), code: code(&text), text });
            }
        });
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!out.is_empty(), "no source found below {folders:?}");
    out
}

/// Every folder below `src`, as paths from there.
pub fn folders() -> Vec<String> {
    let mut out = Vec::new();
    let src = root().join("src");
    visit_folders(&src, &mut |path| out.push(path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned()));
    out.sort();
    out
}

fn visit(folder: &Path, see: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, see) } else { see(&path) }
    }
}

fn visit_folders(folder: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A folder of fixtures, snapshots or tests alone has no place on the map.
        let is_source = |path: &Path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs");
        let has_source = path.is_dir() && std::fs::read_dir(&path).unwrap().any(|e| is_source(&e.unwrap().path()));
        if has_source {
            see(&path);
        }
        if path.is_dir() {
            visit_folders(&path, see);
        }
    }
}

/// Takes comments, strings and characters out of Rust source.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::new();
    let mut i = 0;
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 1;
                i += 2;
                while i < chars.len() && depth > 0 {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        ('\n', _) => {
                            out.push('\n');
                            i += 1;
                        }
                        _ => i += 1,
                    }
                }
            }
            'r' if (at(i + 1) == '"' || at(i + 1) == '#') && !at(i.wrapping_sub(1)).is_alphanumeric() => {
                let hashes = (i + 1..).take_while(|j| at(*j) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    out.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + hashes;
                while i < chars.len() && !(at(i) == '"' && (0..hashes).all(|k| at(i + 1 + k) == '#')) {
                    if at(i) == '\n' {
                        out.push('\n');
                    }
                    i += 1;
                }
                i += 1 + hashes;
                out.push_str("\"\"");
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    if at(i) == '\n' {
                        out.push('\n');
                    }
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                out.push_str("\"\"");
            }
            // A character, not a lifetime: 'x' or '\…'.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                out.push_str("' '");
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

#[test]
fn comments_strings_and_characters_are_taken_out() {
    let text =
        "use crate::a; // crate::b\nlet s = \"crate::c \\\" \"; /* crate::d /* x */ */ let r = r#\"crate::\"e\"#; let c = '\"'; fn f<'a>(x: &'a str) {} '\\''";
    let code = code(text);
    assert!(code.contains("crate::a"));
    for hidden in ["crate::b", "crate::c", "crate::d", "crate::\"e"] {
        assert!(!code.contains(hidden), "{hidden} in {code}");
    }
    assert!(code.contains("fn f<'a>(x: &'a str) {}"), "{code}");
}
