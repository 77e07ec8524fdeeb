//! Who comes in by a key, over real sockets: consoles and agents that prove theirs, servers that prove
//! their own, and everybody who cannot.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use midwatch::agent::remote::RemoteUplink;
use midwatch::agent::uplink::Uplink;
use midwatch::client::{Address, ServerConfig, Servers, TlsTrust, Update, Wishes};
use midwatch::link::{OsRandom, Random, SystemClock, TcpDial};
use midwatch::model::event::Actor;
use midwatch::model::observation::AgentHello;
use midwatch::model::time::Span;
use midwatch::server::Running;
use midwatch::server::gate::Gate;
use midwatch::trust::handshake::{self, Binding};
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer};
use midwatch::wire::{Raw, Role, SUBPROTOCOL_KEYS, ToServer};
use tokio::net::TcpListener;

use crate::scene::{self, AGENT, CONSOLE, Console, Plain, hear, hear_of, note, plain, port, say, serve};

pub const SERVER: u8 = 9;
/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn key(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

/// A folder with the files of both sides.
pub struct Yard(pub tempfile::TempDir);

impl Yard {
    pub fn new() -> Yard {
        Yard(tempfile::tempdir().unwrap())
    }

    pub fn authorized(&self) -> PathBuf {
        self.0.path().join("authorized_keys")
    }

    pub fn authorize(&self, lines: &[String]) {
        std::fs::write(self.authorized(), lines.join("\n") + "\n").unwrap();
    }

    pub fn known(&self) -> KnownServers {
        KnownServers::at(self.0.path().join("keys/known_servers"))
    }

    async fn serve(&self, seed: u8, required: bool) -> Running {
        serve(Arc::new(scene::memory()), |parts| parts.gate = Gate::new(key(seed), self.authorized(), required)).await
    }

    pub fn proving(&self, seed: u8) -> Proving {
        Proving { signer: Arc::new(key(seed)), known: self.known(), server: "shop".into() }
    }

    /// A console that says that it is kim.
    pub fn console(&self, address: &str, seed: u8, token: Option<&str>) -> Console {
        self.console_to(Address::Tcp(address.into()), TlsTrust::default(), seed, token)
    }

    pub fn console_to(&self, address: Address, tls: TlsTrust, seed: u8, token: Option<&str>) -> Console {
        let config = ServerConfig { token: token.map(Arc::from), proving: Some(Arc::new(self.proving(seed))), tls, ..ServerConfig::new("shop", address) };
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        Console::over(Servers::connect(&[config], &wishes, &random).unwrap())
    }
}

pub fn person(seed: u8, name: &str) -> String {
    format!("name=\"{name}\" {}", key(seed).public().line())
}

/// Why the console was not let in, or was sent away.
pub async fn turned_away(console: &mut Console) -> String {
    let turned_away = async {
        loop {
            if let Update::Disconnected { why, .. } = console.next().await {
                return why.to_string();
            }
        }
    };
    // One limit for all of it: whoever is let in goes on hearing that all is well.
    tokio::time::timeout(PATIENCE, turned_away).await.expect("they are turned away, and not let in")
}

/// Who did what the console asked for.
pub async fn actor(console: &mut Console) -> Actor {
    console.until("a world", |console| console.replica.world.is_some()).await;
    console.ask(note("four bells"));
    let done = async {
        loop {
            if let Update::Events { events, .. } = console.next().await
                && let Some(event) = events.iter().find(|event| event.text.contains("four bells") || event.title.contains("four bells"))
            {
                return event.actor.clone();
            }
        }
    };
    tokio::time::timeout(PATIENCE, done).await.expect("it is done")
}

#[tokio::test]
async fn a_persons_verbs_bear_the_name_of_their_key_and_not_what_the_console_says() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let mut console = yard.console(&port(&server), 1, None);
    assert_eq!(actor(&mut console).await, Actor::User("Robin Lee".into()));
    assert_eq!(yard.known().find("shop").unwrap().unwrap().key, key(SERVER).public(), "the server was met, and is remembered");
}

