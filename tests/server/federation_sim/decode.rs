//! Frames as their bytes say them, read by nothing of midwatch's: HTTP's head, WebSocket's frames (RFC 6455),
//! zstd, MessagePack. What judges must not believe the code that it judges.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One value of MessagePack.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

static NIL: Value = Value::Nil;

impl Value {
    pub fn read(bytes: &[u8]) -> Option<Value> {
        let mut at = 0;
        let value = read(bytes, &mut at)?;
        (at == bytes.len()).then_some(value)
    }

    /// A map's value; nil where there is none.
    pub fn get(&self, key: &str) -> &Value {
        let Value::Map(fields) = self else { return &NIL };
        fields.iter().find(|(name, _)| name.text() == Some(key)).map_or(&NIL, |(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let Value::Map(fields) = self else { return None };
        fields.iter_mut().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub fn int(&self) -> Option<u64> {
        if let Value::Int(int) = self { u64::try_from(*int).ok() } else { None }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub fn list(&self) -> &[Value] {
        if let Value::List(list) = self { list } else { &[] }
    }

    pub fn fields(&self) -> &[(Value, Value)] {
        if let Value::Map(fields) = self { fields } else { &[] }
    }

    /// Nothing, or nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Nil => true,
            Value::Text(text) => text.is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Map(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// The one message that an envelope holds.
    pub fn message(&self) -> Option<(&str, &Value)> {
        match self.fields() {
            [(name, body)] => Some((name.text()?, body)),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let long = |out: &mut Vec<u8>, marker: u8, length: usize| {
            out.push(marker);
            out.extend(u32::try_from(length).unwrap().to_be_bytes());
        };
        match self {
            Value::Nil => out.push(0xc0),
            Value::Bool(bool) => out.push(if *bool { 0xc3 } else { 0xc2 }),
            Value::Int(int) => match u64::try_from(*int) {
                Ok(int) => {
                    out.push(0xcf);
                    out.extend(int.to_be_bytes());
                }
                Err(_) => {
                    out.push(0xd3);
                    out.extend(i64::try_from(*int).unwrap().to_be_bytes());
                }
            },
            Value::Float(float) => {
                out.push(0xcb);
                out.extend(float.to_be_bytes());
            }
            Value::Text(text) => {
                long(out, 0xdb, text.len());
                out.extend(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                long(out, 0xc6, bytes.len());
                out.extend(bytes);
            }
            Value::List(list) => {
                long(out, 0xdd, list.len());
                list.iter().for_each(|value| value.write(out));
            }
            Value::Map(fields) => {
                long(out, 0xdf, fields.len());
                for (key, value) in fields {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let end = at.checked_add(length)?;
    let taken = bytes.get(*at..end)?;
    *at = end;
    Some(taken)
}

fn number(bytes: &[u8], at: &mut usize, width: usize) -> Option<u64> {
    Some(take(bytes, at, width)?.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

fn read(bytes: &[u8], at: &mut usize) -> Option<Value> {
    let marker = *take(bytes, at, 1)?.first()?;
    let length = |at: &mut usize, width| Some(usize::try_from(number(bytes, at, width)?).unwrap());
    let signed = |at: &mut usize, width: usize| {
        let raw = number(bytes, at, width)? << (64 - 8 * width);
        Some(Value::Int(i128::from(raw.cast_signed() >> (64 - 8 * width))))
    };
    Some(match marker {
        0x00..=0x7f => Value::Int(i128::from(marker)),
        0xe0..=0xff => Value::Int(i128::from(marker.cast_signed())),
        0x80..=0x8f => map(bytes, at, usize::from(marker & 0x0f))?,
        0x90..=0x9f => list(bytes, at, usize::from(marker & 0x0f))?,
        0xa0..=0xbf => text(take(bytes, at, usize::from(marker & 0x1f))?)?,
        0xc0 => Value::Nil,
        0xc2 | 0xc3 => Value::Bool(marker == 0xc3),
        0xc4..=0xc6 => {
            let length = length(at, 1 << (marker - 0xc4))?;
            Value::Bytes(take(bytes, at, length)?.to_vec())
        }
        0xca => Value::Float(f64::from(f32::from_be_bytes(take(bytes, at, 4)?.try_into().ok()?))),
        0xcb => Value::Float(f64::from_be_bytes(take(bytes, at, 8)?.try_into().ok()?)),
        0xcc..=0xcf => Value::Int(i128::from(number(bytes, at, 1 << (marker - 0xcc))?)),
        0xd0..=0xd3 => signed(at, 1 << (marker - 0xd0))?,
        0xd9..=0xdb => {
            let length = length(at, 1 << (marker - 0xd9))?;
            text(take(bytes, at, length)?)?
        }
        0xdc | 0xdd => {
            let length = length(at, 2 << (marker - 0xdc))?;
            list(bytes, at, length)?
        }
        0xde | 0xdf => {
            let length = length(at, 2 << (marker - 0xde))?;
            map(bytes, at, length)?
        }
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Option<Value> {
    Some(Value::Text(String::from_utf8(bytes.to_vec()).ok()?))
}

fn list(bytes: &[u8], at: &mut usize, length: usize) -> Option<Value> {
    let mut values = Vec::new();
    for _ in 0..length {
        values.push(read(bytes, at)?);
    }
    Some(Value::List(values))
}

fn map(bytes: &[u8], at: &mut usize, length: usize) -> Option<Value> {
    let mut fields = Vec::new();
    for _ in 0..length {
        let key = read(bytes, at)?;
        fields.push((key, read(bytes, at)?));
    }
    Some(Value::Map(fields))
}

/// One direction of a WebSocket, from HTTP's head on: bytes in, whole messages out.
#[derive(Default)]
pub struct Frames {
    buffer: Vec<u8>,
    begun: bool,
    message: Vec<u8>,
    binary: bool,
}

/// What a frame of the socket was.
pub enum Frame {
    /// HTTP's head, as it stood.
    Head(Vec<u8>),
    Binary(Vec<u8>),
    Text,
    /// A frame that is none of the session's: ping, pong, close; as it stood.
    Other(Vec<u8>),
}

impl Frames {
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.buffer.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(frame) = self.next() {
            out.extend(frame);
        }
        out
    }

    fn next(&mut self) -> Option<Option<Frame>> {
        if !self.begun {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            self.begun = true;
            return Some(Some(Frame::Head(self.buffer.drain(..end).collect())));
        }
        let mut at = 0;
        let (first, second) = (number(&self.buffer, &mut at, 1)?, number(&self.buffer, &mut at, 1)?);
        let length = match second & 0x7f {
            126 => number(&self.buffer, &mut at, 2)?,
            127 => number(&self.buffer, &mut at, 8)?,
            short => short,
        };
        let mask = if second & 0x80 == 0 { None } else { Some(take(&self.buffer, &mut at, 4)?.to_vec()) };
        let mut body = take(&self.buffer, &mut at, usize::try_from(length).unwrap())?.to_vec();
        if let Some(mask) = mask {
            body.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        let raw: Vec<u8> = self.buffer.drain(..at).collect();
        match first & 0x0f {
            0 => {}
            kind @ (1 | 2) => (self.binary, self.message) = (kind == 2, Vec::new()),
            _ => return Some(Some(Frame::Other(raw))),
        }
        self.message.extend(body);
        if first & 0x80 == 0 {
            return Some(None);
        }
        let message = std::mem::take(&mut self.message);
        Some(Some(if self.binary { Frame::Binary(message) } else { Frame::Text }))
    }
}

/// What a binary message holds, unpacked.
pub fn unpacked(message: Vec<u8>) -> Vec<u8> {
    if message.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { zstd::stream::decode_all(&*message).unwrap() } else { message }
}

/// A message as one unmasked binary frame, as servers send them.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x82, 127];
    out.extend(u64::try_from(message.len()).unwrap().to_be_bytes());
    out.extend(message);
    out
}

/// Carries a line between two until either side ends. `hears` each hello of the near side, which goes on as it came; in
/// place of what the far side says, `tells` says something, framed.
pub async fn carry<N, F>(near: N, far: F, hears: impl Fn(&Value), mut tells: impl FnMut(Vec<u8>) -> Vec<u8>)
where
    N: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    let (mut near_in, mut near_out) = tokio::io::split(near);
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let up = async {
        let (mut frames, mut buffer) = (Frames::default(), [0; 4096]);
        while let Ok(read @ 1..) = near_in.read(&mut buffer).await {
            for frame in frames.take(&buffer[..read]) {
                if let Frame::Binary(message) = frame
                    && let Some(value) = Value::read(&unpacked(message))
                    && let Some(("hello", hello)) = value.message()
                {
                    hears(hello);
                }
            }
            if far_out.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let (mut frames, mut buffer) = (Frames::default(), [0; 4096]);
        while let Ok(read @ 1..) = far_in.read(&mut buffer).await {
            for frame in frames.take(&buffer[..read]) {
                let out = match frame {
                    Frame::Head(raw) | Frame::Other(raw) => raw,
                    Frame::Text => Vec::new(),
                    Frame::Binary(message) => tells(message),
                };
                if near_out.write_all(&out).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_production_writes_is_read_as_it_is() {
        let json = serde_json::json!({"a": [1, -1, 300, -70_000, 1.5, null, true], "b": {"c": "x".repeat(300)}, "d": 9_000_000_000_000_u64});
        let value = Value::read(&rmp_serde::to_vec_named(&json).unwrap()).unwrap();
        assert_eq!((value.get("a").list().len(), value.get("a").list()[3].clone()), (7, Value::Int(-70_000)));
        assert_eq!(value.get("b").get("c").text().map(str::len), Some(300));
        let mut out = Vec::new();
        value.write(&mut out);
        assert_eq!(Value::read(&out), Some(value));
        let mut frames = Frames::default();
        let bytes = [b"HTTP/1.1 101\r\n\r\n".to_vec(), framed(b"hello"), vec![0x89, 0]].concat();
        let taken: Vec<Frame> = bytes.chunks(3).flat_map(|part| frames.take(part)).collect();
        assert!(matches!(&taken[..], [Frame::Head(_), Frame::Binary(body), Frame::Other(_)] if body == b"hello"));
    }
}
