//! One connection: two pumps, each of which asks for the fault with every piece that it moves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::Link;
use crate::commit_scanner::CommitScanner;
use crate::fault::{Fault, HowToCut, Way};

/// One client and its server.
pub(crate) struct Connection {
    client: TcpStream,
    server: TcpStream,
    number: u64,
    link: Arc<Link>,
}

/// How a connection ends.
enum End {
    /// One side has closed it, or it broke by itself.
    Closed,
    /// Both sides see a RST.
    Reset,
    /// Both sides see a FIN.
    Cut,
    /// The server sees a FIN behind what it was sent, the client a RST.
    ResetToClient,
}

impl Connection {
    pub(crate) fn new(client: TcpStream, server: TcpStream, number: u64, link: Arc<Link>) -> Self {
        // Delays are the faults' business.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        Self {
            client,
            server,
            number,
            link,
        }
    }

    pub(crate) async fn run(mut self) {
        let end = {
            let (from_client, to_client) = self.client.split();
            let (from_server, to_server) = self.server.split();
            let up = Pump::new(Way::Up, from_client, to_server, self.number, &self.link);
            let down = Pump::new(Way::Down, from_server, to_client, self.number, &self.link);
            tokio::select! {
                end = up.run() => end,
                end = down.run() => end,
                () = is_reset(&self.link) => End::Reset,
            }
        };
        match end {
            End::Closed | End::Cut => {
                let _ = tokio::join!(self.client.shutdown(), self.server.shutdown());
            }
            End::Reset => {
                self.link.hit();
                reset(&self.client);
                reset(&self.server);
            }
            End::ResetToClient => {
                reset(&self.client);
                drop(self.client);
                let _ = self.server.shutdown().await;
                // Closed with an answer unread, the server would see a RST, perhaps before it has read the rest.
                let mut answers = [0; 1024];
                while self.server.read(&mut answers).await.is_ok_and(|count| count > 0) {}
            }
        }
    }
}

/// Closes with a RST as soon as the socket is dropped.
pub(crate) fn reset(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}

async fn is_reset(link: &Link) {
    let mut fault = link.fault.subscribe();
    let _ = fault
        .wait_for(|fault| matches!(fault, Fault::Reset | Fault::Refuse))
        .await;
}

/// Holds a connection that was lost, until somebody lets it go.
pub(crate) async fn wait_for_burial(link: &Link) {
    let _ = link.buried.subscribe().changed().await;
}

struct Pump<'a> {
    way: Way,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    link: &'a Link,
    fault: watch::Receiver<Fault>,
    random: fastrand::Rng,
    commits: CommitScanner,
    /// Bytes moved since the fault began.
    moved: u64,
    /// No byte of this way will ever arrive again.
    is_lost: bool,
}

impl<'a> Pump<'a> {
    fn new(way: Way, from: ReadHalf<'a>, to: WriteHalf<'a>, number: u64, link: &'a Link) -> Self {
        Self {
            way,
            from,
            to,
            link,
            fault: link.fault.subscribe(),
            random: fastrand::Rng::with_seed(link.seed ^ (number << 1) ^ u64::from(way == Way::Up)),
            commits: CommitScanner::default(),
            moved: 0,
            is_lost: false,
        }
    }

    async fn run(mut self) -> End {
        // A connection that comes during the fault suffers from its first byte on.
        self.meet_fault();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if self.is_lost {
                return self.swallow(&mut buffer).await;
            }
            let read = tokio::select! {
                biased;
                changed = self.fault.changed() => {
                    if changed.is_err() {
                        return End::Closed;
                    }
                    self.meet_fault();
                    continue;
                }
                read = self.from.read(&mut buffer) => read,
            };
            let Ok(count @ 1..) = read else { return End::Closed };
            match self.pass(&buffer[..count]).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(_) => return End::Closed,
            }
        }
    }

    fn meet_fault(&mut self) {
        self.moved = 0;
        let fault = *self.fault.borrow_and_update();
        let loses = match fault {
            Fault::HalfOpen => true,
            Fault::Lose(way) => way.is(self.way),
            _ => false,
        };
        if loses && !self.is_lost {
            self.link.hit();
            self.is_lost = true;
        }
    }

    /// Takes whatever comes, so that the sender sees no difference, and hides even its end.
    async fn swallow(&mut self, buffer: &mut [u8]) -> End {
        let mut buried = self.link.buried.subscribe();
        loop {
            tokio::select! {
                _ = buried.changed() => return End::Reset,
                read = self.from.read(buffer) => if !read.is_ok_and(|count| count > 0) {
                    let _ = buried.changed().await;
                    return End::Reset;
                },
            }
        }
    }

    /// Passes a piece on, as the fault wants it.
    async fn pass(&mut self, piece: &[u8]) -> io::Result<Option<End>> {
        // Whatever the fault is: later ones depend on where in the protocol the client is.
        let commits = match self.way {
            Way::Up => self.commits.scan(piece),
            _ => Vec::new(),
        };
        let mut rest = piece;
        while !rest.is_empty() && !self.is_lost {
            let fault = *self.fault.borrow();
            let begin = piece.len() - rest.len();
            let mut count = rest.len();
            match fault {
                Fault::Latency { least, jitter } => {
                    self.link.hit();
                    let more = jitter.mul_f64(self.random.f64());
                    tokio::time::sleep(least + more).await;
                }
                Fault::Drip { bytes_per_second } => {
                    self.link.hit();
                    count = count.min((bytes_per_second as usize / 20).max(1));
                    let time = Duration::from_secs_f64(count as f64 / f64::from(bytes_per_second.max(1)));
                    self.unless_changed(time).await;
                }
                Fault::Stall(way) if way.is(self.way) => {
                    self.link.hit();
                    self.unless_changed(Duration::MAX).await;
                    continue;
                }
                Fault::Cut { way, bytes, how } if way.is(self.way) => {
                    let left = usize::try_from(bytes.saturating_sub(self.moved)).unwrap_or(usize::MAX);
                    if left <= count {
                        self.to.write_all(&rest[..left]).await?;
                        self.link.hit();
                        return Ok(Some(match how {
                            HowToCut::Reset => End::Reset,
                            HowToCut::Close => End::Cut,
                        }));
                    }
                }
                Fault::CutAfterCommit { every } => {
                    for commit in commits.iter().filter(|place| **place > begin) {
                        if self.link.hit().is_multiple_of(every.max(1)) {
                            self.to.write_all(&rest[..commit - begin]).await?;
                            return Ok(Some(End::ResetToClient));
                        }
                    }
                }
                _ => {}
            }
            self.to.write_all(&rest[..count]).await?;
            self.moved += count as u64;
            rest = &rest[count..];
        }
        Ok(None)
    }

    /// Sleeps, until another fault begins at most.
    async fn unless_changed(&mut self, time: Duration) {
        let changed = tokio::time::timeout(time, self.fault.changed()).await;
        if changed.is_ok() {
            self.meet_fault();
        }
    }
}
