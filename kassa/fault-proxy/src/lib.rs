//! A TCP proxy that breaks the link on purpose, for tests: what a network does to a connection, switched while it runs.
//!
//! client → [`FaultProxy`] → server. Without a fault every byte passes, in order, once. A fault acts on the connections
//! that are there and on those that come; [`FaultProxy::heal`] ends it. What a fault has broken stays broken: a
//! connection that has lost a byte is dead for good, and its ends are not told.
//!
//! | file | what |
//! | --- | --- |
//! | `fault.rs` | the faults |
//! | `connection.rs` | one connection, pumped through them |
//! | `commit_scanner.rs` | finds a Postgres client's COMMIT among its bytes |

mod commit_scanner;
mod connection;
mod fault;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use connection::Connection;
pub use fault::{Fault, HowToCut, Way};

/// One address in front of one server; its connections end with it.
#[derive(Debug)]
pub struct FaultProxy {
    listen: SocketAddr,
    link: Arc<Link>,
    accepting: JoinHandle<()>,
}

/// What all connections of a proxy share.
#[derive(Debug)]
struct Link {
    fault: watch::Sender<Fault>,
    /// Counts up when connections that were lost are let go.
    buried: watch::Sender<u64>,
    hits: AtomicU64,
    seed: u64,
    connections: AtomicU64,
}

impl Link {
    fn hit(&self) -> u64 {
        self.hits.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl FaultProxy {
    /// Listens on `listen` (port 0: any) and passes connections on to `server`. What is random follows from `seed`.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn start(listen: SocketAddr, server: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let listen = listener.local_addr()?;
        let link = Arc::new(Link {
            fault: watch::Sender::new(Fault::None),
            buried: watch::Sender::new(0),
            hits: AtomicU64::new(0),
            seed,
            connections: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, listen, server, link.clone()));
        Ok(Self {
            listen,
            link,
            accepting,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Breaks the link from now on; what an earlier fault did to new bytes and connections ends. Healed at once it may
    /// have met nobody yet: [`FaultProxy::hits`] tells.
    pub fn inject(&self, fault: Fault) {
        self.link.hits.store(0, Ordering::Relaxed);
        self.link.fault.send_replace(fault);
    }

    /// New bytes and new connections pass again. What was held back is sent; what was lost stays lost.
    pub fn heal(&self) {
        self.link.fault.send_replace(Fault::None);
    }

    /// Resets connections that were lost, as a peer does that has come to know of it.
    pub fn bury(&self) {
        self.link.buried.send_modify(|times| *times += 1);
    }

    /// How often the present or last fault has acted: 0 means that nothing was tested.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.link.hits.load(Ordering::Relaxed)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.link.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.link.fault.send_replace(Fault::Reset);
        self.bury();
    }
}

async fn accept(listener: TcpListener, listen: SocketAddr, server: SocketAddr, link: Arc<Link>) {
    let mut listener = Some(listener);
    let mut fault = link.fault.subscribe();
    loop {
        let now = *fault.borrow_and_update();
        match (&listener, now) {
            (Some(_), Fault::Refuse) => {
                // With nobody listening the kernel refuses.
                listener = None;
            }
            (None, Fault::Refuse) => {
                link.hit();
                let _ = fault.changed().await;
            }
            (None, _) => match TcpListener::bind(listen).await {
                Ok(again) => listener = Some(again),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            (Some(open), _) => tokio::select! {
                biased;
                _ = fault.changed() => {}
                accepted = open.accept() => {
                    if let Ok((client, _)) = accepted {
                        let number = link.connections.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(serve(client, server, number, link.clone()));
                    }
                }
            },
        }
    }
}

/// One connection, from accepted to closed.
async fn serve(client: TcpStream, server: SocketAddr, number: u64, link: Arc<Link>) {
    let fault = *link.fault.borrow();
    match fault {
        Fault::Reset | Fault::Refuse => {
            link.hit();
            connection::reset(&client);
        }
        Fault::HalfOpen => {
            link.hit();
            // The handshake was the last that was heard of it.
            connection::wait_for_burial(&link).await;
            connection::reset(&client);
        }
        _ => match TcpStream::connect(server).await {
            Ok(server) => Connection::new(client, server, number, link).run().await,
            Err(_) => connection::reset(&client),
        },
    }
}
