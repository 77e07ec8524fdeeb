//! Keymaps as people write and press them.

use super::*;
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
    assert_eq!(pressed(&keymap, &layers_of(Pane::Today), "]"), Outcome::Matched(Command::DayForward));
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
fn nothing_that_changes_the_world_is_on_a_control_key_and_every_verb_can_be_reached() {
    let keymap = Keymap::shipped().unwrap();
    for binding in keymap.bindings(&Layer::ALL) {
        let entry = binding.command.entry();
        assert!(entry.effect == Effect::Looks || binding.keys.iter().all(|key| !key.ctrl), "{} on {}", entry.name, binding.keys_text());
    }
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
