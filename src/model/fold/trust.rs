//! Who was given what: grants and invites stay in the world for as long as they hold, and a while longer.

use std::sync::Arc;

use crate::model::event::{Event, TrustAdmitted, TrustExpired, TrustGranted, TrustInvited, TrustRevoked};
use crate::model::grant::{End, Grant, Invite};
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
    let before: Vec<GrantId> = world.grants.values().filter(|grant| grant.key == said.key && grant.ended.is_none()).map(|grant| grant.id).collect();
    for id in before {
        end(world, id, event, End::Replaced);
    }
    let grant = Grant {
        id: said.grant,
        key: said.key.clone(),
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
    if let Some(grant) = said.grant.as_ref().and_then(|grant| world.grants.get_mut(grant)) {
        Arc::make_mut(grant).used = Some(event.at);
    }
}

fn end(world: &mut World, id: GrantId, event: &Event, why: End) {
    if let Some(grant) = world.grants.get_mut(&id).filter(|grant| grant.ended.is_none()) {
        Arc::make_mut(grant).ended = Some((event.at, why));
    }
}
