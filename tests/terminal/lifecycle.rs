//! The terminal is as it was after every way to end. The child is this test binary itself, told by the
//! environment how to end; a shell around it says what the terminal's modes were before and after.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use midwatch::console::keymap::Key;
use midwatch::console::screen::input::{Decoder, Input, QUERIES};
use midwatch::console::screen::terminal::{Signal, Signals, Terminal, report_panics};
use midwatch::console::screen::{Abilities, Screen, text};
use midwatch::console::theme::Glyphs;
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use ratatui::style::Style;
use rustix::process::{Pid, Signal as Kill, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// The child's side: takes the terminal, draws its number, and ends as it is told.
#[test]
#[ignore = "the other tests run this in a pseudo-terminal"]
fn child() {
    let Ok(folder) = std::env::var("MIDWATCH_TEST_FOLDER") else { return };
    report_panics(Path::new(&folder));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Before the terminal is taken, or a signal in between would end us with it.
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen().unwrap()
    };
    let terminal = Terminal::enter(std::env::var_os("MIDWATCH_TEST_MOUSE").is_some()).unwrap();
    let (width, height) = terminal.size();
    let mut screen = Screen::new(width, height, Abilities { synchronized: true, ..Abilities::default() });
    let frame = screen.draw(|buffer| {
        text::put(buffer, 0, 0, width, &format!("ready {} {width}x{height}", std::process::id()), Style::new(), &Glyphs::UNICODE);
        None
    });
    terminal.write(frame).unwrap();
    let (sender, receiver) = channel();
    terminal.read(move |read| sender.send(read).is_ok()).unwrap();
    std::thread::spawn(move || {
        let mut decoder = Decoder::default();
        while let Ok(Ok(bytes)) = receiver.recv() {
            for input in decoder.feed(&bytes) {
                match input {
                    Input::Key(key) if key == Key::char('q') => std::process::exit(i32::from(!midwatch::console::screen::terminal::restore())),
                    Input::Key(key) if key == Key::char('p') => panic!("a panic with \x1b[31mcolour"),
                    Input::Key(key) if key == Key::ctrl('z') => kill_process(rustix::process::getpid(), Kill::TSTP).unwrap(),
                    Input::Key(key) if key == Key::char('w') => std::io::stdout().write_all(b"word\n").unwrap(),
                    Input::Key(_) | Input::Paste(_) | Input::Mouse(_) | Input::Answer(_) => {}
                }
            }
        }
        // The terminal is gone.
        std::fs::write(Path::new(&folder).join("lost"), "").unwrap();
        std::process::exit(0);
    });
    runtime.block_on(async {
        loop {
            match signals.next().await {
                Signal::End => break,
                Signal::Hangup => std::future::pending().await,
                Signal::Stop => {
                    terminal.leave();
                    assert!(Terminal::stop());
                }
                Signal::Continue => {
                    terminal.reenter().unwrap();
                    screen.reenter();
                    let frame = screen.draw(|buffer| {
                        text::put(buffer, 0, 0, width, "again", Style::new(), &Glyphs::UNICODE);
                        None
                    });
                    terminal.write(frame).unwrap();
                }
                Signal::Resize => {}
            }
        }
    });
    terminal.end(false);
    std::process::exit(7);
}

struct Session {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    output: Receiver<Vec<u8>>,
    so_far: Vec<u8>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    folder: tempfile::TempDir,
    listening: Arc<AtomicBool>,
}

