//! Read marks of the persons whose home this server is: one small file for each in the data folder, merged
//! with what their consoles say, and told to the others.
//!
//! Until there is trust a person is the name that a console says in its `hello`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::mark::{Ahead, Marks};
use crate::model::time::Time;
use crate::store::whole;

/// Persons whose marks are kept.
const PERSONS: usize = 1_000;
/// Bytes of a person's name.
const LONGEST_NAME: usize = 100;
/// Bytes of a person's file: [`Marks::MOST`] of them need a fifth of that.
const LARGEST: u64 = 256 << 10;

/// Why marks are not kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unkept {
    #[error("a person's name has 1 to {LONGEST_NAME} bytes")]
    Name,
    #[error("read marks of {PERSONS} persons are kept here already")]
    Persons,
    #[error("read marks cannot be kept on this server's disk: {0}")]
    Disk(String),
}

/// The log of this server, of which it knows what a place in it can be.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    pub origin: Origin,
    pub incarnation: Incarnation,
    pub head: Sequence,
}

type Told = watch::Sender<Arc<Marks>>;

/// All that are kept.
#[derive(Debug, Default)]
pub struct ReadMarks {
    /// In memory alone without one, for simulations.
    folder: Option<PathBuf>,
    persons: Mutex<HashMap<Arc<str>, Told>>,
    /// One is read or written at a time, in order.
    turn: tokio::sync::Mutex<()>,
}

impl ReadMarks {
    pub fn new(folder: Option<PathBuf>) -> ReadMarks {
        ReadMarks { folder, ..ReadMarks::default() }
    }

    /// What one of a person's consoles has seen: kept, and told to the others, before it is answered with all
    /// that is known of that person. Times that cannot be believed count as of now.
    pub async fn take(&self, person: &Arc<str>, said: &Marks, own: Own, now: Time) -> Result<(Arc<Marks>, Option<Ahead>), Unkept> {
        let (mut believed, ahead) = said.believed(now);
        believed.within(own.origin, own.incarnation, own.head);
        let _turn = self.turn.lock().await;
        let told = match self.known(person) {
            Some(told) => told,
            None => self.open(person).await?,
        };
        let known = told.borrow().clone();
        let mut marks = (*known).clone();
        marks.merge(&believed);
        if marks == *known {
            return Ok((known, ahead));
        }
        let marks = Arc::new(marks);
        self.write(person, marks.clone()).await?;
        told.send_replace(marks.clone());
        Ok((marks, ahead))
    }

    /// What is kept of a person from now on; nothing where nothing was ever taken from them.
    pub fn follow(&self, person: &str) -> Option<watch::Receiver<Arc<Marks>>> {
        self.known(person).map(|told| told.subscribe())
    }

