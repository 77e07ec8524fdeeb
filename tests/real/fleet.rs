//! Processes of midwatch: servers with TLS, agents, people; started, killed with SIGKILL, started again. When a test
//! fails, the ends of their logs are said with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use midwatch::model::id::Origin;
use midwatch::trust::ServerKey;
use serde_json::Value;

use super::daemon::{eventually, free_port};

/// Lines of a log that are said when a test fails.
const LAST: usize = 25;

/// One that runs until it is killed.
pub struct Program {
    name: String,
    home: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

fn midwatch(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
    command.env("HOME", home).env("TZ", "UTC").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "MIDWATCH_LOG"] {
        command.env_remove(name);
    }
    command
}

impl Program {
    pub fn new(name: &str, home: &Path, arguments: &[&str]) -> Program {
        Program { name: name.into(), home: home.into(), arguments: arguments.iter().map(ToString::to_string).collect(), child: None }
    }

    fn log(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// What it said in all of its lives.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let child = midwatch(&self.home).args(&self.arguments).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
    }

    /// Between two instructions.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Ok(Some(ended)) = child.try_wait() {
                assert!(std::thread::panicking(), "{} had ended by itself: {ended}", self.name);
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("-- {}, at the end --\n{}", self.name, lines[lines.len().saturating_sub(LAST)..].join("\n"));
        }
    }
}

/// Runs a command to its end: what it said, and whether that ended well.
pub fn ran(home: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = midwatch(home).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr))) }
}

pub fn ok(home: &Path, arguments: &[&str]) -> String {
    ran(home, arguments).unwrap_or_else(|why| panic!("{why}"))
}

/// A server with TLS by its own key, and somebody on its machine who may do everything there.
pub struct Node {
    pub name: &'static str,
    pub folder: PathBuf,
    pub port: u16,
    pub program: Program,
}

