//! What is wrong with the TLS of a server that is asked, in words for people: what it is, and what to do.

use std::path::Path;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

use crate::model::time::Time;

/// Why TLS with a server did not come about. `ca`: the certificates that were trusted instead of the system's.
pub fn of(error: &rustls::Error, host: &str, ca: Option<&Path>) -> String {
    let trusted = ca.map_or_else(|| "no authority that this machine trusts".to_owned(), |ca| format!("no authority in {}", ca.display()));
    let day = |time: UnixTime| {
        i64::try_from(time.as_secs()).map_or_else(|_| "?".to_owned(), |secs| Time::from_secs(secs).timestamp().strftime("%-d %b %Y").to_string())
    };
    let clock = "and look at this machine's clock";
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("{trusted} vouches for its certificate: put the certificate of the authority that does into a file (PEM), and name that in `ca`")
            }
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate ended on {}: renew it there, {clock}", day(*not_after))
            }
            CertificateError::Expired => format!("its certificate has ended: renew it there, {clock}"),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("its certificate begins on {}: look at the clocks of both machines", day(*not_before))
            }
            CertificateError::NotValidYet => "its certificate has not begun: look at the clocks of both machines".to_owned(),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() {
                    "no name at all".to_owned()
                } else {
                    presented.iter().take(5).map(|name| name_of(name)).collect::<Vec<_>>().join(", ")
                };
                format!("its certificate is not for {host}, but for {names}: write in `url` a name that it is for, or have one made for this name")
            }
            CertificateError::NotValidForName => {
                format!("its certificate is not for {host}: write in `url` a name that it is for, or have one made for this name")
            }
            CertificateError::Revoked => "its certificate was revoked: have a new one made".to_owned(),
            other => format!("its certificate cannot be trusted: {}", short(&other.to_string(), 200)),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => "it does not speak TLS there: does `url` begin with http://?".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("it refuses TLS with us ({alert:?}); does it want a certificate of ours? That cannot be given yet"),
        other => format!("TLS fails: {}", short(&other.to_string(), 200)),
    }
}

/// `DnsName("a.example")` as rustls-webpki presents it: the name alone.
fn name_of(presented: &str) -> String {
    let name = presented.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map_or(presented, |(name, _)| name);
    short(name, 100)
}

/// What others said, on one line and cut.
pub fn short(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}
