//! `midwatch keys show`: who one is, as ssh would say it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use super::home::{Home, until};

/// What `ssh-keygen -l` says of a file.
fn fingerprint(path: &std::path::Path) -> String {
    let ran = Command::new("ssh-keygen").arg("-lf").arg(path).output().expect("ssh-keygen runs (Debian: openssh-client)");
    String::from_utf8(ran.stdout).unwrap().split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_persons_key_is_made_when_it_is_first_wanted_and_stays() {
    let home = Home::new();
    let path = home.path().join(".local/share/midwatch/keys/id_ed25519");
    let first = home.ok(&["keys", "show"]);
    assert!(first.contains("made just now") && first.contains("robin@"), "{first}");
    assert!(first.contains(&fingerprint(&path)), "as ssh-keygen says it: {first}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let again: serde_json::Value = serde_json::from_str(&home.ok(&["keys", "show", "--json"])).unwrap();
    assert_eq!((again["made"].as_bool(), again["passphrase"].as_bool()), (Some(false), Some(false)));
    assert_eq!(again["words"].as_str().unwrap().split(' ').count(), 16);
    assert!(first.contains(again["public_key"].as_str().unwrap()));
    // Nothing of it is secret.
    assert!(!first.contains("PRIVATE"));
}

#[test]
fn a_key_with_a_passphrase_shows_its_public_half() {
    let home = Home::new();
    home.ok(&["keys", "show"]);
    let path = home.path().join(".local/share/midwatch/keys/id_ed25519");
    let ran = Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "correct horse", "-f"]).arg(&path).output().expect("Debian: openssh-client");
    assert!(ran.status.success(), "{ran:?}");
    let shown: serde_json::Value = serde_json::from_str(&home.ok(&["keys", "show", "--json"])).unwrap();
    assert_eq!(shown["passphrase"].as_bool(), Some(true));
    assert_eq!(shown["fingerprint"].as_str(), Some(fingerprint(&path).as_str()));
}

