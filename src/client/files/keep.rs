//! The bytes of a file, to be read again where an event is shown.
//!
//! A plain file stays on its disk. What cannot be read twice (a packed file, a stream) is kept in memory,
//! packed by blocks and bounded; beyond the bound the oldest blocks go. Either way the last few blocks that
//! were asked for stay at hand, so that going through events in their order reads each block once.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of one block.
const BLOCK: usize = 256 << 10;
/// Blocks at hand.
const AT_HAND: usize = 8;
/// Packed bytes of one stream that are kept.
pub const MOST: usize = 512 << 20;

pub struct Kept {
    place: Place,
    /// Blocks by their number, those asked for last in front.
    at_hand: Mutex<VecDeque<(u64, Arc<[u8]>)>>,
    /// The file was cut short: what stands in it now is not what was read.
    gone: AtomicBool,
}

enum Place {
    Disk(File),
    Memory(Mutex<Packed>),
}

#[derive(Default)]
struct Packed {
    /// How many blocks went to make room.
    dropped: u64,
    blocks: VecDeque<Box<[u8]>>,
    size: usize,
    most: usize,
    /// The block that is not full yet.
    tail: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    pub fn disk(file: File) -> Kept {
        Kept::at(Place::Disk(file))
    }

    /// In memory, at most so many bytes (packed).
    pub fn memory(most: usize) -> Kept {
        Kept::at(Place::Memory(Mutex::new(Packed { most, ..Packed::default() })))
    }

    fn at(place: Place) -> Kept {
        Kept { place, at_hand: Mutex::default(), gone: AtomicBool::new(false) }
    }

    /// From now on nothing of it can be read.
    pub fn forget(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether there was more than can be kept: its oldest events have no text any more.
    pub fn is_over(&self) -> bool {
        match &self.place {
            Place::Disk(_) => false,
            Place::Memory(packed) => lock(packed).dropped > 0,
        }
    }

    /// The same, shown instead of copied where they lie in one block.
    pub fn with<T>(&self, position: u64, length: usize, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let size = u64::try_from(BLOCK).ok()?;
        let within = usize::try_from(position % size).ok()?;
        let until = within.checked_add(length).filter(|until| *until <= BLOCK && length > 0);
        match until {
            Some(until) if !self.gone.load(Ordering::Acquire) => Some(look(self.block(position / size, until)?.get(within..until)?)),
            Some(_) | None => Some(look(&self.read(position, length)?)),
        }
    }

    /// So many bytes from there, if they are still to be had.
    pub fn read(&self, position: u64, length: usize) -> Option<Vec<u8>> {
        if self.gone.load(Ordering::Acquire) {
            return None;
        }
        let size = u64::try_from(BLOCK).ok()?;
        let mut out = Vec::with_capacity(length);
        let mut at = position;
        while out.len() < length {
            let within = usize::try_from(at % size).ok()?;
            let until = BLOCK.min(within + (length - out.len()));
            let block = self.block(at / size, until)?;
            out.extend_from_slice(block.get(within..until)?);
            at += u64::try_from(until - within).ok()?;
        }
        Some(out)
    }

    /// A block of which so many bytes are needed.
    fn block(&self, number: u64, least: usize) -> Option<Arc<[u8]>> {
        let mut at_hand = lock(&self.at_hand);
        if let Some((held, bytes)) = at_hand.front()
            && *held == number
            && bytes.len() >= least
        {
            return Some(bytes.clone());
        }
        if let Some(found) = at_hand.iter().position(|(held, bytes)| *held == number && bytes.len() >= least) {
            let held = at_hand.remove(found)?;
            let bytes = held.1.clone();
            at_hand.push_front(held);
            return Some(bytes);
        }
        let bytes: Arc<[u8]> = match &self.place {
            Place::Disk(file) => read_block(file, number)?.into(),
            Place::Memory(packed) => lock(packed).block(number)?.into(),
        };
        at_hand.retain(|(held, _)| *held != number);
        at_hand.push_front((number, bytes.clone()));
        at_hand.truncate(AT_HAND);
        Some(bytes)
    }

    fn add(&self, bytes: &[u8]) {
        if let Place::Memory(packed) = &self.place {
            lock(packed).add(bytes);
        }
    }
}

fn read_block(file: &File, number: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; BLOCK];
    let from = number.checked_mul(u64::try_from(BLOCK).ok()?)?;
    let mut filled = 0;
    while filled < BLOCK {
        match file.read_at(bytes.get_mut(filled..)?, from + u64::try_from(filled).ok()?) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(filled);
    Some(bytes)
}

impl Packed {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min(BLOCK - self.tail.len());
            let (now, later) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            self.tail.extend_from_slice(now);
            bytes = later;
            if self.tail.len() < BLOCK {
                continue;
            }
            // What cannot be packed is kept as an empty block, which nothing can be read from.
            let block: Box<[u8]> = zstd::bulk::compress(&self.tail, 1).unwrap_or_default().into();
            self.size += block.len();
            self.blocks.push_back(block);
            self.tail.clear();
            while self.size > self.most
                && let Some(oldest) = self.blocks.pop_front()
            {
                self.size -= oldest.len();
                self.dropped += 1;
            }
        }
    }

    fn block(&self, number: u64) -> Option<Vec<u8>> {
        let place = usize::try_from(number.checked_sub(self.dropped)?).ok()?;
        match self.blocks.get(place) {
            Some(block) => zstd::bulk::decompress(block, BLOCK).ok(),
            None if place == self.blocks.len() => Some(self.tail.clone()),
            None => None,
        }
    }
}

/// Keeps what is read through it.
pub struct Keeping {
    reader: Box<dyn Read + Send>,
    kept: Arc<Kept>,
}

impl Keeping {
    pub fn new(reader: Box<dyn Read + Send>, kept: Arc<Kept>) -> Keeping {
        Keeping { reader, kept }
    }
}

impl Read for Keeping {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(to)?;
        self.kept.add(to.get(..read).unwrap_or(&[]));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_until_there_is_too_much_of_it() {
        // Hardly packable, so that the bound is met.
        let mut seed = 7_u64;
        let bytes: Vec<u8> = (0..6 * BLOCK + 100)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let kept = Arc::new(Kept::memory(100 << 20));
        let mut keeping = Keeping::new(Box::new(io::Cursor::new(bytes.clone())), kept.clone());
        io::copy(&mut keeping, &mut io::sink()).unwrap();
        for (from, length) in [(0, 10), (BLOCK - 5, 10), (BLOCK * 2 - 1, BLOCK + 2), (6 * BLOCK - 3, 103), (6 * BLOCK, 100)] {
            assert_eq!(kept.read(from as u64, length).unwrap(), &bytes[from..from + length], "{from}");
        }
        assert!(kept.read(bytes.len() as u64 - 5, 6).is_none(), "beyond what was read");
        assert!(!kept.is_over());

        let kept = Arc::new(Kept::memory(3 * BLOCK));
        io::copy(&mut Keeping::new(Box::new(io::Cursor::new(bytes.clone())), kept.clone()), &mut io::sink()).unwrap();
        assert!(kept.is_over());
        assert!(kept.read(0, 10).is_none(), "the oldest went");
        let late = bytes.len() - 50;
        assert_eq!(kept.read(late as u64, 50).unwrap(), &bytes[late..]);
        let Place::Memory(packed) = &kept.place else { panic!() };
        assert!(lock(packed).size <= 3 * BLOCK);
    }
}
