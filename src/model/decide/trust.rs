//! Who is let in, as what: invites, grants, and their ends.

use std::sync::Arc;

use crate::model::event::{Actor, Draft, TrustExpired, TrustGranted, TrustInvited, TrustRevoked};
use crate::model::grant::{Grant, Key, Offer, Pattern, Right, Rights, Roles, Scope, Who, is_name};
use crate::model::id::GrantId;
use crate::model::intent::{Refusal, RefusalCode};
use crate::model::nearest::nearest;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::World;

/// Grants that hold at once.
const MOST: usize = 10_000;
/// How long a code may lie about.
const LONGEST: Span = Span::from_days(30);

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Invalid, why)
}

/// Somebody may bring this code, once.
pub fn invited(world: &World, actor: &Actor, invite: GrantId, offer: &Offer, now: Time) -> Result<Vec<Draft>, Refusal> {
    if world.invites.contains_key(&invite) || world.grants.values().any(|grant| grant.invite == Some(invite)) {
        return Err(invalid("there is such an invite already"));
    }
    if world.invites.len() >= World::INVITES {
        return Err(invalid(format!("{} invites wait to be redeemed already; take some back (`midwatch revoke`)", World::INVITES)));
    }
    fits(&offer.scope, offer.name.as_deref(), now)?;
    if let Some(name) = &offer.name {
        named(world, offer.who, name, offer.same, None, now)?;
    }
    if offer.closes <= now || offer.closes > now.plus(LONGEST) {
        return Err(invalid("a code is good for 30 days at most, and from now on"));
    }
    if offer.lasts.is_some_and(|lasts| lasts == Span::ZERO) {
        return Err(invalid("a grant that lasts no time allows nothing"));
    }
    let whom = offer.name.as_deref().unwrap_or("somebody");
    let title = format!("{} invited {whom} as {}: {}", actor.name(), offer.role, offer.scope);
    Ok(vec![Draft::new(now, actor.clone(), TrustInvited { invite, offer: offer.clone() }, title)])
}

/// A code is brought by one who has proved a key. `names`: those that nobody may choose.
pub fn redeemed(world: &World, code: GrantId, who: Who, key: &Key, chosen: &str, names: &[Arc<str>], now: Time) -> Result<Vec<Draft>, Refusal> {
    let invite = world.invites.get(&code).filter(|invite| invite.offer.closes > now);
    let mine = |grant: &&Arc<Grant>| grant.invite == Some(code) && (grant.has(key) || grant.lost(key).is_some());
    if let (None, Some(grant)) = (invite, world.grants.values().find(mine)) {
        let state = match grant.holds(now) {
            true if grant.has(key) => format!("you are {}", grant.name),
            true => format!("and it was taken from {} since", grant.name),
            false => format!("what it gave is over: it was {}", grant.state(now)),
        };
        return Err(Refusal::new(RefusalCode::Over, format!("this code was redeemed already, by this very key: {state}")));
    }
    let invite =
        invite.ok_or_else(|| Refusal::new(RefusalCode::Unknown, "this code opens nothing here: it was used already, was taken back, or its time is over"))?;
    let offer = &invite.offer;
    if offer.who != who {
        return Err(invalid(format!("this code is for a {}, and not for a {who}", offer.who)));
    }
    let name: Arc<str> = offer.name.clone().unwrap_or_else(|| chosen.into());
    if !is_name(&name) {
        return Err(invalid("a name has letters, digits, spaces and `. _ - + @`, at most 60; choose one with --name"));
    }
    match &offer.name {
        Some(name) => named(world, who, name, offer.same, Some(key), now)?,
        None => {
            // What was said and done under a name stays that person's, after their grant is over, too.
            let taken = world.grants.values().any(|grant| grant.name == name && !grant.has(key));
            // What others say of their own users and heirs looks like this.
            let server = |server: &str| world.grants.values().any(|grant| grant.who == Who::Peer && *grant.name == *server);
            let foreign = name.contains(" via ") || name.rsplit_once('@').is_some_and(|(_, of)| server(of));
            if taken || foreign || names.contains(&name) {
                let words = format!("somebody is or was called {name} here already; choose another name (--name), or ask for an invite for that one (--for)");
                return Err(invalid(words));
            }
        }
    }
    let expires = match (offer.scope.expires, offer.lasts.map(|lasts| now.plus(lasts))) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    // In whole seconds, as people read it; never later.
    let expires = expires.map(|expires| Time::from_secs(expires.secs()));
    let grant = GrantId::of("midwatch grant 1", &[&code.0, key.as_str().as_bytes()]);
    let said = TrustGranted {
        grant,
        key: key.clone(),
        name: name.clone(),
        who,
        role: offer.role.clone(),
        scope: Scope { expires, ..offer.scope.clone() },
        invite: Some(code),
    };
    let title = format!("{name} joined as {}: {}", offer.role, said.scope);
    given(world, invite.by.clone(), said, title, now)
}

/// A key that is known is given something at once.
pub fn granted(world: &World, actor: &Actor, said: TrustGranted, now: Time) -> Result<Vec<Draft>, Refusal> {
    fits(&said.scope, Some(&said.name), now)?;
    named(world, said.who, &said.name, false, Some(&said.key), now)?;
    let title = format!("{} granted {} as {}: {}", actor.name(), said.name, said.role, said.scope);
    given(world, actor.clone(), said, title, now)
}

