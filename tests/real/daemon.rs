//! Programs that run beside a test: started on free loopback ports with configurations of the test's
//! own, waited for by asking them, and ended when they are dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take here before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs until this is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program of a Debian package, and waits until `ready` answers with success.
    pub async fn start(program: &str, package: &str, folder: &Path, arguments: &[String], ready: &str) -> Daemon {
        Daemon::run(program, command(program, package), folder, arguments, ready).await
    }

    /// The same of any command; its log bears the name.
    pub async fn run(program: &str, mut command: Command, folder: &Path, arguments: &[String], ready: &str) -> Daemon {
        let log = folder.join(format!("{program}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let child = command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut daemon = Daemon { child, log };
        let http = client();
        let began = Instant::now();
        while !http.get(ready).send().await.is_ok_and(|response| response.status().is_success()) {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended: {ended:?}\n{}", std::fs::read_to_string(&daemon.log).unwrap());
            assert!(began.elapsed() < PATIENCE, "{program} is not ready at {ready}\n{}", std::fs::read_to_string(&daemon.log).unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of a Debian package; says which one when it is missing.
pub fn command(program: &str, package: &str) -> Command {
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join(program)).find(|path| path.exists());
    Command::new(path.unwrap_or_else(|| panic!("{program} is missing: install Debian's package {package}")))
}

/// A port of loopback that was free just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

/// Asks until the answer is there; fails with what was last seen.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) => assert!(began.elapsed() < PATIENCE, "{what}: still not so: {seen}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
