//! How much an address may take before anybody there has said who they are: connections at once, and
//! attempts that came to nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::LimitsConfig;

/// Addresses that are remembered at once.
const MOST: usize = 20_000;
/// A failed attempt is forgotten after so long.
const FORGIVEN: Duration = Duration::from_secs(1);
/// The longest wait after too many of them.
const LONGEST: u32 = 64;

#[derive(Debug)]
pub struct Addresses {
    known: Mutex<HashMap<IpAddr, Entry>>,
    strangers: u32,
    attempts: u32,
}

#[derive(Debug)]
struct Entry {
    strangers: u32,
    /// Failed attempts that are not forgiven yet, and when they were counted.
    failures: u32,
    counted: Instant,
    /// How often in a row there were too many, and until when nobody there is heard.
    stretches: u32,
    until: Option<Instant>,
}

/// Why nobody of an address is heard now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Too many there have not said who they are.
    Strangers,
    /// Too many attempts came to nothing: for so long.
    Wait(Duration),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::Strangers => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(RETRY_AFTER, "5".to_owned())],
                "Too many connections of this address that have not said who they are.\n".to_owned(),
            ),
            Refused::Wait(wait) => {
                let wait = wait.as_secs().saturating_add(1);
                let words = format!("Too many attempts from this address showed nothing that opens this server: try again in {wait} s.\n");
                (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, wait.to_string())], words)
            }
        }
        .into_response()
    }
}

impl Addresses {
    pub fn new(limits: &LimitsConfig) -> Addresses {
        Addresses { known: Mutex::default(), strangers: limits.strangers, attempts: limits.attempts }
    }

    /// One more connection of an address that has not said who it is.
    pub fn enter(self: &Arc<Addresses>, address: IpAddr) -> Result<Stranger, Refused> {
        let block = block(address);
        self.with(block, |entry| {
            if entry.strangers >= self.strangers {
                return Err(Refused::Strangers);
            }
            entry.strangers += 1;
            Ok(())
        })?;
        Ok(Stranger { addresses: self.clone(), block })
    }

    /// Whether somebody there may try to say who they are.
    pub fn may(&self, address: IpAddr) -> Result<(), Refused> {
        let now = Instant::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&block(address)).and_then(|entry| entry.until) {
            Some(until) if until > now => Err(Refused::Wait(until - now)),
            Some(_) | None => Ok(()),
        }
    }

    /// An attempt came to nothing.
    pub fn failed(&self, address: IpAddr) {
        let now = Instant::now();
        self.with(block(address), |entry| {
            entry.forgive(now);
            entry.failures = entry.failures.saturating_add(1);
            if entry.failures > self.attempts {
                let wait = 1_u32.checked_shl(entry.stretches).map_or(LONGEST, |wait| wait.min(LONGEST));
                entry.stretches = entry.stretches.saturating_add(1);
                entry.until = Some(now + Duration::from_secs(wait.into()));
            }
        });
    }

    fn with<T>(&self, block: IpAddr, act: impl FnOnce(&mut Entry) -> T) -> T {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&block) {
            known.retain(|_, entry| entry.strangers > 0 || !entry.forgotten(now));
            if known.len() >= MOST {
                // More at once than can be kept apart: those that only failed are let go of.
                known.retain(|_, entry| entry.strangers > 0);
            }
        }
        act(known.entry(block).or_insert(Entry { strangers: 0, failures: 0, counted: now, stretches: 0, until: None }))
    }
}

impl Entry {
    fn forgive(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted).as_millis() / FORGIVEN.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            self.failures = self.failures.saturating_sub(passed);
            self.counted = now;
        }
        if self.failures == 0 {
            (self.stretches, self.until) = (0, None);
        }
    }

    fn forgotten(&mut self, now: Instant) -> bool {
        self.forgive(now);
        self.failures == 0
    }
}

/// Limits count for an IPv4 address, and for the /64 of an IPv6 one: whoever has one has all of those.
pub fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

/// A connection of somebody who has not said who they are, as long as it is kept.
#[derive(Debug)]
pub struct Stranger {
    addresses: Arc<Addresses>,
    block: IpAddr,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut known = self.addresses.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&self.block) {
            entry.strangers = entry.strangers.saturating_sub(1);
            if entry.strangers == 0 && entry.forgotten(Instant::now()) {
                known.remove(&self.block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(strangers: u32, attempts: u32) -> Arc<Addresses> {
        Arc::new(Addresses::new(&LimitsConfig { strangers, attempts, ..LimitsConfig::default() }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_strangers_and_others_are_not_concerned() {
        let addresses = addresses(2, 10);
        let held = [addresses.enter(ip("192.0.2.1")).unwrap(), addresses.enter(ip("::ffff:192.0.2.1")).unwrap()];
        assert_eq!(addresses.enter(ip("192.0.2.1")).err(), Some(Refused::Strangers));
        let other = addresses.enter(ip("192.0.2.2"));
        assert!(other.is_ok());
        // All of a /64 is one.
        let six = [addresses.enter(ip("2001:db8::1")).unwrap(), addresses.enter(ip("2001:db8::ffff:1")).unwrap()];
        assert!(addresses.enter(ip("2001:db8::2")).is_err() && addresses.enter(ip("2001:db8:0:1::2")).is_ok());
        drop((held, six, other));
        assert!(addresses.enter(ip("192.0.2.1")).is_ok());
        assert!(addresses.known.lock().unwrap().is_empty(), "nothing is kept of those that are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_waits_longer_each_time_and_is_forgiven() {
        let addresses = addresses(10, 5);
        let (bad, good) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..5 {
            addresses.failed(bad);
        }
        assert_eq!(addresses.may(bad), Ok(()), "a few mistakes are nobody's attack");
        addresses.failed(bad);
        assert_eq!(addresses.may(bad), Err(Refused::Wait(Duration::from_secs(1))));
        addresses.failed(bad);
        assert_eq!(addresses.may(bad), Err(Refused::Wait(Duration::from_secs(2))));
        for _ in 0..100 {
            addresses.failed(bad);
        }
        assert_eq!(addresses.may(bad), Err(Refused::Wait(Duration::from_secs(64))));
        assert_eq!(addresses.may(good), Ok(()));
        tokio::time::advance(Duration::from_secs(64)).await;
        assert_eq!(addresses.may(bad), Ok(()));
        tokio::time::advance(Duration::from_secs(200)).await;
        addresses.failed(bad);
        assert_eq!(addresses.may(bad), Ok(()), "all of it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_however_many_come() {
        let addresses = addresses(10, 1);
        let held = addresses.enter(ip("203.0.113.1")).unwrap();
        for n in 0..60_000_u32 {
            addresses.failed(IpAddr::V4(n.into()));
        }
        assert!(addresses.known.lock().unwrap().len() <= MOST);
        assert!(addresses.known.lock().unwrap().contains_key(&ip("203.0.113.1")), "who is here stays counted");
        drop(held);
    }
}
