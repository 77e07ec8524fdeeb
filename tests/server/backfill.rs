//! What was missed of a peer's log is filled in afterwards, signed where it is passed on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use midwatch::link::Clock;
use midwatch::model::event::{Actor, Draft, Kind, LogLine};
use midwatch::model::id::{EventId, Sequence};
use midwatch::store::{Log, Page, Row};
use midwatch::trust::seal;
use midwatch::wire::EventBytes;

use crate::federation::{Node, Sea, simulate};
use crate::leases::grant;
use crate::sim::{BROKEN, Line, OPEN};

async fn rest() {
    tokio::time::sleep(Duration::from_secs(40)).await;
}

async fn held(log: &dyn Log) -> Vec<Row> {
    log.held(Sequence(1), Sequence(u64::MAX), 100_000, 1 << 30).await.unwrap()
}

fn bytes(rows: &[Row]) -> Vec<(u64, &[u8])> {
    rows.iter().map(|row| (row.sequence.0, &row.bytes[..])).collect()
}

#[test]
fn what_was_missed_is_filled_in_byte_for_byte_also_over_a_restart_and_that_is_said() {
    simulate(async {
        let sea = Sea::new(41);
        let (mut a, mut b) = (Node::new(1, "a"), Node::new(2, "b"));
        a.tells = Some((20, 20));
        a.start(&sea).await;
        let line = sea.line(&a);
        b.peers = vec![("a", line.clone())];
        b.start(&sea).await;
        rest().await;
        a.note("before").await;
        rest().await;
        b.stop().await;
        for number in 0..60 {
            a.note(&format!("missed {number}")).await;
        }
        b.start(&sea).await;
        // It begins anew, and stops before anything is filled in.
        while b.said("peer.missed").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        line.state.store(BROKEN, Ordering::SeqCst);
        b.stop().await;
        let copy = b.shelf.log(a.origin).unwrap();
        assert!(held(&copy).await.len() < held(&a.log).await.len(), "there is a gap");
        line.state.store(OPEN, Ordering::SeqCst);
        b.start(&sea).await;
        rest().await;
        let (theirs, ours) = (held(&a.log).await, held(&copy).await);
        assert_eq!(bytes(&ours), bytes(&theirs));
        let said = b.said("peer.missed").await;
        let filled: Vec<Option<u64>> = said.iter().map(|event| if let Kind::PeerMissed(missed) = &event.kind { missed.filled } else { panic!() }).collect();
        assert_eq!(filled.len(), 2, "{said:?}");
        assert!(filled[0].is_none() && filled[1].is_some_and(|filled| filled >= 30), "{filled:?}");
        // The world is what it was, and is passed on without a break.
        let durable = b.running.as_ref().unwrap().core.durable().await.unwrap();
        assert!(durable.world.head.0 > 0);
        a.note("after").await;
        rest().await;
        assert_eq!(held(&copy).await.len(), held(&a.log).await.len());
    });
}

#[test]
fn the_past_of_a_log_that_is_passed_on_comes_with_its_own_servers_signatures_or_not_at_all() {
    simulate(async {
        let sea = Sea::new(42);
        let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        grant(&a, &b, "read,federate", "web/**");
        a.start(&sea).await;
        b.peers = vec![("a", Line { stranger: true, ..sea.line(&a) })];
        b.start(&sea).await;
        rest().await;
        for number in 0..30 {
            a.note_on("web/front", &format!("said {number}.")).await;
            a.note_on("lab", "not for everybody").await;
        }
        rest().await;
        // The relay makes something up, in the place of what it never received.
        b.stop().await;
        let copy = b.shelf.log(a.origin).unwrap();
        let real = held(&copy).await;
        let hole = real.windows(2).rev().find(|two| two[1].sequence > two[0].sequence.next()).unwrap()[0].sequence.next();
        let id = EventId { origin: a.origin, incarnation: copy.head().incarnation, sequence: hole };
        let event = Draft::new(sea.clock.now(), Actor::Server, LogLine {}, "all was well").on("web/front".parse().unwrap()).stamp(id, sea.clock.now());
        let bytes = EventBytes::of(&event).unwrap().0;
        let seal = seal::seal(&b.signer, &bytes).map(|seal| seal.0.into());
        let (kind, system) = ("log".into(), event.system.clone());
        let forged = Row { sequence: hole, at: event.at, recorded: event.recorded, severity: event.severity, kind, system, bytes, seal };
        assert_eq!(copy.fill(vec![forged], true).await, Ok(1));
        b.start(&sea).await;
        rest().await;
        c.peers = vec![("b", sea.line(&b))];
        c.start(&sea).await;
        rest().await;
        rest().await;
        let ours = c.shelf.log(a.origin).unwrap().page(Page::After(None), 10_000).await.unwrap();
        let knows = |text: &str| ours.iter().any(|row| row.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
        assert!((0..30).all(|number| knows(&format!("said {number}."))), "what came before it was there is filled in");
        assert!(!knows("all was well"));
        for row in &ours {
            assert!(seal::holds(&a.signer.public(), &row.bytes, &row.seal.as_ref().unwrap()[..64]), "{}", row.sequence.0);
        }
        assert!(c.said("peer.missed").await.is_empty(), "nothing of that was missed");
        assert_eq!(c.said("peer.malformed").await.len(), 1);
    });
}
