//! Turmoil's streams under midwatch's connections: written in pieces, cut at will, and tapped where the
//! server writes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use midwatch::link::dial::Dialling;
use midwatch::link::{Clock, Dial, DialError, Io};
use midwatch::model::time::{Span, Time};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where servers listen.
pub const PORT: u16 = 7373;
/// The moment at which all begins.
pub const BEGIN: Time = Time::from_secs(1_790_000_000);
/// Bytes of one segment: a frame that is larger can be cut in its middle.
const SEGMENT: usize = 2_000;

/// The time of the simulation, for those inside it and those without.
#[derive(Clone, Default)]
pub struct Elapsed(Arc<AtomicU64>);

impl Elapsed {
    pub fn set(&self, elapsed: Duration) {
        self.0.store(u64::try_from(elapsed.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Microseconds.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// One host's clock: it goes with the simulation, and is set forth and back.
#[derive(Clone)]
pub struct HostClock {
    elapsed: Elapsed,
    skew: Arc<Mutex<i64>>,
}

impl HostClock {
    pub fn new(elapsed: &Elapsed) -> HostClock {
        HostClock { elapsed: elapsed.clone(), skew: Arc::default() }
    }

    pub fn shift(&self, micros: i64) {
        *self.skew.lock().unwrap() += micros;
    }
}

impl Clock for HostClock {
    fn now(&self) -> Time {
        BEGIN.plus(Span::from_micros(i64::try_from(self.elapsed.get()).unwrap() + *self.skew.lock().unwrap()))
    }
}

/// Ends a connection from without, as a firewall that forgets it does.
#[derive(Default)]
struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// All connections, by the hosts at their ends.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<Vec<Between>>>);

/// The hosts at both ends, and what ends it.
type Between = (String, String, Weak<Cut>);

impl Connections {
    fn add(&self, one: &str, other: &str) -> Arc<Cut> {
        let cut = Arc::<Cut>::default();
        let mut all = self.0.lock().unwrap();
        all.retain(|(_, _, cut)| cut.strong_count() > 0);
        all.push((one.to_owned(), other.to_owned(), Arc::downgrade(&cut)));
        cut
    }

    /// Ends all between these two.
    pub fn cut(&self, one: &str, other: &str) {
        for (a, b, cut) in &*self.0.lock().unwrap() {
            if ((a == one && b == other) || (a == other && b == one))
                && let Some(cut) = cut.upgrade()
            {
                cut.done.store(true, Ordering::SeqCst);
                cut.reader.wake();
                cut.writer.wake();
            }
        }
    }
}

/// Hears what passes one end of a connection.
pub trait Tap: Send + Sync {
    fn heard(&self, bytes: &[u8]);
    fn said(&self, bytes: &[u8]);
    /// The other side takes nothing for now; or it takes again.
    fn blocked(&self, blocked: bool);
}

/// One end of a connection.
pub struct Strand {
    stream: turmoil::net::TcpStream,
    cut: Arc<Cut>,
    tap: Option<Arc<dyn Tap>>,
}

impl Strand {
    pub fn new(stream: turmoil::net::TcpStream, between: (&str, &str), connections: &Connections, tap: Option<Arc<dyn Tap>>) -> Strand {
        Strand { stream, cut: connections.add(between.0, between.1), tap }
    }

    fn is_cut(&self) -> io::Result<()> {
        if self.cut.done.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Strand {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cut.reader.register(cx.waker());
        self.is_cut()?;
        let before = out.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, out);
        if let (Poll::Ready(Ok(())), Some(tap)) = (&polled, &self.tap) {
            tap.heard(&out.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Strand {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.writer.register(cx.waker());
        self.is_cut()?;
        let piece = &bytes[..bytes.len().min(SEGMENT)];
        let polled = Pin::new(&mut self.stream).poll_write(cx, piece);
        if let Some(tap) = &self.tap {
            tap.blocked(polled.is_pending());
            if let Poll::Ready(Ok(written)) = &polled {
                tap.said(&piece[..*written]);
            }
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_cut()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// From one host to the server on another.
#[derive(Clone)]
pub struct SimDial {
    pub from: String,
    pub to: String,
    pub connections: Connections,
}

impl SimDial {
    pub async fn connect(&self) -> io::Result<Strand> {
        let stream = turmoil::net::TcpStream::connect((self.to.as_str(), PORT)).await?;
        Ok(Strand::new(stream, (&self.from, &self.to), &self.connections, None))
    }
}

impl Dial for SimDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let strand = self.connect().await.map_err(|error| DialError { to: self.to.clone(), why: error.to_string() })?;
            Ok((Box::new(strand) as Box<dyn Io>).into())
        })
    }

    fn host(&self) -> &str {
        &self.to
    }

    fn distant(&self) -> bool {
        true
    }
}
