//! An agent process and a server process: what the agent saw while the server was away, and before it was
//! killed itself, is on the timeline with its own times.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use midwatch::model::event::{Event, Kind};
use midwatch::model::severity::Status;

use super::daemon::eventually;
use super::servers::Serve;

struct Agent(Option<Child>);

impl Agent {
    fn start(config: &Path, home: &Path) -> Agent {
        let child = Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .args(["agent", "--config"])
            .arg(config)
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Agent(Some(child))
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the server's log holds, as `midwatch export` gives it to anybody.
fn events(serve: &Serve) -> Result<Vec<Event>, String> {
    let config = serve.folder.join("console.toml");
    let text = format!(
        "accept_new = true\n[servers.one]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n",
        serve.port,
        serve.folder.join("console.token").display()
    );
    std::fs::write(&config, text).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["events", "--json", "--config"])
        .arg(&config)
        .env("HOME", &serve.folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let lines = String::from_utf8(out.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))).collect()
}

/// The statuses of the check, in the order in which they happened.
fn statuses(events: &[Event]) -> Vec<Status> {
    let mut found: Vec<&Event> = events.iter().filter(|event| matches!(event.kind, Kind::CheckChanged(_))).collect();
    found.sort_by_key(|event| event.order());
    found
        .iter()
        .filter_map(|event| match &event.kind {
            Kind::CheckChanged(changed) if changed.check.as_str() == "state" => Some(changed.status),
            _ => None,
        })
        .collect()
}

/// Waits until the check has run this often with this state.
async fn ran(folder: &Path, state: &str, times: usize) {
    eventually("the check has run", || async {
        let lines = std::fs::read_to_string(folder.join("ran")).unwrap_or_default();
        let count = lines.lines().filter(|line| *line == state).count();
        if count >= times { Ok(()) } else { Err(format!("{count} runs in state {state}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_saw_while_its_server_was_away_is_not_lost() {
    let (server, machine) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = machine.path();
    let mut serve = Serve::start(server.path()).await;
    std::fs::write(folder.join("state"), "0").unwrap();
    std::fs::write(folder.join("check"), "s=$(cat \"$1/state\"); echo \"$s\" >> \"$1/ran\"; echo \"state $s\"; exit \"$s\"\n").unwrap();
    let config = folder.join("agent.toml");
    let shown = folder.display();
    let text = format!(
        "[agent]\nname = \"box\"\nsystem = \"lab/box\"\nserver = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\ndata = \"{shown}/agent\"\nkeepalive = \"1s\"\ninventory = false\n\
         [[check]]\nname = \"state\"\nkind = \"plugin\"\ncommand = [\"/bin/sh\", \"{shown}/check\", \"{shown}\"]\ninterval = \"1s\"\nattempts = 1\n",
        serve.port,
        serve.folder.join("agent.token").display(),
    );
    std::fs::write(&config, text).unwrap();
    let mut agent = Agent::start(&config, folder);
    eventually("the server knows the check", || async {
        let events = events(&serve)?;
        if statuses(&events) == [Status::Ok] { Ok(()) } else { Err(format!("{:?}", statuses(&events))) }
    })
    .await;

    serve.kill();
    // It goes bad and well again while nobody listens; then the agent dies too, and begins anew in a third state.
    std::fs::write(folder.join("state"), "2").unwrap();
    ran(folder, "2", 2).await;
    let well = std::fs::read_to_string(folder.join("ran")).unwrap().lines().filter(|line| *line == "0").count();
    std::fs::write(folder.join("state"), "0").unwrap();
    ran(folder, "0", well + 2).await;
    agent.kill();
    std::fs::write(folder.join("state"), "1").unwrap();
    let mut agent = Agent::start(&config, folder);
    ran(folder, "1", 1).await;

    serve.again().await;
    let all = eventually("everything came", || async {
        let events = events(&serve)?;
        if statuses(&events).last() == Some(&Status::Warning) { Ok(events) } else { Err(format!("{:?}", statuses(&events))) }
    })
    .await;
    assert_eq!(statuses(&all), [Status::Ok, Status::Critical, Status::Ok, Status::Warning]);
    let away = all.iter().filter(|event| event.at < event.recorded).count();
    assert!(away >= 3, "they bear the times at which they happened");
    agent.kill();
}
