//! Failures that others had (terminal, transport, authority, federation, bombs, storage): each that concerns
//! what midwatch has is guarded by tests that bear its number, `fn t3_…`. `tests/FAILURES.md` lists them.

use std::fmt::Write;

use super::source::{root, sources};

/// What went wrong elsewhere, by number; and, where no test guards it, why.
const FAILURES: &[(&str, &str, Option<&str>)] = &[
    ("t1", "Escapes and carriage returns from elsewhere were printed", None),
    ("t2", "Error texts of the other side were printed as they came", None),
    ("t3", "An address in a prompt pretended to be another", None),
    ("t4", "A sequence that never ends passed a filter", None),
    ("t5", "A notification made from data ran a program", None),
    ("t6", "Data set the window's title or the clipboard, or made the terminal answer", None),
    ("t7", "Thousands of marks on one cell", None),
    ("t8", "Names of users and keys were drawn as they came", None),
    ("t9", "A logged value forged further lines", None),
    ("t10", "What is printed after the screen was given back was not cleaned", None),
    ("t11", "Control characters beyond ASCII, and questions to the terminal", None),
    ("t12", "Text that changes its direction, and letters that look alike", None),
    ("n1", "The head of the upgrade had no bound", None),
    ("n2", "What waits for a slow reader had no bound", None),
    ("n3", "A page in a browser opened the WebSocket", None),
    ("n4", "Loopback was taken for trust", None),
    ("n5", "A line that is cut or steered at the start led to a weaker protocol", None),
    ("n6", "Messages were heard before anybody was known", None),
    ("n7", "A key that was offered, and not the one that signed, was the identity", None),
    ("n8", "Who one is changed in the middle of the proof", None),
    ("n9", "Separators in names changed what a line of authorized keys means", None),
    (
        "n10",
        "Certificates that are forged, nested or over",
        Some("keys are not certified by others; a TLS certificate is pinned by its key or checked by rustls"),
    ),
    ("a1", "A right on one thing guarded everything: a system named like an argument, or like a pattern", None),
    ("a2", "A way round that skipped the check", None),
    ("a3", "A route's pattern was also a literal", None),
    ("a4", "A token with some byte changed still opened something", None),
    ("a5", "A part of a token that another key signed was believed", None),
    ("a6", "An end of the wrong type was taken as none", None),
    ("a7", "One of two limits was not looked at", None),
    ("a8", "One code let several in", None),
    ("f1", "A right that was taken away came back when histories were merged", None),
    ("f2", "Events were built on one that had been refused", Some("events do not refer to others for their right to be there")),
    ("f3", "The envelope named one system or server, and the content another", None),
    ("f4", "One malformed event stopped the link", None),
    ("f5", "Merging cost more than anybody had", Some("nothing of several servers is merged; each log stands by itself")),
    ("f6", "Answers and redirects without end", None),
    ("f7", "Requests that a name led to addresses within", Some("addresses to ask come from the server's own configuration alone")),
    ("f8", "A signature over one spelling of a text was taken for another spelling", None),
    ("c1", "A newline in an argument began another command", None),
    ("c2", "A pattern that should match a whole text matched one of its lines", Some("there is nothing of the kind yet")),
    ("c3", "Characters that mean something to a shell", None),
    ("c4", "Hostile repositories", None),
    ("b1", "Nesting without end", None),
    ("b2", "Little that unpacks to much", None),
    ("b3", "Markdown that costs seconds", Some("runbooks are links yet")),
    ("b4", "Functions that take all memory or time", Some("there are no functions yet")),
    ("b5", "Patterns that take for ever", None),
    ("p1", "A delivery that failed was counted as done", Some("nobody is paged yet")),
    ("p2", "Resolved and firing again during one delivery", Some("nobody is paged yet")),
    ("p3", "The same twice after the receiver failed", Some("nobody is paged yet")),
    ("p4", "What was kept was gone after a kill, or was read wrongly by another version", None),
    ("p5", "A resolve lost over a restart", Some("nobody is paged yet")),
    ("p6", "An escalation that did not go on after a restart", Some("there are no escalations yet")),
    ("p7", "Hours that come twice or never", None),
    ("p8", "Nobody noticed that the engine was silent", Some("nobody is paged yet")),
    ("p9", "The clock went back", None),
    ("p10", "Two wrote the log's base at once", None),
    ("p11", "An fsync failed and was tried again as if nothing had been", None),
    ("p12", "After a full disk only a restart helped", None),
];

/// A test, with the numbers that its name begins with.
struct Guard {
    numbers: Vec<String>,
    name: String,
    file: String,
}

fn guards() -> Vec<Guard> {
    let mut found = Vec::new();
    for source in sources(&["src", "tests"]) {
        for name in source.code.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
            // `b1_b2_broken_frames` guards against both.
            let is_number =
                |word: &&str| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_lowercase()) && word.bytes().skip(1).all(|b| b.is_ascii_digit());
            let numbers: Vec<String> = name.split('_').take_while(is_number).map(str::to_owned).collect();
            if !numbers.is_empty() {
                found.push(Guard { numbers, name: name.to_owned(), file: source.path.display().to_string() });
            }
        }
    }
    found.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    found
}

#[test]
fn every_failure_of_others_that_concerns_us_has_a_test_and_stands_in_the_table() {
    let mut table = String::from(
        "# Failures of others, and the tests that they suggested\n\nWhat went wrong in comparable software, by the number that our tests bear. Take a guard away and its test fails.\n\n| number | what went wrong | our tests |\n| --- | --- | --- |\n",
    );
    let (guards, mut missing) = (guards(), Vec::new());
    for (number, what, why) in FAILURES {
        let tests: Vec<&Guard> = guards.iter().filter(|guard| guard.numbers.iter().any(|own| own == number)).collect();
        if tests.is_empty() && why.is_none() {
            missing.push(*number);
        }
        let told: Vec<String> = tests.iter().map(|guard| format!("`{}` ({})", guard.name, guard.file)).collect();
        let told = if told.is_empty() { format!("none: {}", why.unwrap_or_default()) } else { told.join("<br>") };
        writeln!(table, "| {} | {what} | {told} |", number.to_uppercase()).unwrap();
    }
    assert!(missing.is_empty(), "no test is named after {missing:?}");
    let file = root().join("tests/FAILURES.md");
    if std::env::var_os("MIDWATCH_BLESS").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == table, "tests/FAILURES.md is not what the tests say: MIDWATCH_BLESS=1 cargo test --test architecture writes it");
}

#[test]
fn every_test_that_the_table_of_threats_names_is_there() {
    let table = std::fs::read_to_string(root().join("src/trust/THREATS.md")).unwrap();
    let all: Vec<_> = sources(&["src", "tests"]);
    let named: Vec<&str> = table.lines().filter_map(|line| line.rsplit('|').nth(1)).flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect();
    let missing: Vec<&&str> = named.iter().filter(|name| !all.iter().any(|source| source.code.contains(&format!("fn {name}(")))).collect();
    assert!(named.len() > 20 && missing.is_empty(), "src/trust/THREATS.md names {missing:?}");
}
