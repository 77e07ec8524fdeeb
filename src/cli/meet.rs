//! First contact: a server that is not known shows its key, and a person says whether that is the right one, as
//! ssh asks it. It is asked before a screen is taken or anything is told the server, so that the console, its
//! linear mode and commands ask alike. Where nobody can be asked, the server is not spoken to.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use super::{Failure, output};
use crate::client::{ServerConfig, meet};
use crate::trust::PublicKey;

/// How long a server that is not known may take to show its key. Who is silent is met another time.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks about every server that is met for the first time.
pub fn all(configs: &[ServerConfig]) -> Result<(), Failure> {
    let is_new = |config: &&ServerConfig| {
        let proving = config.proving.as_deref().filter(|proving| proving.known.asks());
        // What is wrong with the file is said when it is used.
        proving.is_some_and(|proving| matches!(proving.known.find(&proving.server), Ok(None)))
    };
    let new: Vec<&ServerConfig> = configs.iter().filter(is_new).collect();
    if new.is_empty() || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let shown = shown(&new)?;
    for (config, key) in new.into_iter().zip(shown) {
        let (Some(key), Some(proving)) = (key, &config.proving) else { continue };
        if ask(&proving.server, &words(config), &key)? {
            proving.known.remember(&proving.server, &key).map_err(|error| Failure::failed(error.to_string(), ""))?;
            output::tell(&format!("The key of {} is remembered in {}.", proving.server, proving.known.path().display()));
        } else {
            output::tell(&format!("{} is not spoken to.", proving.server));
        }
    }
    Ok(())
}

/// The keys that they prove, all asked at the same time. Whoever calls may run within a runtime of their own.
fn shown(new: &[&ServerConfig]) -> Result<Vec<Option<PublicKey>>, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?");
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(runtime.block_on(futures_util::future::join_all(new.iter().map(|config| meet(config, PATIENCE)))))
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|_| Err(Failure::failed("the servers could not be met", ""))))
}

fn words(config: &ServerConfig) -> String {
    config.address.to_string()
}

fn ask(name: &str, address: &str, key: &PublicKey) -> Result<bool, Failure> {
    let at = if name == address { String::new() } else { format!(" ({address})") };
    output::tell(&format!("The server {name}{at} is met for the first time. Its key is\n  {key}\n  {}", key.words().join(" ")));
    output::tell("`midwatch keys show` with its server.key says there which one is right. Is it this one (yes, no, or the fingerprint)?");
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(Failure::failed(format!("what you say cannot be read: {error}"), "")),
            None => return Ok(false),
        };
        match answer(&line, key) {
            Some(Answer::Yes) => return Ok(true),
            Some(Answer::No) => return Ok(false),
            Some(Answer::Other) => {
                output::tell("That is another key: this is not the server that you mean, or somebody stands between.");
                return Ok(false);
            }
            None => output::tell("Please type yes, no, or the fingerprint (SHA256:…):"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Yes,
    No,
    /// The fingerprint, or the words, of another key.
    Other,
}

/// A lone `y` is typed too easily: as ssh has it, the word is meant.
fn answer(line: &str, key: &PublicKey) -> Option<Answer> {
    let line = line.trim();
    let own = key.fingerprint();
    let words = line.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match line.to_lowercase().as_str() {
        "yes" => Some(Answer::Yes),
        "no" | "n" => Some(Answer::No),
        _ if line == own || Some(line) == own.strip_prefix("SHA256:") || words == key.words() => Some(Answer::Yes),
        _ if line.starts_with("SHA256:") || line.len() == own.len() - "SHA256:".len() || words.len() == key.words().len() => Some(Answer::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Signer;

    #[test]
    fn yes_the_fingerprint_and_the_words_are_right_and_others_are_not() {
        let key = Signer::from_seed([7; 32]).public();
        let other = Signer::from_seed([8; 32]).public();
        for right in [
            "yes",
            " YES ",
            &key.fingerprint(),
            key.fingerprint().trim_start_matches("SHA256:"),
            &key.words().join(" "),
            &key.words().join("  ").to_uppercase(),
        ] {
            assert_eq!(answer(right, &key), Some(Answer::Yes), "{right}");
        }
        for wrong in [&*other.fingerprint(), other.fingerprint().trim_start_matches("SHA256:"), &other.words().join(" "), &key.fingerprint().to_lowercase()] {
            assert_eq!(answer(wrong, &key), Some(Answer::Other).filter(|_| !wrong.starts_with("sha256")), "{wrong}");
        }
        assert_eq!((answer("no", &key), answer("n", &key)), (Some(Answer::No), Some(Answer::No)));
        for unclear in ["", "y", "ye", "yes please", "SHA25"] {
            assert_eq!(answer(unclear, &key), None, "{unclear}");
        }
    }
}
