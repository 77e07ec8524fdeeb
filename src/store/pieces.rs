//! What is large as a whole, held in parts of which none is: a world's encoding of many megabytes would otherwise be
//! asked of the allocator in one piece each time, and what it gives for that it rarely gives back.

use std::io::{self, Write};

use bytes::Bytes;

/// Bytes of a part: less than an allocator treats in a way of its own.
const PART: usize = 64 << 10;

/// Bytes in order, in parts. Two are equal when their bytes are.
#[derive(Clone, Default, Debug)]
pub struct Pieces {
    parts: Vec<Bytes>,
}

impl Pieces {
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).fold(0, usize::saturating_add)
    }

    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }

    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    pub fn whole(&self) -> Bytes {
        match self.parts.as_slice() {
            [one] => one.clone(),
            parts => parts.concat().into(),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Pieces {
        Pieces { parts: vec![whole] }
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Pieces) -> bool {
        self.len() == other.len() && self.parts.iter().flatten().eq(other.parts.iter().flatten())
    }
}

impl Eq for Pieces {}

/// Takes what is written apart as it comes.
#[derive(Default, Debug)]
pub struct Gather {
    done: Vec<Bytes>,
    last: Vec<u8>,
}

impl Gather {
    pub fn finish(mut self) -> Pieces {
        if !self.last.is_empty() {
            self.done.push(self.last.into());
        }
        Pieces { parts: self.done }
    }
}

impl Write for Gather {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.capacity() == 0 {
            self.last.reserve_exact(PART);
        }
        let (now, _) = bytes.split_at(bytes.len().min(PART.saturating_sub(self.last.len())));
        self.last.extend_from_slice(now);
        if self.last.len() >= PART {
            self.done.push(std::mem::take(&mut self.last).into());
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Law: however it was written, it is what was written, and no part of it is large.
        #[test]
        fn what_was_written_is_there(writes in proptest::collection::vec((any::<u8>(), 0_usize..150_000), 0..6)) {
            let (mut gather, mut whole) = (Gather::default(), Vec::new());
            for (byte, length) in writes {
                let bytes = vec![byte; length];
                gather.write_all(&bytes).unwrap();
                whole.extend(bytes);
            }
            let pieces = gather.finish();
            prop_assert!(pieces.parts().iter().all(|part| part.len() <= PART));
            prop_assert_eq!((pieces.len(), pieces.is_empty()), (whole.len(), whole.is_empty()));
            prop_assert_eq!(&pieces, &Pieces::from(Bytes::from(whole.clone())));
            prop_assert_eq!(&pieces.whole()[..], &whole[..]);
        }
    }
}
