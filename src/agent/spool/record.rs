//! One record of a segment: length and checksum, then number, whether it must be kept, and the observation as MessagePack.

use crate::model::observation::Observation;

/// What a segment begins with.
pub const MAGIC: &[u8; 8] = b"mwspool1";
/// Where its first record begins.
pub const HEADER: u64 = 8;
/// Bytes of a record at most: what claims to be longer is damage.
const LONGEST: usize = 1 << 20;

#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    pub number: u64,
    /// A change of status, or one of the repetitions that make a bad state count.
    pub keep: bool,
    pub observation: Observation,
}

impl Record {
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut body = self.number.to_le_bytes().to_vec();
        body.push(u8::from(self.keep));
        // Cannot fail: the type has nothing that MessagePack lacks. If it did, an empty body would be passed over.
        if let Ok(bytes) = rmp_serde::to_vec_named(&self.observation) {
            body.extend(bytes);
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        into.extend(length.to_le_bytes());
        into.extend(checksum(&body).to_le_bytes());
        into.extend(body);
    }

    /// About how large it is.
    pub fn size(&self) -> u64 {
        let o = &self.observation;
        u64::try_from(200 + o.text.len() + o.details.len() + o.metrics.len() * 60).unwrap_or(u64::MAX)
    }
}

pub fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The whole records of `bytes` from `from` on, each with where it ends; stops at the first that is torn or damaged.
pub fn read(bytes: &[u8], from: u64) -> impl Iterator<Item = (Record, u64)> {
    let mut at = usize::try_from(from).unwrap_or(usize::MAX);
    let headed = at == 0 || bytes.starts_with(MAGIC);
    std::iter::from_fn(move || {
        if !headed {
            return None;
        }
        let word = |at: usize| bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes);
        let length = usize::try_from(word(at)?).ok().filter(|length| *length <= LONGEST)?;
        let sum = word(at.checked_add(4)?)?;
        let end = at.checked_add(8)?.checked_add(length)?;
        let body = bytes.get(at + 8..end)?;
        if checksum(body) != sum {
            return None;
        }
        let (number, rest) = body.split_first_chunk::<8>()?;
        let (keep, observation) = rest.split_first()?;
        let observation = rmp_serde::from_slice(observation).ok()?;
        at = end;
        Some((Record { number: u64::from_le_bytes(*number), keep: *keep != 0, observation }, u64::try_from(end).ok()?))
    })
}
