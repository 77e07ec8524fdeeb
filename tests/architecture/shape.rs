//! The map, the size of files, and what each file says of itself.

use super::source::{folders, root, sources};

/// Lines that a file may have. Past some 500 one looks for the seam; this is where it must be found.
const LONGEST: usize = 700;

/// Longer ones, each with its reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn every_folder_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let missing: Vec<String> = folders().into_iter().filter(|folder| !map.contains(&format!("`{folder}/`"))).collect();
    assert!(missing.is_empty(), "src/ARCHITECTURE.md does not name {missing:?} (write `folder/`)");
}

#[test]
fn the_map_names_only_what_exists() {
    let map = std::fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let named = map.split('`').skip(1).step_by(2).filter(|word| word.ends_with('/') && !word.contains(['*', ' ', '<']));
    let gone: Vec<&str> = named.filter(|name| !root().join("src").join(name).is_dir() && !root().join(name).is_dir()).collect();
    assert!(gone.is_empty(), "src/ARCHITECTURE.md names {gone:?}, which are no folders");
}

#[test]
fn main_is_sixty_lines_at_most_and_the_rest_is_the_library() {
    let main = std::fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 60, "src/main.rs has {} lines", main.lines().count());
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for source in sources(&["src", "tests"]) {
        let path = source.path.to_str().unwrap();
        let lines = source.text.lines().count();
        let excused = LONGER.iter().any(|(place, _)| *place == path);
        if lines > LONGEST && !excused {
            wrong.push(format!("{path} has {lines} lines: look for the seam"));
        } else if lines <= LONGEST && excused {
            wrong.push(format!("{path} is short enough by now: take it from the list"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<String> = sources(&["src", "tests"])
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !source.text.starts_with("#![doc"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "without a `//!` comment at the top: {silent:?}");
}

#[test]
fn unsafe_code_is_forbidden_and_so_is_ending_by_panic() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let lint = |group: &str, name: &str| manifest["lints"][group][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(lint("rust", "unsafe_code"), "forbid");
    for name in ["unwrap_used", "expect_used", "panic", "todo", "unimplemented", "indexing_slicing", "string_slice", "print_stdout", "print_stderr"] {
        assert_eq!(lint("clippy", name), "deny", "{name}");
    }
}

/// Where a lint is allowed after all, its reason stands beside it.
#[test]
fn every_exception_from_a_lint_has_its_reason() {
    let mut bare = Vec::new();
    for source in sources(&["src"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let allows = line.trim_start().starts_with("#[allow(clippy") || line.trim_start().starts_with("#![allow(clippy");
            let before = number.checked_sub(1).and_then(|n| lines.get(n)).is_some_and(|line| line.contains("//"));
            if allows && !line.contains("reason") && !line.contains("//") && !before {
                bare.push(format!("{}:{}", source.path.display(), number + 1));
            }
        }
    }
    assert!(bare.is_empty(), "allowed without a reason beside it:\n{}", bare.join("\n"));
}