#[tokio::test]
async fn a_key_that_is_not_authorized_opens_nothing_and_a_token_beside_it_does() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let why = turned_away(&mut yard.console(&port(&server), 2, None)).await;
    assert!(why.contains(&key(2).public().fingerprint()) && why.contains("authorized_keys"), "{why}");
    let why = turned_away(&mut yard.console(&port(&server), 2, Some("wrong-token-of-the-test"))).await;
    assert!(why.contains("the token opens nothing either"), "{why}");
    assert_eq!(actor(&mut yard.console(&port(&server), 2, Some(CONSOLE))).await, Actor::User("kim".into()));
    // And those that know no keys at all go on by their tokens.
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    assert_eq!(actor(&mut console).await, Actor::User("kim".into()));
}

#[tokio::test]
async fn where_keys_are_required_a_token_opens_nothing() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, true).await;
    for mut console in [yard.console(&port(&server), 2, Some(CONSOLE)), Console::to(Address::Tcp(port(&server)), None)] {
        let why = turned_away(&mut console).await;
        assert!(why.contains("requires a key"), "{why}");
    }
    assert_eq!(actor(&mut yard.console(&port(&server), 1, None)).await, Actor::User("Robin Lee".into()));
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_is_out_with_its_open_connections() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee"), person(2, "Sam")]);
    let server = yard.serve(SERVER, false).await;
    let (mut robin, mut sam) = (yard.console(&port(&server), 1, None), yard.console(&port(&server), 2, None));
    for console in [&mut robin, &mut sam] {
        console.until("a world", |console| console.replica.world.is_some()).await;
    }
    yard.authorize(&[person(2, "Sam")]);
    let why = turned_away(&mut robin).await;
    assert!(why.contains("taken out of the server's authorized_keys"), "{why}");
    assert!(turned_away(&mut yard.console(&port(&server), 1, None)).await.contains("not in this server's authorized_keys"));
    assert_eq!(actor(&mut sam).await, Actor::User("Sam".into()));
    assert_eq!(sam.disconnects, 0, "nobody else noticed");
}