#[test]
fn a_servers_key_is_shown_whatever_its_age() {
    let home = Home::new();
    let serving = home.serve();
    let path = home.embedded().join("server.key");
    until("the key is there", || path.exists());
    drop(serving);
    assert!(home.ok(&["keys", "show", path.to_str().unwrap()]).contains(&fingerprint(&path)), "new ones are in OpenSSH's format");
    std::fs::write(&path, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n").unwrap();
    let shown = home.ok(&["keys", "show", path.to_str().unwrap()]);
    assert!(shown.contains("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"), "{shown}");
}

#[test]
fn t8_a_hostile_comment_and_a_readable_key_do_no_harm() {
    let home = Home::new();
    let path = home.path().join("key");
    let escapes = "kim\u{1b}]0;owned\u{7}\u{1b}[2J";
    let ran = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", escapes, "-f"]).arg(&path).output().expect("Debian: openssh-client");
    assert!(ran.status.success(), "{ran:?}");
    for file in ["key", "key.pub"] {
        let shown = home.ok(&["keys", "show", home.path().join(file).to_str().unwrap()]);
        assert!(shown.contains("kim") && !shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.run(&["keys", "show", path.to_str().unwrap()]);
    assert!(ran.code == 1 && ran.err.contains("0644") && ran.err.contains("chmod 600"), "{ran:?}");
    let ran = home.run(&["keys", "show", "/nowhere/key"]);
    assert!(ran.code == 1 && ran.err.contains("there is no file /nowhere/key"), "{ran:?}");
}

#[test]
fn a_qr_code_is_drawn_where_half_blocks_are_and_said_to_be_impossible_elsewhere() {
    let home = Home::new();
    let drawn = home.ok(&["keys", "show", "--qr"]);
    assert!(drawn.lines().filter(|line| line.contains('█')).count() >= 20 && !drawn.contains('\u{1b}'), "{drawn}");
    let ran = home.command(&["keys", "show", "--qr"]).env("LANG", "C").output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.contains("not UTF-8: compare the words") && said.is_ascii(), "{said}");
}

/// A server on TCP, of this home, with a data folder of its own.
struct Tcp {
    child: std::process::Child,
    port: u16,
    data: std::path::PathBuf,
}

impl Tcp {
    fn start(home: &Home, name: &str, port: Option<u16>) -> Tcp {
        let data = home.path().join(name);
        let port = port.unwrap_or_else(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let listen = format!("127.0.0.1:{port}");
        let child = home.command(&["serve", "--listen", &listen, "--data", data.to_str().unwrap()]).stderr(std::process::Stdio::null()).spawn().unwrap();
        let tcp = Tcp { child, port, data };
        until("the server listens", || std::net::TcpStream::connect(&listen).is_ok());
        tcp
    }

    /// Lets this line in, on top of the others.
    fn authorize(&self, line: &str) {
        let path = self.data.join("authorized_keys");
        let others = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, format!("{others}{line}\n")).unwrap();
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line that `keys show` prints for the operator.
fn line(home: &Home) -> String {
    home.ok(&["keys", "show"]).lines().find(|line| line.starts_with("ssh-ed25519 ")).unwrap().to_owned()
}

#[test]
fn a_person_is_known_by_their_key_and_a_server_by_its_own() {
    let home = Home::new();
    let server = Tcp::start(&home, "shop", None);
    home.ok(&["server", "add", "shop", &format!("ws://127.0.0.1:{}", server.port)]);
    // Nobody can be asked whether this is the server: it is not spoken to, and what to do is said.
    let note = ["note", "system", "unmapped", "four bells"];
    let ran = home.run(&note);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("met for the first time") && ran.err.contains(&fingerprint(&server.data.join("server.key"))), "{ran:?}");
    let known = ran.err.split_once("add this line to ").and_then(|(_, rest)| rest.split_once(": `"));
    let (file, rest) = known.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(!std::path::Path::new(file).exists(), "nothing is remembered by itself");
    std::fs::write(file, rest.split('`').next().unwrap()).unwrap();
    // Nobody knows us yet, and we are told what to do about it.
    let ran = home.run(&note);
    assert!(ran.code != 0 && ran.err.contains("authorized_keys") && ran.err.contains("midwatch keys show"), "{ran:?}");
    server.authorize(&format!("name=\"Robin Lee\" {}", line(&home)));
    assert!(home.ok(&["servers"]).contains("answers"));
    home.ok(&["change", "--system", "shop", "deploy 4f3a2c"]);
    let events = home.ok(&["events", "--json"]);
    let change = events.lines().find(|line| line.contains("deploy 4f3a2c")).unwrap();
    assert!(change.contains("Robin Lee") && !change.contains("\"robin\""), "{change}");
    // The same place, another key.
    let port = server.port;
    drop(server);
    let other = Tcp::start(&home, "impostor", Some(port));
    other.authorize(&line(&home));
    let ran = home.run(&["servers"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("THE KEY OF shop HAS CHANGED") && ran.err.contains("known_servers:1"), "{ran:?}");
    assert!(ran.err.contains(&fingerprint(&other.data.join("server.key"))), "{ran:?}");
    home.ok(&["keys", "forget", "shop"]);
    assert!(home.run(&["servers"]).err.contains("met for the first time"));
    let config = home.path().join(".config/midwatch/console.toml");
    std::fs::write(&config, "accept_new = true\n".to_owned() + &std::fs::read_to_string(&config).unwrap()).unwrap();
    assert!(home.ok(&["servers"]).contains("answers"));
    assert_eq!(home.run(&["keys", "forget", "infra"]).code, 1);
}

/// A key with a passphrase, which nobody is there to type.
fn guarded(home: &Home) -> std::path::PathBuf {
    let path = home.path().join("id");
    let ran = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-a", "2", "-N", "correct horse", "-C", "robin", "-f"]).arg(&path).output();
    assert!(ran.expect("ssh-keygen runs (Debian: openssh-client)").status.success());
    let config = home.path().join(".config/midwatch");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("console.toml"), format!("key = \"{}\"\n", path.display())).unwrap();
    path
}

#[test]
fn an_ssh_agent_signs_for_a_key_that_a_passphrase_guards() {
    let home = Home::new();
    let path = guarded(&home);
    let server = Tcp::start(&home, "shop", None);
    server.authorize(&std::fs::read_to_string(path.with_extension("pub")).unwrap());
    let address = format!("127.0.0.1:{}", server.port);
    // The key that the configuration names is the one that is shown.
    assert!(home.ok(&["keys", "show"]).contains(&fingerprint(&path)));
    let ran = home.run(&["servers", "--server", &address]);
    assert!(ran.code == 1 && ran.err.contains("no terminal to ask for it") && ran.err.contains("ssh-add"), "{ran:?}");
    // An agent, and the key in it; ssh-add asks a program for the passphrase.
    let socket = home.path().join("agent");
    let agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()).spawn();
    let mut agent = agent.expect("ssh-agent runs (Debian: openssh-client)");
    until("the agent listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let ask = home.path().join("ask");
    std::fs::write(&ask, "#!/bin/sh\necho 'correct horse'\n").unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o700)).unwrap();
    let added =
        Command::new("ssh-add").arg("-q").arg(&path).env("SSH_AUTH_SOCK", &socket).env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force").status();
    assert!(added.expect("ssh-add").success());
    let asked = |args: &[&str]| home.command(args).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    let config = home.path().join(".config/midwatch/console.toml");
    std::fs::write(&config, "accept_new = true\n".to_owned() + &std::fs::read_to_string(&config).unwrap()).unwrap();
    let ran = asked(&["servers", "--server", &address]);
    assert!(ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("answers"), "{ran:?}");
    // The public half alone is enough to say which key is meant.
    std::fs::write(home.path().join(".config/midwatch/console.toml"), format!("accept_new = true\nkey = \"{}\"\n", path.with_extension("pub").display()))
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(asked(&["servers", "--server", &address]).status.success());
    let _ = agent.kill();
    let _ = agent.wait();
}

#[test]
fn a_passphrase_and_who_the_server_is_are_asked_on_the_terminal() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    use std::io::{Read, Write};
    let home = Home::new();
    let path = guarded(&home);
    let server = Tcp::start(&home, "shop", None);
    server.authorize(&std::fs::read_to_string(path.with_extension("pub")).unwrap());
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 120, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
    command.args(["servers", "--server", &format!("127.0.0.1:{}", server.port)]);
    command.env_clear();
    for (name, value) in [("HOME", home.path().to_str().unwrap()), ("USER", "robin"), ("TERM", "xterm"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")] {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let (mut reader, shown) = (pty.master.try_clone_reader().unwrap(), seen.clone());
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    let mut writer = pty.master.take_writer().unwrap();
    let says = |words: &str| seen.lock().unwrap().contains(words);
    until("it asks", || says("Passphrase for "));
    writer.write_all(b"battery staple\r").unwrap();
    until("it says that this is not it", || says("That is not it."));
    until("it asks again", || seen.lock().unwrap().matches("Passphrase for ").count() == 2);
    writer.write_all(b"correct horse\r").unwrap();
    // Then who the server is, in ssh's way: a lone y is not meant, the fingerprint is an answer.
    let right = fingerprint(&server.data.join("server.key"));
    until("it shows the server's key", || says("is met for the first time") && says(&right));
    writer.write_all(b"y\r").unwrap();
    until("it asks again", || says("Please type yes, no, or the fingerprint"));
    writer.write_all(format!("{right}\r").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{}", seen.lock().unwrap());
    reading.join().unwrap();
    let shown = seen.lock().unwrap().clone();
    assert!(shown.contains("answers") && !shown.contains("horse") && !shown.contains("staple"), "{shown}");
}
