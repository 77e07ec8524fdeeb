//! Who somebody is: the handshake, lines of authorized keys, invites' codes, requests that were signed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use midwatch::model::grant::Who;
use midwatch::model::id::{Origin, RequestId};
use midwatch::model::intent::{Intent, Request, Signed};
use midwatch::model::time::Time;
use midwatch::trust::handshake::{self, Binding, Client, Server};
use midwatch::trust::{AuthorizedKeys, InviteCode, ServerKey, Signer, verb};
use midwatch::wire::Role;

use crate::fuzz;

pub fn key(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

#[test]
fn n7_handshake() {
    let (server, client) = (key(1), key(2));
    let deadline = Instant::now() + Duration::from_secs(36_000);
    let (_, opening) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
    let met = |opening: &[u8]| Server::answer(&server, [4; 32], Binding::None, Instant::now(), deadline, opening);
    let (_, reply) = met(&opening).unwrap();
    let (asked, _) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
    let proved = asked.reply(Instant::now(), &reply).unwrap();
    let proof = proved.proof(Instant::now(), &proved.sign(&client).unwrap()).unwrap();
    let look = |bytes: &[u8]| {
        // A server takes what it was told as what was meant, and then only the proof of that.
        let words = match met(bytes) {
            Ok((meeting, _)) => {
                assert!(meeting.finish(Instant::now(), &proof).is_err() || bytes == opening, "a proof opens what it was made for");
                "an opening".to_owned()
            }
            Err(error) => error.to_string(),
        };
        let (asked, _) = Client::open(client.public(), Role::Console, Some(server.public()), [3; 32], Binding::None, deadline);
        let replied = asked.reply(Instant::now(), bytes);
        assert!(replied.is_err() || bytes == reply, "one reply is the server's");
        let (meeting, _) = met(&opening).unwrap();
        assert!(meeting.finish(Instant::now(), bytes).is_err() || bytes == proof, "one proof is the client's");
        replied.err().map_or_else(|| "the reply".to_owned(), |error| format!("{error}, {words}"))
    };
    assert_eq!((opening.len(), reply.len(), proof.len()), (handshake::OPENING, handshake::REPLY, handshake::PROOF));
    fuzz!("handshake", vec![opening.clone(), reply.clone(), proof.clone()], look);
}

#[test]
fn n9_authorized_keys() {
    let (own, line) = (key(5).public(), key(5).public().line());
    let seeds = [
        format!("{line} kim\n"),
        format!("agent=\"web-1\" {line}\n# a comment\n\n{line} jo@home\n"),
        format!("peer=\"shop\",systems=\"shop/**,lab\",rights=\"read,federate\" {line}\nname=\"Kim Lee\",expires=\"2026-12-24T00:00:00Z\" {line}\n"),
    ];
    fuzz!("authorized-keys", seeds.map(String::into_bytes).to_vec(), |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let keys = AuthorizedKeys::parse(&text);
        let Some(holder) = keys.holder(&own) else { return format!("nobody of {}", keys.len().min(3)) };
        assert!(text.contains(line.split(' ').nth(1).unwrap()), "whose key is not written there is not let in");
        format!("{:?} {}", holder.role, holder.scope)
    });
}

#[test]
fn a4_invite_codes() {
    let server = key(6).public();
    let of = |who: Who, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        InviteCode::new(who, server, &addresses).unwrap().to_string()
    };
    let known = [
        of(Who::Person, &["wss://ops.example.org:7373"]),
        of(Who::Agent, &["ws://127.0.0.1:7373", "unix:/run/midwatch.sock"]),
        of(Who::Peer, &[]),
        of(Who::Peer, &["wss://a:1", "wss://b:2", "wss://c:3", "wss://d:4"]),
    ];
    fuzz!("invite-codes", known.iter().map(|code| code.clone().into_bytes()).collect(), |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match text.parse::<InviteCode>() {
            Ok(code) => {
                // Nothing but what was made with its checksum is a code, whatever became of its spaces and its case.
                let plain: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
                assert_eq!(code.to_string(), plain, "one code, one text");
                assert!(code.addresses.len() <= 4 && code.addresses.iter().all(|address| address.len() <= 200));
                format!("{}", code.who)
            }
            Err(error) => error.to_string(),
        }
    });
}

#[test]
fn f8_requests_that_were_signed() {
    let (signer, here) = (key(7), Origin([1; 16]));
    let made = Time::from_secs(1_790_000_000);
    let asked = |intent: Intent| {
        let request = Request { id: RequestId([3; 16]), by: "kim".into(), made, intent, signed: None };
        verb::sign(&signer, here, &request).unwrap().asked.as_bytes().to_vec()
    };
    let seeds = vec![
        asked(Intent::NoteSystem { system: "shop".parse().unwrap(), text: "looked at it".into() }),
        asked(Intent::Revoke { grant: midwatch::model::id::GrantId([4; 16]), why: "lost".into() }),
    ];
    let public: Arc<str> = STANDARD.encode(signer.public().bytes()).into();
    // Signed as it is: what then is read is what somebody with a key may say.
    fuzz!("requests-signed", trees: seeds, |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return "no text".to_owned() };
        let signature = signer.sign("midwatch-verb", bytes).unwrap();
        let said = Signed { key: public.clone(), asked: text.into(), signature: STANDARD.encode(signature).into() };
        match verb::signed(&said, here, made) {
            Ok((key, request)) => {
                assert_eq!(key, signer.public());
                format!("{:?}", request.intent).chars().take_while(|c| c.is_alphanumeric()).collect()
            }
            Err(why) => why.to_owned(),
        }
    });
}
