//! Saved views: run, saved as one sees it now, renamed, removed.

use crate::command::Pane;
use crate::console::effect::Effect;
use crate::console::overlay::Overlay;
use crate::console::overlay::choose::{Choice, Choose, Goal, Of};
use crate::console::state::{State, Tone};
use crate::console::views::{Change, View, check_name};
use crate::model::filter::Filter;
use crate::model::nearest::nearest;

impl State {
    /// Lists them, or runs the one of this name.
    pub(super) fn views(&mut self, name: Option<String>) {
        match name {
            Some(name) => self.run_view(&name),
            None => {
                let mut choose = Choose::new(Of::Views, "", self.view_choices(""));
                choose.search();
                self.overlay = Some(Overlay::Choose(choose));
            }
        }
    }

    /// The views, and last the one that what is typed would make.
    pub(super) fn view_choices(&self, typed: &str) -> Vec<Choice> {
        let mut out: Vec<Choice> =
            self.views.iter().map(|view| Choice { text: view.name.clone(), note: view.words(), goal: Goal::View(view.name.clone()) }).collect();
        let typed = typed.trim();
        if !typed.is_empty() && !self.views.iter().any(|view| view.name == typed) {
            let words = self.view_here(typed.to_owned()).words();
            out.push(Choice { text: format!("save what you see as {typed}"), note: words, goal: Goal::SaveView(typed.to_owned()) });
        }
        out
    }

    /// What one sees now, under a name.
    fn view_here(&self, name: String) -> View {
        let list = match self.pane {
            Pane::Now => Some(&self.panes.now.list),
            Pane::Alerts => Some(&self.panes.alerts.list),
            _ => None,
        };
        View {
            name,
            pane: self.pane,
            filter: self.active_filter().unwrap_or_default(),
            group: list.and_then(|list| list.group),
            sort: list.and_then(|list| list.sort),
        }
    }

    fn find_view(&mut self, name: &str) -> Option<View> {
        let found = self.views.iter().find(|view| view.name == name).cloned();
        if found.is_none() {
            let near = nearest(name, self.views.iter().map(|view| view.name.as_str())).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.say(Tone::Wrong, format!("there is no view `{name}`{near}"));
        }
        found
    }

    pub(super) fn run_view(&mut self, name: &str) {
        let Some(view) = self.find_view(name) else { return };
        let filter = match Filter::new(&view.filter, self.now, &self.zone) {
            Ok(filter) => Some(filter).filter(|filter| !filter.is_all()),
            Err(error) => {
                self.say(Tone::Wrong, format!("view {name}: {error}"));
                return;
            }
        };
        self.show(view.pane);
        self.set_filter(filter);
        if matches!(view.pane, Pane::Now | Pane::Alerts) {
            let list = self.alert_list();
            list.group = view.group;
            list.sort = view.sort;
        }
        self.say(Tone::Plain, format!("view {name}: {}", view.words()));
    }

    pub(super) fn save_view(&mut self, name: &str) -> Vec<Effect> {
        let name = name.trim();
        if let Err(why) = check_name(name) {
            self.say(Tone::Wrong, why);
            return Vec::new();
        }
        let view = self.view_here(name.to_owned());
        match self.views.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = view.clone(),
            None => self.views.push(view.clone()),
        }
        vec![Effect::Views(Change::Save(view))]
    }

    pub(super) fn remove_view(&mut self, name: &str) -> Vec<Effect> {
        if self.find_view(name).is_none() {
            return Vec::new();
        }
        self.views.retain(|view| view.name != name);
        vec![Effect::Views(Change::Remove(name.to_owned()))]
    }

    /// `OLD NEW`, or `OLD -> NEW` where a name has blanks.
    pub(super) fn rename_view(&mut self, names: &str) -> Vec<Effect> {
        let Some((from, to)) = names.split_once("->").or_else(|| names.split_once(char::is_whitespace)) else {
            self.say(Tone::Wrong, "view-rename needs two names, like `view-rename night -> nights`");
            return Vec::new();
        };
        let (from, to) = (from.trim(), to.trim());
        if let Err(why) = check_name(to) {
            self.say(Tone::Wrong, why);
            return Vec::new();
        }
        if self.views.iter().any(|view| view.name == to) {
            self.say(Tone::Wrong, format!("there is a view `{to}` already"));
            return Vec::new();
        }
        if self.find_view(from).is_none() {
            return Vec::new();
        }
        if let Some(view) = self.views.iter_mut().find(|view| view.name == from) {
            view.name = to.to_owned();
        }
        vec![Effect::Views(Change::Rename(from.to_owned(), to.to_owned()))]
    }
}
