//! The socket of a session. While the session rests, with all of its log told and nothing else to say, whoever
//! publishes writes to it at once, without the session's task having its turn: most of what it costs to tell a
//! thousand consoles of one event is waking a thousand tasks.
//!
//! Whatever is not as simple as that is left to the session: what is filtered or restricted, what is long, what does
//! not follow what was told, and what comes when its reader's rights are not what they were when it began to rest.
//! What the other side did not take at once the session sees to, with its patience; until then it does not rest.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::task::coop::unconstrained;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message;

use super::frames;
use crate::link::Clock;
use crate::model::id::{Incarnation, Sequence};
use crate::server::hub::{Ear, Publication};
use crate::server::line::Socket;
use crate::server::metrics::{Metrics, add, count};
use crate::server::rights::Entitlement;
use crate::wire::Encoding;

/// A session's socket, which it shares with whoever publishes what its reader follows.
pub(in crate::server) struct Outlet {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

struct State {
    socket: Socket,
    /// While the session rests.
    rest: Option<AtRest>,
    /// Something was written that the other side has not taken yet.
    left: bool,
    /// The session's.
    waker: Option<Waker>,
}

/// As what a session rests.
pub(super) struct AtRest {
    /// Everything up to here of this life of the log was told.
    pub sent: Sequence,
    pub life: Incarnation,
    pub encoding: Encoding,
    /// What its reader may: all of the log.
    pub held: Entitlement,
}

impl Outlet {
    pub(super) fn new(socket: Socket, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Arc<Outlet> {
        Arc::new(Outlet { state: Mutex::new(State { socket, rest: None, left: false, waker: None }), clock, metrics })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is known who is there: they may say more.
    pub(super) fn lift(&self) {
        self.state().socket.get_mut().lift();
    }

    pub(super) async fn feed(&self, message: Message) -> Result<(), tungstenite::Error> {
        let mut message = Some(message);
        poll_fn(|context| {
            let mut state = self.state();
            ready!(state.socket.poll_ready_unpin(context))?;
            Poll::Ready(message.take().map_or(Ok(()), |message| state.socket.start_send_unpin(message)))
        })
        .await
    }

    pub(super) async fn flush(&self) -> Result<(), tungstenite::Error> {
        poll_fn(|context| {
            let mut state = self.state();
            let flushed = ready!(state.socket.poll_flush_unpin(context));
            state.left = false;
            Poll::Ready(flushed)
        })
        .await
    }

    /// May be dropped while it waits.
    pub(super) async fn next(&self) -> Option<Result<Message, tungstenite::Error>> {
        poll_fn(|context| self.state().socket.poll_next_unpin(context)).await
    }

    /// From here on it may be written to by others, until [`Outlet::wakes`].
    pub(super) fn rests(&self, rest: AtRest) {
        self.state().rest = Some(rest);
    }

    /// How far its reader was told, if it rested.
    pub(super) fn wakes(&self) -> Option<Sequence> {
        self.state().rest.take().map(|rest| rest.sent)
    }

    /// Waits until something is left that the other side did not take at once. May be dropped while it waits.
    pub(super) async fn left(&self) {
        poll_fn(|context| {
            let mut state = self.state();
            if state.left {
                return Poll::Ready(());
            }
            match &mut state.waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => state.waker = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await;
    }
}

impl Ear for Outlet {
    fn hears(&self, publication: &Publication) -> bool {
        // Busy: the session has its turn.
        let Ok(mut state) = self.state.try_lock() else { return false };
        let State { socket, rest: Some(rest), left: left @ false, waker: Some(waker) } = &mut *state else { return false };
        if (publication.incarnation, publication.from) != (rest.life, rest.sent) || !rest.held.holds(self.clock.now()) {
            return false;
        }
        let Some(message) = publication.message(rest.encoding).filter(frames::is_short) else { return false };
        let bytes = u64::try_from(message.len()).unwrap_or(0);
        let context = &mut Context::from_waker(waker);
        // Whose turn it is, is not whose socket it is: that turn's budget is not for this.
        let written = unconstrained(poll_fn(|_| Poll::Ready(write(socket, message.clone(), context)))).now_or_never();
        match written {
            None | Some(Poll::Pending) => return false,
            Some(Poll::Ready(whole)) => {
                rest.sent = publication.to;
                *left = !whole;
            }
        }
        if *left {
            waker.wake_by_ref();
        }
        count(&self.metrics.frames_out);
        add(&self.metrics.bytes_out, bytes);
        true
    }
}

/// Pending: nothing of it was written. False: not all of it was taken by the other side, or the line is broken.
fn write(socket: &mut Socket, message: Message, context: &mut Context<'_>) -> Poll<bool> {
    if ready!(socket.poll_ready_unpin(context)).is_err() {
        return Poll::Pending;
    }
    let written = socket.start_send_unpin(message).is_ok() && matches!(socket.poll_flush_unpin(context), Poll::Ready(Ok(())));
    Poll::Ready(written)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::DuplexStream;
    use tokio::sync::watch;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role as End;

    use super::*;
    use crate::link::SystemClock;
    use crate::link::short::Short;
    use crate::model::grant::Scope;
    use crate::model::time::Span;
    use crate::server::gate::Gate;
    use crate::server::greet::Shown;
    use crate::server::hub::{Hub, QueueLimits, Subscription};
    use crate::server::rights::{Principal, Roll};
    use crate::store::rows::rows;
    use crate::trust::{Holder, Signer};
    use crate::wire::codec::{Frame, decode_to_client};
    use crate::wire::{Role, ToClient};

    const LIFE: Incarnation = Incarnation(1_790_000_000_000);

    /// A hub and one session's socket on it, with room for so many bytes on the way.
    struct Scene {
        hub: Arc<Hub>,
        outlet: Arc<Outlet>,
        subscription: Subscription,
        reads: WebSocketStream<DuplexStream>,
        principal: Principal,
        sent: Sequence,
        published: u64,
    }

    impl Scene {
        async fn new(room: usize) -> Scene {
            Scene::of(room, &Shown::Owner).await
        }

        async fn of(room: usize, shown: &Shown) -> Scene {
            let metrics = Arc::new(Metrics::default());
            let hub = Hub::new(QueueLimits { publications: 64, bytes: 1 << 20 }, metrics.clone());
            let (here, there) = tokio::io::duplex(room);
            let socket =
                WebSocketStream::from_raw_socket(Short::ahead(Box::new(here) as Box<dyn crate::link::Io>, bytes::Bytes::new()), End::Server, None).await;
            let reads = WebSocketStream::from_raw_socket(there, End::Client, None).await;
            let outlet = Outlet::new(socket, Arc::new(SystemClock), metrics);
            let (_, roll) = watch::channel(Arc::new(Roll::default()));
            let principal = Principal::new(shown, Role::Console, "kim".into(), &Gate::none(), &roll);
            let subscription = hub.subscribe(Some(outlet.clone()));
            Scene { hub, outlet, subscription, reads, principal, sent: Sequence(0), published: 0 }
        }

        async fn publish(&mut self, events: u64) {
            let (from, to) = (self.published, self.published + events);
            self.published = to;
            self.hub.publish(Publication::new(LIFE, Sequence(from), Sequence(to), rows(from + 1..=to), Span::ZERO)).await;
        }

        /// As the session does when it has nothing else to do.
        async fn rests(&mut self) {
            self.sent = self.outlet.wakes().unwrap_or(self.sent);
            if !self.subscription.waits() {
                self.outlet.rests(AtRest { sent: self.sent, life: LIFE, encoding: Encoding::Json, held: self.principal.held() });
            }
            let _ = self.outlet.left().now_or_never();
        }

        /// And when it has its turn.
        async fn turns(&mut self) {
            self.sent = self.outlet.wakes().unwrap_or(self.sent);
            while let Some(publication) = self.subscription.next().now_or_never().flatten() {
                assert_eq!(publication.from, self.sent, "what is in the queue follows what was told");
                self.sent = publication.to;
                self.outlet.feed(publication.message(Encoding::Json).unwrap()).await.unwrap();
                self.outlet.flush().await.unwrap();
            }
        }

        async fn read(&mut self) -> (u64, u64) {
            let Message::Text(text) = self.reads.next().await.unwrap().unwrap() else { panic!("no text") };
            let ToClient::Batch(batch) = decode_to_client(&Frame::Text(text.as_str().to_owned())).unwrap() else { panic!("no batch") };
            (batch.from.0, batch.to.0)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Law: whoever it is that writes, the reader has everything once and in order.
        #[test]
        fn what_is_told_in_passing_and_what_waits_is_one_log(acts in proptest::collection::vec(0_u8..5, 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut scene = Scene::new(1 << 20).await;
                for act in acts {
                    match act {
                        0 | 1 => scene.publish(1).await,
                        2 => scene.publish(9).await,
                        3 => scene.rests().await,
                        _ => scene.turns().await,
                    }
                }
                scene.turns().await;
                assert_eq!(scene.sent.0, scene.published);
                let mut known = 0;
                while known < scene.published {
                    let (from, to) = scene.read().await;
                    assert_eq!(from, known);
                    known = to;
                }
            });
        }
    }

    #[tokio::test]
    async fn who_rests_is_told_without_a_turn_and_who_does_not_rest_finds_it_in_the_queue() {
        let mut scene = Scene::new(1 << 20).await;
        scene.publish(1).await;
        assert!(scene.subscription.waits());
        // What does not follow what was told is not told, whoever asks.
        scene.outlet.rests(AtRest { sent: Sequence(0), life: LIFE, encoding: Encoding::Json, held: scene.principal.held() });
        let _ = scene.outlet.left().now_or_never();
        assert!(!scene.outlet.hears(&Publication::new(LIFE, Sequence(1), Sequence(2), rows(2..=2), Span::ZERO)));
        scene.turns().await;
        scene.rests().await;
        scene.publish(1).await;
        assert!(!scene.subscription.waits());
        assert_eq!([scene.read().await, scene.read().await], [(0, 1), (1, 2)]);
    }

    #[tokio::test]
    async fn who_may_no_more_is_told_nothing_in_passing() {
        // By a line that is not in authorized_keys any more.
        let holder = Holder { key: Signer::from_seed([1; 32]).public(), role: Role::Console, name: "kim".into(), scope: Scope::all() };
        let mut scene = Scene::of(1 << 20, &Shown::Key(holder.into())).await;
        scene.rests().await;
        scene.publish(1).await;
        assert!(scene.subscription.waits());
    }

    /// Law: what is longer than a frame, and what is not taken at once, is the session's to see to.
    #[tokio::test]
    async fn who_does_not_read_is_written_to_once_and_then_left_to_the_session() {
        let mut scene = Scene::new(64).await;
        scene.rests().await;
        let outlet = scene.outlet.clone();
        let session = tokio::spawn(async move { outlet.left().await });
        tokio::task::yield_now().await;
        scene.publish(1).await;
        assert!(!scene.subscription.waits());
        tokio::time::timeout(Duration::from_secs(30), session).await.expect("the session has its turn").unwrap();
        scene.publish(1).await;
        assert!(scene.subscription.waits(), "nothing more is heaped up beneath");
        let outlet = scene.outlet.clone();
        let (flushed, first) = tokio::join!(outlet.flush(), scene.read());
        flushed.unwrap();
        assert_eq!(first, (0, 1));
        assert_eq!(scene.outlet.left().now_or_never(), None);
    }

    #[tokio::test]
    async fn what_is_long_or_of_another_life_is_left_to_the_session() {
        let mut scene = Scene::new(1 << 20).await;
        scene.rests().await;
        scene.publish(200).await;
        assert!(scene.subscription.waits());
        scene.turns().await;
        scene.rests().await;
        let (from, to) = (Sequence(200), Sequence(201));
        scene.hub.publish(Publication::new(Incarnation(LIFE.0 + 1), from, to, rows(201..=201), Span::ZERO)).await;
        assert!(scene.subscription.waits());
    }
}
