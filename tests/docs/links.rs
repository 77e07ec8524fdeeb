//! Links between our documents lead somewhere.

use std::path::Path;

#[test]
fn links_within_the_repository_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut seen = 0;
    for name in ["README.md", "CHANGELOG.md", "src/ARCHITECTURE.md"] {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap_or_default();
            seen += 1;
            if target.starts_with("https://") || target.starts_with("http://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let Ok(found) = std::fs::read_to_string(&file) else {
                if !file.is_dir() {
                    broken.push(format!("{name}: {target}"));
                }
                continue;
            };
            if !anchor.is_empty() && !found.lines().any(|line| line.starts_with('#') && slug(line) == anchor) {
                broken.push(format!("{name}: {target} (no such heading)"));
            }
        }
    }
    assert!(seen > 3, "the reader of links sees none");
    assert!(broken.is_empty(), "{broken:?}");
}

/// As forges make an anchor from a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn licence_and_changelog_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let licence = std::fs::read_to_string(root.join("LICENSE")).unwrap();
    assert!(licence.contains("Apache License") && licence.contains("Version 2.0") && licence.len() > 10_000);
    let changelog = std::fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(changelog.contains(&format!("## {version}")), "CHANGELOG.md does not name {version}");
}
