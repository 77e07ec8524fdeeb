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
