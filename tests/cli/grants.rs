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
    let again = robin.ok(&["join", &code, "--as", "work"]);
    assert!(again.starts_with("This code was redeemed before, by this very key") && again.contains("You are robin"), "{again}");
    assert_eq!(operator.ok(&["events", "--kind", "trust.refused", "--count"]).trim(), "0", "nobody tried anything");
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
    let known = std::fs::read_to_string(machine.path().join("data/peers/known_servers")).unwrap();
    assert!(known.starts_with("shop ssh-ed25519 "), "`serve` finds the key of the code, and believes no other: {known}");
    let grants = operator.ok(&["grants"]);
    assert!(grants.contains("web-1") && grants.contains("branch"), "{grants}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A further home of the same person, which knows the server as the first one does.
fn another_machine(first: &Home) -> Home {
    let home = Home::new();
    for (file, mode) in [(".config/midwatch/console.toml", 0o600), (".local/share/midwatch/keys/known_servers", 0o600)] {
        let path = home.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::set_permissions(path.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::copy(first.path().join(file), &path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    home
}

fn public(home: &Home) -> (String, String) {
    let shown: serde_json::Value = serde_json::from_str(&home.ok(&["keys", "show", "--json"])).unwrap();
    (shown["public_key"].as_str().unwrap().to_owned(), shown["fingerprint"].as_str().unwrap().to_owned())
}

#[test]
fn a_person_adds_a_key_loses_one_and_stays_who_they_are() {
    let (operator, laptop) = (Home::new(), Home::new());
    let (_, mut server) = served(&operator);
    let code = code(&operator, &["--role", "responder", "--systems", "shop/**", "--name", "robin", "--expires", "8h"]);
    laptop.ok(&["join", &code, "--as", "shop"]);
    let phone = another_machine(&laptop);
    let ((_, of_laptop), (line, of_phone)) = (public(&laptop), public(&phone));
    assert_eq!(phone.run(&["systems"]).code, 3, "nobody knows it yet");
    let file = laptop.path().join("phone.pub");
    std::fs::write(&file, format!("{line} robin@phone\n")).unwrap();
    let told = laptop.ok(&["keys", "add", file.to_str().unwrap()]);
    assert!(told.contains("robin may come by the key") && told.contains(&of_phone) && told.contains("read, respond on shop/**, until "), "{told}");
    let again = laptop.run(&["keys", "add", &line]);
    assert!(again.code == 1 && again.err.contains("is robin's here already"), "{again:?}");
    phone.ok(&["note", "system", "shop", "from the phone"]);
    let shown = phone.ok(&["grants", "show", "robin"]);
    for words in [&of_laptop, &of_phone, "vouched for it", "the grant was made for it", "read, respond on shop/**"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // The laptop is lost.
    let gone = phone.ok(&["keys", "remove", &of_laptop, "--why", "lost on the train"]);
    assert!(gone.contains("is robin's no more at shop") && gone.contains(&of_phone) && !gone.contains("Look: "), "{gone}");
    let out = laptop.run(&["systems"]);
    assert!(out.code == 3 && out.err.contains("your key was taken from robin"), "{out:?}");
    let only = phone.run(&["keys", "remove", &of_phone]);
    assert!(only.code == 1 && only.err.contains("the only key of robin"), "{only:?}");
    // Then the phone: there is no other key of theirs, and the operator says whose the new one is.
    let (new, of_new) = public(&another_machine(&laptop));
    let refused = phone.run(&["keys", "replace", "robin", "ssh-ed25519 AAAA"]);
    assert!(refused.code == 2 && refused.err.contains("no Ed25519 key"), "{refused:?}");
    let put = operator.ok(&["keys", "replace", "robin", &new]);
    assert!(put.contains(&of_phone) && put.contains(&of_new) && put.contains("robin is the same person by it"), "{put}");
    assert_eq!(phone.run(&["systems"]).code, 3);
    let taken = operator.run(&["invite", "--role", "reader", "--systems", "**", "--name", "robin"]);
    assert!(taken.code == 1 && taken.err.contains("--for"), "{taken:?}");
    operator.ok(&["invite", "--role", "reader", "--systems", "**", "--for", "robin"]);
    let told = operator.ok(&["events", "--kind", "trust.*"]);
    for words in [
        "trust.used",
        "trust.key-added",
        "trust.key-removed",
        "robin: note, by the key",
        "from 127.0.0.1",
        "robin has a further key",
        "trust.invited, by the console token",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let shown: serde_json::Value = serde_json::from_str(&operator.ok(&["grants", "show", "robin", "--json"])).unwrap();
    assert_eq!((shown["keys"][0]["fingerprint"].as_str(), shown["lost_keys"].as_array().map(Vec::len)), (Some(of_new.as_str()), Some(2)));
    server.kill().unwrap();
    server.wait().unwrap();
}
