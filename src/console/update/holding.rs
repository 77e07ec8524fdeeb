//! What one holds on each server, what is given out there, and who may see a system.

use std::cmp::Reverse;

use crate::console::effect::Effect;
use crate::console::overlay::choose::{Choice, Choose, Goal, Of};
use crate::console::overlay::{Asked, Confirm, Overlay};
use crate::console::sight::{Barred, Link, LinkState};
use crate::console::state::{State, Tone};
use crate::model::health::Wrong;
use crate::model::id::{GrantId, SystemRef};
use crate::model::intent::Intent;
use crate::model::severity::Severity;
use crate::model::view::access::{Access, At, access};
use crate::model::view::given::{Given, given, invite_again};
use crate::model::view::holding::{Ending, not_let_in, peer_wrong};

impl State {
    /// What is wrong with each server, and what ends soon. Again when something of that was said, when a server
    /// falls silent, and by the minute.
    pub(super) fn judge(&mut self) {
        let judged: Vec<Vec<Wrong>> = self.links.iter().enumerate().map(|(place, link)| self.wrong_with(place, link)).collect();
        for (link, wrong) in self.links.iter_mut().zip(judged) {
            link.wrong = wrong;
        }
    }

    fn wrong_with(&self, place: usize, link: &Link) -> Vec<Wrong> {
        let Some(seen) = self.live().server(place) else { return Vec::new() };
        let held = link.held.as_ref().and_then(|held| held.wrong(&link.name, &seen.world, self.present, &self.zone));
        if !link.is_live(self.mono) {
            // That it does not answer is said already, but not that it will not by itself.
            if link.held.is_none() && link.barred == Some(Barred::NotLetIn) {
                let advice = not_let_in(&link.name, &seen.world).into();
                let what = format!("{} does not let you in", link.name).into();
                return vec![Wrong { severity: Severity::Error, word: "not let in".into(), what, advice }];
            }
            let over = link.held.as_ref().is_some_and(|held| held.ending(&seen.world, self.present) == Ending::Over);
            return held.filter(|_| over && matches!(link.barred, None | Some(Barred::NotLetIn))).into_iter().collect();
        }
        let own = link.health.iter().flat_map(|health| health.wrong.iter().cloned());
        // What a peer passes on comes by that peer's grant.
        let direct = link.peers.iter().filter(|peer| peer.through.is_empty());
        let peers = direct.filter_map(|peer| peer_wrong(peer, &link.name, self.present, &self.zone));
        let mut wrong: Vec<Wrong> = held.into_iter().chain(own).chain(peers).collect();
        wrong.sort_by_key(|wrong| Reverse(wrong.severity));
        wrong
    }

    /// Asks each server what one holds there: when it comes, when that may have changed, and when its end is near.
    pub(super) fn ask_what_is_held(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for place in 0..self.links.len() {
            let Some(link) = self.links.get(place) else { continue };
            if link.is_file || link.through.is_some() || link.superseded || link.state != LinkState::Up {
                continue;
            }
            let world = self.live().server(place).map(|seen| &seen.world);
            // Before it is near, there is nothing to ask about an end.
            let ending = link.held.as_ref().zip(world).map_or(Ending::Never, |(held, world)| held.ending(world, self.present));
            let ending = if ending.severity().is_none() { Ending::Never } else { ending };
            if link.asked_held != Some(ending) {
                effects.push(Effect::AskHeld { server: place });
                if let Some(link) = self.links.get_mut(place) {
                    link.asked_held = Some(ending);
                }
            }
        }
        effects
    }

