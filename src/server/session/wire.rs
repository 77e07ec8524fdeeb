//! The socket of one session, and how to write to it.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message;

use super::Shared;
use super::frames::Frames;
use super::outlet::Outlet;
use crate::link::short::TooMuch;
use crate::server::greet::Shown;
use crate::server::house::House;
use crate::server::hub::message;
use crate::server::line::{KeyUse, Via};
use crate::server::metrics::{add, count};
use crate::trust::handshake::Binding;
use crate::wire::codec::{Frame, encode};
use crate::wire::{Encoding, Problem, ProblemCode, ToClient};

/// The session is over; nothing more can be said to the other side.
pub(in crate::server) struct Over;

pub(super) type Said = Result<(), Over>;

/// The socket, and how to write to it.
pub(in crate::server) struct Wire {
    pub(super) outlet: Arc<Outlet>,
    pub(super) encoding: Encoding,
    /// From where it came; nobody knows in a test.
    pub(in crate::server) via: Option<Via>,
    /// What is beneath it.
    pub(in crate::server) binding: Binding,
    pub(in crate::server) shared: Arc<Shared>,
    /// The log that this connection is about.
    pub(in crate::server) house: Arc<House>,
}

impl Wire {
    /// It is known who is there: they may say more. `None`: there are too many of them.
    pub(super) async fn known(&mut self, shown: &Shown) -> Option<KeyUse> {
        let using = match shown {
            Shown::Key(holder) => self.shared.front.keys.enter(holder.key),
            Shown::Granted(key, _) => self.shared.front.keys.enter(*key),
            Shown::Handed(handed) => self.shared.front.keys.enter(handed.key),
            Shown::Owner | Shown::Token(_) | Shown::Nothing => Some(KeyUse::alone()),
        };
        if using.is_none() {
            count(&self.shared.metrics.keys_turned_away);
            let words = format!("this key has {} connections already, which is what one may have", self.shared.front.keys.most());
            let _ = self.problem(ProblemCode::Limit, None, words).await;
        }
        self.outlet.lift();
        using
    }

    /// Somebody showed what opens nothing.
    pub(in crate::server) fn failed(&self) {
        if let Some(via) = self.via {
            self.shared.front.failed(via);
        }
    }

    pub(in crate::server) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(in crate::server) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    pub(in crate::server) async fn send(&mut self, message: Message) -> Said {
        let bytes = match &message {
            Message::Binary(bytes) => bytes.len(),
            Message::Text(text) => text.len(),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => 0,
        };
        for frame in Frames::of(message) {
            in_time(self.shared.limits.patience, self.outlet.feed(frame)).await?;
        }
        self.flush().await?;
        count(&self.shared.metrics.frames_out);
        add(&self.shared.metrics.bytes_out, u64::try_from(bytes).unwrap_or(0));
        Ok(())
    }

    /// What was written is taken by the other side.
    pub(super) async fn flush(&mut self) -> Said {
        in_time(self.shared.limits.patience, self.outlet.flush()).await
    }

    /// What was encoded for many; what could not be is left out.
    pub(super) async fn tell(&mut self, message: Option<Message>) -> Said {
        match message {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    pub(in crate::server) async fn say(&mut self, said: &ToClient) -> Said {
        match encode(said, self.encoding) {
            Ok(frame) => self.send(message(frame)).await,
            Err(error) => {
                tracing::error!(%error, "a message cannot be encoded");
                Err(Over)
            }
        }
    }

    pub(in crate::server) async fn problem(&mut self, code: ProblemCode, id: Option<u64>, words: impl Into<String>) -> Said {
        self.say(&ToClient::Problem(Problem { code, words: words.into(), id })).await
    }

    /// The next frame, of a size that the upgrade capped. May be dropped while it waits.
    pub(in crate::server) async fn next(&mut self) -> Result<Frame, Over> {
        loop {
            match self.outlet.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Frame::Binary(bytes)),
                Some(Ok(Message::Text(text))) => return Ok(Frame::Text(text.as_str().to_owned())),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(tungstenite::Error::Io(error))) if TooMuch::of(&error).is_some() => {
                    let _ = self.problem(ProblemCode::Limit, None, error.to_string()).await;
                    return Err(Over);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
            }
        }
    }
}

/// Whether it was written while there was patience.
async fn in_time(patience: Duration, written: impl Future<Output = Result<(), tungstenite::Error>>) -> Said {
    let mut written = pin!(written);
    // Mostly there is room at once, and no time to be measured.
    let at_once = match poll!(&mut written) {
        Poll::Ready(at_once) => Ok(at_once),
        Poll::Pending => tokio::time::timeout(patience, written).await,
    };
    match at_once {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Over),
    }
}
