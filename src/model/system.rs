//! What is managed: systems as their primary server declares them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::Link;
use super::history::HistoryRules;
use super::id::{SystemAddress, SystemId};

/// A system as its primary server declares it, in its TOML until systems come from Git. This type is
/// the format, on the wire and in the configuration alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    pub id: SystemId,
    /// What people call it: "Varnish in front of the shop". Empty: the id serves.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub title: Arc<str>,
    /// The word that screens use: "service", "environment", "cluster" …
    #[serde(default, skip_serializing_if = "is_empty")]
    pub category: Arc<str>,
    /// One sentence for somebody who has never seen it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub about: Arc<str>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub owner: Arc<str>,
    /// Whom to wake, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runbooks: Vec<Link>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dashboards: Vec<Link>,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subsystems: Vec<SystemAddress>,
    /// What it needs to work, here or on other servers: causes are looked for there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<SystemAddress>,
    /// When an alert of it, or of what stands beneath it by name, counts as rare, chronic, usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryRules>,
}

fn is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

/// A person or a rota, and how to reach them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    pub name: Arc<str>,
    /// "+49 …", "sam@example.org", "#infra on chat".
    #[serde(default, skip_serializing_if = "is_empty")]
    pub reach: Arc<str>,
    /// When, or for what: "nights", "storage".
    #[serde(default, skip_serializing_if = "is_empty")]
    pub when: Arc<str>,
}

impl SystemSpec {
    /// A system that nobody declared, known by an event alone.
    pub fn bare(id: SystemId) -> SystemSpec {
        let empty: Arc<str> = "".into();
        SystemSpec {
            id,
            title: empty.clone(),
            category: empty.clone(),
            about: empty.clone(),
            owner: empty,
            contacts: Vec::new(),
            runbooks: Vec::new(),
            dashboards: Vec::new(),
            subsystems: Vec::new(),
            uses: Vec::new(),
            history: None,
        }
    }
}
