//! What a large world takes to be encoded is done beside the threads that all connections share: they have their turn
//! meanwhile. A small one is done at once.

use std::num::NonZero;
use std::sync::LazyLock;

use tokio::sync::Semaphore;

use crate::model::world::World;

/// Alerts and systems that are many: some milliseconds.
const MANY: usize = 2_000;

/// As many at once as there are processors: each holds a world's bytes.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, NonZero::get)));

/// Does it with a world as large as this one, unless it is `known`: somebody else may have done it meanwhile. The error:
/// words.
pub(super) async fn beside<T: Send + 'static>(
    world: &World,
    known: impl Fn() -> Option<T>,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    if let Some(known) = known() {
        return Ok(known);
    }
    if world.alerts.len().saturating_add(world.systems.len()) < MANY {
        return work();
    }
    let place = PLACES.acquire().await;
    if let Some(known) = known() {
        return Ok(known);
    }
    let work = move || {
        let done = work();
        drop(place);
        done
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("it could not be made: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::model::system::SystemSpec;
    use crate::model::world::System;

    fn large() -> World {
        let mut world = World::default();
        for number in 0..MANY {
            let spec = SystemSpec::bare(format!("s{number}").parse().unwrap());
            world.systems.insert(spec.id.clone(), Arc::new(System { spec, declared: true }));
        }
        world
    }

    #[tokio::test]
    async fn a_large_world_is_encoded_elsewhere_and_a_small_one_at_once() {
        let here = std::thread::current().id();
        let thread = || Ok(std::thread::current().id());
        assert_eq!(beside(&World::default(), || None, thread).await.unwrap(), here);
        assert_ne!(beside(&large(), || None, thread).await.unwrap(), here);
        let ends = || -> Result<(), String> { panic!("it ends") };
        assert!(beside(&large(), || None, ends).await.unwrap_err().starts_with("it could not be made"));
    }

    #[tokio::test]
    async fn who_comes_together_waits_for_what_the_first_ones_make() {
        let (world, made, kept) = (large(), Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let one = || {
            let (made, keep) = (made.clone(), kept.clone());
            let work = move || {
                std::thread::sleep(std::time::Duration::from_millis(5));
                *keep.lock().unwrap() = Some(made.fetch_add(1, Ordering::SeqCst));
                Ok(0)
            };
            let kept = kept.clone();
            beside(&world, move || *kept.lock().unwrap(), work)
        };
        futures_util::future::join_all((0..200).map(|_| one())).await;
        assert!(made.load(Ordering::SeqCst) <= PLACES.available_permits(), "{made:?}");
    }
}
