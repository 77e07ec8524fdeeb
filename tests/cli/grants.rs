//! `invite`, `join`, `grants`, `revoke`: from one person's home to another's, through a server that runs.

use std::net::TcpListener;
use std::process::Stdio;

use super::home::{Home, until};

/// A server on a free port of loopback, and an operator who knows it by its token.
fn served(operator: &Home) -> (String, std::process::Child) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, data) = (format!("127.0.0.1:{port}"), operator.path().join("srv").display().to_string());
    let child = operator.command(&["serve", "--listen", &listen, "--data", &data]).stderr(Stdio::null()).spawn().unwrap();
    until("the server listens", || std::net::TcpStream::connect(&listen).is_ok());
    let token = operator.path().join("srv/console.token").display().to_string();
    operator.ok(&["server", "add", "shop", &format!("ws://{listen}"), "--token-file", &token]);
    // As whoever met it would, had there been somebody to ask.
    let key = operator.ok(&["keys", "show", &operator.path().join("srv/server.key").display().to_string(), "--json"]);
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    let known = operator.path().join(".local/share/midwatch/keys/known_servers");
    std::fs::create_dir_all(known.parent().unwrap()).unwrap();
    std::fs::write(&known, format!("shop {}\n", key["public_key"].as_str().unwrap())).unwrap();
    std::fs::set_permissions(known.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::set_permissions(&known, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    (listen, child)
}

fn code(operator: &Home, args: &[&str]) -> String {
    let args: Vec<&str> = ["invite", "--json"].into_iter().chain(args.iter().copied()).collect();
    let made: serde_json::Value = serde_json::from_str(&operator.ok(&args)).unwrap();
    made["code"].as_str().unwrap().to_owned()
}

#[test]
fn an_invite_leads_from_a_code_to_a_grant_and_to_its_end() {
    let (operator, robin) = (Home::new(), Home::new());
    let (listen, mut server) = served(&operator);
    let refused = operator.run(&["invite", "--role", "respnder", "--systems", "shop/**"]);
    assert!(refused.code == 1 && refused.err.contains("did you mean `responder`?"), "{refused:?}");
    let refused = operator.run(&["invite", "--role", "reader", "--systems", "sh*p"]);
    assert!(refused.code == 2 && refused.err.contains("names no systems"), "{refused:?}");
    let code = code(&operator, &["--role", "responder", "--systems", "shop/**,lab", "--expires", "8h", "--name", "robin"]);
    let bent = robin.run(&["join", &format!("{code}a")]);
    assert!(bent.code == 2 && bent.err.contains("cut short or mistyped"), "{bent:?}");
    let joined: serde_json::Value = serde_json::from_str(&robin.ok(&["join", &code, "--as", "work", "--json"])).unwrap();
    assert_eq!((joined["name"].as_str(), joined["role"].as_str(), joined["server"].as_str()), (Some("robin"), Some("responder"), Some("work")));
    let config = std::fs::read_to_string(robin.path().join(".config/midwatch/console.toml")).unwrap();
    assert!(config.contains("[servers.work]") && config.contains(&listen), "{config}");
    let known = std::fs::read_to_string(robin.path().join(".local/share/midwatch/keys/known_servers")).unwrap();
    assert!(known.starts_with("work ssh-ed25519 "), "the key of the code is the one that is remembered: {known}");
    // Again: it was redeemed by this very key.
    robin.ok(&["join", &code, "--as", "work"]);
    let thief = Home::new();
    let late = thief.run(&["join", &code]);
    assert!(late.code == 1 && late.err.contains("used already"), "{late:?}");
    assert!(!thief.path().join(".config/midwatch/console.toml").exists(), "nothing is set up that was not let in");

    robin.ok(&["note", "system", "shop", "four bells"]);
    let refused = robin.run(&["note", "system", "vault", "four bells"]);
    assert!(refused.code == 1 && refused.err.contains("what you may do here is: read, respond on lab, shop/**"), "{refused:?}");
    assert_eq!(robin.run(&["invite", "--role", "reader", "--systems", "shop"]).code, 1);
    let own: serde_json::Value = serde_json::from_str(robin.ok(&["grants", "--json"]).lines().next().unwrap()).unwrap();
    assert_eq!((own["state"].as_str(), own["name"].as_str()), (Some("valid"), Some("robin")));
    let told = operator.ok(&["events", "kind:trust.*"]);
    for kind in ["trust.invited", "trust.granted", "trust.admitted", "trust.refused"] {
        assert!(told.contains(kind), "{kind}: {told}");
    }

    let token = robin.ok(&["grants", "token"]);
    let less = robin.ok(&["grants", "narrow", token.trim(), "--systems", "shop", "--rights", "read", "--expires", "1h"]);
    assert!(token.starts_with("mwt1.") && less.starts_with("mwt1.") && less != token);

    assert!(operator.ok(&["revoke", "robin", "--why", "the laptop was lost"]).contains("revoked"));
    let out = robin.run(&["systems"]);
    assert!(out.code == 3 && out.err.contains("was revoked, or is over"), "{out:?}");
    assert!(operator.ok(&["grants", "--all"]).contains("revoked"));
    assert_eq!(operator.run(&["revoke", "robin"]).code, 1, "there is none any more");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_code_for_an_agent_or_a_peer_sets_that_up_and_leaves_the_rest_of_the_file_alone() {
    let (operator, machine) = (Home::new(), Home::new());
    let (listen, mut server) = served(&operator);
    let agent = machine.path().join("agent.toml");
    std::fs::write(&agent, "# mine\n[agent]\nname = \"web-1\"   # here\nsystem = \"shop/web-1\"\n[[check]]\nkind = \"load\"\n").unwrap();
    let for_agent = code(&operator, &["--role", "agent", "--systems", "shop/**", "--name", "web-1"]);
    machine.ok(&["join", &for_agent, "--config", agent.to_str().unwrap()]);
    let text = std::fs::read_to_string(&agent).unwrap();
    assert!(text.starts_with("# mine\n[agent]\nname = \"web-1\"   # here\n") && text.contains(&format!("server = \"ws://{listen}\"")), "{text}");
    let peer = machine.path().join("server.toml");
    std::fs::write(&peer, format!("name = \"branch\"\ndata = \"{}\"\n", machine.path().join("data").display())).unwrap();
    let for_peer = code(&operator, &["--role", "peer", "--systems", "shop/**"]);
    machine.ok(&["join", &for_peer, "--config", peer.to_str().unwrap(), "--as", "shop"]);
    let text = std::fs::read_to_string(&peer).unwrap();
    assert!(text.contains("[[peer]]\nname = \"shop\"\n") && text.contains(&listen), "{text}");
    assert!(machine.ok(&["config", "check", peer.to_str().unwrap()]).len() < 10_000, "and the file is still right");
    let grants = operator.ok(&["grants"]);
    assert!(grants.contains("web-1") && grants.contains("branch"), "{grants}");
    server.kill().unwrap();
    server.wait().unwrap();
}
