//! `midwatch servers`: what each server that this console knows says of itself, and how fresh that is.

use std::sync::Arc;

use serde::Serialize;

use super::ask::{self, Ask, Asked};
use super::output::{Output, Tone};
use super::{Context, Failure};
use crate::model::grant::{Key, Pattern, Rights};
use crate::model::health::Health;
use crate::model::id::{GrantId, Origin};
use crate::model::peer::{Line, PeerState};
use crate::model::time::Time;
use crate::model::view::holding::{self as view, Held};
use crate::model::words::counted;

/// Ask every server how it is
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch servers\nExample: midwatch servers --json --server infra")]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ServerLine<'a> {
    server: &'a str,
    reached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_seconds: Option<i64>,
    /// Who passes its log on, from itself on, when it is not reached itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    through: Vec<&'a str>,
    /// How the line to it stands there, and why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a PeerState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Time>,
    systems: usize,
    agents: usize,
    alerts: usize,
    /// How the server itself is; older ones do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'a Health>,
    /// The fingerprint of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// As whom one is there, what one may do, and until when; older ones do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    holding: Option<Holds>,
    /// What the server that passes it on holds of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<view::Holding>,
}

/// What one holds, as data and in words.
#[derive(Serialize)]
struct Holds {
    name: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantId>,
    systems: Arc<[Pattern]>,
    rights: Rights,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Time>,
    words: view::Holding,
}

/// As whom one is on a server that was asked, as its screen has it.
pub fn held(asked: &Asked) -> Option<Held> {
    let holding = asked.replica.holding.as_ref()?;
    Some(Held { name: holding.name.clone(), scope: holding.scope.clone(), grant: holding.grant, role: holding.role.clone() })
}

fn holds(asked: &Asked, now: Time) -> Option<Holds> {
    let held = held(asked)?;
    let words = held.in_words(&asked.config.name, asked.replica.world.as_deref()?, now, &jiff::tz::TimeZone::system());
    let Held { name, scope, grant, role } = held;
    Some(Holds { name, role, grant, systems: scope.systems, rights: scope.rights, expires: scope.expires, words })
}

impl<'a> ServerLine<'a> {
    fn of(asked: &'a Asked, all: &'a [Asked]) -> ServerLine<'a> {
        let peer = asked.through.as_ref().map(|(_, peer)| &**peer);
        let nearest = asked.through.as_ref().and_then(|(through, _)| all.get(through.0)).map(|through| &*through.config.name);
        let way = peer.into_iter().flat_map(|peer| peer.through.iter().rev()).map(|relay| &*relay.name);
        let now = ask::now();
        let granted = peer.zip(nearest).and_then(|(peer, nearest)| view::of_peer(peer, nearest, now, &jiff::tz::TimeZone::system()));
        let (welcome, world) = (asked.replica.welcome.as_ref(), asked.replica.world.as_ref());
        ServerLine {
            server: &asked.config.name,
            reached: world.is_some(),
            why: asked.failed.as_deref(),
            origin: welcome.map(|welcome| welcome.origin),
            version: welcome.map(|welcome| &*welcome.version),
            clock_ahead_seconds: asked.ahead().map(|micros| micros / 1_000_000),
            through: way.chain(nearest).collect(),
            peer,
            head: world.map(|world| world.head.0),
            recorded: world.map(|world| world.recorded),
            systems: world.map_or(0, |world| world.systems.len()),
            agents: world.map_or(0, |world| world.agents.len()),
            alerts: world.map_or(0, |world| world.open.len()),
            health: asked.replica.health.as_deref(),
            key: match peer {
                Some(peer) => peer.key.as_ref().map(ToString::to_string),
                None => welcome.and_then(|welcome| welcome.key.as_ref()).map(Key::fingerprint),
            },
            holding: holds(asked, now),
            granted,
        }
    }
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        ask.holdings().await;
        let mut out = Output::new();
        let mut table = Vec::new();
        let mut wrong: Vec<String> = Vec::new();
        let mut held: Vec<String> = Vec::new();
        for asked in ask.asked.iter().filter(|asked| !asked.replica.superseded) {
            let line = ServerLine::of(asked, &ask.asked);
            if args.json {
                out.json(&line)?;
                continue;
            }
            let lost = line.peer.filter(|peer| peer.line != Line::Up);
            let state = if let Some(lost) = lost {
                (Tone::Stale, lost.line.word().to_owned())
            } else if line.reached {
                (Tone::Fine, "answers".to_owned())
            } else {
                (Tone::Stale, "no answer".to_owned())
            };
            let numbers =
                [counted(line.systems, "system"), counted(line.agents, "agent"), counted(line.alerts, "open alert"), counted(line.head.unwrap_or(0), "event")]
                    .join(", ");
            let clock = match line.clock_ahead_seconds {
                None | Some(-2..=2) => String::new(),
                Some(ahead @ 3..) => format!("its clock is {ahead} s ahead of this one"),
                Some(behind) => format!("its clock is {} s behind this one", behind.unsigned_abs()),
            };
            let said = if line.reached { numbers } else { line.why.unwrap_or_default().to_owned() };
            for said in line.health.iter().flat_map(|health| &health.wrong) {
                wrong.push(format!("{}: {}: {}. {}", line.server, said.severity, said.what, said.advice));
            }
            if let Some(peer) = lost {
                let why = peer.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                wrong.push(format!("{}: {} since {}{why}; what is shown is how it was", line.server, peer.line.word(), peer.since));
            }
            for peer in asked.replica.peers.iter().filter(|peer| peer.head.0 == 0 && peer.line != Line::Up) {
                let why = peer.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                wrong.push(format!("{}: its peer {} has never answered{why}", line.server, peer.name));
            }
            for peer in asked.replica.peers.iter().filter(|peer| peer.through.is_empty()) {
                let near = view::peer_wrong(peer, line.server, ask::now(), &jiff::tz::TimeZone::system());
                wrong.extend(near.map(|near| format!("{}: {}: {}. {}", line.server, near.severity, near.what, near.advice)));
            }
            let holds = line.holding.as_ref().map(|holds| &holds.words).or(line.granted.as_ref());
            let mut access = (Tone::Muted, String::new());
            if let Some(words) = holds {
                access = (if words.ending.severity().is_some() { Tone::Stale } else { Tone::Plain }, words.ends.clone());
                let whose = if line.holding.is_some() {
                    format!("{}: you are {} ({})", line.server, words.who, words.by)
                } else {
                    format!("{}: {}", line.server, words.who)
                };
                let advice = words.advice.as_ref().map(|advice| format!(". What to do: {advice}")).unwrap_or_default();
                held.push(format!("{whose}, and may {}; that {}{advice}", words.may, words.ends));
            }
            let name = if line.through.is_empty() { line.server.to_owned() } else { format!("{} through {}", line.server, line.through.join(", then ")) };
            let version = line.version.map(|version| format!("midwatch {version}")).unwrap_or_default();
            table.push(vec![(Tone::Strong, name), state, (Tone::Plain, said), access, (Tone::Muted, version), (Tone::Stale, clock)]);
        }
        out.table(&table)?;
        for said in held.iter().chain(&wrong) {
            out.line(said)?;
        }
        out.finish()?;
        ask.all_reached()
    })
}