    /// The reader's own part of a server: of one that is seen through another, what the other lets them do.
    fn at(&self, place: usize) -> At<'_> {
        At { server: place, held: self.links.get(place).and_then(|link| link.held.as_deref()) }
    }

    /// Who may see a system, and why.
    pub fn access(&self, system: &SystemRef) -> Option<Access> {
        let sky = self.live();
        let (place, _) = sky.of_origin(system.origin)?;
        let through = self.links.get(place).and_then(|link| link.through).map(|through| self.at(through));
        access(sky, system, self.at(place), through, self.present)
    }

    pub(super) fn who_may_see(&mut self) {
        match self.subject() {
            Some(system) => self.overlay = Some(Overlay::Access { system, top: 0 }),
            None => self.say(Tone::Plain, "there is no system here"),
        }
    }

    /// What the selected server has given out, if one may know; else why not.
    fn given_here(&self) -> Result<(usize, Vec<Given>), String> {
        let place = self.panes.servers.list.selected();
        let link = self.links.get(place).ok_or("there is no server here")?;
        let world = self.live().server(place).map(|seen| &seen.world).ok_or("nothing is known of it yet")?;
        match &link.held {
            Some(held) if held.scope.is_all() => Ok((place, given(world, self.present))),
            Some(_) => Err(format!("only who runs {} sees who holds what there", link.name)),
            None => Err(format!("{} has not said what you may do there", link.name)),
        }
    }

    /// A grant to be chosen, among those that these words name.
    fn choose_grant(&mut self, of: Of, words: Option<&str>, goal: fn(usize, GrantId) -> Goal) -> Option<Goal> {
        let (server, all) = match self.given_here() {
            Ok(here) => here,
            Err(why) => {
                self.say(Tone::Plain, why);
                return None;
            }
        };
        let words = words.unwrap_or_default().trim();
        let named = |given: &&Given| given.name == words || (words.len() >= 6 && given.id.to_string().starts_with(&words.to_ascii_lowercase()));
        let found: Vec<&Given> = all.iter().filter(named).collect();
        if let [one] = found.as_slice() {
            return Some(goal(server, one.id));
        }
        if all.is_empty() {
            self.say(Tone::Plain, "nothing is given out there; `midwatch invite` in a shell does that");
            return None;
        }
        let choices = all.iter().map(|given| Choice { text: title(given), note: note(given), goal: goal(server, given.id) });
        self.overlay = Some(Overlay::Choose(Choose::new(of, words, choices.collect())));
        None
    }

    pub(super) fn revoke(&mut self, words: Option<&str>) {
        if let Some(Goal::Revoke(server, grant)) = self.choose_grant(Of::Revoke, words, Goal::Revoke) {
            self.confirm_revoke(server, grant);
        }
    }

    /// It is always asked about: nothing brings a grant back but another invite.
    pub(super) fn confirm_revoke(&mut self, server: usize, grant: GrantId) {
        let Some((name, seen)) = self.links.get(server).map(|link| link.name.clone()).zip(self.live().server(server)) else { return };
        let Some(given) = given(&seen.world, self.present).into_iter().find(|given| given.id == grant) else {
            self.say(Tone::Plain, "that grant is over already");
            return;
        };
        let what = title(&given);
        let ends = if given.is_invite { "The code opens nothing any more." } else { "Open connections end at once; another invite is the way back." };
        let mut hits = vec![format!("{what}: {}", given.may), format!("{}, by {}, {}", given.ends, given.by, given.used)];
        hits.push(ends.to_owned());
        let then = vec![Asked { server, alert: None, what, intent: Intent::Revoke { grant, why: "".into() }, inverse: None }];
        self.overlay = Some(Overlay::Confirm(Confirm { title: format!("revoke on {name}"), hits, top: 0, then, word: "revoke" }));
    }

    pub(super) fn copy_invite(&mut self, words: Option<&str>) -> Vec<Effect> {
        match self.choose_grant(Of::InviteAgain, words, Goal::InviteAgain) {
            Some(Goal::InviteAgain(server, grant)) => self.copy_invite_of(server, grant),
            _ => Vec::new(),
        }
    }

    pub(super) fn copy_invite_of(&mut self, server: usize, grant: GrantId) -> Vec<Effect> {
        let name = self.links.get(server).map(|link| link.name.clone());
        let line = name.zip(self.live().server(server)).and_then(|(name, seen)| invite_again(&seen.world, grant, &name));
        let Some(line) = line else { return self.copy(None) };
        self.say(Tone::Plain, format!("copied, for a shell: {line}"));
        vec![Effect::Copy(line)]
    }
}

/// "robin, responder".
fn title(given: &Given) -> String {
    let invited = if given.is_invite { "an invite: " } else { "" };
    format!("{invited}{}, {}", given.name, given.role)
}

fn note(given: &Given) -> String {
    format!("{}, {}, by {}, {}", given.systems, given.ends, given.by, given.id.short())
}
