//! Ports: free ones, and who holds a taken one.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections: there, a client that keeps
/// trying to reach a stopped server on this machine ends up connected to itself, and holds the port.
const FREE_FROM: u16 = 20_000;
const FREE_PORTS: u16 = 12_000;

/// A port that nobody listens on now; each call gives another one.
///
/// # Errors
/// There is none.
pub fn free_port() -> std::io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two tools at once start their search at different places.
    let start = (std::process::id() % u32::from(FREE_PORTS)) as u16;
    for _ in 0..FREE_PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FREE_FROM + (start.wrapping_mul(37).wrapping_add(step)) % FREE_PORTS;
        if !is_taken(port) {
            return Ok(port);
        }
    }
    Err(std::io::Error::other("every port from 20000 to 32000 is taken"))
}

/// Whether somebody answers on a port; unlike [`is_taken`] it never holds the port itself.
#[must_use]
pub fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether somebody listens on a port.
#[must_use]
pub fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

/// Who listens on a port: process id and command line, as far as this user may see.
#[must_use]
pub fn owner(port: u16) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()));
        if holds {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            return Some((pid, command.trim().chars().take(100).collect()));
        }
    }
    None
}

/// The inode of the socket that listens on `port`, from a table in the form of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = columns.get(1)?.split_once(':')?;
        let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && *columns.get(3)? == LISTEN;
        is_it.then(|| columns.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert!(is_taken(port));
        assert_eq!(owner(port).map(|(pid, _)| pid), Some(std::process::id()));
        drop(listener);
        wait_until_free(port);
    }

    /// A process that another test starts right now has a copy of each socket here until it becomes its program.
    fn wait_until_free(port: u16) {
        let until = Instant::now() + Duration::from_secs(30);
        while is_taken(port) || answers(port) {
            assert!(Instant::now() < until, "{port} stays taken");
            std::thread::yield_now();
        }
    }

    #[test]
    fn free_ports_differ_and_are_free() {
        let ports = [(); 20].map(|()| free_port().expect("a port"));
        let distinct: std::collections::HashSet<u16> = ports.into_iter().collect();
        assert_eq!(distinct.len(), ports.len());
        ports.into_iter().for_each(wait_until_free);
    }
}
