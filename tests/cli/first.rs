//! The first run: a console alone starts a server of its own, the next console uses it, and it ends a
//! while after the last has left.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::home::{Home, until};

/// A console in a pseudo-terminal.
pub struct Console {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    pub fn open(home: &Home, args: &[&str]) -> Console {
        let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(args);
        command.env_clear();
        for (name, value) in
            [("HOME", home.path().to_str().unwrap()), ("USER", "robin"), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")]
        {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0)));
        let (mut reader, seen) = (pty.master.try_clone_reader().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                seen.lock().unwrap().process(&buffer[..read]);
            }
        });
        let writer = pty.master.take_writer().unwrap();
        Console { child, _master: pty.master, writer, screen }
    }

    pub fn shows(&self, words: &str) -> bool {
        self.screen.lock().unwrap().screen().contents().contains(words)
    }

    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Without a chance to say or write anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn quit(mut self) {
        self.keys(":q\r");
        until("the console ends", || self.child.try_wait().unwrap().is_some());
    }
}

fn listens(home: &Home) -> bool {
    UnixStream::connect(home.embedded().join("server.sock")).is_ok()
}

/// Servers that use this home, by their command lines.
fn servers(home: &Home) -> usize {
    let mine = home.embedded().display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok());
    processes.filter(|line| String::from_utf8_lossy(line).contains("--embedded") && String::from_utf8_lossy(line).contains(&mine)).count()
}

pub fn configure(home: &Home, text: &str) {
    let folder = home.path().join(".config/midwatch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("console.toml"), text).unwrap();
}

#[test]
fn n4_the_first_console_starts_a_server_that_only_its_user_can_reach() {
    let home = Home::new();
    configure(&home, "linger = \"0s\"\n");
    let console = Console::open(&home, &[]);
    until("the console shows real data of this machine", || !home.run(&["systems"]).out.is_empty() && console.shows("Now"));
    let mode = |name: &str| std::fs::metadata(home.embedded().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("server.sock"), mode("server.key")), (0o700, 0o600, 0o600));
    // The agent of this machine has spoken.
    until("checks of this machine are there", || home.ok(&["events", "--count", "kind:check.changed"]).trim() != "0");
    console.quit();
    until("the server ends when it is left alone", || !listens(&home) && servers(&home) == 0);
    // What it knew is still there to be read.
    assert!(home.run(&["systems"]).err.contains("no server runs here"));
}

#[test]
fn two_consoles_that_start_at_once_share_one_server() {
    let home = Home::new();
    configure(&home, "linger = \"0s\"\n");
    let consoles = [Console::open(&home, &[]), Console::open(&home, &[])];
    until("it listens", || listens(&home));
    until("both show it", || consoles.iter().all(|console| console.shows("Now")));
    assert_eq!(servers(&home), 1);
    let [first, second] = consoles;
    first.quit();
    assert!(listens(&home), "the second one is still there");
    second.quit();
    until("it ends", || servers(&home) == 0);
}

#[test]
fn a_server_that_cannot_start_is_said_before_the_screen_is_taken() {
    let home = Home::new();
    let data = home.path().join(".local/share/midwatch");
    std::fs::create_dir_all(data.join("embedded/events.db")).unwrap();
    let mut console = Console::open(&home, &[]);
    until("the console ends", || console.child.try_wait().unwrap().is_some());
    until("it says why", || console.shows("did not start"));
}
