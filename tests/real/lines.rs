//! What lies between two processes: passed on as it comes, held up, or cut, as the test says.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// Nothing comes through, and nobody is told.
    Stalled,
    /// Connections end, and new ones too.
    Cut,
}

/// A port that leads to another.
pub struct Line {
    pub port: u16,
    state: watch::Sender<State>,
}

impl Line {
    pub async fn to(port: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State::Open);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, ([127, 0, 0, 1], port).into(), seen.clone()));
            }
        });
        Line { port: here, state }
    }

    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    pub fn heal(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn carry(near: TcpStream, to: SocketAddr, mut seen: watch::Receiver<State>) {
    if *seen.borrow() == State::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((near_from, near_to), (far_from, far_to)) = (near.into_split(), far.into_split());
    let (there, back) = (part(near_from, far_to, seen.clone()), part(far_from, near_to, seen.clone()));
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = seen.wait_for(|state| *state == State::Cut) => {}
    }
}

/// One direction, as long as there is something to come.
async fn part(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut seen: watch::Receiver<State>) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count) = from.read(&mut bytes).await
        && seen.wait_for(|state| *state != State::Stalled).await.is_ok()
        && count > 0
        && to.write_all(&bytes[..count]).await.is_ok()
    {}
    let _ = to.shutdown().await;
}
