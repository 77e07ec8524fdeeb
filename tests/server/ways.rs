//! A log that comes by several ways: the one by which most of it comes is taken, then one by which it may be passed on;
//! over lines of this process.

use std::sync::Arc;
use std::time::Duration;

use midwatch::model::grant::{Rights, Scope};
use midwatch::model::world::World;

use crate::federation::{Glass, Node, Sea, simulate};
use crate::leases::{grant, rest};
use crate::sim::Line;

/// What the first one grants others, each of them a part.
fn grants(of: &Node, others: &[(&Node, &str)]) {
    let line = |(to, systems): &(&Node, &str)| format!("peer=\"{}\",rights=\"read,federate\",systems=\"{systems}\" {}\n", to.name, to.signer.public().line());
    std::fs::write(of.yard.path().join("authorized_keys"), others.iter().map(line).collect::<String>()).unwrap();
}

/// Through whom a log comes to a server, and its world as that one knows it.
async fn comes(sea: &Sea, of: &Node, to: &Node) -> Option<(Vec<String>, Arc<World>)> {
    let mut glass = Glass::at(sea, &[(to.name, sea.line(to))]);
    rest().await;
    glass.drain();
    let told = glass.replicas.values().flat_map(|replica| replica.peers.to_vec()).find(|peer| peer.origin == of.origin)?;
    Some((told.through.iter().map(|relay| relay.name.to_string()).collect(), glass.world(of.origin)?.clone()))
}

fn seen(of: &World, systems: &str) -> World {
    of.seen_by(&Scope::new([systems.parse().unwrap()], Rights::parse("read").unwrap(), None))
}

#[test]
fn of_two_ways_the_one_that_brings_more_is_taken_and_the_other_when_that_is_granted_less() {
    simulate(async {
        let sea = Sea::new(71);
        let (mut a, mut b, mut c, mut d) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"), Node::new(4, "d"));
        grants(&a, &[(&b, "web/front"), (&d, "web/**")]);
        a.start(&sea).await;
        for relay in [&mut b, &mut d] {
            relay.peers = vec![("a", Line { stranger: true, ..sea.line(&a) })];
            relay.start(&sea).await;
        }
        c.peers = vec![("b", sea.line(&b)), ("d", sea.line(&d))];
        c.start(&sea).await;
        // As much by both, and more by either in turn.
        for (of_b, of_d, by, systems) in [
            ("web/front", "web/**", "d", "web/**"),
            ("web/**", "web/front", "b", "web/**"),
            ("web/*", "web/db", "b", "web/*"),
            ("web/db/disk", "web/db", "d", "web/db"),
            ("web/db", "web/db", "b", "web/db"),
        ] {
            grants(&a, &[(&b, of_b), (&d, of_d)]);
            rest().await;
            for system in ["web/front", "web/db", "web/db/disk", "lab"] {
                a.note_on(system, &format!("while {of_b} and {of_d}")).await;
            }
            for round in 0..3 {
                tokio::time::sleep(Duration::from_secs(60)).await;
                let (through, world) = comes(&sea, &a, &c).await.expect("it is seen");
                let whole = a.world().await;
                let whole = seen(&whole, systems);
                assert_eq!(through, [by], "in round {round} of {of_b} and {of_d}");
                assert_eq!((&world.systems, &world.deeds), (&whole.systems, &whole.deeds), "in round {round} of {of_b} and {of_d}");
            }
        }
    });
}

#[test]
fn a_way_that_leads_no_further_hides_none_that_does_from_those_behind() {
    simulate(async {
        let sea = Sea::new(72);
        let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        let (mut d, mut e) = (Node::new(4, "d"), Node::new(5, "e"));
        grants(&a, &[(&b, "web/**"), (&d, "web/**")]);
        a.start(&sea).await;
        a.note_on("web/front", "for all of them").await;
        for (relay, rights) in [(&mut b, "read"), (&mut d, "read,federate")] {
            relay.peers = vec![("a", Line { stranger: true, ..sea.line(&a) })];
            grant(relay, &c, rights, "**");
            relay.start(&sea).await;
        }
        let stranger = |node: &Node| Line { stranger: true, ..sea.line(node) };
        c.peers = vec![("b", stranger(&b)), ("d", stranger(&d))];
        c.start(&sea).await;
        e.peers = vec![("c", sea.line(&c))];
        e.start(&sea).await;
        rest().await;
        let (through, _) = comes(&sea, &a, &c).await.expect("it is seen");
        assert_eq!(through, ["d"]);
        let (through, world) = comes(&sea, &a, &e).await.expect("it is seen behind it");
        assert_eq!(through, ["c", "d"]);
        let whole = a.world().await;
        assert_eq!(world.deeds, seen(&whole, "web/**").deeds);
        // What the relays grant is exchanged.
        grant(&b, &c, "read,federate", "**");
        grant(&d, &c, "read", "**");
        a.note_on("web/db", "by the other way").await;
        rest().await;
        let (through, world) = comes(&sea, &a, &e).await.expect("it is still seen");
        assert_eq!(through, ["c", "b"]);
        let whole = a.world().await;
        assert_eq!(world.deeds, seen(&whole, "web/**").deeds);
    });
}
