//! Going through many rows for those that somebody wants, without copying the others.

use rusqlite::Rows;

use super::reader::{COLUMNS, Gathered, Reader};
use super::{density, from_sql, to_sql};
use crate::model::id::Sequence;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::store::{Page, Sift, Sifted, StoreError};

/// Rows between two looks at whether anybody still waits.
const LOOK_UP: usize = 512;

impl Reader {
    pub(super) fn sift(&mut self, sift: &Sift, forgotten: &dyn Fn() -> bool) -> Result<Sifted, StoreError> {
        self.snapshot(|conn| {
            let (sql, at, sequence) = match sift.page {
                Page::Before(place) => {
                    let (at, sequence) = place.unwrap_or((Time::MAX, Sequence(u64::MAX)));
                    ("(at, seq) < (?1, ?2) AND at >= ?3 ORDER BY at DESC, seq DESC", at, sequence)
                }
                Page::After(place) => {
                    let (at, sequence) = place.unwrap_or((Time::MIN, Sequence(0)));
                    ("(at, seq) > (?1, ?2) AND at >= ?3 ORDER BY at, seq", at, sequence)
                }
            };
            let since = sift.since.unwrap_or(Time::MIN).micros();
            let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE {sql}"))?;
            let rows = select.query((at.micros(), to_sql(sequence.0), since))?;
            through(rows, sift, forgotten).map(Ok)
        })
    }
}

fn through(mut rows: Rows<'_>, sift: &Sift, forgotten: &dyn Fn() -> bool) -> rusqlite::Result<Sifted> {
    let mut out = Gathered::default();
    let mut counts = sift.scale.map(|scale| vec![[0; 6]; scale.buckets]).unwrap_or_default();
    let (mut looked, mut found) = (0_usize, 0_usize);
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (at, severity) = (Time::from_micros(row.get(1)?), row.get::<_, u8>(3)?);
        looked += 1;
        if (sift.test)(Severity::from_rank(severity), row.get_ref(6)?.as_blob()?) {
            match sift.scale {
                Some(scale) => density::count(&mut counts, scale, at, severity, 1),
                None => {
                    out.add(row)?;
                    found += 1;
                }
            }
        }
        last = Some((at, Sequence(from_sql(row.get(0)?))));
        let enough = found >= sift.most || looked >= sift.look;
        if enough || (looked.is_multiple_of(LOOK_UP) && forgotten()) {
            return Ok(Sifted { rows: out.rows(), counts, reached: last, complete: false });
        }
    }
    Ok(Sifted { rows: out.rows(), counts, reached: last, complete: true })
}
