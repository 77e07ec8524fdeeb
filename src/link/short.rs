//! A connection that hears little until it is known who is there.
//!
//! A WebSocket makes room for a message as soon as its head announces one, and its limits cannot change
//! later. So they are what is right for somebody who is known, and this stands beneath: it reads along,
//! lets few bytes through, and none of a frame that announces more than those, until [`Short::lift`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a stranger may say, in bytes: the handshake and hello of a client are less than a tenth.
pub const TO_SERVER: usize = 32 << 10;
/// What an unknown server may say: the HTTP answer, its part of the handshake, the welcome.
pub const TO_CLIENT: usize = 64 << 10;

/// More was said than a stranger may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {0} bytes before it is known who is there")]
pub struct TooMuch(pub usize);

impl TooMuch {
    /// Whether this is why a WebSocket cannot be read.
    pub fn of(error: &io::Error) -> Option<TooMuch> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()).copied()
    }
}

pub struct Short<T> {
    io: T,
    /// Read already, and to be read first.
    ahead: Bytes,
    watch: Option<Watch>,
}

impl<T> Short<T> {
    /// What follows are frames. `ahead`: the first of them that were read with what came before.
    pub fn new(io: T, ahead: Bytes, most: usize) -> Short<T> {
        Short { io, ahead, watch: Some(Watch::new(most, Place::Head(Head::default()))) }
    }

    /// An HTTP answer comes first, then frames.
    pub fn after_http(io: T, most: usize) -> Short<T> {
        Short { io, ahead: Bytes::new(), watch: Some(Watch::new(most, Place::Http { matched: 0, seen: 0, upgraded: true })) }
    }

    /// Bytes that were read already, and then everything, without any limit.
    pub fn ahead(io: T, ahead: Bytes) -> Short<T> {
        Short { io, ahead, watch: None }
    }

    /// It is known who is there.
    pub fn lift(&mut self) {
        self.watch = None;
    }
}

/// Follows what passes.
struct Watch {
    most: usize,
    left: usize,
    place: Place,
}

/// Where in the stream it is.
enum Place {
    /// In the head of an HTTP answer: how much of its end was seen, how many bytes, and whether they say
    /// that the protocol changes.
    Http {
        matched: usize,
        seen: usize,
        upgraded: bool,
    },
    Head(Head),
    /// In a frame's mask and payload: so many bytes are left of it.
    Payload(u64),
    /// What follows are no frames.
    Other,
}

/// A frame's first bytes (RFC 6455, 5.2), as far as they say how long it is.
#[derive(Default)]
struct Head {
    bytes: [u8; 10],
    length: usize,
}

const UPGRADED: &[u8] = b"HTTP/1.1 101";
const END: &[u8] = b"\r\n\r\n";

impl Watch {
    fn new(most: usize, place: Place) -> Watch {
        Watch { most, left: most, place }
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let refused = TooMuch(self.most);
        if bytes.len() > self.left {
            return Err(refused);
        }
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            let mut taken = 1;
            match &mut self.place {
                Place::Http { matched, seen, upgraded } => {
                    *upgraded &= UPGRADED.get(*seen).is_none_or(|expected| expected == first);
                    *seen += 1;
                    *matched = if END.get(*matched) == Some(first) { *matched + 1 } else { usize::from(*first == b'\r') };
                    if *matched == END.len() {
                        self.place = if *upgraded { Place::Head(Head::default()) } else { Place::Other };
                    }
                    rest = tail;
                }
                Place::Head(head) => {
                    if let Some(byte) = head.bytes.get_mut(head.length) {
                        *byte = *first;
                    }
                    head.length += 1;
                    if let Some(follows) = head.says() {
                        if follows > u64::try_from(self.left - 1).unwrap_or(u64::MAX) {
                            return Err(refused);
                        }
                        self.place = if follows == 0 { Place::Head(Head::default()) } else { Place::Payload(follows) };
                    }
                    rest = tail;
                }
                Place::Payload(left) => {
                    taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= u64::try_from(taken).unwrap_or(*left);
                    rest = rest.get(taken..).unwrap_or_default();
                    if *left == 0 {
                        self.place = Place::Head(Head::default());
                    }
                }
                Place::Other => (taken, rest) = (rest.len(), &[]),
            }
            self.left = self.left.saturating_sub(taken);
        }
        Ok(())
    }
}

