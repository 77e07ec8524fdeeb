//! Somebody between two honest servers, who plays the relay that lies: of the logs that one passes on to the
//! other, what comes is changed, made up, put in another order, said again, or claimed to go further than it
//! does; so is how far it may be passed on, and through whom it comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::decode::{Value, carry, framed, unpacked};
use super::fleet::Sea;
use super::lies::{self, Memory};
use super::net::{Connections, PORT, SimDial, Strand};
use super::signed;
use super::truth::{SYSTEMS, Truth, system};

pub const NAME: &str = "liar";

pub struct Liar {
    pub sea: Sea,
    /// Whom it pretends to be.
    pub relay: usize,
    /// Whom it lies to.
    pub to: usize,
    pub lying: AtomicBool,
    /// Whether it leaves out what nobody can miss.
    pub omits: bool,
    pub truth: Arc<Truth>,
    pub memory: Mutex<Memory>,
}

/// What it knows of one connection.
#[derive(Default)]
struct Line {
    /// Whose log it is about; its own server's: nothing.
    origin: Option<usize>,
    before: Option<Vec<u8>>,
    /// The last lease that was told as it is.
    lease: Option<signed::Told>,
}

impl Liar {
    pub async fn stand_between(self: Arc<Liar>) -> turmoil::Result {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, from) = listener.accept().await?;
            let host = turmoil::reverse_lookup(from.ip()).unwrap_or_default();
            let connections: &Connections = &self.sea.connections;
            let near = Strand::new(stream, (NAME, &host), connections, None);
            let dial = SimDial { from: NAME.into(), to: self.truth.homes[self.relay].name.into(), connections: connections.clone() };
            let liar = self.clone();
            tokio::spawn(async move {
                let Ok(far) = dial.connect().await else { return };
                liar.pump(near, far).await;
            });
        }
    }

    /// Until either side ends. Of its own log a server may say what it likes, and what it says of how it is reached.
    async fn pump(&self, near: Strand, far: Strand) {
        let about = Mutex::new(None);
        let mut line = Line::default();
        let hears = |hello: &Value| *about.lock().unwrap() = hello.get("origin").bytes().and_then(|origin| self.truth.home(origin));
        let tells = |message: Vec<u8>| {
            line.origin = *about.lock().unwrap();
            self.tell(&unpacked(message), &mut line).iter().flat_map(|message| framed(message)).collect()
        };
        carry(near, far, hears, tells).await;
    }

    /// What is told in place of a message.
    fn tell(&self, message: &[u8], line: &mut Line) -> Vec<Vec<u8>> {
        let honest = || vec![message.to_vec()];
        let Some(value) = Value::read(message) else { return honest() };
        let Some((name, body)) = value.message() else { return honest() };
        let Some(origin) = line.origin else {
            let lies = name == "peers" && self.lies();
            return if lies { self.lie_of_peers(body).map_or_else(honest, |lie| vec![lie]) } else { honest() };
        };
        let mut body = body.clone();
        let told = if self.lies() { self.lie(name, &mut body, origin, message, line) } else { Some(None) };
        self.memory.lock().unwrap().remember(origin, name, value.message().unwrap().1);
        let out = match told {
            // Not told at all.
            None => return Vec::new(),
            Some(None) => honest(),
            Some(Some(lies)) => lies,
        };
        if out == honest() {
            self.told(name, &body, origin, line);
        }
        out
    }

    fn lies(&self) -> bool {
        self.lying.load(Ordering::SeqCst) && self.sea.below(3) > 0
    }

    /// `None`: it is withheld; nothing in it: there was nothing to lie about.
    fn lie(&self, name: &str, body: &mut Value, origin: usize, message: &[u8], line: &mut Line) -> Option<Option<Vec<Vec<u8>>>> {
        let (sea, memory) = (&self.sea, self.memory.lock().unwrap());
        let told = match name {
            "batch" => {
                if let Some(again) = line.before.replace(message.to_vec()).filter(|_| sea.below(14) == 0) {
                    self.truth.count("lies");
                    return Some(Some(vec![again, message.to_vec()]));
                }
                if let Some(beside) = self.beside(origin, line, &memory).filter(|_| sea.below(4) == 0) {
                    self.truth.count("lies");
                    return Some(Some(vec![message.to_vec(), beside]));
                }
                lies::of_batch(body, origin, sea, &memory, self.omits)
            }
            "backfilled" => lies::of_filled(body, origin, sea, &memory),
            "lease" => lies::of_lease(body, origin, sea, &memory),
            "snapshot" => {
                let told = lies::of_world(body, origin, sea, &memory);
                if told == Some(true) {
                    self.truth.count("world lies");
                }
                told
            }
            _ => Some(false),
        };
        match told {
            Some(false) => Some(None),
            Some(true) => {
                self.truth.count("lies");
                Some(Some(vec![lies::message(name, body.clone())]))
            }
            None => {
                self.truth.count("lies");
                None
            }
        }
    }

    /// Something of a system that the one who hears it was not leased.
    fn beside(&self, origin: usize, line: &Line, memory: &Memory) -> Option<Vec<u8>> {
        let number = self.sea.below(SYSTEMS);
        let hidden = line.lease.as_ref().is_some_and(|lease| !lease.sees(&system(origin, number)));
        let (name, body) = lies::aside(origin, number, &self.sea, memory).filter(|_| hidden)?;
        Some(lies::message(name, body))
    }

    fn lie_of_peers(&self, body: &Value) -> Option<Vec<u8>> {
        let mut body = body.clone();
        let origins: Vec<[u8; 16]> = self.truth.homes.iter().map(|home| home.origin).collect();
        let told = lies::of_peers(&mut body, &self.truth.homes[self.to].origin, &origins, &self.sea);
        told.then(|| {
            self.truth.count("lies");
            lies::message("peers", body)
        })
    }

    /// Something was passed on as it is. What is signed after the end of the last lease that was is not to be taken.
    fn told(&self, name: &str, body: &Value, origin: usize, line: &mut Line) {
        let homes = &self.truth.homes;
        match name {
            "lease" => line.lease = signed::lease(body, &homes[origin].key, origin, &homes[self.relay].key, &homes[self.to].key).ok(),
            "batch" => {
                let life = body.get("incarnation").int().unwrap_or_default();
                let claim = signed::claim(&homes[origin].key, &homes[origin].origin, life, body.get("claim"));
                let (from, to) = (body.get("from").int().unwrap_or_default(), body.get("to").int().unwrap_or_default());
                if let (Some((_, at)), Some(lease)) = (claim, &line.lease)
                    && at > lease.until
                    && from < to
                {
                    self.truth.not_to_be_taken(self.to, origin, life, to);
                }
            }
            _ => {}
        }
    }
}
