//! Who looks at what, as two people see it: two consoles in terminals of their own, on one server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::seat::{Home, PATIENCE, Seat};

/// A server on a free port of loopback.
struct Serve {
    child: Child,
    home: Home,
    address: String,
}

impl Serve {
    fn start() -> Serve {
        let home = Home::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (address, data) = (format!("127.0.0.1:{port}"), home.path().join("srv").display().to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(["serve", "--listen", &address, "--data", &data]).env_clear().env("HOME", home.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let late = Instant::now() + PATIENCE;
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < late, "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Serve { child, home, address }
    }

    fn fires(&self, system: &str, title: &str) {
        let token = std::fs::read_to_string(self.home.path().join("srv/intake.token")).unwrap();
        let body = format!(r#"[{{"labels":{{"alertname":"Odd","severity":"critical","system":"{system}"}},"annotations":{{"summary":"{title}"}}}}]"#);
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close", token.trim(), body.len());
        write!(stream, "POST /api/v2/alerts HTTP/1.1\r\nhost: {}\r\n{head}\r\n\r\n{body}", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Somebody's console of it, in a home folder of theirs.
    fn console(&self, name: &str) -> (Home, Seat) {
        let (home, token) = (Home::new(), self.home.path().join("srv/console.token"));
        home.configure(&format!(
            "name = \"{name}\"\naccept_new = true\n[servers.shore]\nurl = \"ws://{}\"\ntoken_file = \"{}\"\n",
            self.address,
            token.display()
        ));
        let seat = Seat::sit(&home, (120, 36), &[("USER", name)], "\"$MW\"");
        (home, seat)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn who_opens_an_alert_is_named_in_the_others_row_and_detail_until_they_leave() {
    let server = Serve::start();
    server.fires("shore/pump", "the pump is hot");
    let ((_desk, mut kim), (_train, mut ana)) = (server.console("kim"), server.console("ana"));
    for seat in [&mut kim, &mut ana] {
        seat.shows_the_console("the pump is hot");
        seat.keys("4");
        seat.shows("1 open");
    }
    assert!(!ana.text().contains("kim"), "nobody has looked yet:\n{}", ana.text());
    kim.keys("\r");
    ana.until("kim's name in the row and in the detail", |seat| seat.text().contains("(kim)") && seat.text().contains("looking now: kim"));
    let text = ana.text();
    let row = text.lines().find(|line| line.contains("(kim)")).unwrap();
    assert!(row.contains("the pump is hot"), "in the row of what they look at: {text}");
    assert!(!text.contains("ana,") && !text.contains(", ana"), "and nobody is told of themselves: {text}");
    kim.keys(":quit\r");
    kim.ends();
    ana.until("that nobody looks any more", |seat| !seat.text().contains("(kim)") && !seat.text().contains("looking now"));
}
