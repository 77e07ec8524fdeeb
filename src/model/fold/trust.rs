//! Who was given what: grants and invites stay in the world for as long as they hold, and a while longer.

use std::sync::Arc;

use crate::model::event::{Event, TrustAdmitted, TrustExpired, TrustGranted, TrustInvited, TrustKeyAdded, TrustKeyRemoved, TrustRevoked};
use crate::model::grant::{End, Further, Grant, Invite, Lost};
use crate::model::id::GrantId;
use crate::model::world::World;

pub(super) fn invited(world: &mut World, event: &Event, said: &TrustInvited) {
    if world.invites.len() >= World::INVITES
        && let Some(oldest) = world.invites.iter().min_by_key(|(_, invite)| invite.at).map(|(id, _)| *id)
    {
        world.invites.remove(&oldest);
    }
    world.invites.insert(said.invite, Invite { offer: said.offer.clone(), by: event.actor.clone(), at: event.at });
}

pub(super) fn granted(world: &mut World, event: &Event, said: &TrustGranted) {
    if let Some(invite) = &said.invite {
        world.invites.remove(invite);
    }
    let before: Vec<Arc<Grant>> = world.grants.values().filter(|grant| grant.ended.is_none() && grant.has(&said.key)).cloned().collect();
    let (mut further, mut lost) = (Vec::new(), Vec::new());
    for grant in before {
        // Whoever is granted something else has it with all of their keys: none stays behind with what was before.
        if (grant.who, &grant.name) == (said.who, &said.name) {
            let others = grant.keys().filter(|key| **key != said.key);
            further.extend(others.map(|key| grant.added(key).cloned().unwrap_or_else(|| Further { key: key.clone(), at: grant.at, by: None })));
            lost.extend(grant.lost.iter().cloned());
        }
        end(world, grant.id, event, End::Replaced);
    }
    further.truncate(Grant::KEYS - 1);
    let grant = Grant {
        id: said.grant,
        key: said.key.clone(),
        first: None,
        further,
        lost,
        name: said.name.clone(),
        who: said.who,
        role: said.role.clone(),
        scope: said.scope.clone(),
        by: event.actor.clone(),
        at: event.at,
        invite: said.invite,
        used: None,
        ended: None,
    };
    world.grants.insert(said.grant, Arc::new(grant));
    let over: Vec<GrantId> = world.grants.values().filter(|grant| grant.ended.is_some()).map(|grant| grant.id).collect();
    if over.len() > World::GRANTS_OVER
        && let Some(oldest) = over.into_iter().min_by_key(|id| world.grants.get(id).and_then(|grant| grant.ended.as_ref()).map(|(at, _)| *at))
    {
        world.grants.remove(&oldest);
    }
}

pub(super) fn revoked(world: &mut World, event: &Event, said: &TrustRevoked) {
    world.invites.remove(&said.grant);
    end(world, said.grant, event, End::Revoked(event.actor.clone()));
}

pub(super) fn expired(world: &mut World, event: &Event, said: &TrustExpired) {
    world.invites.remove(&said.grant);
    end(world, said.grant, event, End::Expired);
}

pub(super) fn admitted(world: &mut World, event: &Event, said: &TrustAdmitted) {
    // Of whom something was handed on to, the holder is told nothing.
    if said.handed.is_none()
        && let Some(grant) = said.grant.as_ref().and_then(|grant| world.grants.get_mut(grant))
    {
        Arc::make_mut(grant).used = Some(event.at);
    }
}

pub(super) fn key_added(world: &mut World, event: &Event, said: &TrustKeyAdded) {
    let Some(grant) = world.grants.get_mut(&said.grant).filter(|grant| grant.ended.is_none() && !grant.has(&said.key)) else { return };
    let grant = Arc::make_mut(grant);
    grant.lost.retain(|lost| lost.key != said.key);
    grant.further.push(Further { key: said.key.clone(), at: event.at, by: said.vouched.as_ref().map(|vouched| vouched.by.clone()) });
}

pub(super) fn key_removed(world: &mut World, event: &Event, said: &TrustKeyRemoved) {
    let Some(grant) = world.grants.get_mut(&said.grant).filter(|grant| grant.ended.is_none() && grant.has(&said.key)) else { return };
    let grant = Arc::make_mut(grant);
    if grant.key == said.key {
        if grant.further.is_empty() {
            // Without a key it is nobody's.
            grant.ended = Some((event.at, End::Revoked(event.actor.clone())));
        } else {
            let next = grant.further.remove(0);
            (grant.key, grant.first) = (next.key.clone(), Some(Box::new(next)));
        }
    } else {
        grant.further.retain(|further| further.key != said.key);
    }
    if grant.lost.len() >= Grant::LOST {
        grant.lost.remove(0);
    }
    grant.lost.push(Lost { key: said.key.clone(), at: event.at, by: event.actor.clone() });
}

fn end(world: &mut World, id: GrantId, event: &Event, why: End) {
    if let Some(grant) = world.grants.get_mut(&id).filter(|grant| grant.ended.is_none()) {
        Arc::make_mut(grant).ended = Some((event.at, why));
    }
}
