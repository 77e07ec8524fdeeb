//! What a peer grants a server is told to that server's users: what, by whom, and until when.

use std::time::Duration;

use midwatch::client::ServerIndex;
use midwatch::model::grant::Key;
use midwatch::model::intent::{Intent, Request};
use midwatch::model::peer::{Line as PeerLine, PeerState};
use midwatch::model::time::{Span, Time};
use midwatch::server::Input;

use crate::federation::{Glass, Node, Sea, simulate};
use crate::scene;
use crate::sim::Line;

fn told(glass: &Glass) -> Option<&PeerState> {
    glass.replicas.get(&ServerIndex(0))?.peers.first()
}

async fn grant(on: &Node, to: &Node, systems: &str, until: Option<Time>) {
    let systems = vec![systems.parse().unwrap()];
    let intent = Intent::Grant { key: Key::of(to.signer.public().bytes()), name: "shop".into(), role: "peer".into(), systems, rights: None, until };
    on.running.as_ref().unwrap().core.write(Input::Request(Request { intent, ..scene::note("") })).await.unwrap();
}

#[test]
fn what_a_peer_grants_and_until_when_is_told_and_follows_when_it_changes() {
    simulate(async {
        let sea = Sea::new(31);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        b.note_on("web/front", "before").await;
        let begins = midwatch::link::Clock::now(&*sea.clock);
        let until = begins.plus(Span::from_hours(3));
        grant(&b, &a, "web/**", Some(until)).await;
        a.peers = vec![("b", Line { stranger: true, ..sea.line(&b) })];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("what is granted is told", |glass| told(glass).is_some_and(|peer| peer.grant.is_some())).await;
        let peer = told(&glass).unwrap().clone();
        assert_eq!(peer.grant.as_deref(), Some("see and pass on what happens on web/**"));
        assert_eq!((peer.until, peer.granted_by.as_deref()), (Some(until), Some("kim")));
        assert!(peer.granted.is_some_and(|at| at.since(begins) < Span::from_secs(60)), "{:?}", peer.granted);
        assert_eq!(peer.key.as_deref(), Some(&*b.signer.public().fingerprint()));
        // Longer, and for less.
        let longer = until.plus(Span::from_hours(1));
        grant(&b, &a, "web/front", Some(longer)).await;
        glass.until("the new grant is told", |glass| told(glass).is_some_and(|peer| peer.until == Some(longer))).await;
        assert_eq!(told(&glass).unwrap().grant.as_deref(), Some("see and pass on what happens on web/front"));
        // It ends by itself: what was granted, and when that ended, stays said.
        tokio::time::sleep(Duration::from_secs(4 * 3_600 + 120)).await;
        glass.until("the line is lost", |glass| told(glass).is_some_and(|peer| peer.line == PeerLine::Lost)).await;
        let peer = told(&glass).unwrap();
        assert_eq!(peer.until, Some(longer));
        assert!(peer.why.as_deref().unwrap_or_default().contains("ended") || peer.why.as_deref().unwrap_or_default().contains("let us in"), "{:?}", peer.why);
    });
}
