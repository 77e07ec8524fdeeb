//! Finds out what moved up or down between two frames, and how much it saves to let the terminal move it.
//!
//! Nobody has to say what scrolled, so nobody can say it wrongly. Rows must be full width, since margins at
//! the sides are not to be had everywhere; lists are drawn so.

use ratatui::buffer::{Buffer, Cell};

use super::frame::same;

/// Rows `top..=bottom` move by `by`: up when it is positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shift {
    pub top: u16,
    pub bottom: u16,
    pub by: i16,
}

/// Setting the margins, scrolling and resetting them costs about this.
const COST: i64 = 24;
/// Fewer rows that differ are never worth looking at.
const FEWEST: usize = 3;
/// How many distances are tried, the likeliest first.
const TRIED: usize = 2;

pub(super) fn find(shown: &Buffer, next: &Buffer) -> Option<Shift> {
    let columns = usize::from(next.area.width).max(1);
    let old: Vec<&[Cell]> = shown.content.chunks(columns).collect();
    let new: Vec<&[Cell]> = next.content.chunks(columns).collect();
    let differing: Vec<usize> = old.iter().zip(&new).enumerate().filter(|(_, (a, b))| !equal(a, b)).map(|(y, _)| y).collect();
    if differing.len() < FEWEST {
        return None;
    }
    let (first, last) = (*differing.first()?, *differing.last()?);
    let distances = likeliest(&old, &new, &differing);
    if distances.is_empty() {
        return None;
    }
    let costs = Costs {
        plain: (first..=last).map(|y| cost(old.get(y).copied(), new.get(y).copied())).collect(),
        blank: (first..=last).map(|y| cost(None, new.get(y).copied())).collect(),
    };
    let mut best: Option<(i64, Shift)> = None;
    for by in distances {
        if let Some((saved, shift)) = best_region(&old, &new, first, last, by, &costs)
            && best.is_none_or(|(most, _)| saved > most)
        {
            best = Some((saved, shift));
        }
    }
    best.filter(|(saved, _)| *saved > COST).map(|(_, shift)| shift)
}

/// Moves the rows of what is shown, as the terminal does; rows that come in are blank.
pub(super) fn apply(shown: &mut Buffer, shift: &Shift) {
    let columns = usize::from(shown.area.width).max(1);
    let range = usize::from(shift.top) * columns..(usize::from(shift.bottom) + 1) * columns;
    let by = usize::from(shift.by.unsigned_abs()) * columns;
    let Some(rows) = shown.content.get_mut(range) else { return };
    let by = by.min(rows.len());
    let entering = if shift.by > 0 {
        rows.rotate_left(by);
        let from = rows.len() - by;
        rows.get_mut(from..)
    } else {
        rows.rotate_right(by);
        rows.get_mut(..by)
    };
    for cell in entering.into_iter().flatten() {
        cell.reset();
    }
}

fn equal(a: &[Cell], b: &[Cell]) -> bool {
    a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// What it takes to write each row where nothing moves, and on a blank one.
struct Costs {
    plain: Vec<i64>,
    blank: Vec<i64>,
}

/// The distances by which most differing rows are found again. Rows are compared by a few letters only;
/// the selected row looks different in its new place.
fn likeliest(old: &[&[Cell]], new: &[&[Cell]], differing: &[usize]) -> Vec<i16> {
    let (Some(first), Some(last)) = (differing.first().copied(), differing.last().copied()) else { return Vec::new() };
    let prints: Vec<u64> = (first..=last).map(|y| old.get(y).map_or(0, |row| fingerprint(row))).collect();
    let mut votes: std::collections::BTreeMap<i16, usize> = std::collections::BTreeMap::new();
    for y in differing {
        let Some(print) = new.get(*y).map(|row| fingerprint(row)).filter(|print| *print != 0) else { continue };
        for (from, _) in (first..=last).zip(&prints).filter(|(from, old)| **old == print && from != y) {
            if let (Ok(a), Ok(b)) = (i16::try_from(from), i16::try_from(*y)) {
                *votes.entry(a - b).or_default() += 1;
            }
        }
    }
    let mut ranked: Vec<(usize, i16)> = votes.into_iter().map(|(by, count)| (count, by)).collect();
    ranked.sort_by_key(|(count, by)| (std::cmp::Reverse(*count), by.unsigned_abs()));
    // What few rows ask for is not worth trying beside what many do.
    let most = ranked.first().map_or(0, |(count, _)| *count);
    ranked.into_iter().take(TRIED).filter(|(count, _)| count * 4 >= most).map(|(_, by)| by).collect()
}

/// The row's text but for its first cells, where marks of selection stand; zero for a blank row.
fn fingerprint(row: &[Cell]) -> u64 {
    const GUTTER: usize = 2;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut blank = true;
    for cell in row.iter().skip(GUTTER) {
        let symbol = cell.symbol();
        blank &= symbol == " ";
        for byte in symbol.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    if blank { 0 } else { hash.max(1) }
}

/// The rows for which moving by `by` saves most: with `saves[y]` for a row that finds its old self and
/// `enters[y]` for one that must be written anew, the best stretch by prefix sums.
fn best_region(old: &[&[Cell]], new: &[&[Cell]], first: usize, last: usize, by: i16, costs: &Costs) -> Option<(i64, Shift)> {
    let distance = usize::from(by.unsigned_abs());
    if last - first < distance {
        return None;
    }
    let mut kept = vec![0i64];
    let mut fresh = vec![0i64];
    for (index, y) in (first..=last).enumerate() {
        let before = costs.plain.get(index).copied().unwrap_or(0);
        let entering = costs.blank.get(index).copied().unwrap_or(0);
        let from = if by > 0 { y.checked_add(distance) } else { y.checked_sub(distance) };
        let moved = from.filter(|from| (first..=last).contains(from)).map_or(0, |from| before - cost(old.get(from).copied(), new.get(y).copied()));
        kept.push(kept.last().copied().unwrap_or(0) + moved);
        fresh.push(fresh.last().copied().unwrap_or(0) + before - entering);
    }
    let sum = |sums: &[i64], from: usize, to: usize| sums.get(to).copied().unwrap_or(0) - sums.get(from).copied().unwrap_or(0);
    let rows = last - first + 1;
    let mut best: Option<(i64, Shift)> = None;
    for top in 0..rows {
        for bottom in top + distance..rows {
            let (end, edge) = (bottom + 1, if by > 0 { bottom + 1 - distance } else { top + distance });
            let saved = if by > 0 { sum(&kept, top, edge) + sum(&fresh, edge, end) } else { sum(&fresh, top, edge) + sum(&kept, edge, end) };
            if best.is_none_or(|(most, _)| saved > most)
                && let (Ok(top), Ok(bottom)) = (u16::try_from(first + top), u16::try_from(first + bottom))
            {
                best = Some((saved, Shift { top, bottom, by }));
            }
        }
    }
    best
}

/// About how many bytes turn one row into another (a blank one when there is none).
fn cost(old: Option<&[Cell]>, new: Option<&[Cell]>) -> i64 {
    let Some(new) = new else { return 0 };
    let mut bytes = 0i64;
    let mut gap = 8i64;
    for (at, cell) in new.iter().enumerate() {
        let unchanged = match old.and_then(|old| old.get(at)) {
            Some(before) => same(before, cell),
            None => same(&Cell::EMPTY, cell),
        };
        if unchanged {
            gap += 1;
        } else {
            // A new run needs a move and, often, colours.
            bytes += if gap > 3 { 10 } else { gap } + i64::try_from(cell.symbol().len()).unwrap_or(1);
            gap = 0;
        }
    }
    bytes
}
