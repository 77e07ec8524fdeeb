//! An invite's code: one word that survives chats and mails, and says all that joining takes: where the
//! server is, its key, and a secret that opens it once.
//!
//! `mw1`, then in base32 (RFC 4648, small letters): whom it is for (a byte), the secret (16), the server's
//! public key (32), its addresses (each with its length before it), and the first four bytes of the SHA-256
//! of all that. Capital letters, spaces and line breaks within it do no harm.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::public::PublicKey;
use crate::model::grant::Who;
use crate::model::id::GrantId;

const MARK: &str = "mw1";
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Addresses in a code, and bytes of one.
const ADDRESSES: usize = 4;
const LONGEST: usize = 200;
/// Characters of a code: nobody types more.
const MOST: usize = 2_000;

/// What a code says.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    pub who: Who,
    secret: [u8; 16],
    /// The server's: what answers at its addresses must prove this one.
    pub server: PublicKey,
    pub addresses: Vec<String>,
}

/// What is wrong with a code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoCode {
    #[error("this is no invite's code: one begins with `mw1`")]
    Other,
    #[error("this code is cut short or mistyped: copy all of it, in one piece")]
    Damaged,
    #[error("this code is of a later version of midwatch")]
    Later,
}

impl InviteCode {
    /// A new one. `None`: the system has no random numbers.
    pub fn new(who: Who, server: PublicKey, addresses: &[String]) -> Option<InviteCode> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).ok()?;
        Some(InviteCode::with(secret, who, server, addresses))
    }

    fn with(secret: [u8; 16], who: Who, server: PublicKey, addresses: &[String]) -> InviteCode {
        let fits = |address: &&String| !address.is_empty() && address.len() <= LONGEST;
        InviteCode { who, secret, server, addresses: addresses.iter().filter(fits).take(ADDRESSES).cloned().collect() }
    }

    /// What the log calls the invite: the secret does not follow from it.
    pub fn id(&self) -> GrantId {
        GrantId::of_code(&self.secret)
    }

    /// What is shown to the server, once it has proved its key.
    pub fn secret(&self) -> String {
        GrantId(self.secret).to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        let who = match self.who {
            Who::Person => 1,
            Who::Agent => 2,
            Who::Peer => 3,
        };
        let mut out = vec![who];
        out.extend(self.secret);
        out.extend(self.server.bytes());
        for address in &self.addresses {
            out.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
            out.extend(address.as_bytes());
        }
        out
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest([b"midwatch code 1\0", bytes].concat());
    let mut out = [0; 4];
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    out
}

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.bytes();
        bytes.extend(checksum(&bytes));
        f.write_str(MARK)?;
        let (mut held, mut bits) = (0_u32, 0_u32);
        let letter = |five: u32| usize::try_from(five & 31).ok().and_then(|five| LETTERS.get(five)).map_or('a', |letter| char::from(*letter));
        for byte in bytes {
            held = held << 8 | u32::from(byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                write!(f, "{}", letter(held >> bits))?;
            }
            held &= (1 << bits) - 1;
        }
        if bits > 0 {
            write!(f, "{}", letter(held << (5 - bits)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteCode({}, {} …)", self.who, self.server)
    }
}

impl FromStr for InviteCode {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<InviteCode, NoCode> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).take(MOST + 1).flat_map(char::to_lowercase).collect();
        if text.len() > MOST {
            return Err(NoCode::Other);
        }
        let Some(rest) = text.strip_prefix(MARK) else {
            let later = text.strip_prefix("mw").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            return Err(if later { NoCode::Later } else { NoCode::Other });
        };
        let bytes = unpacked(rest).ok_or(NoCode::Damaged)?;
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or(NoCode::Damaged)?;
        if checksum(bytes) != *sum {
            return Err(NoCode::Damaged);
        }
        read(bytes).ok_or(NoCode::Damaged)
    }
}

/// Exactly what was packed: no other text makes the same bytes.
fn unpacked(text: &str) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut out) = (0_u32, 0_u32, Vec::new());
    for byte in text.bytes() {
        let five = LETTERS.iter().position(|letter| *letter == byte)?;
        held = held << 5 | u32::try_from(five).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 5 && held == 0).then_some(out)
}

