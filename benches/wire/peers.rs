//! What the figures are measured beside: Debian's nats-server, spoken to in its text protocol
//! (docs.nats.io, "Client Protocol"), and a bare loop that writes to every socket.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The size of a message, about that of an event.
pub const LENGTH: usize = 200;

/// A program that ends with this value.
pub struct Peer {
    child: Child,
    pub address: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Needs the Debian package nats-server.
    pub fn nats() -> Peer {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string()]).stderr(Stdio::null());
        Peer::of(command, address.to_string(), "nats-server (Debian: nats-server)")
    }

    pub fn bare() -> Peer {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["bare", &address]);
        Peer::of(command, address, "this program")
    }

    fn of(mut command: Command, address: String, name: &str) -> Peer {
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        for _ in 0..250 {
            if std::net::TcpStream::connect(&address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        Peer { child, address }
    }

    async fn connect(&self, first: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(first).await.unwrap();
        stream
    }

    /// A client of nats-server, subscribed to the one subject if it listens.
    pub async fn nats_client(&self, listens: bool) -> TcpStream {
        let subscription = if listens { "SUB event 1\r\n" } else { "" };
        let mut stream = self.connect(format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{subscription}PING\r\n").as_bytes()).await;
        let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
        while !held.windows(6).any(|bytes| bytes == b"PONG\r\n") {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "nats-server closed the connection");
            held.extend_from_slice(&buffer[..count]);
        }
        stream
    }

    /// A client of the bare loop.
    pub async fn bare_client(&self, listens: bool) -> TcpStream {
        self.connect(if listens { b"S" } else { b"P" }).await
    }
}

/// What is published, and how long it is when it comes.
pub fn nats_message() -> (Vec<u8>, usize) {
    let mut out = format!("PUB event {LENGTH}\r\n").into_bytes();
    out.extend([b'x'; LENGTH]);
    out.extend(b"\r\n");
    (out, format!("MSG event 1 {LENGTH}\r\n").len() + LENGTH + 2)
}

/// The bare loop itself, in a process of its own: what the first kind of client says goes to all of the second.
pub async fn bare(address: &str) {
    let listener = TcpListener::bind(address).await.unwrap();
    let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let clients = clients.clone();
        tokio::spawn(async move {
            let mut kind = [0];
            if stream.read_exact(&mut kind).await.is_err() {
                return;
            }
            if &kind == b"S" {
                clients.lock().unwrap().push(stream);
                return;
            }
            let mut message = [0; LENGTH];
            while stream.read_exact(&mut message).await.is_ok() {
                for client in clients.lock().unwrap().iter() {
                    let _ = client.try_write(&message);
                }
            }
        });
    }
}
