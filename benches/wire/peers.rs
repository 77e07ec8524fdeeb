//! What the figures are measured beside: Debian's nats-server, spoken to in its text protocol
//! (docs.nats.io, "Client Protocol"), and a bare loop that writes to every socket.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch::link::Io;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// The size of a message, about that of an event.
pub const LENGTH: usize = 200;

/// A program that ends with this value.
pub struct Peer {
    child: Child,
    pub address: String,
    /// Its certificate, where it speaks TLS.
    tls: Option<(TlsConnector, tempfile::TempDir)>,
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
        Peer::nats_with(&[], None)
    }

    /// The same over TLS, with a certificate of its own that the clients know.
    pub fn nats_tls() -> Peer {
        let folder = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let options = ["--tls".as_ref(), "--tlscert".as_ref(), certificate.as_os_str(), "--tlskey".as_ref(), key.as_os_str()];
        Peer::nats_with(&options, Some((TlsConnector::from(Arc::new(config)), folder)))
    }

    fn nats_with(options: &[&std::ffi::OsStr], tls: Option<(TlsConnector, tempfile::TempDir)>) -> Peer {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string()]).args(options).stderr(Stdio::null());
        Peer::of(command, address.to_string(), tls, "nats-server (Debian: nats-server)")
    }

    pub fn bare() -> Peer {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["bare", &address]);
        Peer::of(command, address, None, "this program")
    }

    fn of(mut command: Command, address: String, tls: Option<(TlsConnector, tempfile::TempDir)>, name: &str) -> Peer {
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        for _ in 0..250 {
            if std::net::TcpStream::connect(&address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        Peer { child, address, tls }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A client of nats-server, subscribed to the one subject if it listens.
    pub async fn nats_client(&self, listens: bool) -> Box<dyn Io> {
        let mut stream: Box<dyn Io> = Box::new(self.connect().await);
        // It speaks first, and in plain words.
        until(&mut stream, b"\r\n").await;
        if let Some((connector, _)) = &self.tls {
            stream = Box::new(connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap());
        }
        let subscription = if listens { "SUB event 1\r\n" } else { "" };
        let first = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{subscription}PING\r\n");
        stream.write_all(first.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        until(&mut stream, b"PONG\r\n").await;
        stream
    }

    /// A client of the bare loop.
    pub async fn bare_client(&self, listens: bool) -> Box<dyn Io> {
        let mut stream = self.connect().await;
        stream.write_all(if listens { b"S" } else { b"P" }).await.unwrap();
        Box::new(stream)
    }
}

/// Reads up to these bytes, which end what was said.
async fn until(stream: &mut Box<dyn Io>, end: &[u8]) {
    let mut held = Vec::new();
    while !held.ends_with(end) {
        let byte = stream.read_u8().await.expect("nats-server closed the connection");
        held.push(byte);
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
