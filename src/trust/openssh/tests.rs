//! Keys as files, made by us and by the real `ssh-keygen`, whole and hostile.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use super::*;

/// Runs `ssh-keygen` quietly; what it says on standard output.
fn keygen(args: &[&str]) -> String {
    let ran = Command::new("ssh-keygen").args(args).output().expect("ssh-keygen runs (Debian: openssh-client)");
    assert!(ran.status.success(), "ssh-keygen {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn error(path: &Path) -> String {
    KeyFile::read(path).err().expect("refused").to_string()
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_ssh_keygen_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/keys/id_ed25519");
    let (key, made) = KeyFile::load_or_create(&path, "kim@here").unwrap();
    let (again, made_again) = KeyFile::load_or_create(&path, "other").unwrap();
    assert!(made && !made_again && key.public == again.public && again.comment == "kim@here" && !again.is_guarded());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    // What people compare is what ssh says.
    let said = keygen(&["-l", "-f", path.to_str().unwrap()]);
    assert_eq!(said.trim(), format!("256 {} kim@here (ED25519)", key.public.fingerprint()));
    assert_eq!(keygen(&["-y", "-f", path.to_str().unwrap()]).trim(), format!("{} kim@here", key.public.line()));
}

#[test]
fn what_others_may_look_into_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/id_ed25519");
    KeyFile::load_or_create(&path, "kim").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let words = error(&path);
    assert!(words.contains("0640") && words.contains("chmod 600"), "{words}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let words = KeyFile::load_or_create(&path, "kim").err().unwrap().to_string();
    assert!(words.contains("0755") && words.contains("chmod 700"), "{words}");
}

#[test]
fn keys_of_other_kinds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, args, words) in [
        ("rsa", ["-t", "rsa", "-b", "2048"], "rsa"),
        ("ecdsa", ["-t", "ecdsa", "-b", "256"], "ecdsa"),
        ("pem", ["-t", "rsa", "-m", "PEM"], "not in OpenSSH's format"),
    ] {
        let path = folder.path().join(name);
        keygen(&[&args[..], &["-q", "-N", "", "-f", path.to_str().unwrap()]].concat());
        let said = error(&path);
        assert!(said.contains(words), "{name}: {said}");
    }
    let path = folder.path().join("ed");
    keygen(&["-t", "ed25519", "-q", "-N", "", "-C", "kim", "-f", path.to_str().unwrap()]);
    assert_eq!(KeyFile::read(&path).unwrap().unwrap().comment, "kim");
    let public = folder.path().join("ed.pub");
    std::fs::set_permissions(&public, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(error(&public).contains("without `.pub`"));
}

#[test]
fn hostile_files_are_refused_with_words_and_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let whole = fresh(&path, "kim").unwrap();
    // Cut anywhere.
    for length in (0..whole.len() - 1).step_by(7) {
        private(&path, whole.get(..length).unwrap());
        assert!(!error(&path).is_empty());
    }
    // Something else altogether.
    for text in ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n\u{1b}[2J\n-----END OPENSSH PRIVATE KEY-----\n"]
    {
        private(&path, text);
        assert!(!error(&path).contains('\u{1b}'));
    }
    // Larger than any key.
    private(&path, &"A".repeat(1 << 20));
    assert!(error(&path).contains("larger than 64 KiB"));
    // No file at all, and one that never ends.
    assert!(KeyFile::read(&folder.path().join("none")).unwrap().is_none());
    assert!(KeyFile::read(folder.path()).is_err());
    assert!(KeyFile::read(Path::new("/dev/zero")).is_err());
}

#[test]
fn whatever_byte_of_a_key_is_wrong_it_is_refused_or_the_same_key() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let whole = fresh(&path, "kim").unwrap();
    let key = KeyFile::parse(&path, &whole).unwrap();
    let body: String = whole.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = engine.decode(body).unwrap();
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut bent = bytes.clone();
            bent[at] ^= flip;
            let body = engine.encode(bent);
            let lines: Vec<&str> = body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", lines.join("\n"));
            if let Ok(read) = KeyFile::parse(&path, &text) {
                // The comment is nobody's promise; the two halves of the key are each other's.
                assert_eq!(read.public, key.public, "byte {at}");
                assert!(read.is_guarded() || PublicKey::from_bytes(read.signing().unwrap().verifying_key().to_bytes()) == Ok(key.public), "byte {at}");
            }
        }
    }
}

#[test]
fn a_passphrase_opens_what_it_guards_and_another_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    keygen(&["-t", "ed25519", "-q", "-a", "2", "-N", "correct horse", "-C", "kim", "-f", path.to_str().unwrap()]);
    let key = KeyFile::read(&path).unwrap().unwrap();
    assert!(key.is_guarded() && key.signer().err().unwrap().to_string().contains("a passphrase guards it"));
    assert_eq!(key.unlock(b"battery staple").unwrap(), None);
    assert_eq!(key.unlock(b"").unwrap(), None);
    assert_eq!(key.unlock(b"correct horse").unwrap().unwrap().public(), key.public);
    // The ciphers that ssh-keygen offers.
    for cipher in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-cbc"] {
        keygen(&["-p", "-q", "-a", "2", "-P", "correct horse", "-N", "correct horse", "-Z", cipher, "-f", path.to_str().unwrap()]);
        let key = KeyFile::read(&path).unwrap().unwrap();
        assert_eq!(key.unlock(b"correct horse").unwrap().unwrap().public(), key.public, "{cipher}");
    }
}

/// A file that takes a day to open, and one guarded by what nobody knows.
#[test]
fn b1_a_bomb_of_rounds_is_refused_at_once() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    keygen(&["-t", "ed25519", "-q", "-a", "2", "-N", "x", "-f", path.to_str().unwrap()]);
    let text = std::fs::read_to_string(&path).unwrap();
    let bytes = engine.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let bent = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        let mut out = bytes.clone();
        out.splice(at..at + from.len(), to.iter().copied());
        let body = engine.encode(out);
        let lines: Vec<&str> = body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        private(&path, &format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", lines.join("\n")));
    };
    let salt_and_rounds = bytes.windows(6).position(|window| window == b"bcrypt").unwrap() + 6 + 4 + 4;
    let salt: Vec<u8> = bytes[salt_and_rounds..salt_and_rounds + 16].to_vec();
    bent(&[salt.clone(), vec![0, 0, 0, 2]].concat(), &[salt, vec![0xff; 4]].concat());
    let words = KeyFile::read(&path).unwrap().unwrap().unlock(b"x").err().unwrap().to_string();
    assert!(words.contains("stretched 4294967295 times"), "{words}");
    bent(b"aes256-ctr", b"rot13--ctr");
    assert!(error(&path).contains("the cipher that guards it"), "{}", error(&path));
}
