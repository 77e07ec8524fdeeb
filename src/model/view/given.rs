//! What a server has given out: who holds what, until when, by whom; and the invites that are still open.

use std::sync::Arc;

use serde::Serialize;

use super::holding::{Ending, countdown};
use crate::model::grant::{Grant, Invite, Who, joined};
use crate::model::history::ago;
use crate::model::id::GrantId;
use crate::model::time::Time;
use crate::model::world::World;

/// One grant, or an invite that nobody has taken yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Given {
    pub id: GrantId,
    /// "?" where whoever comes may choose.
    pub name: String,
    pub who: Who,
    pub role: Arc<str>,
    /// "shop/**, web".
    pub systems: String,
    /// "see and respond to alerts", and the same with where.
    pub does: String,
    pub may: String,
    pub ending: Ending,
    /// "ends in 3h12m"; of an invite until when its code is good.
    pub ends: String,
    pub by: String,
    /// "last came in 5m ago", "has not come in".
    pub used: String,
    pub is_invite: bool,
}

/// Grants by name, then the invites by their end.
pub fn given(world: &World, now: Time) -> Vec<Given> {
    let mut grants: Vec<&Grant> = world.grants.values().map(|grant| &**grant).filter(|grant| grant.holds(now)).collect();
    grants.sort_by(|a, b| (&a.name, a.at, a.id).cmp(&(&b.name, b.at, b.id)));
    let mut invites: Vec<(&GrantId, &Invite)> = world.invites.iter().filter(|(_, invite)| invite.offer.closes > now).collect();
    invites.sort_by_key(|(id, invite)| (invite.offer.closes, **id));
    grants.into_iter().map(|grant| of_grant(grant, now)).chain(invites.into_iter().map(|(id, invite)| of_invite(*id, invite, now))).collect()
}

fn of_grant(grant: &Grant, now: Time) -> Given {
    Given {
        id: grant.id,
        name: grant.name.to_string(),
        who: grant.who,
        role: grant.role.clone(),
        systems: joined(&grant.scope.systems, ", "),
        does: grant.scope.rights.does(),
        may: grant.scope.sentence(),
        ending: Ending::of(Some(grant.at), grant.scope.expires, now),
        ends: grant.scope.expires.map_or_else(|| "no end".to_owned(), |until| countdown(Some(until), now)),
        by: grant.by.name().to_owned(),
        used: grant.used.map_or_else(|| "has not come in".to_owned(), |used| format!("last came in {}", ago(used, now))),
        is_invite: false,
    }
}

fn of_invite(id: GrantId, invite: &Invite, now: Time) -> Given {
    let offer = &invite.offer;
    let lasts = match (offer.lasts, offer.scope.expires) {
        (Some(span), _) => format!(", for {span} from then"),
        (None, Some(until)) => format!(", until {until}"),
        (None, None) => String::new(),
    };
    Given {
        id,
        name: offer.name.as_deref().unwrap_or("?").to_owned(),
        who: offer.who,
        role: offer.role.clone(),
        systems: joined(&offer.scope.systems, ", "),
        does: offer.scope.rights.does(),
        may: format!("{}{lasts}", offer.scope.sentence()),
        ending: Ending::Later,
        ends: countdown(Some(offer.closes), now).replace("ends in", "code good for"),
        by: invite.by.name().to_owned(),
        used: "nobody has brought the code yet".to_owned(),
        is_invite: true,
    }
}

/// The command that makes a code for the same again, to give to whoever held it. `server`: as it is reached here.
pub fn invite_again(world: &World, id: GrantId, server: &str) -> Option<String> {
    let (role, scope, name, lasts) = match (world.grants.get(&id), world.invites.get(&id)) {
        (Some(grant), _) => {
            let life = grant.scope.expires.map(|until| until.since(grant.at));
            (&grant.role, &grant.scope, Some(&grant.name), life)
        }
        (None, Some(invite)) => {
            let life = invite.offer.scope.expires.map(|until| until.since(invite.at));
            (&invite.offer.role, &invite.offer.scope, invite.offer.name.as_ref(), invite.offer.lasts.or(life))
        }
        (None, None) => return None,
    };
    let name = name.map(|name| format!(" --name {}", quoted(name))).unwrap_or_default();
    // Whole minutes: nobody types more.
    let lasts = lasts.map(|span| format!(" --expires {}m", (span.secs() + 30) / 60)).unwrap_or_default();
    Some(format!("midwatch invite --server {} --role {} --systems {}{name}{lasts}", quoted(server), quoted(role), quoted(&joined(&scope.systems, ","))))
}

/// One word of a shell's, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | ',');
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