impl Node {
    pub async fn start(name: &'static str, folder: &Path) -> Node {
        let (port, shown) = (free_port(), folder.display());
        let config = format!(
            "name = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\ndata = \"{shown}/data\"\n[tls]\n\
             [roles.peer]\nfor = \"peer\"\nrights = [\"read\", \"respond\", \"federate\", \"speak-for\"]\n"
        );
        std::fs::write(folder.join("server.toml"), config).unwrap();
        let operator = format!("accept_new = true\n[servers.{name}]\nurl = \"wss://127.0.0.1:{port}\"\ntoken_file = \"{shown}/data/console.token\"\n");
        std::fs::write(folder.join("operator.toml"), operator).unwrap();
        let program = Program::new(&format!("server-{name}"), folder, &["--config", &format!("{shown}/server.toml"), "serve"]);
        let mut node = Node { name, folder: folder.into(), port, program };
        node.again().await;
        node
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn origin(&self) -> Origin {
        ServerKey::load(&self.data().join("server.key")).unwrap().unwrap().origin()
    }

    pub async fn again(&mut self) {
        self.program.start();
        let (certificate, port) = (self.data().join("server.crt"), self.port);
        eventually(&format!("server {} is ready", self.name), || async {
            let http = trusting(&certificate).map_err(|error| error.to_string())?;
            let answer = http.get(format!("https://127.0.0.1:{port}/readyz")).send().await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    pub fn operator(&self, arguments: &[&str]) -> Result<String, String> {
        let config = self.folder.join("operator.toml").display().to_string();
        ran(&self.folder, &[&["--config", &config], arguments].concat())
    }

    /// A code that lets somebody in, who reaches the server by this port.
    pub fn invites(&self, role: &str, systems: &str, name: &str, port: u16) -> String {
        let address = format!("wss://127.0.0.1:{port}");
        let made = self.operator(&["invite", "--role", role, "--systems", systems, "--name", name, "--address", &address, "--json"]);
        let made: Value = serde_json::from_str(&made.unwrap_or_else(|why| panic!("{why}"))).unwrap();
        made["code"].as_str().unwrap().to_owned()
    }

    /// This server becomes a peer of `other`, which it reaches by this port; from its next start on.
    pub fn receives(&self, other: &Node, port: u16) {
        let code = other.invites("peer", "**", self.name, port);
        let config = self.folder.join("server.toml").display().to_string();
        ok(&self.folder, &["join", &code, "--config", &config, "--as", other.name]);
    }

    /// Who pushes, from another thread too.
    pub fn pusher(&self) -> Pusher {
        let token = std::fs::read_to_string(self.data().join("intake.token")).unwrap().trim().to_owned();
        Pusher { http: trusting(&self.data().join("server.crt")).unwrap(), token, base: format!("https://127.0.0.1:{}", self.port) }
    }
}

fn trusting(certificate: &Path) -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(certificate)?)?;
    let patience = std::time::Duration::from_secs(5);
    Ok(reqwest::Client::builder().no_proxy().timeout(patience).tls_certs_only([certificate]).build()?)
}

pub struct Pusher {
    http: reqwest::Client,
    token: String,
    base: String,
}

impl Pusher {
    /// Whether the server says that it is kept.
    pub async fn event(&self, system: &str, title: &str) -> Result<(), String> {
        let body = format!(r#"{{"title":"{title}","system":"{system}","kind":"test.pushed"}}"#);
        self.send("/api/v1/events", body).await
    }

    pub async fn alert(&self, system: &str, summary: &str) -> Result<(), String> {
        let body = format!(r#"[{{"labels":{{"alertname":"Test","system":"{system}","severity":"critical"}},"annotations":{{"summary":"{summary}"}}}}]"#);
        self.send("/api/v2/alerts", body).await
    }

    async fn send(&self, path: &str, body: String) -> Result<(), String> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).header("content-type", "application/json").body(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        answer.error_for_status().map(drop).map_err(|error| error.to_string())
    }
}

/// An agent with one check, whose state the test writes.
pub struct Watch {
    pub folder: PathBuf,
    pub program: Program,
    /// The states that it has been in, oldest first.
    pub states: Vec<u8>,
}

impl Watch {
    /// Tells `to`, which it reaches by this port, of the system `lab/NAME`.
    pub fn start(name: &str, folder: &Path, to: &Node, port: u16) -> Watch {
        let (shown, config) = (folder.display(), folder.join("agent.toml").display().to_string());
        std::fs::write(folder.join("state"), "0").unwrap();
        std::fs::write(folder.join("check"), "s=$(cat \"$1/state\"); echo \"$s\" >> \"$1/ran\"; echo \"state $s\"; exit \"$s\"\n").unwrap();
        let text = format!(
            "[agent]\nname = \"{name}\"\nsystem = \"lab/{name}\"\ndata = \"{shown}/agent\"\nkeepalive = \"1s\"\ninventory = false\n\
             [[check]]\nname = \"state\"\nkind = \"plugin\"\ncommand = [\"/bin/sh\", \"{shown}/check\", \"{shown}\"]\ninterval = \"1s\"\nattempts = 1\n"
        );
        std::fs::write(&config, text).unwrap();
        let code = to.invites("agent", &format!("lab/{name}"), name, port);
        ok(folder, &["join", &code, "--config", &config]);
        let mut program = Program::new(&format!("agent-{name}"), folder, &["--config", &config, "agent"]);
        program.start();
        Watch { folder: folder.into(), program, states: vec![0] }
    }

    /// From now on the check is in this state; waits until the agent has seen it twice, and so has kept it once.
    pub async fn turns(&mut self, state: u8) {
        let seen = || std::fs::read_to_string(self.folder.join("ran")).unwrap_or_default().lines().filter(|line| *line == state.to_string()).count();
        let before = seen();
        std::fs::write(self.folder.join("state.new"), state.to_string()).unwrap();
        std::fs::rename(self.folder.join("state.new"), self.folder.join("state")).unwrap();
        self.states.push(state);
        eventually("the check has run", async || {
            let now = seen();
            if now >= before + 2 { Ok(()) } else { Err(format!("{now} runs in state {state}, {before} before")) }
        })
        .await;
    }
}
