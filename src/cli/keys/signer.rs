//! The key with which a person proves who they are: unguarded, by their ssh-agent, or by its passphrase.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::super::settings::{Settings, home};
use super::super::{Context, Failure};
use super::show::{comment, failed};
use crate::trust::{KeyFile, PublicKey, Signer, ssh_agent};

/// How long an ssh-agent may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// `key` in `console.toml`, else the one that midwatch makes.
pub fn signer(context: &Context, settings: &Settings) -> Result<Arc<Signer>, Failure> {
    let named = settings.key.as_deref().map(home);
    let key = match &named {
        Some(path) if path.extension().is_some_and(|end| end == "pub") => {
            let (public, _) = PublicKey::load(path).map_err(failed)?.ok_or_else(|| missing(path))?;
            let hint = format!("Say `ssh-add {}`, or name the private key as `key`", path.with_extension("").display());
            return match held(&public)? {
                Some(signer) => Ok(Arc::new(signer)),
                None => Err(Failure::failed(format!("no ssh-agent holds the key {}", path.display()), hint)),
            };
        }
        Some(path) => KeyFile::read(path).map_err(failed)?.ok_or_else(|| missing(path))?,
        None => KeyFile::load_or_create(&context.places.person_key(), &comment(&settings.person())).map_err(failed)?.0,
    };
    if !key.is_guarded() {
        return key.signer().map(Arc::new).map_err(failed);
    }
    // An agent that is gone, or does not answer, is as good as none: the passphrase serves.
    match held(&key.public) {
        Ok(Some(signer)) => Ok(Arc::new(signer)),
        Ok(None) | Err(_) => ask(&key).map(Arc::new),
    }
}

fn missing(path: &Path) -> Failure {
    Failure::failed(format!("there is no key {}", path.display()), "`key` in console.toml names it; `ssh-keygen -t ed25519` makes one")
}

/// The person's ssh-agent, if there is one and it holds this key.
fn held(key: &PublicKey) -> Result<Option<Signer>, Failure> {
    let Some(socket) = ssh_agent::socket() else { return Ok(None) };
    let holds = ssh_agent::holds(&socket, key, PATIENCE).map_err(|error| Failure::failed(error.to_string(), "Is SSH_AUTH_SOCK right?"))?;
    Ok(holds.then(|| Signer::agent(*key, socket)))
}

/// Asks for the passphrase on the terminal.
fn ask(key: &KeyFile) -> Result<Signer, Failure> {
    let hint = format!("`ssh-add {}` lets an ssh-agent hold it", key.path.display());
    let mut terminal =
        File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
            Failure::failed(format!("a passphrase guards the key {}, and there is no terminal to ask for it", key.path.display()), hint.clone())
        })?;
    for _ in 0..TRIES {
        let prompt = crate::model::clean::clean_line(&format!("Passphrase for {}: ", key.path.display())).into_owned();
        let passphrase = without_echo(&mut terminal, &prompt).ok_or_else(|| Failure::failed("no passphrase was given", hint.clone()))?;
        if let Some(signer) = key.unlock(&passphrase).map_err(failed)? {
            return Ok(signer);
        }
        let _ = terminal.write_all(b"That is not it.\n");
    }
    Err(Failure::failed(format!("that was not the passphrase of {}", key.path.display()), hint))
}

/// Longer than any that a person types.
const LONGEST: usize = 1_024;

/// A line that is typed and not shown. `None`: given up, by Ctrl-C, Ctrl-D or a terminal that is gone.
fn without_echo(terminal: &mut File, prompt: &str) -> Option<Vec<u8>> {
    let before: Termios = tcgetattr(&*terminal).ok()?;
    let mut quiet = before.clone();
    // Signals as bytes too: Ctrl-C must not leave the terminal mute.
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    tcsetattr(&*terminal, OptionalActions::Flush, &quiet).ok()?;
    let typed = terminal.write_all(prompt.as_bytes()).ok().and_then(|()| line(terminal));
    let _ = tcsetattr(&*terminal, OptionalActions::Flush, &before);
    let _ = terminal.write_all(b"\n");
    typed
}

fn line(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut byte = [0];
    loop {
        match from.read(&mut byte) {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return None,
        }
        match byte {
            [b'\r' | b'\n'] => return Some(out),
            [3 | 4] => return None,
            [8 | 127] => {
                // A character may have several bytes.
                while out.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            [21] => out.clear(),
            [other] if out.len() < LONGEST => out.push(other),
            [_] => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_typed_with_corrections_and_can_be_given_up() {
        let typed = |text: &str| line(&mut text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(typed("horsé\u{7f}e\r").as_deref(), Some("horse"));
        assert_eq!(typed("wrong\u{15}right\n").as_deref(), Some("right"));
        assert_eq!(typed("ab\u{3}"), None);
        assert_eq!(typed("ab\u{4}"), None);
        assert_eq!(typed("ab"), None, "the terminal is gone");
        assert_eq!(typed(&format!("{}\n", "a".repeat(5_000))).map(|text| text.len()), Some(1_024));
    }
}
