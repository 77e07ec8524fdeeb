//! The mouse, for who wishes it: a click selects a row or opens a pane, a second one opens the row, the wheel
//! scrolls. It only looks: nothing that changes the world is done by it.

use crate::command::{Command, Pane};
use crate::console::draw::Spot;
use crate::console::effect::Effect;
use crate::console::list::Move;
use crate::console::overlay::Overlay;
use crate::console::screen::input::Gesture;
use crate::console::state::State;
use crate::model::time::Span;

/// A second click within this is one with the first.
const DOUBLE: Span = Span::from_millis(400);
/// Rows of one turn of the wheel.
const TURN: usize = 3;

impl State {
    pub(super) fn mouse(&mut self, gesture: Gesture, spot: Option<Spot>) -> Vec<Effect> {
        self.keyed = true;
        // A sequence of keys that is under way is given up.
        self.pressed.clear();
        let mut effects = match gesture {
            Gesture::Click => self.click(spot),
            Gesture::WheelUp | Gesture::WheelDown => self.wheel(gesture == Gesture::WheelDown, spot),
        };
        effects.extend(self.wanted());
        effects
    }

    fn click(&mut self, spot: Option<Spot>) -> Vec<Effect> {
        let Some(spot) = spot else { return Vec::new() };
        let before = self.clicked.replace((spot, self.mono));
        let again = before.is_some_and(|(last, at)| last == spot && self.mono.micros() - at.micros() < DOUBLE.micros());
        if again {
            self.clicked = None;
        }
        match (spot, &mut self.overlay) {
            (Spot::Choice(place), Some(Overlay::Choose(choose))) => {
                choose.selected = place.min(choose.hits.len().saturating_sub(1));
                self.preview();
                if again {
                    return self.run(Command::PromptAccept);
                }
            }
            (_, Some(_)) => {}
            (Spot::Pane(pane), None) => return self.run(pane.command()),
            (Spot::Row(row), None) => {
                self.point_at(row);
                if again {
                    return self.run(Command::Open);
                }
            }
            (Spot::Detail | Spot::Choice(_) | Spot::Above, None) => {}
        }
        Vec::new()
    }

    fn wheel(&mut self, down: bool, spot: Option<Spot>) -> Vec<Effect> {
        let (movement, scroll, prompt) =
            if down { (Move::Down, Command::DetailDown, Command::PromptNext) } else { (Move::Up, Command::DetailUp, Command::PromptPrevious) };
        let mut effects = Vec::new();
        for _ in 0..TURN {
            match (&self.overlay, spot) {
                (Some(_), _) => effects.extend(self.run(prompt.clone())),
                (None, Some(Spot::Detail)) => effects.extend(self.run(scroll.clone())),
                (None, _) => self.go(movement),
            }
        }
        effects
    }

    fn point_at(&mut self, row: usize) {
        match self.pane {
            Pane::Now => self.panes.now.list.select_line(row),
            Pane::Alerts => self.panes.alerts.list.select_line(row),
            Pane::Today => self.panes.today.select(row),
            Pane::Systems => self.panes.systems.select(row),
            Pane::Servers => self.panes.servers.select(row),
            Pane::Timeline => {
                let mut panes = std::mem::take(&mut self.panes);
                panes.timeline.select(&self.sight(), row, false);
                self.panes = panes;
            }
        }
    }
}
