//! How things were: asked of a real server over the wire, by the production client.

use std::sync::Arc;
use std::time::Duration;

use super::scene::{Console, memory, note, port, serve, world};
use midwatch::client::{Address, ServerIndex, Update};
use midwatch::model::event::{Actor, Draft, Note};
use midwatch::model::time::{Span, Time};
use midwatch::model::world::World;
use midwatch::server::Input;
use midwatch::wire::WorldThen;

async fn at(console: &mut Console, id: u64, at: Time) -> WorldThen {
    console.servers.handle.world_at(ServerIndex(0), id, at).unwrap();
    loop {
        match console.next().await {
            Update::Then(then) if then.id == id => return then,
            _ => {}
        }
    }
}

fn titles(world: Option<&Arc<World>>) -> Vec<String> {
    world.unwrap().deeds.iter().map(|deed| deed.title.to_string()).collect()
}

#[tokio::test]
async fn a_console_hears_how_things_were_and_how_far_back_that_is_known() {
    let server = serve(Arc::new(memory()), |_| {}).await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("connected", |console| console.replica.world.is_some()).await;
    console.ask(note("first"));
    console.until("the first is noted", |console| console.outcomes.len() == 1).await;
    let between = world(&server).await.recorded;
    // The clock of what is recorded moves on.
    while world(&server).await.recorded <= between {
        server.core.write(Input::Record(vec![Draft::new(server.core.now(), Actor::Server, Note { alert: None, episode: None }, "tick")])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let late = Draft::new(between, Actor::User("kim".into()), Note { alert: None, episode: None }, "heard of later");
    server.core.write(Input::Record(vec![late])).await.unwrap();
    console.ask(note("second"));
    console.until("the second is noted", |console| console.outcomes.len() == 2).await;

    let then = at(&mut console, 1, between).await;
    assert_eq!(titles(then.world.as_ref()), ["first", "heard of later"]);
    let now = at(&mut console, 2, between.plus(Span::from_days(1))).await;
    assert_eq!(*now.world.unwrap(), *world(&server).await, "of a time that has not come yet: everything that is known");
    let before = at(&mut console, 3, between.minus(Span::from_days(1))).await;
    assert!(before.world.is_none() && before.known_from.is_some_and(|from| from <= between));
    // The stream goes on beside it.
    let head = world(&server).await.head.0;
    console.until("everything has come", |console| console.head() >= head).await;
    server.stop().await;
}
