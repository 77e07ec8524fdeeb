//! A console that only reads: what changes the world is not there, in no keymap, by no way.

use super::night::Desk;
use midwatch::command::{COMMANDS, Entry, Pane};
use midwatch::console::effect::Effect;
use midwatch::console::keymap::{Keymap, Layer, SHIPPED, layers_of};
use midwatch::console::linear::Linear;
use midwatch::console::message::Message;
use midwatch::console::overlay::Overlay;
use midwatch::model::time::Span;
use proptest::prelude::*;

fn read_only(keymap: &str) -> Desk {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.read_only = true;
    desk.state.set_keymap(Keymap::named(keymap).unwrap());
    desk
}

fn verbs() -> Vec<&'static Entry> {
    let verbs: Vec<_> = COMMANDS.iter().filter(|entry| entry.changes_the_world()).collect();
    assert!(verbs.len() > 8, "the registry has its verbs");
    verbs
}

/// Only a request reaches a server; the rest is looked at, or stays on this machine.
#[track_caller]
fn assert_unchanged(desk: &Desk, what: &str) {
    assert!(desk.sent().is_empty(), "{what} asks a server: {:?}", desk.sent());
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Edit { .. })), "{what} opens an editor for what cannot be said");
}

#[test]
fn every_verb_is_absent_from_keys_palette_and_help_in_every_pane_and_keymap() {
    for (keymap, _) in SHIPPED {
        for pane in Pane::ALL {
            let mut desk = read_only(keymap);
            desk.state.pane = pane;
            desk.wait(Span::from_millis(100));
            let hints = desk.screen().lines().last().unwrap().to_owned();
            for word in ["acknowledge", "take all", "snooze", "assign", "note", "undo"] {
                assert!(!hints.contains(word), "{pane} in {keymap}: {hints}");
            }
            desk.state.run(midwatch::command::Command::Help);
            let mut said = String::new();
            for _ in 0..8 {
                desk.wait(Span::from_millis(10));
                said += &desk.screen();
                desk.press("PageDown");
            }
            for verb in verbs() {
                assert!(!said.contains(verb.sentence), "help of {pane} in {keymap} names {}", verb.name);
            }
            desk.state.overlay = None;
            desk.state.run(midwatch::command::Command::Palette(None));
            let Some(Overlay::Choose(choose)) = &desk.state.overlay else { panic!("no palette") };
            for verb in verbs() {
                assert!(!choose.all.iter().any(|choice| choice.text.starts_with(verb.name)), "the palette of {pane} has {}", verb.name);
            }
        }
    }
}

#[test]
fn no_verb_runs_by_its_name() {
    for verb in verbs() {
        for words in ["", " 2h", " x"] {
            let mut desk = read_only("default");
            desk.run(&format!("{}{words}", verb.name));
            desk.press("Enter");
            desk.press("Enter");
            assert_unchanged(&desk, verb.name);
        }
    }
}

#[test]
fn linear_mode_neither_names_nor_runs_a_verb() {
    let mut desk = read_only("default");
    desk.state.linear = true;
    let mut linear = Linear::new(true);
    let mut line = |desk: &mut Desk, line: &str| {
        linear.feed(format!("{line}\n").as_bytes());
        let mono = desk.mono;
        let mut said = String::new();
        while let Some(effects) = linear.work(&mut desk.state) {
            desk.effects.extend(effects);
            linear.settle(&mut desk.state, || mono);
            said += &linear.take();
        }
        said
    };
    for pane in ["now", "alerts", "systems", "timeline", "today", "servers"] {
        line(&mut desk, pane);
        let help = line(&mut desk, "?");
        for verb in verbs() {
            assert!(!help.contains(verb.sentence), "{pane}: {help}");
            line(&mut desk, &format!("1 {}", verb.name));
            line(&mut desk, "x");
            line(&mut desk, "yes");
            line(&mut desk, "");
        }
    }
    assert_unchanged(&desk, "linear mode");
}

#[test]
fn no_bound_sequence_of_keys_changes_the_world() {
    for (keymap, _) in SHIPPED {
        for pane in Pane::ALL {
            let bindings = {
                let desk = read_only(keymap);
                let mut bindings = desk.state.bindings.bindings(&layers_of(pane));
                bindings.extend(desk.state.bindings.bindings(&[Layer::Prompt]));
                bindings
            };
            let mut desk = read_only(keymap);
            for binding in bindings {
                desk.state.overlay = None;
                desk.state.pane = pane;
                for key in &binding.keys {
                    desk.tell(Message::Key(*key));
                }
                // What it may have asked is answered, what it may have opened is taken.
                for key in ["1", "h", "Enter", "Enter"] {
                    desk.tell(Message::Key(midwatch::console::keymap::key::read_sequence(key).unwrap()[0]));
                }
                assert_unchanged(&desk, &format!("{} in {pane} of {keymap}", binding.keys_text()));
                desk.effects.clear();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_keys_at_all_change_the_world(keymap in 0..SHIPPED.len(), picks in prop::collection::vec(any::<prop::sample::Index>(), 150)) {
        let mut desk = read_only(SHIPPED[keymap].0);
        let mut keys: Vec<_> = Layer::ALL.iter().flat_map(|layer| desk.state.bindings.bindings(&[*layer])).flat_map(|binding| binding.keys).collect();
        keys.sort_unstable();
        keys.dedup();
        for pick in picks {
            desk.tell(Message::Key(*pick.get(&keys)));
        }
        assert_unchanged(&desk, "some keys");
    }
}