#[tokio::test]
async fn a_file_that_others_may_write_lets_nobody_in() {
    use std::os::unix::fs::PermissionsExt;
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    std::fs::set_permissions(yard.authorized(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let server = yard.serve(SERVER, false).await;
    assert!(turned_away(&mut yard.console(&port(&server), 1, None)).await.contains("not in this server's authorized_keys"));
    std::fs::set_permissions(yard.authorized(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(actor(&mut yard.console(&port(&server), 1, None)).await, Actor::User("Robin Lee".into()));
}

#[tokio::test]
async fn a_server_whose_key_changed_is_not_spoken_to_until_it_is_forgotten() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let first = yard.serve(SERVER, false).await;
    yard.console(&port(&first), 1, None).until("a world", |console| console.replica.world.is_some()).await;
    first.stop().await;
    let other = yard.serve(8, false).await;
    let why = turned_away(&mut yard.console(&port(&other), 1, Some(CONSOLE))).await;
    for words in
        ["THE KEY OF shop HAS CHANGED", "known_servers:1", "midwatch keys forget shop", &key(SERVER).public().fingerprint(), &key(8).public().fingerprint()]
    {
        assert!(why.contains(words), "{words}: {why}");
    }
    yard.known().forget("shop").unwrap();
    yard.console(&port(&other), 1, None).until("a world", |console| console.replica.world.is_some()).await;
}

#[tokio::test]
async fn an_older_server_is_met_by_its_token_and_only_while_no_key_of_it_is_known() {
    let yard = Yard::new();
    let older = serve(Arc::new(scene::memory()), |_| {}).await;
    let why = turned_away(&mut yard.console(&port(&older), 1, None)).await;
    assert!(why.contains("older midwatch that knows no keys"), "{why}");
    assert_eq!(actor(&mut yard.console(&port(&older), 1, Some(CONSOLE))).await, Actor::User("kim".into()));
    yard.known().remember("shop", &key(SERVER).public()).unwrap();
    let why = turned_away(&mut yard.console(&port(&older), 1, Some(CONSOLE))).await;
    assert!(why.contains("proves none") && why.contains("known_servers:1"), "{why}");
}

/// Whoever poses as a server that is known hears neither token nor name, whatever it chooses to speak.
#[tokio::test]
async fn n5_an_impostor_that_speaks_the_older_protocol_hears_nothing() {
    let yard = Yard::new();
    yard.known().remember("shop", &key(SERVER).public()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut console = yard.console(&address, 1, Some(CONSOLE));
    let (stream, _) = listener.accept().await.unwrap();
    let head = std::sync::Mutex::new(String::new());
    #[allow(clippy::result_large_err, reason = "the library's type")]
    let choose = |request: &tokio_tungstenite::tungstenite::handshake::server::Request,
                  mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
        *head.lock().unwrap() = format!("{request:?}");
        response.headers_mut().insert("sec-websocket-protocol", "midwatch.v1".parse().unwrap());
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap();
    let mut heard = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        heard.extend(message.into_data());
    }
    assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    let head = head.into_inner().unwrap();
    assert!(head.contains("midwatch.v1+keys") && !head.contains(CONSOLE) && !head.to_lowercase().contains("authorization"), "{head}");
    assert!(turned_away(&mut console).await.contains("Nothing was told it"));
}

pub fn machine(name: &str) -> AgentHello {
    AgentHello {
        agent: name.into(),
        system: format!("lab/{name}").parse().unwrap(),
        version: "0.1.0".into(),
        keepalive: Span::from_secs(10),
        checks: Vec::new(),
        facts: Default::default(),
    }
}

#[tokio::test]
async fn n8_an_agents_key_is_that_agents_and_no_consoles() {
    let yard = Yard::new();
    yard.authorize(&[format!("agent=\"web-1\" {}", key(3).public().line()), person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, true).await;
    let uplink = |seed: u8, name: &str, token: Option<&str>| {
        let dial = Arc::new(TcpDial { address: port(&server) });
        RemoteUplink::new(dial, Arc::new(SystemClock), name.into(), token.map(Arc::from)).proving(yard.proving(seed))
    };
    uplink(3, "web-1", None).hello(&machine("web-1")).await.unwrap();
    for (seed, name, token, words) in [
        (3, "web-2", None, "agent `web-1`'s, and not `web-2`'s"),
        (1, "web-1", None, "not one for the role `agent`"),
        (4, "web-1", None, "not in this server's authorized_keys"),
        (4, "web-1", Some(AGENT), "requires a key"),
    ] {
        let why = uplink(seed, name, token).hello(&machine(name)).await.unwrap_err().to_string();
        assert!(why.contains(words), "{words}: {why}");
    }
    let why = turned_away(&mut yard.console(&port(&server), 3, None)).await;
    assert!(why.contains("not one for the role `console`"), "{why}");
}

/// A plain socket that has chosen the sub-protocol with keys.
async fn by_hand(server: &Running) -> Plain {
    plain(&port(server), &[("sec-websocket-protocol", SUBPROTOCOL_KEYS)]).await.unwrap()
}

async fn say_part(socket: &mut Plain, bytes: &[u8]) {
    say(socket, &serde_json::to_string(&ToServer::Handshake(Raw(bytes.to_vec()))).unwrap()).await;
}

async fn hear_part(socket: &mut Plain) -> Vec<u8> {
    serde_json::from_value::<Raw>(hear_of(socket, "handshake").await).unwrap().0
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn opening(seed: u8, role: Role) -> (handshake::Client, Vec<u8>) {
    handshake::Client::open(key(seed).public(), role, None, handshake::nonce().unwrap(), Binding::None, now() + Duration::from_secs(60))
}

const HELLO: &str = r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#;

#[tokio::test]
async fn a_recorded_handshake_opens_nothing() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let (client, said) = opening(1, Role::Console);
    let mut socket = by_hand(&server).await;
    say_part(&mut socket, &said).await;
    let proved = client.reply(now(), &hear_part(&mut socket).await).unwrap();
    let proof = proved.proof(now(), &proved.sign(&key(1)).unwrap()).unwrap();
    say_part(&mut socket, &proof).await;
    say(&mut socket, HELLO).await;
    assert_eq!(hear_of(&mut socket, "welcome").await["name"], "shop");
    // A second handshake on the same line, to become somebody else.
    say_part(&mut socket, &said).await;
    assert_eq!(hear_of(&mut socket, "problem").await["code"], "forbidden");
    // The same words again, on a line of their own.
    let mut again = by_hand(&server).await;
    say_part(&mut again, &said).await;
    hear_part(&mut again).await;
    say_part(&mut again, &proof).await;
    let problem = hear_of(&mut again, "problem").await;
    assert_eq!(problem["code"], "unauthorized");
    assert!(problem["words"].as_str().unwrap().contains("signature"), "{problem}");
    assert!(again.next().await.is_none_or(|message| message.is_err() || message.unwrap().is_close()), "and that was the last word");
}

#[tokio::test]
async fn the_role_of_the_proof_is_the_role_of_the_hello() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let (client, said) = opening(1, Role::Agent);
    let mut socket = by_hand(&server).await;
    say_part(&mut socket, &said).await;
    let proved = client.reply(now(), &hear_part(&mut socket).await).unwrap();
    say_part(&mut socket, &proved.proof(now(), &proved.sign(&key(1)).unwrap()).unwrap()).await;
    say(&mut socket, HELLO).await;
    let problem = hear_of(&mut socket, "problem").await;
    assert!(problem["words"].as_str().unwrap().contains("the handshake was for the role `agent`"), "{problem}");
}

#[tokio::test]
async fn n6_before_the_handshake_nothing_else_is_heard() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let (_, said) = opening(1, Role::Console);
    let long = format!(r#"{{"hello":{{"protocol":1,"role":"console","name":"{}"}}}}"#, "a".repeat(9_000));
    for (first, code) in [
        (HELLO.to_owned(), "forbidden"),
        (r#"{"subscribe":{}}"#.into(), "forbidden"),
        (serde_json::to_string(&ToServer::Do(note("x"))).unwrap(), "forbidden"),
        (serde_json::to_string(&ToServer::Handshake(Raw(Vec::new()))).unwrap(), "unauthorized"),
        (serde_json::to_string(&ToServer::Handshake(Raw(said[..100].to_vec()))).unwrap(), "unauthorized"),
        (serde_json::to_string(&ToServer::Handshake(Raw(vec![1; 1_025]))).unwrap(), "malformed"),
        (long, "limit"),
        ("{".into(), "malformed"),
    ] {
        let mut socket = by_hand(&server).await;
        say(&mut socket, &first).await;
        let problem = hear(&mut socket).await;
        assert_eq!(problem["problem"]["code"], code, "{problem}");
        assert!(socket.next().await.is_none_or(|message| message.is_err() || message.unwrap().is_close()));
    }
    // Nor between its two halves.
    let mut socket = by_hand(&server).await;
    say_part(&mut socket, &said).await;
    hear_part(&mut socket).await;
    say(&mut socket, HELLO).await;
    assert_eq!(hear_of(&mut socket, "problem").await["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_slow_is_not_waited_for() {
    let yard = Yard::new();
    let server = yard.serve(SERVER, false).await;
    let mut socket = by_hand(&server).await;
    let (_, said) = opening(1, Role::Console);
    let begun = tokio::time::Instant::now();
    say_part(&mut socket, &said).await;
    hear_part(&mut socket).await;
    // One deadline for all of it: the first half buys no time for the second.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let problem = hear_of(&mut socket, "problem").await;
    assert!(problem["words"].as_str().unwrap().contains("no handshake within 10 s"), "{problem}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// Somebody between a console and its server, who lets everything through but one byte.
#[tokio::test]
async fn a_byte_that_is_changed_on_the_way_ends_it() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let server = yard.serve(SERVER, false).await;
    let (client, mut said) = opening(1, Role::Console);
    said[10] ^= 1;
    let mut socket = by_hand(&server).await;
    say_part(&mut socket, &said).await;
    assert_eq!(client.reply(now(), &hear_part(&mut socket).await).err(), Some(handshake::Refused::Signature));
}
