//! Each fault as both ends of a connection see it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fault_proxy::{Fault, FaultProxy, HowToCut, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);
/// Long enough for a byte that is going to arrive.
const NEVER: Duration = Duration::from_millis(200);

/// A proxy with a server behind it that takes one connection at a time.
struct Bench {
    server: TcpListener,
    proxy: FaultProxy,
}

impl Bench {
    async fn new() -> anyhow::Result<Self> {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let any: SocketAddr = "127.0.0.1:0".parse()?;
        let proxy = FaultProxy::start(any, server.local_addr()?, 1).await?;
        Ok(Self { server, proxy })
    }

    /// Both ends of a connection through the proxy.
    async fn connect(&self) -> anyhow::Result<(TcpStream, TcpStream)> {
        let client = TcpStream::connect(self.proxy.address()).await?;
        let (server, _) = timeout(SOON, self.server.accept()).await??;
        Ok((client, server))
    }
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &str) -> anyhow::Result<bool> {
    from.write_all(text.as_bytes()).await?;
    let mut buffer = vec![0; text.len()];
    match timeout(NEVER, to.read_exact(&mut buffer)).await {
        Ok(read) => {
            read?;
            anyhow::ensure!(buffer == text.as_bytes(), "other bytes arrived");
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

async fn end_of(socket: &mut TcpStream) -> Result<usize, ErrorKind> {
    let mut rest = Vec::new();
    let read = timeout(SOON, socket.read_to_end(&mut rest)).await.expect("it ends");
    read.map_err(|error| error.kind())
}

#[tokio::test]
async fn without_a_fault_every_byte_passes_both_ways_and_so_does_the_end() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let mut received = vec![0; sent.len()];
    let (wrote, read) = tokio::join!(client.write_all(&sent), server.read_exact(&mut received));
    wrote?;
    read?;
    assert!(received == sent, "the same bytes");
    assert!(passes(&mut server, &mut client, "answer").await?);
    drop(client);
    assert_eq!(end_of(&mut server).await, Ok(0));
    Ok(())
}

#[tokio::test]
async fn latency_delays_and_keeps_the_order() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    let (least, jitter) = (Duration::from_millis(60), Duration::from_millis(20));
    bench.proxy.inject(Fault::Latency { least, jitter });
    let started = Instant::now();
    for text in ["a", "b", "c"] {
        client.write_all(text.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut buffer = [0; 3];
    server.read_exact(&mut buffer).await?;
    assert_eq!(&buffer, b"abc");
    assert!(started.elapsed() >= least && bench.proxy.hits() > 0);
    Ok(())
}

#[tokio::test]
async fn a_drip_lets_a_few_bytes_through_and_the_rest_when_it_is_over() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(Fault::Drip { bytes_per_second: 100 });
    client.write_all(&[7; 1_000]).await?;
    let mut buffer = vec![0; 1_000];
    tokio::time::sleep(Duration::from_millis(300)).await;
    let some = server.read(&mut buffer).await?;
    assert!((1..100).contains(&some), "{some} bytes");
    bench.proxy.heal();
    timeout(SOON, server.read_exact(&mut buffer[some..])).await??;
    Ok(())
}

#[tokio::test]
async fn a_reset_is_an_error_for_old_and_new_connections_until_it_is_over() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(Fault::Reset);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(end_of(&mut server).await, Err(ErrorKind::ConnectionReset));
    let mut second = TcpStream::connect(bench.proxy.address()).await?;
    assert_eq!(end_of(&mut second).await, Err(ErrorKind::ConnectionReset));
    bench.proxy.heal();
    let (mut client, mut server) = bench.connect().await?;
    assert!(passes(&mut client, &mut server, "again").await?);
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_never_comes_about_until_it_is_over() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, _server) = bench.connect().await?;
    bench.proxy.inject(Fault::Refuse);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    let until = Instant::now() + SOON;
    loop {
        // The last one in the kernel's queue may be reset instead.
        match TcpStream::connect(bench.proxy.address()).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            _ => assert!(Instant::now() < until, "it is refused"),
        }
    }
    bench.proxy.heal();
    while TcpStream::connect(bench.proxy.address()).await.is_err() {
        assert!(Instant::now() < until + SOON, "it listens again");
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_half_open_connection_stays_dead_after_the_fault_and_new_ones_work() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(Fault::HalfOpen);
    assert!(!passes(&mut client, &mut server, "lost").await?);
    let mut second = TcpStream::connect(bench.proxy.address()).await?;
    second.write_all(b"lost").await?;
    assert!(timeout(NEVER, bench.server.accept()).await.is_err(), "nobody is told");
    bench.proxy.heal();
    assert!(!passes(&mut server, &mut client, "lost too").await?);
    let (mut third, mut server_of_third) = bench.connect().await?;
    assert!(passes(&mut third, &mut server_of_third, "works").await?);
    // Its end is told to nobody either, until the dead are buried.
    drop(client);
    let mut buffer = [0; 8];
    assert!(timeout(NEVER, server.read(&mut buffer)).await.is_err());
    bench.proxy.bury();
    assert!(end_of(&mut server).await.is_err());
    assert!(end_of(&mut second).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_stall_holds_bytes_back_in_its_way_only_and_loses_none() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(Fault::Stall(Way::Down));
    assert!(passes(&mut client, &mut server, "request").await?);
    assert!(!passes(&mut server, &mut client, "answer").await?);
    bench.proxy.heal();
    let mut buffer = [0; 6];
    timeout(SOON, client.read_exact(&mut buffer)).await??;
    assert_eq!(&buffer, b"answer");
    bench.proxy.inject(Fault::Stall(Way::Both));
    assert!(!passes(&mut client, &mut server, "x").await?);
    Ok(())
}

#[tokio::test]
async fn what_is_lost_one_way_never_arrives_and_the_other_way_goes_on() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(Fault::Lose(Way::Up));
    assert!(!passes(&mut client, &mut server, "lost").await?);
    assert!(passes(&mut server, &mut client, "heard").await?);
    bench.proxy.heal();
    assert!(!passes(&mut client, &mut server, "lost").await?);
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let cut = |how| Fault::Cut {
        way: Way::Down,
        bytes: 10,
        how,
    };
    let (mut client, mut server) = bench.connect().await?;
    bench.proxy.inject(cut(HowToCut::Close));
    assert!(passes(&mut client, &mut server, "a request of more than ten bytes").await?);
    server.write_all(b"an answer of more than ten bytes").await?;
    assert_eq!(end_of(&mut client).await, Ok(10));
    bench.proxy.inject(cut(HowToCut::Reset));
    let (mut client, mut server) = bench.connect().await?;
    server.write_all(b"an answer of more than ten bytes").await?;
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn a_cut_after_commit_leaves_the_server_with_the_commit_and_the_client_without_its_answer() -> anyhow::Result<()>
{
    let bench = Bench::new().await?;
    let (mut client, mut server) = bench.connect().await?;
    let startup = [0, 0, 0, 8, 0, 3, 0, 0];
    client.write_all(&startup).await?;
    server.read_exact(&mut [0; 8]).await?;
    bench.proxy.inject(Fault::CutAfterCommit { every: 2 });
    let commit = b"Q\0\0\0\x0bCOMMIT\0";
    client.write_all(commit).await?;
    let mut seen = [0; 12];
    timeout(SOON, server.read_exact(&mut seen)).await??;
    assert!(passes(&mut server, &mut client, "the first one is answered").await?);
    client.write_all(commit).await?;
    timeout(SOON, server.read_exact(&mut seen)).await??;
    assert_eq!(&seen, commit);
    let _ = server.write_all(b"done").await;
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(bench.proxy.hits(), 2);
    Ok(())
}
