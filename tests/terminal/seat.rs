//! A seat at a terminal: a shell script in a pseudo-terminal, what it writes, and what a person there sees.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A home folder of the test's own.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Home {
        // Short: a socket's path has 108 bytes at most.
        Home { folder: tempfile::Builder::new().prefix("mw").tempdir_in("/tmp").unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The console's configuration.
    pub fn configure(&self, text: &str) {
        self.file(".config/midwatch/console.toml", text);
    }

    pub fn append(&self, name: &str, text: &str) {
        std::fs::OpenOptions::new().append(true).open(self.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

pub struct Seat {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    /// All that was written to the terminal.
    pub bytes: Vec<u8>,
    terminal: vt100::Parser,
}

impl Seat {
    /// Runs a script of `sh` in the home folder; `$MW` is the program.
    pub fn sit(home: &Home, (cols, rows): (u16, u16), variables: &[(&str, &str)], script: &str) -> Seat {
        let pty = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", script]);
        command.cwd(home.path());
        command.env_clear();
        let home = home.path().to_str().unwrap();
        let own = [
            ("HOME", home),
            ("PATH", "/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("USER", "robin"),
            ("TERM", "xterm-256color"),
            ("MW", env!("CARGO_BIN_EXE_midwatch")),
        ];
        for (name, value) in own.iter().chain(variables) {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let writer = pty.master.take_writer().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0_u8; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = vt100::Parser::new(rows.try_into().unwrap(), cols.try_into().unwrap(), 0);
        Seat { child, master: pty.master, writer, output, bytes: Vec::new(), terminal }
    }

    pub fn screen(&self) -> &vt100::Screen {
        self.terminal.screen()
    }

    pub fn text(&self) -> String {
        self.screen().contents()
    }

    /// The bytes so far, as text.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Looks on until that is so; `again` is done every half second meanwhile.
    #[track_caller]
    pub fn until_with(&mut self, what: &str, mut again: impl FnMut(&mut Seat), so: impl Fn(&Seat) -> bool) {
        let late = Instant::now() + PATIENCE;
        while !so(self) {
            match self.output.recv_timeout(Duration::from_millis(500)) {
                Ok(bytes) => {
                    self.terminal.process(&bytes);
                    self.bytes.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => again(self),
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(Instant::now() < late, "in vain: {what}\n{}", self.text());
        }
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, so: impl Fn(&Seat) -> bool) {
        self.until_with(what, |_| {}, so);
    }

    #[track_caller]
    pub fn shows(&mut self, words: &str) {
        self.until(words, |seat| seat.text().contains(words));
    }

    /// What is written until the program has been quiet for a while.
    pub fn rest(&mut self) {
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(400)) {
            self.terminal.process(&bytes);
            self.bytes.extend(bytes);
        }
    }

    pub fn keys(&mut self, keys: impl AsRef<[u8]>) {
        self.writer.write_all(keys.as_ref()).unwrap();
        self.writer.flush().unwrap();
    }

    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        self.terminal.screen_mut().set_size(rows.try_into().unwrap(), cols.try_into().unwrap());
    }

    /// The whole screen of the console, at the size of the terminal: line 1 to both ends, and the last line.
    #[track_caller]
    pub fn shows_the_console(&mut self, words: &str) {
        let whole = |seat: &Seat| {
            let (rows, cols) = (usize::from(seat.screen().size().0.get()), usize::from(seat.screen().size().1.get()));
            let text = seat.text();
            let lines: Vec<&str> = text.lines().collect();
            let first = lines.first().is_some_and(|line| line.contains("midwatch") && line.chars().count() + 2 >= cols);
            first && lines.len() == rows && text.contains(words) && lines.last().is_some_and(|line| line.contains("help"))
        };
        self.until(&format!("the console with {words:?}"), whole);
    }

    /// Waits until the script has ended, and says with what code.
    #[track_caller]
    pub fn ends(&mut self) -> u32 {
        let late = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.rest();
                return status.exit_code();
            }
            self.rest();
            assert!(Instant::now() < late, "it does not end\n{}", self.text());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
