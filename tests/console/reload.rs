//! The configuration, read anew while one looks.

use super::night::Desk;
use midwatch::console::keymap::Keymap;
use midwatch::console::message::Message;
use midwatch::console::reload::Reloaded;
use midwatch::console::theme::Themes;
use midwatch::console::views;

fn desk() -> Desk {
    Desk::on_the_night("midwatch", 120, 36)
}

fn tell(desk: &mut Desk, reloaded: Reloaded) {
    desk.tell(Message::Reloaded(Box::new(reloaded)));
    desk.wait(midwatch::model::time::Span::from_millis(10));
}

#[test]
fn keys_themes_and_views_change_and_nothing_else_does() {
    let mut desk = desk();
    desk.press("4");
    desk.press("j");
    desk.press("Space");
    let (selected, marks) = (desk.state.panes.alerts.list.list.key().cloned(), desk.state.panes.alerts.list.list.marks.clone());
    let keymap = Keymap::shipped().unwrap().with("[global]\n\"Q\" = \"pane-systems\"\n", "keymap.toml").unwrap();
    let themes = Themes { files: vec![("mine".into(), "# quiet\ninherits = \"mono\"\n".into())], ..Themes::default() };
    let (saved, _) = views::read("[night shift]\n", "views.toml");
    assert!(saved.is_empty());
    let (saved, _) = views::read("[\"night shift\"]\nfilter = \"severity:critical\"\n", "views.toml");
    let files = ["keymap.toml", "themes/mine.toml", "views.toml"].map(str::to_owned).to_vec();
    tell(&mut desk, Reloaded { files, keymap: Some(keymap), themes: Some(themes), theme: Some("mine".into()), views: Some(saved), ..Reloaded::default() });
    desk.shows("keymap.toml, themes/mine.toml, views.toml are read anew");
    assert_eq!((&desk.state.panes.alerts.list.list.key().cloned(), &desk.state.panes.alerts.list.list.marks), (&selected, &marks));
    assert_eq!(desk.state.theme.name, "mine");
    desk.press("w");
    desk.shows("night shift");
    desk.press("Esc");
    desk.press("Q");
    desk.shows("7 systems");
    assert_eq!(desk.state.pane, midwatch::command::Pane::Systems);
}

#[test]
fn a_mistake_is_said_with_its_place_and_what_was_in_force_stays() {
    let mut desk = desk();
    let problems = ["keymap.toml:2:7: there is no command `quitt`; did you mean `quit`?", "keymap.toml:3:1: there is no section `[globl]`"];
    tell(&mut desk, Reloaded { files: vec!["keymap.toml".into()], problems: problems.map(str::to_owned).to_vec(), ..Reloaded::default() });
    desk.shows("keymap.toml:2:7: there is no command `quitt`; did you mean `quit`? (and 1 more: `:messages`)");
    desk.hides("read anew");
    desk.press("4");
    desk.shows("4 Alerts");
    desk.run("messages");
    desk.shows("keymap.toml:3:1");
}

#[test]
fn a_theme_that_cannot_be_read_leaves_the_colours_as_they_are() {
    let mut desk = desk();
    let themes = Themes { files: vec![("midwatch".into(), "[scopes]\n\"txt\" = \"#ffffff\"\n".into())], ..Themes::default() };
    let before = desk.state.theme.clone();
    tell(&mut desk, Reloaded { files: vec!["themes/midwatch.toml".into()], themes: Some(themes), ..Reloaded::default() });
    desk.shows("midwatch");
    assert!(desk.state.said.back().unwrap().words.contains("txt"), "{:?}", desk.state.said);
    assert_eq!(desk.state.theme, before);
}

#[test]
fn what_the_console_has_written_itself_is_no_news() {
    let mut desk = desk();
    let same = desk.state.views.clone();
    tell(&mut desk, Reloaded { files: vec!["views.toml".into()], views: Some(same), ..Reloaded::default() });
    desk.hides("read anew");
}
