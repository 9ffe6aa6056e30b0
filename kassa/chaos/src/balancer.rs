//! A balancer as one stands before replicas: each connection goes to one that says that it is ready, if one does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use kassa::machine::http_get::answers;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How often each replica is asked. A replica that is asked to stop listens for longer than that.
const EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Replica {
    port: u16,
    is_ready: bool,
}

/// One port before several.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// Where it listens.
    pub port: u16,
    replicas: Arc<Mutex<Vec<Replica>>>,
    turn: Arc<AtomicUsize>,
}

impl Balancer {
    /// Starts before no replica at all.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let balancer = Self {
            port: listener.local_addr()?.port(),
            replicas: Arc::default(),
            turn: Arc::default(),
        };
        tokio::spawn(balancer.clone().accept(listener));
        tokio::spawn(balancer.clone().watch());
        Ok(balancer)
    }

    /// Adds a replica.
    pub fn add(&self, port: u16) {
        self.replicas
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Replica { port, is_ready: false });
    }

    /// Those that are ready; where none is, all of them: one that is not quite ready is better than nobody.
    fn candidates(&self) -> Vec<u16> {
        let replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ready = replicas.iter().any(|replica| replica.is_ready);
        let candidates = replicas.iter().filter(|replica| replica.is_ready || !has_ready);
        candidates.map(|replica| replica.port).collect()
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(client));
        }
    }

    /// One that cannot be reached is passed over; if none can the connection is closed.
    async fn serve(self, mut client: TcpStream) {
        let candidates = self.candidates();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for at in 0..candidates.len() {
            let port = candidates[(turn + at) % candidates.len()];
            let connected = timeout(Duration::from_millis(500), TcpStream::connect(("127.0.0.1", port))).await;
            if let Ok(Ok(mut server)) = connected {
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                // A broken connection ends on both sides; whoever sent something asks again.
                let _ = copy_bidirectional(&mut client, &mut server).await;
                return;
            }
        }
    }

    async fn watch(self) {
        loop {
            let ports: Vec<u16> = {
                let replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
                replicas.iter().map(|replica| replica.port).collect()
            };
            for port in ports {
                let asked = tokio::task::spawn_blocking(move || answers(port, "/health/ready"));
                let replicas = self.replicas.clone();
                tokio::spawn(async move {
                    let is_ready = asked.await.unwrap_or(false);
                    let mut replicas = replicas.lock().unwrap_or_else(PoisonError::into_inner);
                    for replica in replicas.iter_mut().filter(|replica| replica.port == port) {
                        replica.is_ready = is_ready;
                    }
                });
            }
            sleep(EVERY).await;
        }
    }
}
