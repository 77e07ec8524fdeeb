//! What leaves the console as text: rows, links, JSON, summaries.

use crate::command::Pane;
use crate::console::effect::Effect;
use crate::console::overlay::choose::Goal;
use crate::console::state::{State, Tone};
use crate::model::event::Event;
use crate::model::history::ago;
use crate::model::id::{AlertRef, EventId, SystemRef};

impl State {
    pub(super) fn copy(&mut self, text: Option<String>) -> Vec<Effect> {
        match text {
            Some(text) if !text.is_empty() => {
                self.say(Tone::Plain, format!("copied {} characters", text.chars().count()));
                vec![Effect::Copy(text)]
            }
            Some(_) | None => {
                self.say(Tone::Plain, "there is nothing here to copy");
                Vec::new()
            }
        }
    }

    /// The selected event, on the timeline.
    fn event_here(&self) -> Option<std::sync::Arc<Event>> {
        self.timeline.slot(self.panes.timeline.selected)?.event()
    }

    pub(super) fn line_text(&self) -> Option<String> {
        match self.pane {
            Pane::Timeline => self.event_here().map(|event| event_line(&event)),
            Pane::Now | Pane::Alerts => {
                let alert = self.panes.alert(self.pane)?;
                let row = self.rows.iter().find(|row| row.alert == alert)?;
                Some(format!("{} {} {} since {} ({})", row.word(), row.name, row.title, row.since, row.history.words(self.now)))
            }
            Pane::Systems => self.panes.systems.row().map(|row| format!("{} {}", row.name, row.title).trim().to_owned()),
            Pane::Servers => self.links.get(self.panes.servers.list.selected()).map(|link| format!("{} {}", link.name, link.address)),
            Pane::Today => None,
        }
    }

    pub(super) fn link_text(&self) -> Option<String> {
        match self.pane {
            Pane::Timeline => self.event_here().map(|event| format!("midwatch:event:{}", event.id)),
            Pane::Now | Pane::Alerts => self.panes.alert(self.pane).map(|alert| format!("midwatch:alert:{}:{}", alert.origin, alert.alert)),
            Pane::Systems => self.panes.systems.system().map(|system| format!("midwatch:system:{}:{}", system.origin, system.id)),
            Pane::Today | Pane::Servers => None,
        }
    }

