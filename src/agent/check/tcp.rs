//! A TCP port that should answer, and how long that takes.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Context, Outcome, metric, threshold};
use crate::model::severity::Status;
use crate::model::time::Span;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// `host:port`, `192.0.2.1:22`, `[2001:db8::1]:22`.
    #[serde(deserialize_with = "address")]
    pub address: String,
    /// When connecting takes longer than this.
    pub warning: Option<Span>,
    pub critical: Option<Span>,
}

pub(super) fn address<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if valid { Ok(text) } else { Err(serde::de::Error::custom(format!("`{text}` is no address: write host:port, like \"db1:5432\" or \"[::1]:22\""))) }
}

pub async fn run(tcp: &Tcp, _: &Context) -> Outcome {
    let begin = Instant::now();
    match tokio::net::TcpStream::connect(&tcp.address).await {
        Ok(_) => {
            let took = begin.elapsed();
            timed(took, tcp.warning, tcp.critical, format!("{} answers", tcp.address))
        }
        Err(error) => Outcome::new(Status::Critical, format!("{} {}", tcp.address, refusal(&error))),
    }
}

/// An outcome that is good but for the time that it took.
pub(super) fn timed(took: Duration, warning: Option<Span>, critical: Option<Span>, words: String) -> Outcome {
    let seconds = took.as_secs_f64();
    let limit = |span: Option<Span>| span.map(|span| span.duration().as_secs_f64());
    let mut time = metric("time", seconds, "s");
    time.warning = limit(warning).map_or_else(String::new, |l| l.to_string()).into();
    time.critical = limit(critical).map_or_else(String::new, |l| l.to_string()).into();
    let status = threshold::status(threshold::over(seconds, limit(warning)), threshold::over(seconds, limit(critical)));
    let slow = if status.is_ok() { "" } else { ", too slow" };
    Outcome::new(status, format!("{words} in {} ms{slow}", took.as_millis())).with(vec![time])
}

pub(super) fn refusal(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses connections: nothing listens there".into(),
        io::ErrorKind::TimedOut => "does not answer: the host is down, or a firewall drops what is sent".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("cannot be reached from here: {error}"),
        _ => {
            let words = error.to_string();
            if words.contains("lookup") { format!("is no name that resolves here: {words}") } else { format!("does not answer: {words}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_port_a_closed_one_and_a_slow_one() {
        let context = super::super::test_context(10_000);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tcp = Tcp { address: listener.local_addr().unwrap().to_string(), warning: None, critical: Some(Span::from_secs(5)) };
        let outcome = run(&tcp, &context).await;
        assert_eq!((outcome.status, outcome.metrics.len()), (Status::Ok, 1), "{}", outcome.text);
        tcp.warning = Some(Span::ZERO);
        assert_eq!(run(&tcp, &context).await.status, Status::Warning);
        drop(listener);
        let outcome = run(&tcp, &context).await;
        assert_eq!(outcome.status, Status::Critical);
        assert!(outcome.text.ends_with("nothing listens there"), "{}", outcome.text);
    }
}
