//! Keymaps as people write and press them.

use super::*;
use std::collections::BTreeSet;

use crate::command::{COMMANDS, Effect, Entry, Palette};

fn keys(text: &str) -> Vec<Key> {
    key::read_sequence(text).unwrap()
}

fn pressed(keymap: &Keymap, layers: &[Layer], text: &str) -> Outcome {
    let mut pressed = Pressed::default();
    keys(text).into_iter().map(|key| keymap.press(&mut pressed, layers, key)).last().unwrap()
}

#[test]
fn every_key_is_read_as_it_is_written() {
    for text in ["j", "G", "C-d", "A-x", "S-Tab", "Space", "F1", "F12", "Enter", "-", "C-Minus", "A-Backspace", "C-A-Left", "é"] {
        assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
    }
    assert_eq!("S-g".parse::<Key>().unwrap_err().to_string(), "`S-g` can only be written as `G`");
    assert_eq!("C-D".parse::<Key>().unwrap_err().to_string(), "`C-D` can only be written as `C-d`");
    assert_eq!("Entr".parse::<Key>().unwrap_err().to_string(), "there is no key `Entr`; did you mean `Enter`?");
}

#[test]
fn sequences_wait_match_and_cancel() {
    let keymap = Keymap::shipped().unwrap();
    let here = layers_of(Pane::Now);
    assert_eq!(pressed(&keymap, &here, "g"), Outcome::Pending);
    assert_eq!(pressed(&keymap, &here, "g g"), Outcome::Matched(Command::Top));
    assert_eq!(pressed(&keymap, &here, "g x"), Outcome::Cancelled(keys("g x")));
    assert_eq!(pressed(&keymap, &here, "g Esc"), Outcome::Cancelled(keys("g Esc")));
    assert_eq!(pressed(&keymap, &here, "F9"), Outcome::NotFound);
}

#[test]
fn a_pane_goes_before_global_and_the_next_keys_are_known() {
    let keymap = Keymap::shipped().unwrap();
    assert_eq!(pressed(&keymap, &layers_of(Pane::Today), "]"), Outcome::Matched(Command::TodayLater));
    assert_eq!(pressed(&keymap, &layers_of(Pane::Now), "]"), Outcome::Matched(Command::NextError));
    let mut under_way = Pressed::default();
    keymap.press(&mut under_way, &layers_of(Pane::Now), Key::char('y'));
    let next: Vec<String> = keymap.next(&under_way, &layers_of(Pane::Now)).iter().map(|n| format!("{} {}", n.key, n.command.clone().unwrap())).collect();
    assert_eq!(next, ["j copy-json", "l copy-link", "m copy-summary", "y copy-line"]);
}

#[test]
fn a_users_file_changes_only_what_it_names() {
    let keymap = Keymap::shipped()
        .unwrap()
        .with("[global]\nx = \"alert-snooze 2h\"\nq = \"noop\"\n\"y\" = \"copy-line\"\n[now]\n\"g g\" = \"noop\"\n", "keymap.toml")
        .unwrap();
    let here = layers_of(Pane::Now);
    assert_eq!(pressed(&keymap, &here, "x").to_owned(), Outcome::Matched(Command::parse("alert-snooze 2h").unwrap()));
    assert_eq!(pressed(&keymap, &here, "q"), Outcome::NotFound);
    assert_eq!(pressed(&keymap, &here, "y"), Outcome::Matched(Command::CopyLine));
    assert_eq!(pressed(&keymap, &here, "j"), Outcome::Matched(Command::Down));
    assert_eq!(pressed(&keymap, &here, "g n"), Outcome::Matched(Command::PaneNow), "other sequences of the prefix stay");
    assert_eq!(pressed(&keymap, &here, "g g"), Outcome::Cancelled(keys("g g")));
    assert_eq!(pressed(&keymap, &layers_of(Pane::Alerts), "g g"), Outcome::Matched(Command::Top));
    assert!(!keymap.effective(&here).iter().any(|binding| binding.keys_text() == "g g"));
}