    /// Goes where another person's console copied a link from; false: nothing here is meant by it.
    pub(super) fn follow_link(&mut self, link: &str) -> bool {
        let mut parts = link.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("event"), Some(id), None) => {
                let Ok(id) = id.parse::<EventId>() else { return false };
                self.go_to_event(id)
            }
            (Some("alert"), Some(origin), Some(alert)) => {
                let (Ok(origin), Ok(alert)) = (origin.parse(), alert.parse()) else { return false };
                let alert = AlertRef { origin, alert };
                let open = self.rows.iter().any(|row| row.alert == alert);
                if open {
                    self.go_to_goal(Goal::Alert(alert));
                }
                open
            }
            (Some("system"), Some(origin), Some(id)) => {
                let (Ok(origin), Ok(id)) = (origin.parse(), id.parse()) else { return false };
                let system = SystemRef { origin, id };
                let known = self.sky.of_origin(origin).is_some_and(|(_, seen)| seen.world.systems.contains_key(&system.id));
                if known {
                    self.go_to_goal(Goal::System(system));
                }
                known
            }
            _ => false,
        }
    }

    pub(super) fn json_text(&self) -> Option<String> {
        match self.pane {
            Pane::Timeline => self.event_here().and_then(|event| serde_json::to_string(&*event).ok()),
            Pane::Now | Pane::Alerts => {
                let alert = self.panes.alert(self.pane)?;
                let (_, seen) = self.sky.of_origin(alert.origin)?;
                serde_json::to_string(seen.world.alert(alert.alert)?).ok()
            }
            Pane::Systems => {
                let system = self.panes.systems.system()?;
                let (_, seen) = self.sky.of_origin(system.origin)?;
                serde_json::to_string(&seen.world.system(&system.id)?.spec).ok()
            }
            Pane::Today | Pane::Servers => None,
        }
    }

    /// A short Markdown summary: what, since when, how usual, what changed, who did what.
    pub(super) fn summary_text(&self) -> Option<String> {
        let detail = self.detail.as_ref()?;
        let row = self.rows.iter().find(|row| row.alert == detail.alert)?;
        let mut out = format!("**{}**: {} ({})\n\n", detail.name, detail.what, row.severity);
        out.push_str(&format!("- since {}, {}\n", row.since, row.history.words(self.now)));
        out.push_str(&match &row.somebody {
            Some(name) => format!("- {name} has it\n"),
            None => "- nobody has it\n".to_owned(),
        });
        for change in detail.changes.iter().take(3) {
            out.push_str(&format!("- {} before: {} by {} ({})\n", change.before, change.title, change.by, change.system));
        }
        for deed in detail.deeds.iter().take(5) {
            out.push_str(&format!("- {} {} {}\n", ago(deed.at, self.now), deed.by, deed.words));
        }
        for link in detail.runbooks.iter().chain(&detail.dashboards) {
            out.push_str(&format!("- [{}]({})\n", link.name, link.url));
        }
        Some(out)
    }

    /// The links of what is selected.
    pub(super) fn links_here(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let links: Vec<String> = match self.pane {
            Pane::Timeline => self.event_here().map(|event| event.links.iter().map(|link| link.url.to_string()).collect()).unwrap_or_default(),
            Pane::Now | Pane::Alerts => {
                let all = self.detail.as_ref().map(|detail| detail.links.iter().chain(&detail.dashboards).chain(&detail.runbooks));
                all.into_iter().flatten().map(|link| link.url.to_string()).collect()
            }
            Pane::Systems | Pane::Today | Pane::Servers => Vec::new(),
        };
        links.into_iter().filter(|url| wanted(url)).collect()
    }

    /// Opens the first of these with the desktop's opener; only what a browser may be given.
    pub(super) fn open(&mut self, links: &[String], what: &str) -> Vec<Effect> {
        match links.iter().find(|url| url.starts_with("https://") || url.starts_with("http://")) {
            Some(url) => {
                self.say(Tone::Plain, format!("opening {url}"));
                vec![Effect::Open(url.clone())]
            }
            None => {
                let words = if links.is_empty() { format!("no {what} is known here") } else { format!("the {what} is no web address: {}", links.join(", ")) };
                self.say(Tone::Plain, words);
                Vec::new()
            }
        }
    }

    /// Marked rows, else all that are shown, as JSON Lines.
    pub(super) fn export(&mut self, path: String) -> Vec<Effect> {
        let mut lines = Vec::new();
        match self.pane {
            Pane::Timeline => {
                let marks = &self.panes.timeline.marks;
                let rows = (0..self.timeline.len()).filter_map(|row| self.timeline.slot(row)).filter(|slot| marks.is_empty() || marks.contains(&slot.place()));
                lines.extend(rows.filter_map(|slot| slot.event()).filter_map(|event| serde_json::to_string(&*event).ok()));
            }
            Pane::Now | Pane::Alerts => {
                let list = if self.pane == Pane::Now { &self.panes.now.list } else { &self.panes.alerts.list };
                for alert in list.targets() {
                    let known = self.sky.of_origin(alert.origin).and_then(|(_, seen)| seen.world.alert(alert.alert));
                    lines.extend(known.and_then(|known| serde_json::to_string(known).ok()));
                }
            }
            Pane::Systems | Pane::Today | Pane::Servers => {}
        }
        if lines.is_empty() {
            self.say(Tone::Plain, "there is nothing here to write");
            return Vec::new();
        }
        vec![Effect::Write { path, lines }]
    }
}

fn event_line(event: &Event) -> String {
    let system = event.system.as_ref().map_or("", |system| system.as_str());
    format!("{} {} {system} {}", event.at, event.severity, event.title)
}
