//! Who else looks at it: at the end of a detail's heading, where it moves nothing.

use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::presence::{Looker, words};

use super::canvas::{Canvas, Words};

const LABEL: &str = "looking now: ";
/// With less room for a heading the names stand alone.
const NARROW: u16 = 60;

/// A heading, its rule, and behind that who looks at what it is about.
pub(super) fn heading(state: &State, canvas: &mut Canvas<'_>, (x, y, room): (u16, u16, u16), mut head: Words, who: &[Looker]) {
    if who.is_empty() {
        canvas.heading(x, y, room, &head);
        return;
    }
    let label = if room < NARROW { "" } else { LABEL };
    let most = (room / 2).saturating_sub(text::width(label));
    let names = words(who, state.now, usize::from(most));
    if state.linear {
        head.extend([(format!("   {LABEL}"), Role::Muted), (names, Role::Actor)]);
        canvas.heading(x, y, room, &head);
        return;
    }
    let wide = text::width(label).saturating_add(text::width(&names)).min(room / 2);
    canvas.heading(x, y, room.saturating_sub(wide + 1), &head);
    canvas.words(x + room - wide, y, wide, &[(label.to_owned(), Role::Muted), (names, Role::Actor)]);
}
