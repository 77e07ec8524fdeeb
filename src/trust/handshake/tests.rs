//! The handshake whole, and bent at every step.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::trust::signer::Signer;

fn kim() -> Signer {
    Signer::from_seed([1; 32])
}

fn shop() -> Signer {
    Signer::from_seed([2; 32])
}

fn mallory() -> Signer {
    Signer::from_seed([3; 32])
}

/// A handshake with all its messages at hand, any of which may be bent on the way.
struct Course {
    start: Instant,
    expected: Option<PublicKey>,
    client_line: Binding,
    server_line: Binding,
    client_late: Duration,
    server_late: Duration,
}

const LIMIT: Duration = Duration::from_secs(10);

impl Course {
    fn new() -> Course {
        let none = Duration::ZERO;
        Course {
            start: Instant::now(),
            expected: Some(shop().public()),
            client_line: Binding::None,
            server_line: Binding::None,
            client_late: none,
            server_late: none,
        }
    }

    /// Runs it; `bend` is shown each message (0, 1, 2) before it arrives.
    fn run(&self, bend: impl Fn(usize, &mut Vec<u8>)) -> Result<(Peer, PublicKey), Refused> {
        let deadline = self.start + LIMIT;
        let (client, mut opening) = Client::open(kim().public(), Role::Console, self.expected, [4; 32], self.client_line, deadline);
        assert_eq!(opening.len(), OPENING);
        bend(0, &mut opening);
        let (server, mut reply) = Server::answer(&shop(), [5; 32], self.server_line, self.start, deadline, &opening)?;
        assert_eq!(reply.len(), REPLY);
        bend(1, &mut reply);
        let proved = client.reply(self.start + self.client_late, &reply)?;
        let mut proof = proved.proof(self.start + self.client_late, &proved.sign(&kim())?)?;
        assert_eq!(proof.len(), PROOF);
        bend(2, &mut proof);
        server.finish(self.start + self.server_late, &proof).map(|peer| (peer, proved.server))
    }
}

#[test]
fn both_know_whom_they_speak_to() {
    let met = (Peer { key: kim().public(), role: Role::Console }, shop().public());
    assert_eq!(Course::new().run(|_, _| {}), Ok(met));
    assert_eq!(Course { expected: None, ..Course::new() }.run(|_, _| {}), Ok(met), "at first sight");
    let line = Binding::TlsExporter([9; 32]);
    assert_eq!(Course { client_line: line, server_line: line, ..Course::new() }.run(|_, _| {}), Ok(met));
}

/// Every byte: the messages are short.
#[test]
fn whichever_byte_of_whichever_message_is_wrong_nobody_is_in() {
    for (message, size) in [(0, OPENING), (1, REPLY), (2, PROOF)] {
        for at in 0..size {
            for mask in [0x01, 0x80] {
                let bent = Course { expected: None, ..Course::new() }.run(|number, bytes| {
                    if number == message {
                        bytes[at] ^= mask;
                    }
                });
                assert!(bent.is_err(), "{mask:#x} at byte {at} of message {message}");
            }
        }
    }
}

proptest! {
    /// Any text in the place of any message is refused, and nothing panics.
    #[test]
    fn no_bytes_are_taken_for_a_message(message in 0_usize..3, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bent = Course::new().run(|number, said| if number == message { *said = bytes.clone() });
        prop_assert!(bent.is_err());
    }

    /// Also of the right size and turn.
    #[test]
    fn nor_are_well_formed_ones(message in 0_usize..3, bytes in proptest::collection::vec(any::<u8>(), REPLY)) {
        let bent = Course::new().run(|number, said| if number == message {
            let known = [4, 2, 1][number];
            said.iter_mut().zip(&bytes).skip(known).for_each(|(to, from)| *to = *from);
        });
        prop_assert!(bent.is_err());
    }
}

#[test]
fn messages_cut_short_or_too_long_are_refused() {
    for message in 0..3 {
        for change in [
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
            |bytes: &mut Vec<u8>| bytes.push(0),
            |bytes: &mut Vec<u8>| bytes.clear(),
            |bytes: &mut Vec<u8>| bytes.resize(4 << 20, 0),
        ] {
            let bent = Course::new().run(|number, bytes| {
                if number == message {
                    change(bytes)
                }
            });
            assert!(matches!(bent, Err(Refused::Size { .. })), "{message}: {bent:?}");
        }
    }
}

#[test]
fn messages_out_of_turn_are_refused() {
    let bent = Course::new().run(|number, bytes| {
        if number == 2 {
            bytes[0] = 2
        }
    });
    assert_eq!(bent, Err(Refused::Turn));
}

