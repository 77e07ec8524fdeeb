//! Why a request to a source failed, in words for people: what is wrong, and what to do about it.

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;

use reqwest::{StatusCode, Url, header};
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

use crate::model::time::Time;

/// What an answer's status says.
pub(super) fn of_status(status: StatusCode, headers: &header::HeaderMap, url: &Url) -> String {
    match status {
        StatusCode::UNAUTHORIZED => ": it wants a name and a password, or a token (`username` and `password_file`, or `token_file`)".to_owned(),
        StatusCode::FORBIDDEN => ": what it was shown may not read this".to_owned(),
        StatusCode::NOT_FOUND => ": there is no such page; is `kind` right, and does `url` hold the whole prefix?".to_owned(),
        StatusCode::BAD_REQUEST if url.scheme() == "http" => ": if it speaks TLS there, `url` begins with https://".to_owned(),
        status if status.is_redirection() => {
            let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("somewhere else");
            format!(": it points to {}; redirects are not followed, put the address that is right into `url`", short(to, 200))
        }
        _ => String::new(),
    }
}

/// Why there was no answer. `ca`: the certificates that were trusted instead of the system's.
pub(super) fn of_request(error: &reqwest::Error, url: &Url, ca: Option<&Path>) -> String {
    if error.is_timeout() {
        return "no answer in time; is it overloaded, or does a firewall drop what is sent?".to_owned();
    }
    if let Some(tls) = chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return of_tls(tls, url, ca);
    }
    let words = innermost(error);
    match chain(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "the connection is refused: nothing listens there; is it running, and is the port right?".to_owned(),
        _ if words.contains("lookup") => format!("{} is no name that resolves here ({words})", host(url)),
        // Spoken to in plain text, a TLS port hangs up.
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) if url.scheme() == "http" => {
            format!("it hangs up ({words}); if it speaks TLS there, `url` begins with https://")
        }
        _ if words.contains("invalid HTTP") && url.scheme() == "http" => {
            format!("it does not speak HTTP there ({words}); if it is TLS, `url` begins with https://")
        }
        _ => words,
    }
}

fn of_tls(error: &rustls::Error, url: &Url, ca: Option<&Path>) -> String {
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
                format!("its certificate is not for {}, but for {names}: write in `url` a name that it is for, or have one made for this name", host(url))
            }
            CertificateError::NotValidForName => {
                format!("its certificate is not for {}: write in `url` a name that it is for, or have one made for this name", host(url))
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

fn host(url: &Url) -> String {
    short(url.host_str().unwrap_or_default(), 100)
}

/// An error and what brought it about. An [`std::io::Error`] does not name what it holds as its source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(held) => Some(held as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    })
    .take(20)
}

/// The innermost reason of an error: what the outer ones say is known already.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(String::new, |inner| short(&inner.to_string(), 300))
}

fn short(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}
