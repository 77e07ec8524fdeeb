//! Somebody on a line between a server and those who come to it, who reads what it says and says something else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use midwatch::link::Io;
use midwatch::server::line::Via;
use tokio::sync::mpsc;

use crate::federation_sim::decode::{Value, carry, framed, unpacked};
use crate::sim::Door;

/// Says what goes on in place of a message that a server sends.
type Bend = Box<dyn FnMut(Value) -> Vec<Value> + Send>;

/// Somebody between a server and those who come to it.
#[derive(Clone, Default)]
pub struct Between {
    bend: Arc<Mutex<Option<Bend>>>,
    /// Snapshots that were passed on, before anything was done to them.
    pub seen: Arc<Mutex<Vec<Value>>>,
    lies: Arc<AtomicUsize>,
}

impl Between {
    /// From now on.
    pub fn bends(&self, bend: impl FnMut(Value) -> Vec<Value> + Send + 'static) {
        self.lies.store(0, Ordering::SeqCst);
        *self.bend.lock().unwrap() = Some(Box::new(bend));
    }

    /// Changes what its snapshots hold.
    pub fn lies(&self, lie: impl Fn(&mut Value) + Send + 'static) {
        self.bends(move |mut message| {
            if let Some(snapshot) = message.get_mut("snapshot") {
                lie(snapshot);
            }
            vec![message]
        });
    }

    pub fn is_honest(&self) {
        *self.bend.lock().unwrap() = None;
    }

    pub fn told(&self) -> usize {
        self.lies.load(Ordering::SeqCst)
    }

    /// A door that leads through here. `relayed`: only what is about another server's log is touched.
    pub fn door(&self, to: &Door, relayed: bool) -> Door {
        let (sender, mut connections) = mpsc::channel::<(Box<dyn Io>, Via)>(16);
        let (between, to) = (self.clone(), to.clone());
        tokio::spawn(async move {
            while let Some((near, via)) = connections.recv().await {
                let door = to.lock().unwrap().clone();
                let (far, end) = tokio::io::duplex(64 << 10);
                if let Some(door) = door
                    && door.send((Box::new(end), via)).await.is_ok()
                {
                    tokio::spawn(between.clone().pump(near, far, relayed));
                }
            }
        });
        Arc::new(Mutex::new(Some(sender)))
    }

    async fn pump(self, near: Box<dyn Io>, far: tokio::io::DuplexStream, relayed: bool) {
        let touches = AtomicBool::new(!relayed);
        let hears = |hello: &Value| {
            if hello.get("origin").bytes().is_some() {
                touches.store(true, Ordering::SeqCst);
            }
        };
        let tells = |message| if touches.load(Ordering::SeqCst) { self.passes(&unpacked(message)) } else { framed(&message) };
        carry(near, far, hears, tells).await;
    }

    fn passes(&self, message: &[u8]) -> Vec<u8> {
        let Some(value) = Value::read(message) else { return framed(message) };
        if let Some(("snapshot", snapshot)) = value.message() {
            self.seen.lock().unwrap().push(snapshot.clone());
        }
        let mut bend = self.bend.lock().unwrap();
        let Some(bend) = bend.as_mut() else { return framed(message) };
        let told = bend(value.clone());
        if told != [value] {
            self.lies.fetch_add(1, Ordering::SeqCst);
        }
        let written = told.iter().flat_map(|value| {
            let mut out = Vec::new();
            value.write(&mut out);
            framed(&out)
        });
        written.collect()
    }
}
