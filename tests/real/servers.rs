//! Two server processes and a console's side of them: one is killed between two instructions, and comes
//! back. What it had acknowledged is there, once; what the console held stays, with its age.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch::client::servers::Wishes;
use midwatch::client::{Address, Replica, ServerConfig, ServerIndex, Servers, Update};
use midwatch::link::{OsRandom, Random};
use midwatch::model::event::Event;
use midwatch::model::id::Sequence;

use super::daemon::{PATIENCE, client, eventually, free_port};

/// A `midwatch serve`, ended with SIGKILL.
pub struct Serve {
    child: Option<Child>,
    pub port: u16,
    pub folder: PathBuf,
}

impl Serve {
    pub async fn start(folder: &Path) -> Serve {
        let mut serve = Serve { child: None, port: free_port(), folder: folder.to_owned() };
        serve.again().await;
        serve
    }

    /// Where its configuration stands, once there is one.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("server.toml")
    }

    pub async fn again(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        if self.config_file().exists() {
            command.arg("--config").arg(self.config_file());
        }
        let child = command
            .args(["serve", "--listen", &listen, "--data"])
            .arg(&self.folder)
            .env("HOME", &self.folder)
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let http = client();
        eventually("the server is ready", || async {
            http.get(format!("http://{listen}/readyz")).send().await.map_err(|error| error.to_string())?.error_for_status().map_err(|error| error.to_string())
        })
        .await;
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn token(&self, of: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("{of}.token"))).unwrap().trim().to_owned()
    }

    pub fn config(&self, name: &str) -> ServerConfig {
        ServerConfig { token: Some(self.token("console").into()), ..ServerConfig::new(name, Address::Tcp(format!("127.0.0.1:{}", self.port))) }
    }

    /// Pushes one event; true when the server says that it is kept.
    pub async fn push(&self, title: &str) -> bool {
        let body = format!(r#"{{"title":"{title}","system":"shop","kind":"test.pushed"}}"#);
        let request = client().post(format!("http://127.0.0.1:{}/api/v1/events", self.port)).bearer_auth(self.token("intake")).body(body);
        request.send().await.is_ok_and(|response| response.status().is_success())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a console holds of its servers: worlds, and the events as they came.
struct Console {
    servers: Servers,
    replicas: Vec<Replica>,
    events: Vec<Vec<Arc<Event>>>,
}

impl Console {
    fn of(configs: &[ServerConfig]) -> Console {
        let wishes = Wishes { name: "kim".into(), history: 1_000, filter: None, vitals: false, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let servers = Servers::connect(configs, &wishes, &random).unwrap();
        Console { servers, replicas: vec![Replica::default(); configs.len()], events: vec![Vec::new(); configs.len()] }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Console) -> bool) -> Duration {
        let began = Instant::now();
        while !so(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok(Some((ServerIndex(index), update))) = tokio::time::timeout(left, self.servers.updates.recv()).await else {
                panic!("not so within {PATIENCE:?}: {what}")
            };
            self.replicas[index].apply(&update);
            match &update {
                Update::Snapshot { events, .. } => self.events[index] = events.clone(),
                Update::Events { events, .. } => self.events[index].extend(events.iter().cloned()),
                _ => {}
            }
        }
        began.elapsed()
    }

    fn titles(&self, index: usize) -> Vec<&str> {
        self.events[index].iter().filter(|event| event.kind.name() == "test.pushed").map(|event| &*event.title).collect()
    }

    fn head(&self, index: usize) -> Option<Sequence> {
        self.replicas[index].world.as_ref().map(|world| world.head)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_missed_within_its_deadline_and_caught_up_with_without_loss() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut first, second) = (Serve::start(one.path()).await, Serve::start(two.path()).await);
    let mut console = Console::of(&[first.config("one"), second.config("two")]);
    console.until("both servers answer", |console| console.head(0).is_some() && console.head(1).is_some()).await;

    let mut kept: Vec<String> = Vec::new();
    for number in 0..20 {
        let title = format!("before {number}");
        if first.push(&title).await {
            kept.push(title);
        }
    }
    let many = kept.len();
    console.until("all that was pushed came", |console| console.titles(0).len() == many).await;
    let head = console.head(0);

    first.kill();
    let noticed = console.until("the console misses the server", |console| !console.replicas[0].connected).await;
    assert!(noticed < Duration::from_secs(5), "{noticed:?}");
    assert_eq!(console.head(0), head, "what was known stays");
    let heard = console.replicas[0].fresh.unwrap();
    assert!(heard.age(Instant::now() + Duration::from_secs(60)) >= Duration::from_secs(60), "its age grows");
    assert!(second.push("meanwhile").await);
    console.until("the other server goes on", |console| console.titles(1) == ["meanwhile"]).await;

    first.again().await;
    // Some of it before the console is back, some after.
    for number in 0..20 {
        let title = format!("after {number}");
        if first.push(&title).await {
            kept.push(title);
        }
    }
    console.until("the console has caught up", |console| console.titles(0).len() >= kept.len()).await;
    assert_eq!(console.titles(0), kept, "everything that was acknowledged, once, in order");
}
