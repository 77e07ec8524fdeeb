//! Linear mode as the program: through a pipe, where no terminal is at all, and on a dumb one.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const PATIENCE: Duration = Duration::from_secs(30);

fn log(folder: &std::path::Path) -> String {
    let path = folder.join("shop.log");
    std::fs::write(&path, "2026-11-21T02:39:00Z INFO deploy 4f3a2c\n2026-11-21T02:41:00Z ERROR hit rate 12 %\n2026-11-21T02:44:00Z INFO flushed\n").unwrap();
    path.display().to_string()
}

#[test]
fn a_pipe_is_answered_line_by_line_and_ends_with_its_input() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["--linear", "open", &log(home.path())])
        .env_clear()
        .envs([("HOME", home.path().to_str().unwrap()), ("TZ", "UTC"), ("USER", "robin"), ("PATH", "/usr/bin:/bin")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"2\nfilter error\nalerts\nnosuch").unwrap();
    let late = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > late {
            child.kill().unwrap();
            panic!("it does not end: {}", String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for words in [
        "Timeline: 3 events",
        "2. ERROR ",
        "hit rate 12 %, by shop.log",
        "timeline> 2\n",
        "timeline event> filter error",
        "1 of 3 events",
        "alerts> nosuch\nthere is no command",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.ends_with('\n') && said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
}

#[test]
fn a_dumb_terminal_gets_lines_and_keeps_its_modes() {
    let home = tempfile::tempdir().unwrap();
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new("/bin/sh");
    command.args([
        "-c",
        &format!(
            "echo modes=$(stty -g); '{}' open '{}'; echo after: $?; echo modes=$(stty -g); echo end of test",
            env!("CARGO_BIN_EXE_midwatch"),
            log(home.path())
        ),
    ]);
    for (name, value) in [("TERM", "dumb"), ("HOME", home.path().to_str().unwrap()), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8")] {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut writer = pty.master.take_writer().unwrap();
    let (sender, output) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0_u8; 4096];
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            if sender.send(bytes.get(..count).unwrap().to_vec()).is_err() {
                return;
            }
        }
    });
    let mut said = String::new();
    let mut until = |what: &str| {
        let late = Instant::now() + PATIENCE;
        while !said.contains(what) {
            let left = late.saturating_duration_since(Instant::now());
            said += &String::from_utf8_lossy(&output.recv_timeout(left).unwrap_or_else(|_| panic!("no {what:?}: {said:?}")));
        }
        said.clone()
    };
    until("timeline> ");
    // What is typed is shown, once, and can be taken back.
    writer.write_all(b"12\x7f\n").unwrap();
    let said = until("timeline event> ");
    assert!(said.contains("timeline> 12\u{8} \u{8}\r\n"), "{said:?}");
    writer.write_all(b"servers\n").unwrap();
    until("servers> ");
    writer.write_all(b"quit\n").unwrap();
    let said = until("end of test");
    child.wait().unwrap();
    assert!(said.contains("after: 0") && said.contains("deploy 4f3a2c"), "{said}");
    assert!(!said.contains('\u{1b}') && said.chars().all(|c| matches!(c, '\n' | '\r' | '\u{8}') || !c.is_control()), "{said:?}");
    let modes: Vec<&str> = said.split("modes=").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
    assert!(modes.len() == 2 && modes.first() == modes.last(), "{modes:?}");
}