fn read(bytes: &[u8]) -> Option<InviteCode> {
    let (who, rest) = bytes.split_first()?;
    let who = match who {
        1 => Who::Person,
        2 => Who::Agent,
        3 => Who::Peer,
        _ => return None,
    };
    let (secret, rest) = rest.split_first_chunk::<16>()?;
    let (server, mut rest) = rest.split_first_chunk::<32>()?;
    let mut addresses = Vec::new();
    while let Some((length, more)) = rest.split_first() {
        let (address, more) = more.split_at_checked(usize::from(*length))?;
        addresses.push(std::str::from_utf8(address).ok()?.to_owned());
        rest = more;
    }
    let code = InviteCode::with(*secret, who, PublicKey::from_bytes(*server).ok()?, &addresses);
    (code.addresses == addresses).then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::signer::Signer;
    use super::*;

    fn code(addresses: &[&str]) -> InviteCode {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        InviteCode::with([7; 16], Who::Agent, Signer::from_seed([9; 32]).public(), &addresses)
    }

    #[test]
    fn a_code_is_one_word_and_is_read_however_it_was_wrapped() {
        let code = code(&["wss://ops.example.org:7373", "ws://127.0.0.1:7373"]);
        let text = code.to_string();
        assert!(text.starts_with("mw1") && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{text}");
        let wrapped: String = text.to_uppercase().chars().enumerate().flat_map(|(n, c)| if n % 40 == 39 { vec![c, '\n', ' '] } else { vec![c] }).collect();
        assert_eq!((text.parse::<InviteCode>(), wrapped.parse::<InviteCode>()), (Ok(code.clone()), Ok(code.clone())));
        assert!(!format!("{code:?}").contains(&code.secret()), "it is not printed by accident");
        assert!(!text.contains(&code.id().to_string()));
    }

    #[test]
    fn what_is_no_code_says_so() {
        let text = code(&["a:1"]).to_string();
        assert_eq!("hello".parse::<InviteCode>(), Err(NoCode::Other));
        assert_eq!("mw2abc".parse::<InviteCode>(), Err(NoCode::Later));
        assert_eq!("mw1".parse::<InviteCode>(), Err(NoCode::Damaged));
        for cut in 4..text.len() {
            assert_eq!(text.get(..cut).unwrap().parse::<InviteCode>(), Err(NoCode::Damaged), "{cut}");
        }
    }

    #[test]
    fn a4_a_code_with_any_letter_changed_is_none() {
        let text = code(&["wss://ops.example.org:7373"]).to_string();
        for place in 3..text.len() {
            for letter in LETTERS.iter().map(|letter| char::from(*letter)) {
                let mut bent: Vec<char> = text.chars().collect();
                if std::mem::replace(&mut bent[place], letter) != letter {
                    assert_eq!(bent.into_iter().collect::<String>().parse::<InviteCode>(), Err(NoCode::Damaged), "{place} {letter}");
                }
            }
        }
    }

    /// Made of other bytes than a code is made of, with the sum that goes with them; and of other letters for the same.
    #[test]
    fn a4_what_no_server_would_write_is_no_code() {
        let by_hand = |addresses: Vec<String>| InviteCode { addresses, ..code(&[]) }.to_string().parse::<InviteCode>();
        assert!(by_hand(vec!["a:1".into(); ADDRESSES]).is_ok());
        for addresses in [vec!["a:1".into(); ADDRESSES + 1], vec![String::new()], vec!["a".repeat(LONGEST + 1)]] {
            assert_eq!(by_hand(addresses.clone()), Err(NoCode::Damaged), "{addresses:?}");
        }
        for length in 1..=5 {
            let text = code(&[&"a".repeat(length)]).to_string();
            let (start, last) = text.split_at(text.len() - 1);
            for letter in LETTERS.iter().map(|letter| char::from(*letter)).filter(|letter| !last.starts_with(*letter)) {
                assert_eq!(format!("{start}{letter}").parse::<InviteCode>(), Err(NoCode::Damaged), "{length} {letter}");
            }
        }
        assert_eq!(format!("mw1{}", "a".repeat(MOST)).parse::<InviteCode>(), Err(NoCode::Other), "nobody typed that");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(mw1)?[a-z2-7A-Z \n]{0,300}") {
            if let Ok(code) = text.parse::<InviteCode>() {
                prop_assert_eq!(code.to_string().parse::<InviteCode>(), Ok(code));
            }
        }
    }
}
