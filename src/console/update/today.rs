//! What one does in Today: a sentence is opened to its events, a word to its meaning.

use crate::console::overlay::Overlay;
use crate::console::overlay::choose::{Choice, Choose, Goal, Of};
use crate::console::state::{State, Tone};
use crate::model::view::glossary;

/// Events of one sentence that are listed.
const LISTED: usize = 1_000;

impl State {
    /// The events that the selected sentence was made from; choosing one shows it on the timeline.
    pub(super) fn open_sentence(&mut self) {
        let Some(sentence) = self.panes.today.sentence() else {
            self.say(Tone::Plain, "nothing is told here");
            return;
        };
        let choices: Vec<Choice> = sentence
            .events
            .iter()
            .rev()
            .filter_map(|id| self.past.event(*id))
            .take(LISTED)
            .map(|event| Choice {
                text: format!("{}  {}", event.at.zoned(&self.zone).strftime("%a %H:%M:%S"), event.title),
                note: format!("{} {}", event.severity, event.kind.name()),
                goal: Goal::Event(event.id, event.at),
            })
            .collect();
        if choices.is_empty() {
            self.say(Tone::Plain, "its events lie before this span");
            return;
        }
        self.overlay = Some(Overlay::Choose(Choose::new(Of::Events, "", choices)));
    }

    /// The words that stand on this pane first, then all others.
    pub(super) fn glossary(&mut self) {
        let text = self.panes.today.told.as_ref().filter(|_| self.pane == crate::command::Pane::Today).map(|told| told.text()).unwrap_or_default();
        let entries = glossary::entries(&self.sky);
        let found = glossary::find(&text, &entries);
        let (here, other): (Vec<_>, Vec<_>) = entries.iter().enumerate().partition(|(place, _)| found.iter().any(|hit| hit.entry == *place));
        let choices =
            here.into_iter().chain(other).map(|(_, entry)| Choice { text: entry.word.to_string(), note: entry.meaning.to_string(), goal: Goal::Nothing });
        self.overlay = Some(Overlay::Choose(Choose::new(Of::Words, "", choices.collect())));
    }
}