#[test]
fn all_that_is_wrong_is_told_with_its_line() {
    let text = "[global]\nj = \"donw\"\n\"C-x\" = \"alert-acknowledge\"\nEntr = \"open\"\nk = 3\n\"w\" = \"down\"\n\"w w\" = \"up\"\n[nwo]\n[servers]\na = \"alert-acknowledge\"\nb = \"prompt-accept\"\n";
    let error = Keymap::default().with(text, "keymap.toml").unwrap_err();
    insta::assert_snapshot!("problems", error.0.join("\n"));
    assert!(Keymap::default().with("[global\n", "k.toml").unwrap_err().0.first().unwrap().starts_with("k.toml:1:"));
}

#[test]
fn a_condition_hides_a_key_only_while_it_holds() {
    let text = "[global]\n\"x\" = { run = \"filter-clear\", when = \"filtered\" }\n\"j\" = [{ run = \"mark\", when = \"pane:alerts and marked\" }, { run = \"noop\", when = \"zoomed\" }]\n[now]\n\"x\" = { run = \"zoom\", when = \"marked\" }\n";
    let keymap = Keymap::shipped().unwrap().with(text, "keymap.toml").unwrap();
    assert!(keymap.has_conditions() && !Keymap::shipped().unwrap().has_conditions());
    let now = layers_of(Pane::Now);
    let nothing = Facts::of(Pane::Now);
    let press = |facts: Facts, text: &str| pressed(&keymap.under(&facts), &layers_of(facts.pane), text);
    assert_eq!(press(nothing, "x"), Outcome::NotFound);
    assert_eq!(press(Facts { filtered: true, ..nothing }, "x"), Outcome::Matched(Command::FilterClear));
    assert_eq!(press(Facts { filtered: true, marked: true, ..nothing }, "x"), Outcome::Matched(Command::Zoom), "the pane goes before global");
    assert_eq!(press(nothing, "j"), Outcome::Matched(Command::Down), "what was there stays where no condition holds");
    assert_eq!(press(Facts { marked: true, ..Facts::of(Pane::Alerts) }, "j"), Outcome::Matched(Command::Mark));
    assert_eq!(press(Facts { zoomed: true, ..nothing }, "j"), Outcome::NotFound);
    assert!(!keymap.under(&nothing).has_conditions());
    assert!(keymap.bindings(&[Layer::Global]).iter().any(|binding| binding.when.as_ref().is_some_and(|when| when.to_string() == "pane:alerts and marked")));
    assert_eq!(pressed(&keymap, &now, "j"), Outcome::Matched(Command::Down));
}

#[test]
fn mistakes_in_conditions_have_their_column() {
    let said = |text: &str| Keymap::default().with(text, "k.toml").unwrap_err().to_string();
    assert_eq!(said("[global]\nx = { run = \"mark\", when = \"pane:alerts and markd\" }\n"), "k.toml:2:45: there is no fact `markd`; did you mean `marked`?");
    assert_eq!(
        said("[global]\nx = { run = \"mark\", wehn = \"marked\" }\n").lines().next().unwrap(),
        "k.toml:2:5: a command with its condition needs both: { run = \"filter-clear\", when = \"filtered\" }"
    );
    assert!(said("[global]\nx = [\"mark\", { run = \"undo\", when = \"marked\" }]\n").contains("never reached"));
    assert!(said("[global]\n\"C-x\" = { run = \"undo\", when = \"marked\" }\n").contains("cannot be on a control key"));
    assert_eq!(Keymap::default().user("inherits = \"vmi\"\n", "k.toml").unwrap_err().to_string(), "k.toml:1:12: there is no keymap `vmi`; did you mean `vim`?");
}

#[test]
fn a_users_file_may_lie_over_any_shipped_keymap() {
    let keymap = Keymap::shipped().unwrap().user("inherits = \"emacs\"\n[global]\n\"C-n\" = \"page-down\"\n", "keymap.toml").unwrap();
    assert_eq!(pressed(&keymap, &layers_of(Pane::Now), "C-n"), Outcome::Matched(Command::PageDown));
    assert_eq!(pressed(&keymap, &layers_of(Pane::Now), "A-x"), Outcome::Matched(Command::Palette(None)));
}