impl Head {
    /// Bytes that follow it, mask and payload, once that much of it has come.
    fn says(&self) -> Option<u64> {
        let [_, second, rest @ ..] = self.bytes;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let [a, b, ..] = rest;
        match (second & 0x7f, self.length) {
            (126, 4) => Some(mask + u64::from(u16::from_be_bytes([a, b]))),
            (127, 10) => Some(u64::from_be_bytes(rest).saturating_add(mask)),
            (126 | 127, _) => None,
            (short, 2..) => Some(mask + u64::from(short)),
            (_, _) => None,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Short<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.ahead.is_empty() {
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        } else {
            let take = this.ahead.len().min(buf.remaining());
            buf.put_slice(this.ahead.get(..take).unwrap_or_default());
            this.ahead.advance(take);
            if this.ahead.is_empty() {
                this.ahead = Bytes::new();
            }
        }
        if let Some(watch) = &mut this.watch
            && let Err(error) = watch.pass(buf.filled().get(before..).unwrap_or_default())
        {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Short<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A frame as clients (masked) and servers send it.
    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mut out = vec![0x82];
        let mask = if masked { 0x80 } else { 0 };
        match payload {
            0..126 => out.push(mask | u8::try_from(payload).unwrap()),
            126..=0xffff => {
                out.push(mask | 126);
                out.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                out.push(mask | 127);
                out.extend(u64::try_from(payload).unwrap().to_be_bytes());
            }
        }
        out.extend(vec![0x7f; payload + if masked { 4 } else { 0 }]);
        out
    }

    /// Reads all, in pieces of this size.
    async fn read(bytes: &[u8], piece: usize, most: usize, http: bool) -> Result<Vec<u8>, TooMuch> {
        let reader = Pieces(bytes, piece);
        let mut short = if http { Short::after_http(reader, most) } else { Short::new(reader, Bytes::new(), most) };
        let mut out = Vec::new();
        match short.read_to_end(&mut out).await {
            Ok(_) => Ok(out),
            Err(error) => Err(TooMuch::of(&error).unwrap()),
        }
    }

    /// Gives so many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl AsyncRead for Pieces<'_> {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let take = self.1.min(self.0.len()).min(buf.remaining());
            let (now, later) = self.0.split_at(take);
            buf.put_slice(now);
            self.0 = later;
            Poll::Ready(Ok(()))
        }
    }

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    proptest! {
        #[test]
        fn n6_what_fits_passes_unchanged_however_it_is_cut_and_no_byte_more(
            sizes in proptest::collection::vec((0_usize..400, any::<bool>()), 0..8),
            piece in 1_usize..300,
            http in any::<bool>(),
        ) {
            let mut bytes = if http { b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n".to_vec() } else { Vec::new() };
            bytes.extend(sizes.iter().flat_map(|(size, masked)| frame(*size, *masked)));
            prop_assert_eq!(block(read(&bytes, piece, bytes.len(), http)), Ok(bytes.clone()));
            if !bytes.is_empty() {
                prop_assert_eq!(block(read(&bytes, piece, bytes.len() - 1, http)), Err(TooMuch(bytes.len() - 1)));
            }
        }

        /// Not a byte of a frame's payload is needed to refuse it: nobody makes room for it.
        #[test]
        fn n6_a_frame_that_announces_too_much_is_refused_by_its_head(before in 0_usize..200, more in 1_usize..100_000_000, piece in 1_usize..20) {
            let most = 1_000;
            let mut bytes = frame(before, true);
            let announced = most + more;
            let length = if announced <= 0xffff {
                [vec![0x82, 126], u16::try_from(announced).unwrap().to_be_bytes().to_vec()].concat()
            } else {
                [vec![0x82, 127], u64::try_from(announced).unwrap().to_be_bytes().to_vec()].concat()
            };
            bytes.extend(length);
            prop_assert_eq!(block(read(&bytes, piece, most, false)), Err(TooMuch(most)));
        }
    }

    #[test]
    fn an_answer_that_refuses_is_read_in_words_whatever_bytes_they_are() {
        let bytes = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 20\r\n\r\n\x7f\x7f\xff\xff\xff\xff\xff\xff\xff\xff words".to_vec();
        assert_eq!(block(read(&bytes, 7, 1_000, true)), Ok(bytes.clone()));
    }

    #[test]
    fn once_lifted_everything_passes() {
        let bytes = frame(5_000, true);
        block(async {
            let mut short = Short::new(Pieces(&bytes, 100), Bytes::from_static(b"\x81\x00"), 10);
            let mut head = [0; 2];
            short.read_exact(&mut head).await.unwrap();
            short.lift();
            let mut out = Vec::new();
            short.read_to_end(&mut out).await.unwrap();
            assert_eq!(out, bytes);
        });
    }
}
