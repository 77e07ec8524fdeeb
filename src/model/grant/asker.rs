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
    /// What is written down of it.
    pub used: TrustUsed,
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
    /// What is written down beside what came of it. It names neither systems nor titles: whose key it is may read
    /// it, whatever becomes of their rights.
    pub(crate) fn told(&self, what: &str, actor: &Actor, request: RequestId, now: Time) -> Draft {
        let used = TrustUsed { what: what.into(), ..self.used.clone() };
        let title = words(&used);
        let proof = used.key.as_ref().map_or_else(|| UNPROVED.to_owned(), Key::fingerprint);
        let mut draft = Draft::new(now, actor.clone(), used, title).severity(Severity::Debug).text(proof);
        draft.request = Some(request);
        draft
    }
}

/// What stands where a key would.
const UNPROVED: &str = "no key: the name is what they call themselves";

/// "kim: alert.acknowledged, by the key SHA256:yYMUxhFH…, from 10.0.0.7".
fn words(used: &TrustUsed) -> String {
    let TrustUsed { what, name, from, .. } = used;
    let Some(key) = used.key.as_ref().map(Key::short) else {
        let whom = used.on_behalf_of.as_ref().map_or_else(String::new, |person| format!(" on behalf of {person}"));
        let way = used.way.as_ref().map_or_else(|| "without a key".to_owned(), |way| format!("by the {way}"));
        return format!("{name}{whom}: {what}, {way}, from {from}");
    };
    match (&used.on_behalf_of, &used.through, &used.handed) {
        (Some(person), _, _) => format!("{name} on behalf of {person}: {what}, by its own key {key}, from {from}"),
        (None, Some(peer), _) => format!("{name}: {what}, signed by the key {key}, through {peer} at {from}"),
        (None, None, Some(holder)) => format!("{name}: {what}, by the key {key} that {holder} handed it on to, from {from}"),
        (None, None, None) => format!("{name}: {what}, by the key {key}, from {from}"),
    }
}