/// What the default keymap has on a key, the others have as well, in every pane and without a condition: or
/// say on a line of their own that they leave it out (`"x" = "noop" # alert-snooze: why`).
#[test]
fn every_shipped_keymap_is_complete() {
    let commands = |keymap: &Keymap, pane: Pane| -> BTreeSet<&'static str> {
        let bindings = keymap.under(&Facts::of(pane)).effective(&layers_of(pane));
        bindings.iter().filter(|binding| binding.command.entry().is_available(pane, false)).map(|binding| binding.command.name()).collect()
    };
    let prompts = |keymap: &Keymap| -> BTreeSet<&'static str> { keymap.effective(&[Layer::Prompt]).iter().map(|binding| binding.command.name()).collect() };
    let default = Keymap::shipped().unwrap();
    for (name, text) in SHIPPED {
        let keymap = Keymap::named(name).unwrap_or_else(|error| panic!("{error}"));
        let left_out = |command: &str| text.lines().any(|line| line.contains("\"noop\"") && line.contains(&format!("# {command}:")));
        for pane in Pane::ALL {
            let here = commands(&keymap, pane);
            let lacking: Vec<&str> = commands(&default, pane).into_iter().filter(|command| !here.contains(command) && !left_out(command)).collect();
            assert!(lacking.is_empty(), "keymaps/{name}.toml has no key in {pane} for {lacking:?}: give each one, or write \"KEY\" = \"noop\" # COMMAND: why");
        }
        assert!(prompts(&keymap).is_superset(&prompts(&default)), "{name}: while typing");
    }
}

#[test]
fn the_shipped_keymaps_are_told_apart() {
    let tables: Vec<String> = SHIPPED
        .iter()
        .skip(1)
        .map(|(name, text)| {
            let keymap = Keymap::named(name).unwrap();
            let own: Vec<String> = keymap
                .bindings(&Layer::ALL)
                .iter()
                .filter(|binding| text.contains(&format!("\"{}\"", binding.keys_text().replace('\\', "\\\\"))))
                .map(|b| {
                    format!(
                        "{:<7} {:<10} {}{}",
                        b.layer.name(),
                        b.keys_text(),
                        b.command,
                        b.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default()
                    )
                })
                .collect();
            format!("{name}\n{}\n", own.join("\n"))
        })
        .collect();
    insta::assert_snapshot!("shipped", tables.join("\n"));
}

#[test]
fn nothing_that_changes_the_world_is_on_a_control_key_and_every_verb_can_be_reached() {
    for (name, _) in SHIPPED {
        for binding in Keymap::named(name).unwrap().bindings(&Layer::ALL) {
            let entry = binding.command.entry();
            assert!(entry.effect == Effect::Looks || binding.keys.iter().all(|key| !key.ctrl), "{} on {} in {name}", entry.name, binding.keys_text());
        }
    }
    let keymap = Keymap::shipped().unwrap();
    for entry in COMMANDS.iter().filter(|entry| entry.palette == Palette::Hidden) {
        assert!(keymap.bindings(&Layer::ALL).iter().any(|binding| binding.command.entry() == entry), "{} is neither on a key nor in the palette", entry.name);
    }
    assert!(Entry::named("palette").is_some());
}

#[test]
fn the_table_of_keys() {
    let keymap = Keymap::shipped().unwrap();
    let lines: Vec<String> = keymap
        .bindings(&Layer::ALL)
        .iter()
        .map(|b| format!("{:<9} {:<12} {:<20} {}", b.layer.name(), b.keys_text(), b.command.to_string(), b.command.entry().sentence))
        .collect();
    insta::assert_snapshot!("keys", lines.join("\n"));
}

#[test]
fn the_key_that_a_hint_shows_is_the_shortest_that_does_it_here() {
    let user = "[global]\nq = \"noop\"\n[now]\n\"g g\" = \"noop\"\nx = \"pane-today\"\n";
    for keymap in SHIPPED.iter().map(|(name, _)| Keymap::named(name).unwrap()).chain([Keymap::shipped().unwrap().with(user, "keymap.toml").unwrap()]) {
        for pane in Pane::ALL {
            let here = layers_of(pane);
            let effective = keymap.effective(&here);
            let commands: BTreeSet<String> = keymap.bindings(&here).into_iter().map(|binding| binding.command.to_string()).collect();
            for command in commands.iter().map(|text| Command::parse(text).unwrap()) {
                let shortest = effective.iter().filter(|binding| binding.command == command).map(|binding| binding.keys.clone()).min_by_key(Vec::len);
                assert_eq!(keymap.key_for(&here, &command), shortest, "{command}");
            }
        }
    }
}
