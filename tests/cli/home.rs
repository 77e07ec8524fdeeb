//! A home folder of a test's own, with a server in it when one is wanted.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub struct Home {
    folder: tempfile::TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Home {
        // Short: a socket's path has 108 bytes at most.
        Home { folder: tempfile::Builder::new().prefix("mw").tempdir_in("/tmp").unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the embedded server keeps its data.
    pub fn embedded(&self) -> PathBuf {
        self.path().join(".local/share/midwatch/embedded")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(args).env_clear().env("HOME", self.path()).env("USER", "robin").env("LANG", "C.UTF-8").env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        Ran { code: status.code().unwrap_or(-1), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
    }

    /// It must end well.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// A server on the embedded one's socket, with nothing that watches this machine.
    pub fn serve(&self) -> Serving {
        let socket = self.embedded().join("server.sock");
        let listen = format!("unix:{}", socket.display());
        let data = self.embedded().display().to_string();
        let child = self.command(&["serve", "--listen", &listen, "--data", &data]).stderr(Stdio::piped()).spawn().unwrap();
        let serving = Serving { child: Some(child) };
        until("the server listens", || UnixStream::connect(&socket).is_ok());
        serving
    }
}

/// Ends when it is dropped, if not before.
pub struct Serving {
    child: Option<Child>,
}

impl Serving {
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it in order.
    pub fn stop(mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), rustix::process::Signal::TERM);
        assert!(child.wait().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Waits for a fact, not for time to pass.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
