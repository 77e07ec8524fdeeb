//! Debian's `monitoring-plugins-basic`, run as the agent runs them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use midwatch::agent::check::plugin::{Plugin, run};
use midwatch::agent::check::{Context, Outcome};
use midwatch::link::SystemClock;
use midwatch::model::severity::Status;

const FOLDER: &str = "/usr/lib/nagios/plugins";

async fn ran(command: &[&str]) -> Outcome {
    let (name, arguments) = command.split_first().unwrap();
    let program = format!("{FOLDER}/{name}");
    assert!(Path::new(&program).exists(), "{program} is missing: install monitoring-plugins-basic");
    let command = std::iter::once(program).chain(arguments.iter().map(|&a| a.to_owned())).collect();
    let context = Context { clock: Arc::new(SystemClock), limit: Duration::from_secs(20), memory: None };
    run(&Plugin { command, env: BTreeMap::new() }, &context).await
}

fn names(outcome: &Outcome) -> Vec<&str> {
    outcome.metrics.iter().map(|m| &*m.name).collect()
}

#[tokio::test]
async fn check_dummy_gives_each_of_the_four() {
    for (code, status) in [("0", Status::Ok), ("1", Status::Warning), ("2", Status::Critical), ("3", Status::Unknown)] {
        let outcome = ran(&["check_dummy", code, "so it is"]).await;
        assert_eq!(outcome.status, status);
        assert!(outcome.text.ends_with(": so it is"), "{}", outcome.text);
    }
    // A code that is none is refused by the plugin itself, as unknown.
    assert_eq!(ran(&["check_dummy", "9"]).await.status, Status::Unknown);
}

#[tokio::test]
async fn check_load_has_three_numbers() {
    let outcome = ran(&["check_load", "-w", "900,800,700", "-c", "1000,1000,1000"]).await;
    assert_eq!(outcome.status, Status::Ok, "{outcome:?}");
    assert_eq!(names(&outcome), ["load1", "load5", "load15"]);
    assert_eq!(&*outcome.metrics[0].warning, "900.000");
}

#[tokio::test]
async fn check_disk_tells_of_the_root_and_of_a_folder_that_is_none() {
    let outcome = ran(&["check_disk", "-w", "0%", "-c", "0%", "-p", "/"]).await;
    assert_eq!(outcome.status, Status::Ok, "{outcome:?}");
    assert!(outcome.metrics.iter().any(|m| &*m.name == "/" && m.value > 0.0), "{outcome:?}");
    let outcome = ran(&["check_disk", "-w", "0%", "-c", "0%", "-p", "/no/such/folder"]).await;
    assert!(!outcome.status.is_ok() && outcome.text.contains("/no/such/folder"), "{outcome:?}");
}

#[tokio::test]
async fn check_tcp_meets_an_open_and_a_closed_port() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let outcome = ran(&["check_tcp", "-H", "127.0.0.1", "-p", &port]).await;
    assert_eq!((outcome.status, names(&outcome)), (Status::Ok, vec!["time"]), "{outcome:?}");
    assert_eq!(&*outcome.metrics[0].unit, "s");
    drop(listener);
    assert_eq!(ran(&["check_tcp", "-H", "127.0.0.1", "-p", &port]).await.status, Status::Critical);
}

#[tokio::test]
async fn check_procs_counts_this_process() {
    let outcome = ran(&["check_procs", "-w", "1:1000000", "-c", "1:1000000"]).await;
    assert_eq!((outcome.status, names(&outcome)), (Status::Ok, vec!["procs"]), "{outcome:?}");
}

#[tokio::test]
async fn a_plugin_called_wrongly_prints_its_usage_and_is_unknown() {
    let outcome = ran(&["check_load", "--no-such-option"]).await;
    assert_eq!(outcome.status, Status::Unknown);
    assert!(!outcome.text.is_empty());
}
