//! Which processes a stack has started: written down, so that the next one can clear them after a crash.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A process that was started by us, told from another with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process id; of all but the tool itself also its group's.
    pub pid: u32,
    /// In clock ticks since the machine started.
    pub started: u64,
}

impl Identity {
    /// The identity of a running process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, so count from behind it.
        let after_name = stat.rsplit_once(") ")?.1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let is_zombie = fields.first() == Some(&"Z");
        (!is_zombie).then_some(Self {
            pid,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_running(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_running(), i32::try_from(self.pid).ok().and_then(Pid::from_raw)) {
            // It may end between the check and the signal; then there is nothing to signal. The tool itself leads no group.
            let _ = kill_process_group(pid, signal).or_else(|_| kill_process(pid, signal));
        }
    }
}

/// Writes an identity down under a name.
///
/// # Errors
/// The folder cannot be written.
pub fn remember(folder: &Path, name: &str, identity: Identity) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(
        folder.join(format!("{name}.pid")),
        format!("{} {}", identity.pid, identity.started),
    )
}

/// Strikes a name off.
pub fn forget(folder: &Path, name: &str) {
    let _ = fs::remove_file(folder.join(format!("{name}.pid")));
}

/// Stops every process that is written down in `folder` and still runs; their names.
#[must_use]
pub fn clear(folder: &Path) -> Vec<String> {
    let found: Vec<(String, Identity)> = read(folder);
    for (_, identity) in &found {
        identity.signal(Signal::CONT);
        identity.signal(Signal::TERM);
    }
    let until = Instant::now() + Duration::from_secs(10);
    while found.iter().any(|(_, identity)| identity.is_running()) && Instant::now() < until {
        sleep(Duration::from_millis(50));
    }
    for (name, identity) in &found {
        identity.signal(Signal::KILL);
        forget(folder, name);
    }
    found.into_iter().map(|(name, _)| name).collect()
}

/// Those that still run.
#[must_use]
pub fn read(folder: &Path) -> Vec<(String, Identity)> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let identity = |file: fs::DirEntry| {
        let name = file.file_name().to_str()?.strip_suffix(".pid")?.to_owned();
        let text = fs::read_to_string(file.path()).ok()?;
        let (pid, started) = text.split_once(' ')?;
        let identity = Identity {
            pid: pid.parse().ok()?,
            started: started.trim().parse().ok()?,
        };
        identity.is_running().then_some((name, identity))
    };
    files.flatten().filter_map(identity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_number_is_not_the_same_process() {
        let me = Identity::of(std::process::id()).expect("this process runs");
        assert!(me.is_running());
        assert!(
            !Identity {
                started: me.started + 1,
                ..me
            }
            .is_running()
        );
    }
}