/// A recorded client's proof is worth nothing to a server that chose another nonce.
#[test]
fn replay_fails() {
    let now = Instant::now();
    let (client, opening) = Client::open(kim().public(), Role::Console, None, [4; 32], Binding::None, now + LIMIT);
    let (server, reply) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    let proved = client.reply(now, &reply).unwrap();
    let proof = proved.proof(now, &proved.sign(&kim()).unwrap()).unwrap();
    assert!(server.finish(now, &proof).is_ok());
    let (again, _) = Server::answer(&shop(), [6; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    assert_eq!(again.finish(now, &proof), Err(Refused::Signature));
    // Nor is a recorded server's reply, to a client that chose another.
    let (client, _) = Client::open(kim().public(), Role::Console, None, [7; 32], Binding::None, now + LIMIT);
    assert_eq!(client.reply(now, &reply).err(), Some(Refused::Signature));
}

/// What a server signed, sent back to it as if a client had signed it; and one end with both keys.
#[test]
fn reflection_fails() {
    let now = Instant::now();
    // Somebody who has no key at all poses as the server to itself.
    let (_, opening) = Client::open(shop().public(), Role::Peer, None, [4; 32], Binding::None, now + LIMIT);
    assert_eq!(Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).err(), Some(Refused::Itself));
    // A server's signature over the same text is none of a client's.
    let (_, opening) = Client::open(kim().public(), Role::Console, None, [4; 32], Binding::None, now + LIMIT);
    let (server, reply) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    let wrong = kim().sign(BY_SERVER, &transcript(&[&opening, &reply])).unwrap();
    assert_eq!(server.finish(now, &[&[3], wrong.as_slice()].concat()), Err(Refused::Signature));
    let (client, opening) = Client::open(kim().public(), Role::Console, None, [4; 32], Binding::None, now + LIMIT);
    let (_, mut reply) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    let said = reply.len() - 64;
    let wrong = shop().sign(BY_CLIENT, &transcript(&[&opening, &reply[..said]])).unwrap();
    reply.splice(said.., wrong);
    assert_eq!(client.reply(now, &reply).err(), Some(Refused::Signature));
}

/// Mallory runs a server that kim trusts for what it is, and takes what kim says to the shop.
#[test]
fn relay_to_another_server_fails() {
    let now = Instant::now();
    let meant = Some(mallory().public());
    // As it is: the shop says who it is, which is not whom kim meant; and takes no proof from it.
    let (client, opening) = Client::open(kim().public(), Role::Console, meant, [4; 32], Binding::None, now + LIMIT);
    let (server, reply) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    assert_eq!(client.reply(now, &reply).err(), Some(Refused::OtherKey { expected: mallory().public(), got: shop().public() }));
    let stolen = kim().sign(BY_CLIENT, &transcript(&[&opening, &reply])).unwrap();
    assert_eq!(server.finish(now, &[&[3], stolen.as_slice()].concat()), Err(Refused::Audience(mallory().public())), "even were it signed");
    // With the audience changed on the way: kim signs what kim said.
    let (client, opening) = Client::open(kim().public(), Role::Console, meant, [4; 32], Binding::None, now + LIMIT);
    let mut changed = opening.clone();
    changed.splice(68..100, *shop().public().bytes());
    let (server, shops) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &changed).unwrap();
    // Mallory answers kim in its own name, with the shop's nonce.
    let nonce: [u8; 32] = shops[2..34].try_into().unwrap();
    let (_, own) = Server::answer(&mallory(), nonce, Binding::None, now, now + LIMIT, &opening).unwrap();
    let proved = client.reply(now, &own).unwrap();
    let proof = proved.proof(now, &proved.sign(&kim()).unwrap()).unwrap();
    assert_eq!(server.finish(now, &proof), Err(Refused::Signature));
}

/// Who holds the line cannot make the two speak an older version, or another role, than they would.
#[test]
fn n5_downgrade_fails() {
    let course = Course { expected: None, ..Course::new() };
    // No version in common, said so.
    assert_eq!(
        course.run(|number, bytes| if number == 0 {
            bytes[2] = 0
        }),
        Err(Refused::Version(1, 0))
    );
    assert_eq!(
        course.run(|number, bytes| if number == 0 {
            bytes[1..3].copy_from_slice(&[2, 9])
        }),
        Err(Refused::Version(2, 9))
    );
    // A client of later versions speaks ours, if it says so itself.
    assert_eq!(
        course.run(|number, bytes| if number == 0 {
            bytes[2] = 9
        }),
        Err(Refused::Signature),
        "and nobody says so for it"
    );
    assert_eq!(
        course.run(|number, bytes| if number == 1 {
            bytes[1] = 0
        }),
        Err(Refused::Version(0, 0))
    );
}

