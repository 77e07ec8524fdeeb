//! The servers whose keys are known, one line each, as ssh's `known_hosts` has them:
//! `NAME ssh-ed25519 AAAA…`. A server is pinned when it is first met and somebody, or the configuration, says that
//! this is right; from then on it is this key.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::private::{KeyError, private_folder, read_own};
use super::public::PublicKey;

/// The file, and nothing of it in memory: other consoles write it too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownServers {
    path: PathBuf,
    /// Who is not known is not spoken to until somebody has said that the key is right.
    asks: bool,
}

/// What is known of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub key: PublicKey,
    /// Where it stands in the file, from 1.
    pub line: usize,
}

impl KnownServers {
    pub fn at(path: impl Into<PathBuf>) -> KnownServers {
        KnownServers { path: path.into(), asks: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A server that is not known is not remembered by itself: somebody is asked first, as ssh asks.
    pub fn asking(self) -> KnownServers {
        KnownServers { asks: true, ..self }
    }

    pub fn asks(&self) -> bool {
        self.asks
    }

    /// What is known of this server. A line of its that cannot be read is an error: it is not as if there
    /// were none.
    pub fn find(&self, name: &str) -> Result<Option<Known>, KeyError> {
        let text = read_own(&self.path)?.unwrap_or_default();
        let mut found: Option<Known> = None;
        for (number, rest) in lines_of(&text, name) {
            let bad = |why: String| KeyError::new(&self.path, format!("line {number}: {why}"), "Correct the line, or take it out");
            let (key, _) = PublicKey::read(rest).map_err(|why| bad(why.to_string()))?;
            match found {
                Some(known) if known.key != key => return Err(bad(format!("another key of {name} than on line {}", known.line))),
                Some(_) => {}
                None => found = Some(Known { key, line: number }),
            }
        }
        Ok(found)
    }

    /// Pins a server that was not known. Should another console have pinned it meanwhile, with another
    /// key, that is an error.
    pub fn remember(&self, name: &str, key: &PublicKey) -> Result<(), KeyError> {
        let _alone = self.lock()?;
        match self.find(name)? {
            Some(known) if known.key == *key => Ok(()),
            Some(known) => Err(KeyError::new(&self.path, format!("line {}: {name} is known by another key since a moment ago", known.line), "Try again")),
            None => {
                let mut text = read_own(&self.path)?.unwrap_or_default();
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&format!("{name} {}\n", key.line()));
                self.write(&text)
            }
        }
    }

    /// Takes a server's lines out. False: there were none.
    pub fn forget(&self, name: &str) -> Result<bool, KeyError> {
        if !self.path.exists() {
            return Ok(false);
        }
        let _alone = self.lock()?;
        let text = read_own(&self.path)?.unwrap_or_default();
        let own: Vec<usize> = lines_of(&text, name).map(|(number, _)| number).collect();
        if own.is_empty() {
            return Ok(false);
        }
        let kept: String = text.lines().enumerate().filter(|(place, _)| !own.contains(&(place + 1))).map(|(_, line)| format!("{line}\n")).collect();
        self.write(&kept).map(|()| true)
    }

    fn failed(&self, error: &io::Error) -> KeyError {
        KeyError::new(&self.path, error, "The folder must be writable, and have room")
    }

    /// Consoles that write at the same time do it one after the other.
    fn lock(&self) -> Result<fs::File, KeyError> {
        if let Some(folder) = self.path.parent() {
            private_folder(folder)?;
        }
        let path = self.path.with_extension("lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(|error| self.failed(&error))?;
        file.lock().map_err(|error| self.failed(&error))?;
        Ok(file)
    }

    /// Beside it first, then in its place: whoever reads finds the old or the new, whole.
    fn write(&self, text: &str) -> Result<(), KeyError> {
        let beside = self.path.with_extension("new");
        let _ = fs::remove_file(&beside);
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        });
        written.map_err(|error| self.failed(&error))
    }
}

/// The lines of one server: their numbers from 1, and what follows the name.
fn lines_of<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().filter_map(move |(place, line)| {
        let (of, rest) = line.trim().split_once(char::is_whitespace)?;
        (of == name).then_some((place + 1, rest.trim()))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::signer::Signer;
    use super::*;

    fn key(seed: u8) -> PublicKey {
        Signer::from_seed([seed; 32]).public()
    }

    #[test]
    fn a_server_is_remembered_and_can_be_forgotten_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("keys/known_servers"));
        assert_eq!(known.find("shop"), Ok(None));
        known.remember("shop", &key(1)).unwrap();
        known.remember("shop-2", &key(2)).unwrap();
        known.remember("shop", &key(1)).unwrap();
        assert_eq!(known.find("shop"), Ok(Some(Known { key: key(1), line: 1 })));
        assert!(known.remember("shop", &key(3)).unwrap_err().to_string().contains("line 1"));
        assert_eq!(fs::metadata(known.path()).unwrap().mode() & 0o777, 0o600);
        let text = format!("# mine\n{}nonsense\n", fs::read_to_string(known.path()).unwrap());
        fs::write(known.path(), text).unwrap();
        assert_eq!(known.forget("shop"), Ok(true));
        assert_eq!(known.forget("shop"), Ok(false));
        assert_eq!(fs::read_to_string(known.path()).unwrap(), format!("# mine\nshop-2 {}\nnonsense\n", key(2).line()));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_as_if_there_were_none() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("known_servers"));
        for text in ["shop ssh-ed25519 AAAA\n".to_owned(), "shop ssh-rsa AAAA\n".into(), format!("shop {}\nshop {}\n", key(1).line(), key(2).line())] {
            fs::write(known.path(), &text).unwrap();
            let words = known.find("shop").unwrap_err().to_string();
            assert!(words.contains("line "), "{words}");
            assert_eq!(known.find("infra"), Ok(None), "others' lines are their own affair");
        }
        fs::write(known.path(), "").unwrap();
        fs::set_permissions(known.path(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(known.find("shop").unwrap_err().to_string().contains("others on this machine may write it"));
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("keys/known_servers"));
        std::thread::scope(|threads| {
            for seed in 1..=16 {
                let known = &known;
                threads.spawn(move || known.remember(&format!("s{seed}"), &key(seed)).unwrap());
            }
        });
        assert!((1..=16).all(|seed| known.find(&format!("s{seed}")).unwrap().unwrap().key == key(seed)));
    }
}