fn given(world: &World, actor: Actor, said: TrustGranted, title: String, now: Time) -> Result<Vec<Draft>, Refusal> {
    if world.grants.contains_key(&said.grant) {
        return Err(invalid("that was granted already"));
    }
    if world.grants.values().filter(|grant| grant.ended.is_none()).count() >= MOST {
        return Err(invalid(format!("{MOST} grants hold already; revoke some first")));
    }
    if said.scope.is_over(now) {
        return Err(invalid("what is offered is over by now"));
    }
    Ok(vec![Draft::new(now, actor, said, title)])
}

/// A name is one person's, or one server's: all that they did stands under it. `same`: it is said that this one
/// is they, and so there must be one.
fn named(world: &World, who: Who, name: &Arc<str>, same: bool, key: Option<&Key>, now: Time) -> Result<(), Refusal> {
    let other = |grant: &Arc<Grant>| (grant.who, &grant.name) == (who, name) && grant.holds(now) && key.is_none_or(|key| !grant.has(key));
    // That there is such a one was asked where the operator's list is known, too. Machines are called what the
    // administrator says.
    if same || who == Who::Agent || !world.grants.values().any(other) {
        return Ok(());
    }
    Err(taken(who, name))
}

/// Why a name cannot be given.
pub(super) fn taken(who: Who, name: &str) -> Refusal {
    let hint = match who {
        Who::Person => "if it is the same person, say so (`midwatch invite --for`), or give them the key (`midwatch keys replace`)",
        Who::Agent | Who::Peer => "choose another, or revoke that one first",
    };
    invalid(format!("there is a {who} called {name} here already; {hint}"))
}

fn fits(scope: &Scope, name: Option<&str>, now: Time) -> Result<(), Refusal> {
    if scope.systems.is_empty() || scope.rights.is_empty() {
        return Err(invalid("that allows nothing: name systems and rights"));
    }
    if scope.systems.len() > Scope::PATTERNS {
        return Err(invalid(format!("more than {} patterns of systems", Scope::PATTERNS)));
    }
    if scope.is_over(now) {
        return Err(invalid("its end has passed already"));
    }
    match name {
        Some(name) if !is_name(name) => Err(invalid("a name has letters, digits, spaces and `. _ - + @`, at most 60")),
        Some(_) | None => Ok(()),
    }
}

/// A grant ends now, or an invite is taken back.
pub fn revoked(world: &World, actor: &Actor, id: GrantId, why: &Arc<str>, now: Time) -> Result<Vec<Draft>, Refusal> {
    let (key, what) = match (world.grants.get(&id).map(|grant| &**grant), world.invites.get(&id)) {
        (Some(grant), _) if grant.ended.is_some() => {
            return Err(Refusal::new(RefusalCode::Over, format!("{}'s grant is over already: it was {}", grant.name, grant.state(now))));
        }
        (Some(grant), _) => (Some(grant.key.clone()), format!("{} revoked {}'s grant as {}", actor.name(), grant.name, grant.role)),
        (None, Some(invite)) => (None, format!("{} took back an invite as {}", actor.name(), invite.offer.role)),
        (None, None) => return Err(Refusal::new(RefusalCode::Unknown, "there is no such grant or invite here (any more)")),
    };
    Ok(vec![Draft::new(now, actor.clone(), TrustRevoked { grant: id, key }, what).text(why.clone())])
}

/// What is over by now.
pub(super) fn tick(world: &World, now: Time, out: &mut Vec<Draft>) {
    let over = |grant: &&Arc<Grant>| grant.ended.is_none() && grant.scope.is_over(now);
    for grant in world.grants.values().filter(over) {
        let kind = TrustExpired { grant: grant.id, key: Some(grant.key.clone()) };
        let at = grant.scope.expires.unwrap_or(now);
        out.push(Draft::new(at, Actor::Server, kind, format!("{}'s grant as {} is over", grant.name, grant.role)));
    }
    for (id, invite) in world.invites.iter().filter(|(_, invite)| invite.offer.closes <= now) {
        let title = format!("nobody brought the code for an invite as {}", invite.offer.role);
        out.push(Draft::new(invite.offer.closes, Actor::Server, TrustExpired { grant: *id, key: None }, title).severity(Severity::Debug));
    }
}

/// What a role allows on these systems: at most what it has.
pub fn by_role(roles: &Roles, role: &str, systems: &[Pattern], rights: Option<Rights>, until: Option<Time>) -> Result<(Who, Scope), Refusal> {
    let bundle = roles.get(role).ok_or_else(|| {
        let near = nearest(role, roles.names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let names: Vec<&str> = roles.names().collect();
        let role: String = role.chars().filter(|c| !c.is_control()).take(60).collect();
        invalid(format!("this server has no role `{role}`{near} ({})", names.join(", ")))
    })?;
    let rights = rights.unwrap_or(bundle.rights);
    if !bundle.rights.covers(rights) {
        return Err(invalid(format!("the role {role} has {}, and not {rights}; name another role", bundle.rights)));
    }
    Ok((bundle.who, Scope::new(systems.iter().cloned(), rights, until)))
}

/// Who grants may do all that they grant, and administer everywhere.
pub fn may_grant(own: &Scope, given: &Scope, lasts: Option<Span>, now: Time) -> Result<(), Refusal> {
    if !own.may(Right::Administer, None) {
        let words = format!("inviting and granting takes the right `administer` on all systems, and what you may do here is: {own}");
        return Err(Refusal::new(RefusalCode::Forbidden, words));
    }
    let ends = Scope { expires: given.expires.or(lasts.map(|lasts| now.plus(lasts))), ..given.clone() };
    // An agent observes and a peer passes on what an administrator alone may let them.
    let own = Scope { rights: own.rights.with(Right::Observe).with(Right::Federate), ..own.clone() };
    if own.covers(&ends) {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::Forbidden, format!("nobody grants more than they have: that is {ends}, and what you may do here is: {own}")))
}
