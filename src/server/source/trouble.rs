//! Why a request to a source failed, in words for people: what is wrong, and what to do about it.

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;

use reqwest::{StatusCode, Url, header};

use crate::trust::tls::words::{self, short};

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
        return words::of(tls, &host(url), ca);
    }
    let said = innermost(error);
    match chain(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "the connection is refused: nothing listens there; is it running, and is the port right?".to_owned(),
        _ if said.contains("lookup") => format!("{} is no name that resolves here ({said})", host(url)),
        // Spoken to in plain text, a TLS port hangs up.
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) if url.scheme() == "http" => {
            format!("it hangs up ({said}); if it speaks TLS there, `url` begins with https://")
        }
        _ if said.contains("invalid HTTP") && url.scheme() == "http" => {
            format!("it does not speak HTTP there ({said}); if it is TLS, `url` begins with https://")
        }
        _ => said,
    }
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
