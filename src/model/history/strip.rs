//! The strip of a row: one cell a day, how often and how bad.

use crate::model::episode::day;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::world::Alert;

/// One cell of a strip: a day (in UTC) on which it was there, how often, how bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub count: u16,
    pub worst: Severity,
}

/// The last `days` days, oldest first, today last.
pub fn strip(alert: &Alert, now: Time, days: usize) -> Vec<Option<Cell>> {
    let today = day(now);
    let mut cells = vec![None; days];
    let began = alert.now.map(|open| day(open.since));
    for (place, cell) in cells.iter_mut().enumerate() {
        let back = i64::try_from(days.saturating_sub(place).saturating_sub(1)).unwrap_or(0);
        let date = today - back;
        let known = i32::try_from(date).ok().and_then(|date| alert.days.binary_search_by_key(&date, |d| d.day).ok()).and_then(|found| alert.days.get(found));
        *cell = known.map(|d| Cell { count: d.count.max(1), worst: d.worst });
        // While it is open it is there on every day since it began.
        if cell.is_none() && began.is_some_and(|began| began <= date) {
            *cell = Some(Cell { count: 1, worst: alert.severity });
        }
    }
    cells
}
