//! `--help` of the program and of every subcommand.

/// A change of any help text shows in the snapshot; `INSTA_UPDATE=always cargo test --test docs` takes it over.
#[test]
fn the_help_of_every_command() {
    let all: Vec<String> = midwatch::cli::reference::helps().into_iter().map(|(name, help)| format!("$ {name} --help\n{help}")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn every_command_has_a_sentence_and_an_example() {
    for (name, help) in midwatch::cli::reference::helps() {
        let first = help.lines().next().unwrap_or_default();
        assert!(first.len() > 10 && !first.starts_with("Usage"), "{name} has no sentence: {first:?}");
        let groups = help.contains("Commands:");
        assert!(groups || help.contains("Example: midwatch") || help.contains("Example: $EDITOR"), "{name} has no example");
    }
}

/// Nothing that is promised is missing, nothing that is not built yet is listed.
#[test]
fn no_command_is_a_stub() {
    for (name, help) in midwatch::cli::reference::helps() {
        for word in ["not implemented", "not built", "TODO", "coming soon"] {
            assert!(!help.contains(word), "{name}: {word}");
        }
    }
}
