//! A line that can be cut: a TCP proxy of the tests' own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

pub struct Proxy {
    pub address: String,
    cuts: broadcast::Sender<()>,
    /// While false, new connections are refused.
    open: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn to(server: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cuts, _) = broadcast::channel(4);
        let open = Arc::new(AtomicBool::new(true));
        let (may, cut) = (open.clone(), cuts.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !may.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(mut far) = TcpStream::connect(&server).await else { continue };
                let mut cut = cut.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Proxy { address, cuts, open }
    }

    /// Cuts every connection, in the middle of whatever it carries.
    pub fn cut(&self) {
        let _ = self.cuts.send(());
    }

    pub fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.cut();
    }

    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}