#[test]
fn n8_the_role_is_part_of_the_proof() {
    let course = Course { expected: None, ..Course::new() };
    assert_eq!(
        course.run(|number, bytes| if number == 0 {
            bytes[3] = 2
        }),
        Err(Refused::Signature)
    );
    assert_eq!(
        course.run(|number, bytes| if number == 0 {
            bytes[3] = 0
        }),
        Err(Refused::Role)
    );
}

/// A key that was offered is worth nothing: the one that signed is.
#[test]
fn n7_a_key_that_was_only_offered_is_nobody() {
    let now = Instant::now();
    let (client, opening) = Client::open(kim().public(), Role::Console, None, [4; 32], Binding::None, now + LIMIT);
    let (server, reply) = Server::answer(&shop(), [5; 32], Binding::None, now, now + LIMIT, &opening).unwrap();
    let proved = client.reply(now, &reply).unwrap();
    let proof = proved.proof(now, &proved.sign(&mallory()).unwrap()).unwrap();
    assert_eq!(server.finish(now, &proof), Err(Refused::Signature));
}

#[test]
fn a_weak_key_is_none() {
    let mut weak = [0_u8; 32];
    weak[0] = 1;
    let bent = Course { expected: None, ..Course::new() }.run(|number, bytes| {
        if number == 0 {
            bytes[36..68].copy_from_slice(&weak)
        }
    });
    assert_eq!(bent, Err(Refused::Key(NoKey::Weak)));
}

#[test]
fn two_lines_are_no_line() {
    let (a, b) = (Binding::TlsExporter([1; 32]), Binding::TlsExporter([2; 32]));
    for (client_line, server_line) in [(a, b), (a, Binding::None), (Binding::None, a)] {
        assert_eq!(Course { client_line, server_line, ..Course::new() }.run(|_, _| {}), Err(Refused::Binding));
    }
}

#[test]
fn what_is_slow_is_refused() {
    let late = LIMIT + Duration::from_millis(1);
    assert_eq!(Course { client_late: late, ..Course::new() }.run(|_, _| {}), Err(Refused::Late));
    assert_eq!(Course { server_late: late, ..Course::new() }.run(|_, _| {}), Err(Refused::Late));
    assert!(Course { client_late: LIMIT, server_late: LIMIT, ..Course::new() }.run(|_, _| {}).is_ok());
}

/// A reply that its signer signed whole, whatever it says.
fn replied(opening: &[u8], by: &Signer, binding: Binding) -> Vec<u8> {
    let mut reply = [[2, HIGHEST].as_slice(), &[5; 32], by.public().bytes(), &binding.bytes()].concat();
    let signature = by.sign(BY_SERVER, &transcript(&[opening, &reply])).unwrap();
    reply.extend(signature);
    reply
}

#[test]
fn each_end_looks_for_itself_at_the_line_the_time_and_whose_key_it_is() {
    let (start, line) = (Instant::now(), Binding::TlsExporter([9; 32]));
    let (deadline, late) = (start + LIMIT, start + LIMIT + Duration::from_millis(1));
    let open = || Client::open(kim().public(), Role::Console, None, [4; 32], Binding::None, deadline);
    // The other end may be anybody's program, and sign what it likes.
    let says = |by: &Signer, binding, now| {
        let (client, opening) = open();
        client.reply(now, &replied(&opening, by, binding)).map(|proved| proved.server)
    };
    assert_eq!(says(&shop(), Binding::None, start), Ok(shop().public()));
    assert_eq!(says(&shop(), line, start), Err(Refused::Binding));
    assert_eq!(says(&kim(), Binding::None, start), Err(Refused::Itself));
    assert_eq!(says(&shop(), Binding::None, late), Err(Refused::Late));
    let (client, opening) = open();
    let Ok(proved) = client.reply(start, &replied(&opening, &shop(), Binding::None)) else { panic!("it is a good reply") };
    assert_eq!(proved.proof(late, &proved.sign(&kim()).unwrap()), Err(Refused::Late));
    let answers = |binding, now| Server::answer(&shop(), [5; 32], binding, now, deadline, &open().1).map(|_| ());
    assert_eq!((answers(Binding::None, start), answers(line, start)), (Ok(()), Err(Refused::Binding)));
    assert_eq!(answers(Binding::None, late), Err(Refused::Late));
}
