//! What floats above a pane: how it looks, and what it does to what is under it.

use super::night::Desk;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];

/// What each overlay is opened with.
const OVERLAYS: [(&str, &[&str]); 2] = [("palette", &[":", "s n o"]), ("theme", &[":", "t h e m e", "Enter"])];

#[test]
fn every_overlay_in_every_size() {
    for (width, height) in SIZES {
        for (name, keys) in OVERLAYS {
            let mut desk = Desk::on_the_night("midwatch", width, height);
            for key in keys {
                key.split(' ').for_each(|key| desk.press(key));
            }
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
        }
    }
}

#[test]
fn a_theme_is_shown_while_one_chooses_it() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    let name = |desk: &Desk| desk.state.theme.name.clone();
    let choose = |desk: &mut Desk| {
        desk.press(":");
        desk.type_text("theme");
        desk.press("Enter");
    };
    choose(&mut desk);
    assert_eq!(name(&desk), "midwatch", "it begins where one is");
    desk.press("Down");
    assert_eq!(name(&desk), "daylight");
    desk.press("Down");
    assert_eq!(name(&desk), "high-contrast");
    desk.press("Esc");
    assert_eq!(name(&desk), "midwatch", "Esc returns");
    choose(&mut desk);
    desk.type_text("blind");
    assert_eq!(name(&desk), "colour-blind", "what is typed selects");
    desk.press("Enter");
    assert_eq!(name(&desk), "colour-blind", "Enter keeps");
    desk.shows("console.toml keeps it");
    desk.press("?");
    desk.press("Esc");
    assert_eq!(name(&desk), "colour-blind");
}

#[test]
fn a_theme_that_cannot_be_read_says_why_and_changes_nothing() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.themes.files.push(("broken".into(), "[scopes]\ntext = \"rde\"\n".into()));
    desk.press(":");
    desk.type_text("theme");
    desk.press("Enter");
    desk.type_text("broken");
    desk.shows("broken.toml:2:8: there is no colour `rde`; did you mean `red`?");
    desk.press("Enter");
    assert_eq!(desk.state.theme.name, "midwatch");
}
