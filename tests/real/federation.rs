//! Three server processes in a chain, each killed between two instructions and back again, and a console of
//! the first: what any of them acknowledged is seen there, once; what is asked there is done where it belongs.

use std::sync::Arc;
use std::time::Instant;

use midwatch::client::servers::Wishes;
use midwatch::client::{Replica, ServerIndex, Servers, Update};
use midwatch::link::Clock;
use midwatch::link::{OsRandom, Random, SystemClock};
use midwatch::model::event::{Actor, Event};
use midwatch::model::id::{Origin, RequestId};
use midwatch::model::intent::{Intent, Request};
use midwatch::trust::ServerKey;
use midwatch::wire::Outcome;

use super::daemon::PATIENCE;
use super::servers::Serve;

fn key(server: &Serve) -> ServerKey {
    ServerKey::load(&server.folder.join("server.key")).unwrap().unwrap()
}

/// `server` lets `peer` in, and `peer` receives from it.
fn join(server: &Serve, peer: &Serve, name: &str, called: &str) {
    let line = format!("peer=\"{name}\",rights=\"read,respond,federate,speak-for\" {}\n", key(peer).public().unwrap().line());
    std::fs::write(server.folder.join("authorized_keys"), line).unwrap();
    let config = format!("name = \"{name}\"\n[[peer]]\nname = \"{called}\"\nurl = \"ws://127.0.0.1:{}\"\n", server.port);
    std::fs::write(peer.config_file(), config).unwrap();
}

struct Glass {
    servers: Servers,
    replicas: Vec<Replica>,
    events: Vec<Vec<Arc<Event>>>,
    answers: Vec<(RequestId, Outcome)>,
}

impl Glass {
    fn at(server: &Serve) -> Glass {
        let wishes = Wishes { name: "kim".into(), history: 1_000, filter: None, vitals: false, presence: false, peers: true };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let servers = Servers::connect(&[server.config("a")], &wishes, &random).unwrap();
        Glass { servers, replicas: Vec::new(), events: Vec::new(), answers: Vec::new() }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Glass) -> bool) {
        let began = Instant::now();
        while !so(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok(Some((ServerIndex(index), update))) = tokio::time::timeout(left, self.servers.updates.recv()).await else {
                panic!("not so within {PATIENCE:?}: {what}: {:?}", self.replicas.iter().map(|replica| (&replica.why, &replica.peers)).collect::<Vec<_>>())
            };
            while self.replicas.len() <= index {
                self.replicas.push(Replica::default());
                self.events.push(Vec::new());
            }
            self.replicas[index].apply(&update);
            match &update {
                Update::Snapshot { events, .. } => {
                    let known = self.events[index].last().map(|event| event.id.sequence);
                    let new = events.iter().filter(|event| known.is_none_or(|known| event.id.sequence > known));
                    let new: Vec<_> = new.cloned().collect();
                    self.events[index].extend(new);
                }
                Update::Events { events, .. } => self.events[index].extend(events.iter().cloned()),
                Update::Answered { request, outcome } => self.answers.push((*request, outcome.clone())),
                _ => {}
            }
        }
    }

    fn place(&self, origin: Origin) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.world.as_ref().is_some_and(|world| world.origin == origin))
    }

    fn titles(&self, origin: Origin) -> Vec<String> {
        let Some(place) = self.place(origin) else { return Vec::new() };
        self.events[place].iter().filter(|event| event.kind.name() == "test.pushed").map(|event| event.title.to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_in_a_chain_are_killed_in_turn_and_nothing_that_was_kept_is_lost_on_the_way() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // Once, for their keys.
    let mut nodes = Vec::new();
    for folder in &folders {
        nodes.push(Serve::start(folder.path()).await);
    }
    join(&nodes[1], &nodes[0], "a", "b");
    join(&nodes[2], &nodes[1], "b", "c");
    std::fs::write(nodes[2].config_file(), "name = \"c\"\n").unwrap();
    for node in &mut nodes {
        node.kill();
        node.again().await;
    }
    let origin = key(&nodes[2]).origin();
    let mut glass = Glass::at(&nodes[0]);
    glass.until("the third server's world came through the second", |glass| glass.place(origin).is_some()).await;
    let mut kept = Vec::new();
    for round in 0..3 {
        for number in 0..5 {
            let title = format!("round {round}, {number}");
            if nodes[2].push(&title).await {
                kept.push(title);
            }
        }
        // One of them is gone while more comes, unless it is the one that takes it.
        nodes[round].kill();
        for number in 5..10 {
            let title = format!("round {round}, {number}");
            if round != 2 && nodes[2].push(&title).await {
                kept.push(title);
            }
        }
        nodes[round].again().await;
        let many = kept.len();
        glass.until("all that was kept came", |glass| glass.titles(origin).len() >= many).await;
        assert_eq!(glass.titles(origin), kept, "once, in order, after round {round}");
    }
    assert_eq!(kept.len(), 25);
    let intent = Intent::NoteSystem { system: "shop".parse().unwrap(), text: "from two hops away".into() };
    let request = Request { id: OsRandom.request_id(), by: "kim".into(), made: SystemClock.now(), intent, signed: None };
    let place = glass.place(origin).unwrap();
    drop(glass.servers.handle.request(ServerIndex(place), request.clone()).unwrap());
    glass.until("it was answered", |glass| glass.answers.iter().any(|(id, _)| *id == request.id)).await;
    assert!(matches!(&glass.answers[0].1, Outcome::Done(events) if events.len() == 1), "{:?}", glass.answers);
    glass.until("and came as an event", |glass| glass.events[place].iter().any(|event| event.request == Some(request.id))).await;
    let event = glass.events[place].iter().find(|event| event.request == Some(request.id)).unwrap();
    assert_eq!(event.actor, Actor::User("kim@a@b".into()));
    // The command line tells the same.
    let config = nodes[0].folder.join("console.toml");
    std::fs::write(
        &config,
        format!(
            "accept_new = true\n[servers.a]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n",
            nodes[0].port,
            nodes[0].folder.join("console.token").display()
        ),
    )
    .unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .arg("--config")
        .arg(&config)
        .arg("servers")
        .env("HOME", &nodes[0].folder)
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("b through a") && said.contains("c through b, then a"), "{said}");
}
