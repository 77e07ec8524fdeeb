//! `midwatch doctor` in terminals that answer, that say nothing, that talk nonsense, and in tmux.

use std::io::{Read, Write};
use std::process::Command;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// What a good terminal says to the doctor's questions.
const GOOD: &str = "\x1bP>|foot(1.16.2)\x1b\\\x1b]11;rgb:fbfb/f7f7/f0f0\x1b\\\x1b[?2026;2$y\x1b[?0u\x1bP1+r4d73=5c\x1b\\\x1bP1+r524742=38\x1b\\\x1b[1;2R\x1b[1;3R\x1b[1;2R\x1b[?62;22;52c";

struct Said {
    text: String,
    code: u32,
    /// The terminal's modes, before and after.
    modes: (String, String),
}

impl Said {
    /// The line about this, and the one after it.
    fn about(&self, what: &str) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        let found = lines.iter().position(|line| line.get(17..).is_some_and(|rest| rest.starts_with(&format!("{what} "))));
        let Some(found) = found else { panic!("nothing about {what} in {}", self.text) };
        lines[found..(found + 2).min(lines.len())].join("\n")
    }
}

/// Runs the doctor in a pseudo-terminal that answers with these bytes once it was asked the last question.
fn doctor(answer: &[u8]) -> Said {
    let home = tempfile::Builder::new().prefix("mw").tempdir_in("/tmp").unwrap();
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 200, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_midwatch");
    command.args(["-c", &format!("echo modes=$(stty -g); '{program}' doctor; echo code=$?; echo modes=$(stty -g)")]);
    command.env_clear();
    for (name, value) in
        [("HOME", home.path().to_str().unwrap()), ("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TERM", "xterm-256color"), ("USER", "robin")]
    {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut writer = pty.master.take_writer().unwrap();
    let (mut all, mut bytes, mut asked) = (Vec::new(), [0_u8; 4_096], false);
    while let Ok(count @ 1..) = reader.read(&mut bytes) {
        all.extend_from_slice(&bytes[..count]);
        if !asked && all.windows(3).any(|three| three == b"\x1b[c") {
            asked = true;
            writer.write_all(answer).unwrap();
            writer.flush().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(asked, "it asks the terminal");
    // What a person sees: the questions are no part of it.
    let mut terminal = vt100::Parser::new(60.try_into().unwrap(), 200.try_into().unwrap(), 0);
    terminal.process(&all);
    let text = terminal.screen().contents();
    let after = |word: &str| text.lines().filter_map(|line| line.split_once(word)).map(|(_, rest)| rest.trim().to_owned()).collect::<Vec<_>>();
    let modes = after("modes=");
    let code = after("code=").first().and_then(|code| code.parse().ok()).unwrap_or(99);
    Said { code, modes: (modes[0].clone(), modes[1].clone()), text }
}

#[test]
fn a_terminal_that_answers_is_believed() {
    let said = doctor(GOOD.as_bytes());
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.about("answers").contains("foot(1.16.2); after "), "{}", said.text);
    assert!(said.about("background").contains("light (#fbf7f0): theme \"auto\" is daylight"));
    assert!(said.about("updates").starts_with("ok "));
    assert!(said.about("clipboard").contains("says that it takes it"));
    assert!(said.about("characters").starts_with("ok "));
    let colour = said.about("colour");
    assert!(colour.starts_with("could be better") && colour.contains("COLORTERM=truecolor"), "{colour}");
    assert_eq!(said.modes.0, said.modes.1, "the terminal is as it was");
    assert!(!said.text.contains('漢') && !said.text.contains("62;22"), "what was asked leaves no trace: {}", said.text);
}

#[test]
fn a_terminal_that_answers_nothing_is_waited_for_once() {
    let began = std::time::Instant::now();
    let said = doctor(b"");
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.about("answers").contains("answers no question"), "{}", said.text);
    assert!(said.about("colour").contains("256"), "the environment still speaks");
    assert_eq!(said.modes.0, said.modes.1);
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "once, not for each question");
}

#[test]
fn garbage_is_no_answer_and_reaches_nobody() {
    let garbage = b"\x1b[999999999999999999999c\x1bP>|\xff\xfe\x1b\\\x1b]11;rgb:zz/zz\x07\x1b[?2026;9999\x1b]52;c;eA==\x07rm -rf /\n\x1b[31;R\x1b[";
    let said = doctor(garbage);
    assert_eq!(said.code, 0, "{}", said.text);
    let answers = said.about("answers");
    assert!(answers.starts_with("could be better") && answers.contains("are no answer"), "{}", said.text);
    assert_eq!(said.modes.0, said.modes.1);
    let after = said.text.split("code=").nth(1).unwrap();
    assert!(!after.contains("rm -rf"), "the shell gets none of it: {after}");
}

#[test]
fn tmux_says_its_settings() {
    let folder = tempfile::Builder::new().prefix("mw").tempdir_in("/tmp").unwrap();
    let (socket, out) = (folder.path().join("tmux"), folder.path().join("out"));
    let tmux = |args: &[&str]| {
        let run = Command::new("tmux").arg("-S").arg(&socket).args(["-f", "/dev/null"]).args(args).env_remove("TMUX").output();
        run.unwrap_or_else(|error| panic!("tmux cannot be run ({error}): apt-get install tmux"))
    };
    let script = format!("HOME={} '{}' doctor --json > {}; tmux wait-for -S done", folder.path().display(), env!("CARGO_BIN_EXE_midwatch"), out.display());
    let started = tmux(&["new-session", "-d", "-x", "100", "-y", "30", "cat"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    for option in [["-g", "set-clipboard", "external"], ["-g", "escape-time", "500"], ["-g", "default-terminal", "screen"]] {
        tmux(&["set-option", option[0], option[1], option[2]]);
    }
    tmux(&["set-option", "-g", "allow-passthrough", "off"]);
    tmux(&["new-window", &script]);
    tmux(&["wait-for", "done"]);
    tmux(&["kill-server"]);
    let said = std::fs::read_to_string(&out).unwrap();
    let about = |what: &str| {
        let line = said.lines().find(|line| line.contains(&format!("\"what\":\"{what}\""))).unwrap_or_else(|| panic!("nothing about {what} in {said}"));
        line.to_owned()
    };
    assert!(about("set-clipboard").contains("could-be-better") && about("set-clipboard").contains("set -g set-clipboard on"));
    assert!(about("escape-time").contains("500 ms"));
    assert!(about("passthrough").contains("allow-passthrough on"));
    assert!(about("default-term").contains("tmux-256color"));
}
