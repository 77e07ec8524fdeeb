//! The README's tables, compared with what the program generates. `MIDWATCH_BLESS=1 cargo test --test docs`
//! writes the generated ones into it.

use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn read() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// What stands between `<!-- begin NAME -->` and `<!-- end NAME -->` must be `generated`.
pub fn same(name: &str, generated: &str) {
    // Several tables may be written at once.
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let text = read();
    let from = text.find(&begin).unwrap_or_else(|| panic!("README.md has no `{begin}`")) + begin.len();
    let until = text[from..].find(&end).unwrap_or_else(|| panic!("README.md has no `{end}`")) + from;
    if std::env::var_os("MIDWATCH_BLESS").is_some() {
        std::fs::write(path(), format!("{}{generated}{}", &text[..from], &text[until..])).unwrap();
        return;
    }
    assert_eq!(&text[from..until], generated, "README.md is behind: MIDWATCH_BLESS=1 cargo test --test docs writes it anew");
}

#[test]
fn the_table_of_commands_is_what_the_program_has() {
    same("commands", &midwatch::cli::reference::commands());
}

#[test]
fn the_table_of_keys_is_what_is_shipped() {
    same("keys", &midwatch::cli::reference::keys());
}

/// Each key that a configuration file may have stands in the README, in backticks.
#[test]
fn every_key_of_the_configuration_is_in_the_readme() {
    let text = read();
    for (file, keys) in midwatch::cli::reference::configuration() {
        assert!(text.contains(file), "README.md says nothing of {file}");
        for key in keys {
            let forms = [format!("`{key}`"), format!("[{key}]"), format!("[[{key}]]"), format!("[{key}.NAME]"), format!("{key} =")];
            assert!(forms.iter().any(|form| text.contains(form)), "README.md does not explain `{key}` of {file}");
        }
    }
}

/// The README's test command is the one that `.ci/run` runs.
#[test]
fn the_test_command_is_the_one_that_is_run() {
    let run = std::fs::read_to_string(path().with_file_name(".ci").join("run")).unwrap();
    let text = read();
    let command =
        text.lines().find(|line| line.starts_with("apt-get") && line.ends_with("&& cargo test")).expect("the README gives the command that passes all tests");
    assert!(text.contains(&format!("```sh\n{command}\n```")), "it stands alone in its block");
    assert!(run.lines().any(|line| line == "cargo test"), ".ci/run does not run `cargo test`");
    let installed = command.split("--no-install-recommends").nth(1).and_then(|rest| rest.split("&&").next()).unwrap_or_default();
    let needs = run.lines().filter(|line| line.starts_with("need ") || line.contains("missing+=("));
    let packages: Vec<&str> =
        needs.filter_map(|line| line.split(' ').next_back()).map(|word| word.trim_start_matches("missing+=(").trim_end_matches(')')).collect();
    for package in installed.split_whitespace() {
        assert!(packages.contains(&package), "the README installs {package}, .ci/run does not: {packages:?}");
    }
    for package in packages.iter().filter(|package| package.starts_with(char::is_alphabetic)) {
        assert!(installed.split_whitespace().any(|known| known == *package), ".ci/run installs {package}, the README does not");
    }
}

/// The keymap that the README shows is one, and names every fact that a condition may use.
#[test]
fn the_keymap_of_the_readme_works() {
    use midwatch::console::keymap::{Keymap, condition::WORDS};
    let text = read();
    let from = text.find("```toml\ninherits = \"vim\"").unwrap() + "```toml\n".len();
    let example = &text[from..text[from..].find("```").unwrap() + from];
    let keymap = Keymap::shipped().unwrap().user(example, "README.md").unwrap_or_else(|error| panic!("{error}"));
    assert!(keymap.has_conditions());
    for (word, _) in WORDS {
        assert!(text.contains(&format!("`{word}`")), "`{word}` is not in the README");
    }
}

/// Every program that a test says is missing, with its package, is installed by `.ci/run` and by the README's command.
#[test]
fn what_tests_run_is_installed() {
    let root = path().parent().unwrap().to_owned();
    let (run, text) = (std::fs::read_to_string(root.join(".ci/run")).unwrap(), read());
    let command = text.lines().find(|line| line.starts_with("apt-get") && line.ends_with("&& cargo test")).unwrap();
    let installed: Vec<&str> = command.split_whitespace().collect();
    let mut named = std::collections::BTreeSet::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                named.extend(source.split("(Debian: ").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).map(str::to_owned));
            }
        }
    }
    named.retain(|package| package.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    assert!(named.contains("openssh-client") && named.contains("git"), "{named:?}");
    for package in &named {
        assert!(installed.contains(&package.as_str()), "the README's command does not install {package}");
        assert!(run.contains(package.as_str()), ".ci/run does not install {package}");
    }
}
