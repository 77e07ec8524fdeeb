//! Who asks for something: what they may do, by which key, and what is written down of it.

use std::sync::Arc;

use super::{Key, Scope, Who};
use crate::model::event::{Actor, Draft, TrustUsed};
use crate::model::id::RequestId;
use crate::model::severity::Severity;
use crate::model::time::Time;

/// One who asks.
#[derive(Clone, PartialEq, Debug)]
pub struct Asker {
    pub scope: Arc<Scope>,
    /// The key that their grant is for, proved by them; none where they came by less than that: by a token, by a
    /// part of a grant, through others.
    pub key: Option<Key>,
    /// What is written down of it, where they came by a key.
    pub used: Option<TrustUsed>,
    /// Who has a key by the operator's own word. Looked at alone where it is asked who is who.
    pub listed: Arc<[Listed]>,
}

/// A key that the operator of a server lets in, without a grant in its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub key: Key,
    pub who: Who,
    pub name: Arc<str>,
}

impl Asker {
    /// One of whom nothing is known but what they may.
    pub fn with(scope: Arc<Scope>) -> Asker {
        Asker { scope, key: None, used: None, listed: [].into() }
    }

    /// What is written down beside what came of it. It names neither systems nor titles: whose key it is may read
    /// it, whatever becomes of their rights.
    pub(crate) fn told(&self, what: &str, actor: &Actor, request: RequestId, now: Time) -> Option<Draft> {
        let used = TrustUsed { what: what.into(), ..self.used.clone()? };
        let title = words(&used);
        let key = used.key.fingerprint();
        let mut draft = Draft::new(now, actor.clone(), used, title).severity(Severity::Debug).text(key);
        draft.request = Some(request);
        Some(draft)
    }
}

/// "kim: alert.acknowledged, by the key SHA256:yYMUxhFH…, from 10.0.0.7".
fn words(used: &TrustUsed) -> String {
    let TrustUsed { what, key, name, from, .. } = used;
    let key = key.short();
    match (&used.on_behalf_of, &used.through, &used.handed) {
        (Some(person), _, _) => format!("{name} on behalf of {person}: {what}, by its own key {key}, from {from}"),
        (None, Some(peer), _) => format!("{name}: {what}, signed by the key {key}, through {peer} at {from}"),
        (None, None, Some(holder)) => format!("{name}: {what}, by the key {key} that {holder} handed it on to, from {from}"),
        (None, None, None) => format!("{name}: {what}, by the key {key}, from {from}"),
    }
}
