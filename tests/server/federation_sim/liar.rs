//! Somebody between two honest servers, who plays the relay that lies: of the logs that one passes on to the
//! other, what comes is changed, made up, put in another order, said again, or claimed to go further than it
//! does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::decode::{Frame, Frames, Value, framed, unpacked};
use super::fleet::Sea;
use super::net::{Connections, PORT, SimDial, Strand};
use super::truth::Truth;

pub const NAME: &str = "liar";

pub struct Liar {
    pub sea: Sea,
    /// Whom it pretends to be.
    pub relay: &'static str,
    pub lying: AtomicBool,
    pub truth: Arc<Truth>,
}

impl Liar {
    pub async fn stand_between(self: Arc<Liar>) -> turmoil::Result {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, from) = listener.accept().await?;
            let host = turmoil::reverse_lookup(from.ip()).unwrap_or_default();
            let connections: &Connections = &self.sea.connections;
            let near = Strand::new(stream, (NAME, &host), connections, None);
            let dial = SimDial { from: NAME.into(), to: self.relay.into(), connections: connections.clone() };
            let liar = self.clone();
            tokio::spawn(async move {
                let Ok(far) = dial.connect().await else { return };
                liar.pump(near, far).await;
            });
        }
    }

    /// Until either side ends. Only connections about another server's log are lied on: of its own a server may
    /// say what it likes.
    async fn pump(&self, near: Strand, far: Strand) {
        let (mut near_in, mut near_out) = tokio::io::split(near);
        let (mut far_in, mut far_out) = tokio::io::split(far);
        let relayed = AtomicBool::new(false);
        let up = async {
            let (mut frames, mut buffer) = (Frames::default(), [0; 4096]);
            while let Ok(read @ 1..) = near_in.read(&mut buffer).await {
                for frame in frames.take(&buffer[..read]) {
                    if let Frame::Binary(message) = frame
                        && let Some(value) = Value::read(&unpacked(message))
                        && let Some(("hello", hello)) = value.message()
                    {
                        relayed.store(hello.get("origin").bytes().is_some(), Ordering::SeqCst);
                    }
                }
                if far_out.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        };
        let down = async {
            let (mut frames, mut buffer, mut before) = (Frames::default(), [0; 4096], None);
            while let Ok(read @ 1..) = far_in.read(&mut buffer).await {
                for frame in frames.take(&buffer[..read]) {
                    let out = match frame {
                        Frame::Head(raw) | Frame::Other(raw) => raw,
                        Frame::Text => Vec::new(),
                        Frame::Binary(message) if relayed.load(Ordering::SeqCst) && self.lying.load(Ordering::SeqCst) => {
                            self.lie(&unpacked(message), &mut before).iter().flat_map(|message| framed(message)).collect()
                        }
                        Frame::Binary(message) => framed(&message),
                    };
                    if near_out.write_all(&out).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::select! { () = up => {}, () = down => {} }
    }

    fn lie(&self, message: &[u8], before: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
        let honest = || vec![message.to_vec()];
        let Some(mut value) = Value::read(message) else { return honest() };
        if !matches!(value.message(), Some(("batch", _))) || self.sea.below(3) == 0 {
            return honest();
        }
        let again = before.replace(message.to_vec());
        let batch = value.get_mut("batch").unwrap();
        let (from, to) = (batch.get("from").int().unwrap(), batch.get("to").int().unwrap());
        let sea = &self.sea;
        let mut told = true;
        match sea.below(9) {
            0 => {
                told = on_event(batch, sea, |event| {
                    if let Some(title) = event.get_mut("title") {
                        *title = Value::Text("all is well".into())
                    }
                })
            }
            1 => {
                let next = Value::Int(i128::from(to + 1));
                told = on_event(batch, sea, |event| {
                    if let Some(Value::List(id)) = event.get_mut("id") {
                        id[2] = next.clone();
                    }
                });
                *batch.get_mut("to").unwrap() = next;
            }
            2 => {
                told = list(batch, "events", |events| {
                    events.len() > 1 && {
                        events.reverse();
                        true
                    }
                })
            }
            3 => {
                list(batch, "events", |events| {
                    events.reverse();
                    true
                });
                told = list(batch, "seals", |seals| {
                    seals.len() > 1 && {
                        seals.reverse();
                        true
                    }
                });
            }
            4 => return again.into_iter().chain([message.to_vec()]).collect(),
            5 => *batch.get_mut("to").unwrap() = Value::Int(i128::from(to + 1 + sea.random_below(5))),
            6 => {
                let longer = Value::Int(i128::from(to + 3));
                *batch.get_mut("to").unwrap() = longer.clone();
                told = batch.get_mut("claim").and_then(|claim| claim.get_mut("to")).map(|claimed| *claimed = longer).is_some();
            }
            7 => {
                let at = batch.get_mut("claim").and_then(|claim| claim.get_mut("at"));
                told = at
                    .map(|at| {
                        if let Value::Int(at) = at {
                            *at += 600_000_000
                        }
                    })
                    .is_some();
            }
            // A part that never comes.
            _ if from < to => return Vec::new(),
            _ => told = false,
        }
        if !told {
            return honest();
        }
        self.truth.count("lies");
        let mut out = Vec::new();
        value.write(&mut out);
        vec![out]
    }
}

impl Sea {
    fn random_below(&self, below: usize) -> u64 {
        u64::try_from(self.below(below)).unwrap()
    }
}

fn list(batch: &mut Value, name: &str, change: impl FnOnce(&mut Vec<Value>) -> bool) -> bool {
    match batch.get_mut(name) {
        Some(Value::List(values)) => change(values),
        _ => false,
    }
}

/// Changes one event, and writes it anew.
fn on_event(batch: &mut Value, sea: &Sea, change: impl FnOnce(&mut Value)) -> bool {
    list(batch, "events", |events| {
        if events.is_empty() {
            return false;
        }
        let which = sea.below(events.len());
        let Some(mut event) = events[which].bytes().and_then(Value::read) else { return false };
        change(&mut event);
        let mut out = Vec::new();
        event.write(&mut out);
        events[which] = Value::Bytes(out);
        true
    })
}
