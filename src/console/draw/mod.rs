//! From state to a frame. Drawing changes nothing: whatever had to be decided was decided before.

mod access;
mod alerts;
mod bars;
mod blocks;
mod canvas;
mod density;
mod detail;
mod meet;
mod overlays;
mod presence;
mod server;
mod servers;
mod systems;
mod timeline;
mod today;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::command::Pane;

use super::overlay::Overlay;
use super::screen::link::Links;
use super::state::State;
use super::theme::Role;
use canvas::Canvas;
pub use systems::detail_height as system_detail_height;

/// What a click or the wheel can mean somewhere on the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spot {
    Pane(Pane),
    /// A row of the pane's list, counted from its first; in Today a sentence.
    Row(usize),
    Detail,
    /// A row of what one chooses from, above the pane.
    Choice(usize),
    /// What else floats above.
    Above,
}

/// Where on a frame something can be pointed at; what was drawn later lies above.
pub type Spots = Vec<(Rect, Spot)>;

impl State {
    /// Paints a frame; answers where the cursor stands, if something is typed.
    pub fn draw(&self, buffer: &mut Buffer) -> Option<Position> {
        self.draw_with(buffer, &mut Links::default(), &mut Spots::new())
    }

    /// The same; what a frame has beside its cells is gathered.
    pub fn draw_with(&self, buffer: &mut Buffer, links: &mut Links, spots: &mut Spots) -> Option<Position> {
        let area = buffer.area;
        let mut canvas = Canvas::new(buffer, &self.theme, links, spots);
        canvas.paint(area, Role::Background);
        if area.width < 20 || area.height < 5 {
            canvas.text(area.x, area.y, area.width, "too small", Role::Muted);
            return None;
        }
        bars::top(self, &mut canvas, Rect { height: 2, ..area });
        let below = area.height - 2 - self.body_height().min(area.height - 2);
        let body = Rect { y: area.y + 2, height: area.height - 2 - below, ..area };
        match self.pane {
            Pane::Now | Pane::Alerts => alerts::draw(self, &mut canvas, body),
            Pane::Today => today::draw(self, &mut canvas, body),
            Pane::Timeline => timeline::draw(self, &mut canvas, body),
            Pane::Systems => systems::draw(self, &mut canvas, body),
            Pane::Servers => servers::draw(self, &mut canvas, body),
        }
        let foot = Rect { y: body.bottom(), height: below, ..area };
        let cursor = match &self.overlay {
            Some(Overlay::Ask(ask)) => Some(overlays::ask(ask, &mut canvas, foot)),
            Some(_) | None => {
                bars::bottom(self, &mut canvas, foot);
                None
            }
        };
        let floating = match &self.overlay {
            Some(Overlay::Choose(choose)) => overlays::choose(choose, &mut canvas, body),
            Some(Overlay::Confirm(confirm)) => overlays::confirm(confirm, &mut canvas, body),
            Some(Overlay::Help { top }) => overlays::help(self, *top, &mut canvas, body),
            Some(Overlay::Messages { top }) => overlays::messages(self, *top, &mut canvas, body),
            Some(Overlay::Meet(asked)) => meet::draw(asked, self.waits_to_be_met(asked.server), &mut canvas, body),
            Some(Overlay::Access { system, top }) => access::draw(self, system, *top, &mut canvas, body),
            Some(Overlay::Ask(_)) | None => {
                if !self.pressed.is_empty() {
                    overlays::which_key(self, &mut canvas, body);
                }
                None
            }
        };
        cursor.or(floating)
    }
}
