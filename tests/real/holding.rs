//! A grant that runs out under a person's eyes: the console says what they hold, counts it down, and says what to do
//! when it has ended.

use std::path::Path;
use std::process::Command;

use super::console::Screen;
use super::servers::Serve;

fn midwatch(home: &Path, args: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_midwatch")).args(args).env("HOME", home).env_remove("XDG_CONFIG_HOME").output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_counted_down_on_the_screen_and_its_end_says_what_to_do() {
    let (operator, robin, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let serve = Serve::start(data.path()).await;
    let config = operator.path().join("console.toml");
    let table = format!(
        "accept_new = true\nname = \"kim\"\n[servers.ship]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n",
        serve.port,
        serve.folder.join("console.token").display()
    );
    std::fs::write(&config, table).unwrap();
    let config = config.to_str().unwrap();
    let invite = ["--config", config, "invite", "--json", "--role", "responder", "--systems", "shop/**", "--name", "robin", "--expires", "20s"];
    let made: serde_json::Value = serde_json::from_str(&midwatch(operator.path(), &invite)).unwrap();
    midwatch(robin.path(), &["join", made["code"].as_str().unwrap(), "--as", "ship"]);
    let told: serde_json::Value = serde_json::from_str(midwatch(robin.path(), &["servers", "--json"]).lines().next().unwrap()).unwrap();
    assert_eq!((told["holding"]["name"].as_str(), told["holding"]["role"].as_str()), (Some("robin"), Some("responder")), "{told}");
    assert_eq!(told["holding"]["words"]["may"].as_str(), Some("see and respond to alerts on shop/**"), "{told}");

    let mut screen = Screen::start(&[], robin.path());
    screen.until("what the server says", |text| text.lines().next().unwrap_or_default().contains("ship")).await;
    screen.press("0");
    screen.until("what one holds", |text| text.contains("robin, responder") && text.contains("see and respond to alerts on shop/**")).await;
    screen.until("when it ends", |text| text.contains("ends in less than a minute") || text.contains("ended 1m ago")).await;
    screen.until("that it has ended, and what to do", |text| text.contains("ended 1m ago") && text.contains("midwatch join CODE")).await;
    screen
        .until("that it is not let in any more", |text| text.contains("does not let us in") && text.lines().next().unwrap_or_default().contains("access ended"))
        .await;
    // Who invited them sees that nobody holds it any more.
    let grants = midwatch(operator.path(), &["--config", config, "grants", "--all"]);
    assert!(grants.contains("robin") && grants.contains("expired"), "{grants}");
}
