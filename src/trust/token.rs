//! Tokens: what a caller on TCP shows until there are keys and grants. Loopback is not trust: other
//! users of the machine reach it too.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::private::{KeyError, read_private, write_private};

/// What a token opens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenKind {
    /// Consoles and the command line: everything.
    Console,
    /// Agents: what they observe.
    Agent,
    /// Sources that push alerts and events.
    Intake,
}

impl TokenKind {
    pub const ALL: [TokenKind; 3] = [TokenKind::Console, TokenKind::Agent, TokenKind::Intake];

    /// The file's name in a server's data folder. It holds the token and nothing else, as Prometheus'
    /// `credentials_file` wants it.
    pub const fn file(self) -> &'static str {
        match self {
            TokenKind::Console => "console.token",
            TokenKind::Agent => "agent.token",
            TokenKind::Intake => "intake.token",
        }
    }

    /// As it is called where somebody came in by it.
    pub const fn words(self) -> &'static str {
        match self {
            TokenKind::Console => "console token",
            TokenKind::Agent => "agent token",
            TokenKind::Intake => "intake token",
        }
    }
}

/// A secret word. Held as its hash: neither printed nor compared in a time that tells anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    pub fn new(text: &str) -> Token {
        Token(Sha256::digest(text.trim().as_bytes()).into())
    }

    pub fn matches(&self, text: &str) -> bool {
        self.0.ct_eq(&Token::new(text).0).into()
    }

    /// Reads a file of mode 0600, or makes one with a random token. Empty ones are refused.
    pub fn load_or_create(path: &Path) -> Result<Token, KeyError> {
        let text = match read_private(path)? {
            Some(text) => text,
            None => {
                let mut bytes = [0_u8; 24];
                getrandom::fill(&mut bytes).map_err(|error| KeyError::new(path, error, "The system has no random numbers to make a token from"))?;
                let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                write_private(path, &text)?
            }
        };
        if text.trim().len() < 16 {
            return Err(KeyError::new(path, "the token is empty or shorter than 16 characters", "Remove the file to have one made"));
        }
        Ok(Token::new(&text))
    }
}

/// Reads a token's text for showing it to a server: from a file of mode 0600.
pub fn read_token(path: &Path) -> Result<String, KeyError> {
    let text = read_private(path)?.ok_or_else(|| KeyError::new(path, "there is no such file", "Copy it from the server's data folder"))?;
    Ok(text.trim().to_owned())
}

/// What a server accepts.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    accepted: Vec<(TokenKind, Token)>,
}

impl Tokens {
    pub fn add(mut self, kind: TokenKind, token: Token) -> Tokens {
        self.accepted.push((kind, token));
        self
    }

    /// What this word opens. All are compared, so that the time says nothing.
    pub fn kind_of(&self, text: &str) -> Option<TokenKind> {
        self.accepted.iter().fold(None, |found, (kind, token)| if token.matches(text) { Some(*kind) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_open_what_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = Tokens::default();
        for kind in TokenKind::ALL {
            tokens = tokens.add(kind, Token::load_or_create(&folder.path().join(kind.file())).unwrap());
        }
        let agent = read_token(&folder.path().join("agent.token")).unwrap();
        assert_eq!(agent.len(), 48);
        assert_eq!(tokens.kind_of(&agent), Some(TokenKind::Agent));
        assert_eq!(tokens.kind_of(""), None);
        assert_eq!(tokens.kind_of(agent.get(..47).unwrap()), None);
        assert!(!format!("{tokens:?}").contains(&agent));
    }

    #[test]
    fn a_token_that_others_may_read_or_guess_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.token");
        for (text, mode, words) in
            [("", 0o600, "shorter than 16"), ("opensesame\n", 0o600, "shorter than 16"), ("0123456789abcdef\n", 0o644, "others on this machine")]
        {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let why = Token::load_or_create(&path).unwrap_err().why;
            assert!(why.contains(words), "{text}: {why}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::load_or_create(&path).unwrap().matches("0123456789abcdef"));
    }
}
