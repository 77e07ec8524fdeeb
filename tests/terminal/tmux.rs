//! The console inside a real tmux: attached from other sizes, resized, detached, stopped and continued.

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const PATIENCE: Duration = Duration::from_secs(30);

/// A tmux server of the test's own.
struct Tmux {
    socket: String,
    folder: tempfile::TempDir,
}

impl Tmux {
    fn start() -> Tmux {
        let folder = tempfile::tempdir().unwrap();
        let tmux = Tmux { socket: folder.path().join("tmux").display().to_string(), folder };
        let path = tmux.folder.path().join("shop.log");
        std::fs::write(path, "2026-11-21T02:39:00Z INFO deploy 4f3a2c\n2026-11-21T02:41:00Z ERROR hit rate 12 %\n2026-11-21T02:44:00Z INFO flushed\n").unwrap();
        tmux.run(&["new-session", "-d", "-x", "120", "-y", "36", "env", "PS1=shell> ", "ENV=", "/bin/bash", "--norc", "-i"]);
        tmux.run(&["set", "-g", "set-clipboard", "on"]);
        tmux
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command
            .args(["-S", &self.socket, "-f", "/dev/null", "-u"])
            .env_remove("TMUX")
            .env("HOME", self.folder.path())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn run(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output().expect("tmux is installed (the Debian package tmux)");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn until(&self, what: &str, so: impl Fn(&str) -> bool) -> String {
        let late = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if so(&screen) {
                return screen;
            }
            assert!(Instant::now() < late, "in vain: {what}\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The whole screen of the console, at this size.
    fn shows(&self, width: usize, height: usize) {
        let whole = |screen: &str| {
            let lines: Vec<&str> = screen.lines().collect();
            let first = lines.first().is_some_and(|line| line.contains("midwatch") && line.chars().count() + 2 >= width && line.chars().count() <= width);
            first && lines.len() == height && screen.contains("INFO flushed") && lines.last().is_some_and(|line| line.contains("help"))
        };
        self.until(&format!("the screen at {width}x{height}"), whole);
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}

/// A terminal that is attached until it is detached.
fn attached(tmux: &Tmux, cols: u16, rows: u16, so: impl FnOnce()) {
    let pty = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new("tmux");
    command.args(["-S", &tmux.socket, "-u", "attach"]);
    command.env_remove("TMUX");
    for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("HOME", tmux.folder.path().to_str().unwrap())] {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut output = pty.master.try_clone_reader().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0_u8; 4096];
        while let Ok(1..) = output.read(&mut bytes) {}
    });
    so();
    tmux.run(&["detach-client", "-s", "0"]);
    child.wait().unwrap();
    drop(pty.master);
    reader.join().unwrap();
}

#[test]
fn the_screen_is_right_whoever_attaches_and_however_large_it_is() {
    let tmux = Tmux::start();
    tmux.until("a shell", |screen| screen.contains("shell>"));
    tmux.keys(&[&format!("'{}' open '{}/shop.log'", env!("CARGO_BIN_EXE_midwatch"), tmux.folder.path().display()), "Enter"]);
    tmux.shows(120, 36);
    tmux.run(&["resize-window", "-x", "80", "-y", "24"]);
    tmux.shows(80, 24);
    // From now on as large as the terminal that is attached, which has a status line of tmux's own.
    tmux.run(&["set", "-w", "-u", "window-size"]);
    attached(&tmux, 100, 31, || tmux.shows(100, 30));
    attached(&tmux, 140, 45, || tmux.shows(140, 44));
    // OSC 52 reaches tmux's own clipboard.
    tmux.keys(&["y", "y"]);
    tmux.until("the row in tmux's buffer", |_| {
        tmux.command().arg("show-buffer").output().is_ok_and(|buffer| String::from_utf8_lossy(&buffer.stdout).contains("INFO flushed"))
    });
    // Stopped, the shell has its own screen again; continued, everything is drawn anew.
    let alternate = || tmux.run(&["display-message", "-p", "#{alternate_on}"]).trim().to_owned();
    assert_eq!(alternate(), "1");
    tmux.keys(&["C-z"]);
    tmux.until("the shell", |screen| screen.contains("Stopped"));
    assert_eq!(alternate(), "0");
    tmux.keys(&["fg", "Enter"]);
    tmux.shows(140, 44);
    tmux.keys(&[":q", "Enter"]);
    let screen = tmux.until("the shell", |screen| screen.contains("Stopped") && !screen.contains("INFO flushed"));
    assert_eq!(alternate(), "0", "{screen}");
}

/// From 3.4 on tmux keeps links of the terminal's own; before that it drops them. Either way the text stands as it is.
#[test]
fn links_leave_the_text_as_it_is() {
    let tmux = Tmux::start();
    tmux.until("a shell", |screen| screen.contains("shell>"));
    let event = r#"{"id":"2d0059c6b6b34a757c93f800bcb3f37c.1.2","at":"2026-11-21T02:40:00Z","recorded":"2026-11-21T02:40:00Z","severity":"info","kind":"change","system":"shop","actor":"server","title":"deploy","links":[{"name":"ci","url":"https://ci.example.org/4711"}],"data":{}}"#;
    let folder = tmux.folder.path();
    std::fs::write(folder.join("events.jsonl"), format!("{event}\n")).unwrap();
    std::fs::create_dir_all(folder.join(".config/midwatch")).unwrap();
    std::fs::write(folder.join(".config/midwatch/console.toml"), "links = true\n").unwrap();
    tmux.keys(&[&format!("'{}' open '{}/events.jsonl'", env!("CARGO_BIN_EXE_midwatch"), folder.display()), "Enter"]);
    let screen = tmux.until("the address", |screen| screen.contains("https://ci.example.org/4711"));
    let line = screen.lines().find(|line| line.contains("https://")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["ci", "https://ci.example.org/4711"], "{screen}");
    let version = tmux.run(&["display-message", "-p", "#{version}"]);
    let keeps = midwatch::console::screen::link::by_name(&format!("tmux {}", version.trim())).is_some_and(|known| known.links);
    let kept = tmux.run(&["capture-pane", "-p", "-e"]).contains("\u{1b}]8;");
    assert_eq!(kept, keeps, "tmux {version}");
}

#[test]
fn the_configuration_is_read_anew_while_it_runs() {
    let tmux = Tmux::start();
    let config = tmux.folder.path().join(".config/midwatch");
    std::fs::create_dir_all(&config).unwrap();
    // As editors write: another file in its place.
    let write = |name: &str, text: &str| {
        let new = tmux.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, config.join(name)).unwrap();
    };
    write("views.toml", "[a]\npane = \"alert\"\n");
    tmux.until("a shell", |screen| screen.contains("shell>"));
    tmux.keys(&[&format!("'{}' open '{}/shop.log'", env!("CARGO_BIN_EXE_midwatch"), tmux.folder.path().display()), "Enter"]);
    tmux.until("a mistake in the saved views is said at the start", |screen| screen.contains("views.toml:2:8: there is no pane `alert`"));
    tmux.until("the log is read", |screen| screen.contains("hit rate 12 %"));
    tmux.keys(&["k"]);
    let before = tmux.until("a row is selected", |screen| screen.lines().any(|line| line.starts_with('▌') && line.contains("hit rate")));
    write("keymap.toml", "[global]\n\"Q\" = \"quitt\"\n");
    tmux.until("the mistake has its place", |screen| screen.contains("keymap.toml:2:7") && screen.contains("quit"));
    write("keymap.toml", "[global]\n\"Q\" = \"help\"\n");
    let after = tmux.until("it worked", |screen| screen.contains("keymap.toml is read anew"));
    let selected = |screen: &str| screen.lines().find(|line| line.starts_with('▌')).map(str::to_owned);
    assert_eq!(selected(&before), selected(&after), "the place is kept");
    tmux.keys(&["Q"]);
    tmux.until("the new key works", |screen| screen.contains("the keys in"));
}
