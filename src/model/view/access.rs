//! Who may see a system, and why: by which grant, as whom, until when, given by whom; who sees it in outline; and
//! the ways that no grant says. For those who may not know: what their own way in is, and whom to ask.

use serde::Serialize;

use super::Sky;
use super::given::{Given, given};
use super::holding::{Held, Holding};
use crate::model::grant::{Grant, Right, Who};
use crate::model::id::{SystemId, SystemRef};
use crate::model::time::Time;
use crate::model::world::World;

/// One who sees a system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Way {
    /// On which server the grant is.
    pub server: String,
    #[serde(flatten)]
    pub given: Given,
    /// The pattern of the grant that names it.
    pub pattern: String,
    /// Only in outline: because of this system, which uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline: Option<String>,
    /// It tells others: a peer with the right to.
    pub passes_on: bool,
}

/// Who may see one system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Access {
    /// As screens name it.
    pub system: String,
    /// Those of its own server, and of the server that passes it on; those who see all of it first.
    pub ways: Vec<Way>,
    /// Grants are told to administrators alone: whether these are all.
    pub is_all: bool,
    /// The reader's own way in, where a server has said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Holding>,
    /// The ways that no grant says, in sentences.
    pub standing: Vec<String>,
}

/// A server as the reader knows it.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Its place in the sky.
    pub server: usize,
    /// What the reader holds there, as far as it is known.
    pub held: Option<&'a Held>,
}

/// `at`: the server whose system it is; `through`: the one that passes its log on, when it is not reached itself.
pub fn access(sky: &Sky, system: &SystemRef, at: At<'_>, through: Option<At<'_>>, now: Time) -> Option<Access> {
    let seen = sky.server(at.server)?;
    let gate = through.unwrap_or(at);
    let passing = through.and_then(|through| sky.server(through.server));
    let mut ways: Vec<Way> = Vec::new();
    let using = users_of(sky, system);
    for here in std::iter::once(seen).chain(passing) {
        ways.extend(given(&here.world, now).into_iter().filter_map(|given| way(&here.name, &here.world, given, &system.id, &using)));
    }
    ways.sort_by(|a, b| (a.outline.is_some(), &a.given.name, a.given.id).cmp(&(b.outline.is_some(), &b.given.name, b.given.id)));
    ways.dedup_by_key(|way| (way.given.id, way.outline.is_some()));
    let knows = |at: At<'_>| at.held.is_some_and(|held| held.scope.is_all());
    let own = gate.held.and_then(|held| sky.server(gate.server).map(|seen| held.in_words(&seen.name, &seen.world, now, &sky.zone)));
    let is_all = knows(gate) && passing.is_none();
    let mut standing = Vec::new();
    if !is_all {
        let asks = gate.held.zip(sky.server(gate.server)).and_then(|(held, seen)| held.given(&seen.world)).map(|grant| grant.by.name().to_owned());
        let who = asks.unwrap_or_else(|| format!("whoever runs {}", sky.server(gate.server).map_or("it", |seen| &seen.name)));
        standing.push(match passing {
            Some(passing) => format!(
                "{} passes it on to its own people, as far as it grants them; who else sees it at {} only those who run that server know: ask there, or {who}.",
                passing.name, seen.name
            ),
            None => format!("Who else sees it {} tells its administrators alone: ask {who}.", seen.name),
        });
    }
    standing.push(format!(
        "And always: who runs {0}, that is who may open its socket or read its token file on its machine, and the keys in its authorized_keys as far as their lines say. Those are in no list here.",
        seen.name
    ));
    if let Some(passing) = passing {
        standing.push(format!("The same holds for who runs {}.", passing.name));
    }
    Some(Access { system: sky.name_of(at.server, &system.id), ways, is_all, own, standing })
}

/// The systems, of all servers, that use this one: who sees those sees its troubles in outline.
fn users_of(sky: &Sky, system: &SystemRef) -> Vec<SystemId> {
    let mut out = Vec::new();
    for (place, seen) in sky.servers.iter().enumerate().filter(|(_, seen)| seen.world.origin == system.origin) {
        let uses = seen.world.systems.values().filter(|user| user.spec.uses.iter().any(|address| sky.resolve(place, address).as_ref() == Some(system)));
        out.extend(uses.map(|user| user.spec.id.clone()));
    }
    out
}

fn way(server: &str, world: &World, given: Given, system: &SystemId, using: &[SystemId]) -> Option<Way> {
    let grant: &Grant = world.grants.get(&given.id)?;
    let named = |system: &SystemId| grant.scope.systems.iter().find(|pattern| pattern.matches(system.as_str()));
    let reads = grant.scope.rights.has(Right::Read);
    let (pattern, outline) = match named(system) {
        Some(pattern) => (pattern, None),
        None if reads => using.iter().find_map(|user| Some((named(user)?, Some(user.to_string()))))?,
        None => return None,
    };
    let passes_on = reads && grant.who == Who::Peer && grant.scope.rights.has(Right::Federate);
    Some(Way { server: server.to_owned(), pattern: pattern.to_string(), outline, passes_on, given })
}

impl Way {
    /// "by shop/**, kim gave it; last came in 5m ago; passes it on to its own people".
    pub fn why(&self) -> String {
        let outline = self.outline.as_ref().map(|user| format!("in outline (title, severity, since), as {user} uses it; ")).unwrap_or_default();
        let passes = if self.passes_on { "; tells its own people as far as it grants them" } else { "" };
        format!("{outline}by {}, {} gave it; {}{passes}", self.pattern, self.given.by, self.given.used)
    }
}
