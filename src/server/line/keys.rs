//! How much one key may take, over all of its connections: how many of these, and how many messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::trust::PublicKey;

/// The keys that are connected.
#[derive(Debug)]
pub struct Keys {
    most: u32,
    connected: Mutex<HashMap<PublicKey, Connected>>,
}

#[derive(Debug)]
struct Connected {
    connections: u32,
    rate: Arc<Mutex<Rate>>,
}

/// Messages within a second.
#[derive(Debug, Default)]
struct Rate {
    second: Option<Instant>,
    count: u32,
}

/// One connection of a key, as long as it is kept.
#[derive(Debug)]
pub struct KeyUse {
    held: Option<(Arc<Keys>, PublicKey)>,
    rate: Arc<Mutex<Rate>>,
}

impl Keys {
    pub fn new(most: u32) -> Keys {
        Keys { most, connected: Mutex::default() }
    }

    /// One more connection of this key. `None`: it has as many as it may.
    pub fn enter(self: &Arc<Keys>, key: PublicKey) -> Option<KeyUse> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let own = connected.entry(key).or_insert_with(|| Connected { connections: 0, rate: Arc::default() });
        if own.connections >= self.most {
            return None;
        }
        own.connections += 1;
        Some(KeyUse { held: Some((self.clone(), key)), rate: own.rate.clone() })
    }

    /// How many connections a key may have.
    pub fn most(&self) -> u32 {
        self.most
    }
}

impl KeyUse {
    /// A connection that has no key: its messages are counted for itself.
    pub fn alone() -> KeyUse {
        KeyUse { held: None, rate: Arc::default() }
    }

    /// Counts a message. Until when it has to wait, where there were more within this second than `most`.
    pub fn message(&self, most: u32) -> Option<Instant> {
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        match rate.second {
            Some(second) if now.duration_since(second) < Duration::from_secs(1) => {
                rate.count = rate.count.saturating_add(1);
                (rate.count > most).then(|| second + Duration::from_secs(1))
            }
            Some(_) | None => {
                *rate = Rate { second: Some(now), count: 1 };
                None
            }
        }
    }
}

impl Drop for KeyUse {
    fn drop(&mut self) {
        let Some((keys, key)) = &self.held else { return };
        let mut connected = keys.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = connected.get_mut(key) {
            own.connections = own.connections.saturating_sub(1);
            if own.connections == 0 {
                connected.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Signer;

    #[tokio::test(start_paused = true)]
    async fn a_key_has_so_many_connections_and_one_rate_for_all_of_them() {
        let keys = Arc::new(Keys::new(2));
        let (one, other) = (Signer::from_seed([1; 32]).public(), Signer::from_seed([2; 32]).public());
        let (first, second) = (keys.enter(one).unwrap(), keys.enter(one).unwrap());
        assert!(keys.enter(one).is_none());
        let third = keys.enter(other).unwrap();
        assert!((0..2).all(|_| first.message(3).is_none()) && second.message(3).is_none());
        assert_eq!(second.message(3), Some(Instant::now() + Duration::from_secs(1)), "whichever line it comes on");
        assert_eq!(third.message(3), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(first.message(3), None);
        drop(first);
        assert!(keys.enter(one).is_some());
        drop((second, third));
        assert!(keys.connected.lock().unwrap().is_empty());
    }
}
