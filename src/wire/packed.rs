//! A world as bytes that are signed, and passed on by those who need not understand them.

use std::fmt;
use std::io::{self, BufWriter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::{MAX_TO_CLIENT, WireError, unpack};
use super::depth;
use crate::model::world::World;

/// zstd's fastest: a world repeats itself.
const LEVEL: i32 = 1;
/// Bytes that are packed at once: a world never stands in memory unpacked.
const BUFFER: usize = 64 << 10;

/// A world in MessagePack, packed with zstd; in JSON base64 of that.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(pub Bytes);

impl Packed {
    /// No larger, unpacked, than what a client takes in a frame.
    pub fn of(world: &World) -> Result<Packed, WireError> {
        Packed::within(world, MAX_TO_CLIENT)
    }

    fn within(world: &World, most: usize) -> Result<Packed, WireError> {
        let failed = |error: &dyn fmt::Display| WireError::Encode(error.to_string());
        let frame = zstd::Encoder::new(Vec::new(), LEVEL).map_err(|error| failed(&error))?;
        let mut out = Bounded { out: BufWriter::with_capacity(BUFFER, frame), room: Some(most) };
        let written = rmp_serde::encode::write_named(&mut out, world);
        if out.room.is_none() {
            return Err(WireError::TooLarge(most));
        }
        written.map_err(|error| failed(&error))?;
        let frame = out.out.into_inner().map_err(|error| failed(&error))?;
        frame.finish().map(|packed| Packed(packed.into())).map_err(|error| failed(&error))
    }

    /// Understands it, whoever it came from: its size and its depth are bounded first.
    pub fn open(&self) -> Result<World, WireError> {
        let bytes = unpack(self.0.clone(), MAX_TO_CLIENT)?;
        depth::check_messagepack(&bytes, depth::MESSAGE)?;
        rmp_serde::from_slice(&bytes).map_err(|error| WireError::Malformed(error.to_string()))
    }
}

/// Takes so many bytes; `None`: there were more.
struct Bounded<W> {
    out: W,
    room: Option<usize>,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.and_then(|room| room.checked_sub(bytes.len()));
        if self.room.is_some() { self.out.write_all(bytes).map(|()| bytes.len()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({})", self.0.len())
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(&STANDARD.encode(&self.0)) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Packed, D::Error> {
        if d.is_human_readable() { d.deserialize_str(PackedVisitor) } else { d.deserialize_byte_buf(PackedVisitor) }
    }
}

struct PackedVisitor;

impl Visitor<'_> for PackedVisitor {
    type Value = Packed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a packed world, in JSON as base64")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Packed, E> {
        Ok(Packed(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Packed, E> {
        Ok(Packed(bytes.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Packed, E> {
        STANDARD.decode(text).map(|bytes| Packed(bytes.into())).map_err(|_| E::custom("this is no base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Incarnation, Origin, Sequence};

    #[test]
    fn a_world_is_packed_and_opened_and_what_is_none_is_refused() {
        let world = World { head: Sequence(9), ..World::new(Origin([7; 16]), Incarnation(3)) };
        let packed = Packed::of(&world).unwrap();
        assert_eq!(packed.open().unwrap(), world);
        let length = rmp_serde::to_vec_named(&world).unwrap().len();
        assert_eq!(Packed::within(&world, length).unwrap(), packed);
        assert_eq!(Packed::within(&world, length - 1), Err(WireError::TooLarge(length - 1)));
        let nested = [vec![0x81, 0xa4, b'n', b'a', b'm', b'e'], vec![0x91; 5_000], vec![0xc0]].concat();
        let bomb = zstd::bulk::compress(&vec![0xc0; MAX_TO_CLIENT + 1], LEVEL).unwrap();
        for (bad, why) in [(nested, "deep"), (bomb, "larger than"), (packed.0[..packed.0.len() - 4].to_vec(), ""), (b"nonsense".to_vec(), "")] {
            let refused = Packed(bad.into()).open().unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
