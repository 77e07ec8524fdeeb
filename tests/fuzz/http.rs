//! A real server on loopback, to which bodies are pushed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};

use midwatch::link::SystemClock;
use midwatch::model::id::{Incarnation, Origin};
use midwatch::server::config::Config;
use midwatch::server::line::{Certificates, Tls};
use midwatch::server::{Listen, Listener, Parts, Server};
use midwatch::store::MemoryLog;
use midwatch::trust::tls::OwnCertificate;
use midwatch::trust::{ServerKey, Token, TokenKind, Tokens};

const INTAKE: &str = "intake-token-of-the-test";

/// What is pushed in earnest.
pub fn examples() -> Vec<Vec<u8>> {
    [
        r#"[{"labels":{"alertname":"DiskFull","instance":"web-1:9100","severity":"critical"},"annotations":{"summary":"disk 96 %"},"startsAt":"2026-11-21T02:57:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/graph?g0.expr=up"}]"#,
        r#"{"version":"4","groupKey":"{}","status":"firing","receiver":"m","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://a","truncatedAlerts":0,"alerts":[{"status":"resolved","labels":{"alertname":"X"},"annotations":{},"startsAt":"2026-11-21T02:57:00.5+01:00","endsAt":"2026-11-21T03:00:00Z","generatorURL":"","fingerprint":"a1"}]}"#,
        "{\"kind\":\"report\",\"at\":\"2026-11-21T02:57:00Z\",\"system\":\"shop/db\",\"severity\":\"warning\",\"title\":\"a\",\"text\":\"b\\nc\",\"labels\":{\"x\":\"y\"}}\n{\"kind\":\"change\",\"title\":\"deploy\",\"system\":\"shop\"}",
        r#"{"kind":"report","title":"x","data":{"a":[[[[[[1,2.5e300,null,true]]]]]]}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The server lives in a thread of its own until the test ends.
pub struct Served {
    address: String,
    line: Mutex<Option<TcpStream>>,
}

impl Served {
    pub fn start() -> Served {
        Served::with(None)
    }

    pub fn with_tls() -> Served {
        let certificate = OwnCertificate::new(&ServerKey::from_seed([9; 32]), &["localhost".into()]).unwrap();
        Served::with(Some(Tls::new(Arc::new(Certificates::own(&certificate))).unwrap()))
    }

    fn with(tls: Option<Tls>) -> Served {
        let (told, address) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
                let log = Arc::new(MemoryLog::new(Origin([7; 16]), Incarnation(1)));
                let tokens = Tokens::default().add(TokenKind::Intake, Token::new(INTAKE));
                let mut parts = Parts::new(Arc::new(SystemClock), log, listener, tokens);
                parts.intakes = vec![midwatch::server::intake::Token::new("", INTAKE)];
                parts.front.tls = tls;
                // All of it comes from one address, and none of it says who it is.
                parts.front.limits.strangers = 10_000;
                let server = Server::bind(&Config::default(), parts).await.unwrap().spawn();
                told.send(server.address.clone().unwrap().to_string()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        Served { address: address.recv().unwrap(), line: Mutex::new(None) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// With what a push of this body is answered: the status, and the words beside it.
    pub fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let mut line = self.line.lock().unwrap();
        let mut stream = line.take().unwrap_or_else(|| TcpStream::connect(&self.address).unwrap());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {INTAKE}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // In one piece: else each waits for the other side's kernel.
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let (mut got, mut part) = (Vec::new(), [0; 4_096]);
        let head_end = loop {
            if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the server answered nothing: {:?}", String::from_utf8_lossy(body));
            got.extend_from_slice(&part[..read]);
        };
        let head = String::from_utf8_lossy(&got[..head_end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |text| text.trim().parse().unwrap());
        while got.len() < head_end + length {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the answer ends early");
            got.extend_from_slice(&part[..read]);
        }
        if !head.contains("connection: close") {
            *line = Some(stream);
        }
        (status, String::from_utf8_lossy(got.get(head_end..).unwrap_or_default()).into_owned())
    }
}
