//! Who may know whom, read from the paths in the source; and what the core must not know at all.

use super::source::{Source, sources};

/// A folder, and whom it may know beside itself.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("command", &["model"]),
    ("wire", &["model"]),
    ("store", &["model"]),
    ("trust", &["model", "wire"]),
    ("link", &["model", "wire", "store", "trust"]),
    ("server", &["model", "wire", "store", "trust", "link"]),
    ("client", &["model", "wire", "store", "trust", "link"]),
    ("agent", &["model", "wire", "trust", "link"]),
    ("console", &["model", "command"]),
    ("cli", &["model", "command", "wire", "store", "trust", "link", "server", "client", "agent", "console"]),
];

/// What one place may know beyond its folder's row, and why.
const BEYOND: &[(&str, &str, &str)] = &[("src/console/runtime", "client", "the runtime is where the console meets its servers")];

/// The top-level folder of a file in `src`, or nothing for `main.rs` and `lib.rs`.
fn folder(source: &Source) -> Option<String> {
    let mut parts = source.path.components().skip(1).map(|c| c.as_os_str().to_str().unwrap().to_owned());
    let first = parts.next()?;
    if first.ends_with(".rs") { None } else { Some(first) }
}

/// Top-level modules that the code names: `crate::x`, `crate::{x, y::z}`, and `super`s that reach the root.
fn named(source: &Source) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let code = &source.code;
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => out.extend(first_names(group).into_iter().map(|name| (line, name))),
            None => out.push((line, identifier(rest))),
        }
    }
    out
}

/// The first names of a use group's members: of `a::{b, c}, d}` those are a and d.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut out, mut fresh) = (0_usize, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphabetic() || c == '_') => {
                out.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    out
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Why `source` may not say what it says, line by line.
fn broken(source: &Source) -> Vec<String> {
    let Some(own) = folder(source) else { return Vec::new() };
    let path = source.path.to_str().unwrap();
    let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{path}: the folder `{own}` has no row in this test: decide whom it may know")];
    };
    let mut out = Vec::new();
    for (line, name) in named(source) {
        let beyond = BEYOND.iter().any(|(place, other, _)| path.starts_with(place) && name == *other);
        let is_folder = MAY_KNOW.iter().any(|(folder, _)| *folder == name);
        if is_folder && name != own && !allowed.contains(&name.as_str()) && !beyond {
            out.push(format!("{path}:{line}: `{own}` may not know `{name}`"));
        }
    }
    // `super` may walk about within a folder, but not out of it: paths out of it begin with `crate`.
    let depth = source.path.components().count() - 2 + usize::from(!path.ends_with("/mod.rs"));
    let inline = source.code.find("mod tests {").unwrap_or(source.code.len());
    for (at, _) in source.code.match_indices("super::") {
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut count = 0;
        let mut rest = &source.code[at..];
        while let Some(next) = rest.strip_prefix("super::") {
            (count, rest) = (count + 1, next);
        }
        if count >= depth + usize::from(at > inline) {
            let line = source.code[..at].matches('\n').count() + 1;
            out.push(format!("{path}:{line}: {count} × `super` leaves `{own}`: write the path from `crate`"));
        }
    }
    out
}

#[test]
fn every_folder_knows_only_whom_it_may() {
    let broken: Vec<String> = sources(&["src"]).iter().flat_map(broken).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The core is handed whatever it needs: a clock, files, sockets, random numbers and terminals are not
/// among it. (jiff's calendar is: its clock is not.)
#[test]
fn the_core_knows_no_clock_no_file_no_socket_no_random_number_no_terminal() {
    const ABSENT: &[&str] = &[
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "tokio",
        "getrandom",
        "crossterm",
        "ratatui",
        "rusqlite",
        "reqwest",
        "TimeZone::system",
    ];
    let mut broken = Vec::new();
    for source in sources(&["src/model", "src/command"]) {
        for (number, line) in source.code.lines().enumerate() {
            for word in ABSENT.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{}: {word}", source.path.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_reader_of_paths_sees_groups_and_supers() {
    let source = |path: &str, code: &str| Source { path: path.into(), text: String::new(), code: code.into() };
    let words = broken(&source("src/model/x.rs", "use crate::{wire::{A, B}, model::C};"));
    assert_eq!(words, ["src/model/x.rs:1: `model` may not know `wire`"]);
    assert_eq!(broken(&source("src/model/x.rs", "\nlet x = super::super::server::f();")).len(), 1);
    assert!(broken(&source("src/model/a/b.rs", "use super::super::time::Time;")).is_empty());
    assert!(broken(&source("src/model/x.rs", "use super::time::Time;\nmod tests { use super::super::id; }")).is_empty());
    assert!(broken(&source("src/console/runtime/mod.rs", "use crate::client::Servers;")).is_empty());
    assert_eq!(broken(&source("src/console/pane/now.rs", "use crate::client::Servers;")).len(), 1);
    assert_eq!(broken(&source("src/elsewhere/x.rs", "")).len(), 1);
}
