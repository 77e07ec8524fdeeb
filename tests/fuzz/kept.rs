//! What is looked at on every run: good examples, and the inputs that are kept in `tests/fuzz/corpus/TARGET`.
//!
//! A target says in a few words what came of an input. An input with words that no other had is interesting: it is
//! bent in its turn; and it is kept, made as small as it can be, when `MIDWATCH_FUZZ_KEEP` names a folder for that, which
//! may be `tests/fuzz/corpus` itself. What fails lies in Cargo's target folder, ready to be put beside the others.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::bend::{Bent, seeds_of};
use crate::tree::Moved;

/// Interesting inputs that one run may find, and how many tries each may take to be made smaller.
const FOUND: usize = 60;
const TRIES: usize = 300;
/// Bytes of a kept input.
const LARGEST: usize = 8 << 10;

pub struct Kept {
    target: &'static str,
    /// Examples, what was kept, and what this run found.
    inputs: RwLock<Vec<Vec<u8>>>,
    examples: usize,
    known: Mutex<HashSet<String>>,
    found: Mutex<usize>,
}

/// What came of an input, without what differs from one to the next: numbers, and what is quoted of it.
fn gist(words: &str) -> String {
    let quote = |c: char| matches!(c, '`' | '"') || !c.is_ascii();
    let (before, after) = match (words.find(quote), words.rfind(quote)) {
        (Some(first), Some(last)) => (&words[..first], &words[last..]),
        _ => (words, ""),
    };
    let plain = |c: &char| c.is_ascii() && !c.is_ascii_digit() && !c.is_control() && !quote(*c);
    before.chars().filter(plain).take(80).chain(after.chars().filter(plain).take(40)).collect()
}

/// Leaves the input that failed, smaller each time that a smaller one fails too.
struct Failing<'a>(&'a str, &'a [u8]);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.0));
            let _ = std::fs::write(&path, self.1);
            eprintln!("{} bytes, kept in {}: put them into tests/fuzz/corpus/{}", self.1.len(), path.display(), self.0);
        }
    }
}

impl Kept {
    pub fn of(target: &'static str, examples: Vec<Vec<u8>>) -> Kept {
        assert!(!examples.is_empty(), "there are good examples");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let kept = if folder.is_dir() { seeds_of(&folder) } else { Vec::new() };
        let (inputs, known, found) = ([examples.clone(), kept].concat().into(), Mutex::default(), Mutex::default());
        Kept { target, inputs, examples: examples.len(), known, found }
    }

    /// Each that is kept, as it is.
    pub fn look_at_all(&self, look: &impl Fn(&[u8]) -> String) {
        let inputs = self.inputs.read().unwrap().clone();
        for (number, input) in inputs.iter().enumerate() {
            let words = self.words(input, look);
            let new = self.known.lock().unwrap().insert(words.clone());
            if !new && number >= self.examples && keeps().is_some() {
                println!("{}: {} says nothing new: {words}", self.target, name_of(input));
            }
        }
    }

    fn words(&self, input: &[u8], look: &impl Fn(&[u8]) -> String) -> String {
        let _failing = Failing(self.target, input);
        gist(&look(input))
    }

    pub fn moved(&self, moved: &Moved) -> Option<Vec<u8>> {
        moved.of(&self.inputs.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn bent(&self, bent: &Bent) -> Vec<u8> {
        bent.of(&self.inputs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at an input, and holds on to it when it is like none before.
    pub fn look(&self, input: &[u8], look: &impl Fn(&[u8]) -> String) {
        let words = self.words(input, look);
        if !self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(words.clone()) {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if *found >= FOUND {
            return;
        }
        *found += 1;
        let keeps = keeps();
        let small = if keeps.is_some() { self.smaller(input, &words, look) } else { input.to_vec() };
        if let Some(folder) = keeps.filter(|_| small.len() <= LARGEST) {
            let folder = folder.join(self.target);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name_of(&small)), &small).unwrap();
            println!("{}: {} bytes are kept: {words}", self.target, small.len());
        }
        self.inputs.write().unwrap_or_else(PoisonError::into_inner).push(small);
    }

    /// The same with as much left out as can be.
    fn smaller(&self, input: &[u8], words: &str, look: &impl Fn(&[u8]) -> String) -> Vec<u8> {
        let mut small = input.to_vec();
        let (mut part, mut tries) = (small.len() / 2, 0);
        while part > 0 && tries < TRIES {
            let mut at = 0;
            while at < small.len() && tries < TRIES {
                let mut less = small.clone();
                less.drain(at..less.len().min(at + part));
                tries += 1;
                if self.words(&less, look) == words {
                    small = less;
                } else {
                    at += part;
                }
            }
            part /= 2;
        }
        small
    }
}

/// As what an input is kept.
fn name_of(input: &[u8]) -> String {
    Sha256::digest(input).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Where what is new is kept.
fn keeps() -> Option<PathBuf> {
    std::env::var_os("MIDWATCH_FUZZ_KEEP").map(PathBuf::from)
}
