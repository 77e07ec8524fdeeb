//! Good examples, bent.

use std::path::Path;

use bolero::TypeGenerator;

/// An example by its number, and what is done to it.
#[derive(Clone, Debug, TypeGenerator)]
pub struct Bent {
    example: u16,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, TypeGenerator)]
pub enum Edit {
    Set(u16, u8),
    Flip(u16, u8),
    Insert(u16, u8),
    Remove(u16, u8),
    /// A part of it comes twice, which nests what nests.
    Repeat(u16, u8, u8),
    Truncate(u16),
    /// Goes on with the rest of another one.
    Splice(u16, u16),
}

impl Bent {
    pub fn of(&self, examples: &[Vec<u8>]) -> Vec<u8> {
        let example = |number: u16| &examples[usize::from(number) % examples.len()];
        let mut bytes = example(self.example).clone();
        for edit in self.edits.iter().take(16) {
            let place = |at: u16| if bytes.is_empty() { 0 } else { usize::from(at) % bytes.len() };
            match *edit {
                Edit::Set(at, to) => {
                    let at = place(at);
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte = to);
                }
                Edit::Flip(at, bit) => {
                    let at = place(at);
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
                }
                Edit::Insert(at, byte) => {
                    let at = place(at);
                    bytes.insert(at, byte);
                }
                Edit::Remove(at, most) => {
                    let at = place(at);
                    let end = bytes.len().min(at + usize::from(most));
                    bytes.drain(at..end);
                }
                Edit::Repeat(at, most, times) => {
                    let at = place(at);
                    let end = bytes.len().min(at + usize::from(most));
                    let part = bytes[at..end].repeat(usize::from(times) % 64);
                    bytes.splice(at..at, part);
                }
                Edit::Truncate(at) => {
                    let at = place(at);
                    bytes.truncate(at);
                }
                Edit::Splice(at, other) => {
                    let at = place(at);
                    let other = example(other);
                    bytes.truncate(at);
                    bytes.extend_from_slice(other.get(at..).unwrap_or_default());
                }
            }
            bytes.truncate(64 << 10);
        }
        bytes
    }
}

/// The files of a folder.
pub fn seeds_of(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}
