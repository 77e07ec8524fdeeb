//! A name that should resolve, as this machine's resolver does it, and to what.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::tcp::timed;
use super::{Context, Outcome};
use crate::model::severity::Status;
use crate::model::time::Span;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    pub host: String,
    /// Addresses that must be among the answers.
    #[serde(default)]
    pub expect: Vec<IpAddr>,
    /// When resolving takes longer than this.
    pub warning: Option<Span>,
    pub critical: Option<Span>,
}

pub async fn run(dns: &Dns, _: &Context) -> Outcome {
    let begin = Instant::now();
    match tokio::net::lookup_host((dns.host.as_str(), 0)).await {
        Ok(found) => {
            let took = begin.elapsed();
            let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
            let shown = found.iter().take(8).map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            let missing: Vec<String> = dns.expect.iter().filter(|address| !found.contains(address)).map(IpAddr::to_string).collect();
            if found.is_empty() {
                Outcome::new(Status::Critical, format!("{} has no address", dns.host))
            } else if missing.is_empty() {
                timed(took, dns.warning, dns.critical, format!("{} is {shown}", dns.host))
            } else {
                Outcome::new(Status::Critical, format!("{} is {shown}, not {}", dns.host, missing.join(", ")))
            }
        }
        Err(error) => Outcome::new(Status::Critical, format!("{} does not resolve: {error}", dns.host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_resolve_to_what_is_expected_or_not() {
        let context = super::super::test_context(10_000);
        let mut dns = Dns { host: "localhost".into(), expect: vec!["127.0.0.1".parse().unwrap()], warning: None, critical: None };
        assert_eq!(run(&dns, &context).await.status, Status::Ok);
        dns.expect = vec!["192.0.2.7".parse().unwrap()];
        let outcome = run(&dns, &context).await;
        assert_eq!(outcome.status, Status::Critical);
        assert!(outcome.text.ends_with("not 192.0.2.7"), "{}", outcome.text);
        // No resolver is asked for what is no name.
        dns.host = "no..name".into();
        assert_eq!(run(&dns, &context).await.status, Status::Critical);
    }
}
