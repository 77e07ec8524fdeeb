//! `midwatch config check`: all that is wrong with files of any name.

use super::home::Home;

#[test]
fn all_mistakes_of_all_files_are_said_in_one_run() {
    let home = Home::new();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let agent = file(
        "web.conf",
        "[agent]\nnam = \"x\"\nkeepalive = \"3h\"\n[[check]]\nkind = \"lod\"\n[[check]]\nkind = \"load\"\nintervall = \"5s\"\nattempts = 0\n[[check]]\nkind = \"memory\"\n",
    );
    let keymap = file("my keys", "[global]\nj = \"donw\"\nEntr = \"open\"\n");
    let theme = file("dusk.toml", "inherits = \"daylight\"\n[scopes]\ntext = \"rde\"\n\"severity.critcal\" = \"red\"\n");
    let server = file("shop.txt", "lisen = \"x\"\n[[system]]\nid = \"a\"\n[[system]]\nid = \"a\"\n");
    let fine = file("fine", "[[check]]\nkind = \"load\"\n");
    let ran = home.run(&["config", "check", &agent, &keymap, &theme, &server, &fine]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let said: Vec<String> = ran.out.lines().map(|line| line.replace(&format!("{}/", home.path().display()), "")).collect();
    insta::assert_snapshot!("all-mistakes", said.join("\n"));
    assert!(ran.err.contains("11 mistakes in 4 files"), "{}", ran.err);
}

/// A configuration is fine when what it names can be used, too.
#[test]
fn the_files_that_a_configuration_names_are_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let folder = home.path().display().to_string();
    let put = |name: &str, text: &str, mode: u32| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let said = |file: &str| {
        let ran = home.run(&["config", "check", file]);
        (ran.code, ran.out.replace(&format!("{folder}/"), ""))
    };
    let pair = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    let (certificate, key) = (put("cert.pem", &pair.cert.pem(), 0o644), put("key.pem", &pair.signing_key.serialize_pem(), 0o640));
    let server = |certificate: &str, key: &str, more: &str| {
        put("server.toml", &format!("listen = \"127.0.0.1:0\"\n[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{more}"), 0o644)
    };
    assert_eq!(said(&server(&certificate, &key, "")).0, 0);
    let (code, words) = said(&server(&format!("{folder}/gone.pem"), &key, ""));
    assert!(code == 1 && words.contains("server.toml: tls: gone.pem: No such file"), "{words}");
    let none = put("none.key", &pair.cert.pem(), 0o640);
    assert!(said(&server(&certificate, &none, "")).1.contains("no private key"));
    let other = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    let others = put("other.pem", &other.signing_key.serialize_pem(), 0o640);
    assert!(said(&server(&certificate, &others, "")).1.contains("other.pem is not the key of cert.pem"));
    let open = put("open.pem", &pair.signing_key.serialize_pem(), 0o644);
    assert!(said(&server(&certificate, &open, "")).1.contains("chmod o-rwx"));
    let more = "[[peer]]\nname = \"customer\"\nurl = \"wss://x.example\"\nca = \"/nowhere/ca.pem\"\n[trust]\nauthorized_keys = \"/nowhere/keys\"\n";
    let (_, words) = said(&server(&certificate, &key, more));
    assert!(
        words.contains("peer customer: ca: /nowhere/ca.pem: No such file") && words.contains("trust.authorized_keys: there is no file /nowhere/keys"),
        "{words}"
    );
    let token = put("token", "s3cret\n", 0o644);
    let console = put("console.toml", &format!("key = \"/nowhere/key\"\n[servers.infra]\nurl = \"ws://127.0.0.1:1\"\ntoken_file = \"{token}\"\n"), 0o644);
    let (code, words) = said(&console);
    assert!(code == 1 && words.contains("key: there is no file /nowhere/key") && words.contains("chmod 600"), "{words}");
    put("token", "s3cret\n", 0o600);
    let agent = put("agent.toml", "[agent]\nserver = \"wss://x.example\"\nca = \"/nowhere/ca.pem\"\n[[check]]\nkind = \"load\"\n", 0o644);
    assert!(said(&agent).1.contains("agent.ca: /nowhere/ca.pem: No such file"));
}

#[test]
fn what_a_file_is_can_be_said() {
    let home = Home::new();
    let path = home.path().join("x");
    std::fs::write(&path, "name = \"shop\"\n").unwrap();
    let path = path.to_str().unwrap();
    let ran = home.run(&["config", "check", path]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("cannot tell whose configuration this is") && ran.out.contains("--as console|keymap|server|agent|theme"), "{ran:?}");
    assert!(home.ok(&["config", "check", "--as", "server", path]).contains("fine  (server)"));
    let ran = home.run(&["config", "check", "--as", "agent", path]);
    assert!(ran.out.contains(":1:1: unknown table or field `name`"), "{ran:?}");
    let ran = home.run(&["config", "check", "/nowhere/at/all.toml"]);
    assert!(ran.code == 1 && ran.out.contains("no such file"), "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_repository_is_said_with_its_place_and_the_nearest_name() {
    let home = Home::new();
    let path = home.path().join("server.toml");
    let text = "listen = \"127.0.0.1:0\"\n[[system]]\nid = \"shop/api\"\n[[repository]]\npath = \"/srv/git/shop.git\"\nsystem = \"shop/apo\"\nbranch = \"--output=x\"\n";
    std::fs::write(&path, text).unwrap();
    let ran = home.run(&["config", "check", path.to_str().unwrap()]);
    let said: Vec<String> = ran.out.lines().map(|line| line.replace(&format!("{}/", home.path().display()), "")).collect();
    assert_eq!(
        said,
        [
            "server.toml:7:1: the repository `shop`: `--output=x` cannot be a branch's name",
            "server.toml:6:1: the repository `shop`: no system `shop/apo` is declared. Did you mean `shop/api`?",
        ]
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    std::fs::write(&path, text.replace("system =", "systen =")).unwrap();
    let ran = home.run(&["config", "check", path.to_str().unwrap()]);
    assert!(ran.out.contains("server.toml:6:1: unknown field `systen`") && ran.out.contains("Did you mean `system`?"), "{ran:?}");
}
