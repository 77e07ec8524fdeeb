//! What is told beside the log, the latest word only: vitals, readings, health, peers.

use std::sync::Arc;

use super::Session;
use super::wire::Said;
use crate::model::peer::PeerState;
use crate::model::world::World;
use crate::server::health::HealthFrame;
use crate::server::hub::{ReadingsFrame, VitalsFrame};
use crate::server::peer::PeersFrame;
use crate::server::rights::lossy;
use crate::wire;
use crate::wire::{Role, ToClient, Vitals};

impl Session {
    pub(super) async fn tell_peers(&mut self, frame: &PeersFrame) -> Said {
        self.settle().await?;
        if self.hello.role != Role::Peer {
            return self.wire.tell(frame.message(self.wire.encoding)).await;
        }
        let Some(known) = self.wire.shared.peers.clone() else { return Ok(()) };
        let granted = self.principal.scope();
        let offered = |peer: &PeerState| Some(PeerState { offers: Some(known.passes(peer.origin)?.offers(granted)), ..peer.clone() });
        let peers = frame.peers.iter().filter_map(offered).collect();
        self.wire.say(&ToClient::Peers(wire::Peers { peers })).await
    }

    pub(super) async fn tell_health(&mut self, frame: &HealthFrame) -> Said {
        self.settle().await?;
        if !self.principal.sight().names_all() {
            return self.wire.say(&ToClient::Health(lossy::health(self.principal.sight(), &frame.health))).await;
        }
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    /// All that changed since this reader was told last.
    pub(super) async fn catch_up_readings(&mut self) -> Said {
        let Some((_, known)) = &self.readings else { return Ok(()) };
        let since = *known;
        let (version, readings) = loop {
            let scope = self.principal.sight().clone();
            let seen = move |world: &World, readings| if scope.is_all() { readings } else { lossy::readings(&scope, world, readings) };
            let Some(found) = self.wire.house.readings_since(since, seen).await else { return Ok(()) };
            if self.holds() {
                break found;
            }
            self.settle().await?;
        };
        if let Some((_, known)) = &mut self.readings {
            *known = version;
        }
        if readings.is_empty() { Ok(()) } else { self.wire.say(&ToClient::Readings(readings)).await }
    }

    pub(super) async fn tell_readings(&mut self, frame: Arc<ReadingsFrame>) -> Said {
        self.tell_lease().await?;
        self.settle().await?;
        let Some((_, known)) = &mut self.readings else { return Ok(()) };
        if frame.version <= *known {
            return Ok(());
        }
        if frame.since > *known || !self.principal.sight().is_all() {
            return self.catch_up_readings().await;
        }
        *known = frame.version;
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    pub(super) async fn tell_vitals(&mut self, frame: Arc<VitalsFrame>) -> Said {
        self.tell_lease().await?;
        self.settle().await?;
        let Some((_, known)) = &mut self.vitals else { return Ok(()) };
        let own = if *known == frame.since { None } else { Some(self.wire.house.hub.vitals_since(*known)) };
        *known = own.as_ref().map_or(frame.version, |own| own.version);
        let frame = own.as_ref().unwrap_or(&frame);
        if frame.is_empty() {
            return Ok(());
        }
        if !self.principal.sight().is_all() {
            let observations = lossy::observations(self.principal.sight(), frame.observations());
            return if observations.is_empty() { Ok(()) } else { self.wire.say(&ToClient::Vitals(Vitals { observations })).await };
        }
        self.wire.tell(frame.message(self.wire.encoding)).await
    }
}