impl Session {
    /// `$RUN` in the script is the child.
    fn start(script: &str) -> Session {
        let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new("/bin/sh");
        let run = format!("'{}' --ignored --exact lifecycle::child --nocapture", std::env::current_exe().unwrap().display());
        command.args(["-c", &script.replace("$RUN", &run)]);
        command.env("MIDWATCH_TEST_FOLDER", folder.path());
        command.env("RUST_BACKTRACE", "0");
        // Whatever is taken is given back.
        command.env("MIDWATCH_TEST_MOUSE", "1");
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let writer = pty.master.take_writer().unwrap();
        let (sender, output) = channel();
        let listening = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&listening);
        std::thread::spawn(move || {
            let mut bytes = [0u8; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let last = bytes[..count].windows(4).any(|four| four == b"word") && !goes_on.load(Ordering::SeqCst);
                if sender.send(bytes[..count].to_vec()).is_err() || last {
                    return;
                }
            }
        });
        Session { master: Some(pty.master), writer: Some(writer), output, so_far: Vec::new(), child, folder, listening }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.so_far).into_owned()
    }

    /// Waits until the output holds this.
    fn wait_for(&mut self, what: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.text().contains(what) {
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.so_far.extend(bytes),
                Err(_) => panic!("no {what:?} in {:?}", self.text()),
            }
        }
    }

    fn ready(&mut self) -> Pid {
        self.wait_for("80x24");
        let text = self.text();
        let number = text.split("ready ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        Pid::from_raw(number).unwrap()
    }

    fn keys(&mut self, keys: &[u8]) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys).unwrap();
        writer.flush().unwrap();
    }

    /// What the terminal is like after all that.
    fn terminal(&self) -> vt100::Parser {
        let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        terminal.process(&self.so_far);
        terminal
    }

    /// The modes that the shell printed between these words are all the same, and the screen is the shell's.
    fn assert_restored(&mut self) {
        self.wait_for("after:");
        self.wait_for("end of test");
        let text = self.text();
        let modes: Vec<&str> = text.split("modes=").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
        assert!(modes.len() >= 2 && modes.iter().all(|mode| *mode == modes[0]), "{modes:?}");
        let terminal = self.terminal();
        let screen = terminal.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste(), "{text:?}");
        assert!(text.contains("\x1b[?1000h") && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None, "{text:?}");
        assert_eq!(screen.mouse_protocol_encoding(), vt100::MouseProtocolEncoding::Default, "{text:?}");
        assert!(screen.contents().contains("modes="), "what stood there before is back");
        self.child.wait().unwrap();
    }
}

const SCRIPT: &str = "echo modes=$(stty -g); $RUN; code=$?; echo; echo after: $code; echo modes=$(stty -g); echo end of test";

#[test]
fn an_ordinary_end_gives_the_terminal_back() {
    let mut session = Session::start(SCRIPT);
    session.ready();
    session.keys(b"q");
    session.assert_restored();
    assert!(session.text().contains("after: 0"), "{}", session.text());
}

#[test]
fn signals_end_in_order() {
    for kill in [Kill::TERM, Kill::INT] {
        let mut session = Session::start(&format!("trap '' INT; {SCRIPT}"));
        let child = session.ready();
        kill_process(child, kill).unwrap();
        session.assert_restored();
        assert!(session.text().contains("after: 7"), "{}", session.text());
    }
}

#[test]
fn t10_a_panic_gives_the_terminal_back_and_says_where_its_report_is() {
    let mut session = Session::start(SCRIPT);
    session.ready();
    session.keys(b"p");
    session.assert_restored();
    let text = session.text();
    assert!(text.contains("after: 101"), "{text}");
    let said = text.split("midwatch broke at").nth(1).unwrap();
    assert!(said.contains("a panic with colour") && said.contains("The report is in"), "{said:?}");
    let report =
        std::fs::read_dir(session.folder.path()).unwrap().filter_map(Result::ok).find(|file| file.file_name().to_string_lossy().starts_with("panic-")).unwrap();
    let report = std::fs::read_to_string(report.path()).unwrap();
    assert!(report.contains("a panic with colour") && !report.contains('\x1b'), "{report}");
}

#[test]
fn a_lost_terminal_ends_quietly() {
    let mut session = Session::start("exec $RUN");
    session.ready();
    // Our reader holds the terminal open too: it ends with the next word.
    session.listening.store(false, Ordering::SeqCst);
    session.keys(b"w");
    session.wait_for("word");
    session.writer = None;
    session.master = None;
    let until = Instant::now() + PATIENCE;
    while session.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "it lives on without a terminal");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(session.folder.path().join("lost").exists(), "it ended by itself, not by the hangup");
}

#[test]
fn stopping_gives_the_terminal_back_and_continuing_takes_it_again() {
    let script =
        "set -m; echo modes=$(stty -g); $RUN; echo; echo modes=$(stty -g); echo stopped here; fg; echo after: $?; echo modes=$(stty -g); echo end of test";
    let mut session = Session::start(script);
    session.ready();
    session.keys(b"\x1a");
    session.wait_for("stopped here");
    session.wait_for("again");
    assert!(session.terminal().screen().alternate_screen());
    session.keys(b"q");
    session.assert_restored();
}

#[test]
fn answers_that_come_late_do_not_reach_the_shell() {
    assert!(QUERIES.ends_with("\x1b[c"), "the answer that every terminal gives comes last");
    let script = "echo modes=$(stty -g); $RUN; echo; echo after: $?; echo modes=$(stty -g); read -r line; echo got:$line; echo end of test";
    let mut session = Session::start(script);
    session.ready();
    session.keys(b"\x1b]11;rgb:1414/1111/0f0f\x1b\\\x1b[?62;22cq\x1b[?62;22c");
    session.wait_for("after:");
    session.keys(b"line\n");
    session.assert_restored();
    assert!(session.text().contains("got:line"), "{:?}", session.text());
}