    fn persons(&self) -> MutexGuard<'_, HashMap<Arc<str>, Told>> {
        self.persons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, person: &str) -> Option<Told> {
        self.persons().get(person).cloned()
    }

    fn path(&self, person: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(whole::file_name(person)).with_added_extension("json"))
    }

    /// A person who was not heard since the start.
    async fn open(&self, person: &Arc<str>) -> Result<Told, Unkept> {
        if person.is_empty() || whole::file_name(person).len() > LONGEST_NAME {
            return Err(Unkept::Name);
        }
        let (path, folder) = (self.path(person), self.folder.clone());
        let read = tokio::task::spawn_blocking(move || {
            let kept = path.and_then(|path| whole::load::<Marks>(&path, LARGEST));
            // Only who is new here adds to the number.
            let others = if kept.is_none() { folder.map(|folder| std::fs::read_dir(folder).map_or(0, Iterator::count)) } else { None };
            (kept, others)
        });
        let (kept, others) = read.await.map_err(|error| Unkept::Disk(error.to_string()))?;
        let mut persons = self.persons();
        if kept.is_none() && others.unwrap_or(0).max(persons.len()) >= PERSONS {
            return Err(Unkept::Persons);
        }
        Ok(persons.entry(person.clone()).or_insert_with(|| watch::Sender::new(Arc::new(kept.unwrap_or_default()))).clone())
    }

    async fn write(&self, person: &str, marks: Arc<Marks>) -> Result<(), Unkept> {
        let Some(path) = self.path(person) else { return Ok(()) };
        let written = tokio::task::spawn_blocking(move || whole::save(&path, &*marks));
        let written = written.await.map_err(|error| Unkept::Disk(error.to_string()))?;
        written.map_err(|error| Unkept::Disk(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mark::{Mark, Stamp};
    use crate::model::time::Span;

    const NOW: Time = Time::from_secs(1_790_000_000);
    const OWN: Own = Own { origin: Origin([1; 16]), incarnation: Incarnation(5), head: Sequence(40) };

    fn said(origin: u8, sequence: u64, at: Time) -> Marks {
        [(Origin([origin; 16]), Mark { incarnation: Incarnation(5), sequence: Sequence(sequence), looked: Stamp { at, count: 0 } })].into_iter().collect()
    }

    #[tokio::test]
    async fn what_is_answered_is_on_the_disk_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let kim: Arc<str> = "kim/../x".into();
        let kept = ReadMarks::new(Some(folder.path().join("marks")));
        kept.take(&kim, &said(2, 9, NOW), OWN, NOW).await.unwrap();
        let (marks, _) = kept.take(&kim, &said(2, 7, NOW), OWN, NOW).await.unwrap();
        assert_eq!(*marks, said(2, 9, NOW));
        // Another life of the server knows them, and nobody else's.
        let again = ReadMarks::new(Some(folder.path().join("marks")));
        assert_eq!(*again.take(&kim, &Marks::default(), OWN, NOW).await.unwrap().0, said(2, 9, NOW));
        assert!(again.take(&"jo".into(), &Marks::default(), OWN, NOW).await.unwrap().0.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no name leads out of the folder");
    }

    #[tokio::test]
    async fn what_cannot_be_is_not_believed() {
        let kept = ReadMarks::default();
        let (marks, ahead) = kept.take(&"kim".into(), &said(1, 90, NOW.plus(Span::from_hours(3))), OWN, NOW).await.unwrap();
        assert_eq!((*marks).clone(), said(1, 40, NOW), "not beyond the log's end, nor beyond now");
        assert_eq!(ahead.unwrap().by, Span::from_hours(3));
    }

    #[tokio::test]
    async fn others_are_told() {
        let kept = ReadMarks::default();
        kept.take(&"kim".into(), &Marks::default(), OWN, NOW).await.unwrap();
        let mut follower = kept.follow("kim").unwrap();
        kept.take(&"kim".into(), &said(2, 9, NOW), OWN, NOW).await.unwrap();
        kept.take(&"jo".into(), &said(2, 10, NOW), OWN, NOW).await.unwrap();
        follower.changed().await.unwrap();
        assert_eq!(**follower.borrow(), said(2, 9, NOW));
    }

    #[tokio::test]
    async fn names_and_persons_are_bounded_and_a_full_disk_is_said() {
        let kept = ReadMarks::default();
        let refused = |person: String| {
            let kept = &kept;
            async move { kept.take(&person.as_str().into(), &Marks::default(), OWN, NOW).await.err() }
        };
        assert_eq!([refused("x".repeat(101)).await, refused(String::new()).await], [Some(Unkept::Name), Some(Unkept::Name)]);
        for person in 0..PERSONS {
            assert_eq!(refused(person.to_string()).await, None);
        }
        assert_eq!(refused("one more".into()).await, Some(Unkept::Persons));
        let nowhere = ReadMarks::new(Some("/dev/null/marks".into()));
        let (none, some) = (Marks::default(), said(2, 9, NOW));
        assert!(nowhere.take(&"kim".into(), &none, OWN, NOW).await.is_ok(), "nothing is to be kept yet");
        assert!(matches!(nowhere.take(&"kim".into(), &some, OWN, NOW).await, Err(Unkept::Disk(_))));
        assert!(nowhere.take(&"kim".into(), &none, OWN, NOW).await.unwrap().0.is_empty(), "what was not kept is not told");
    }

    #[tokio::test]
    async fn a_broken_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kim.json"), "{").unwrap();
        let kept = ReadMarks::new(Some(folder.path().to_owned()));
        kept.take(&"kim".into(), &said(2, 9, NOW), OWN, NOW).await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("kim.json.aside")).unwrap(), "{");
        assert!(std::fs::read_to_string(folder.path().join("kim.json")).unwrap().contains("\"sequence\":9"));
    }
}
