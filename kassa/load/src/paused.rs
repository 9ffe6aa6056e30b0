//! A process that stands still, so that what others do is measured alone.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// A process under SIGSTOP. It goes on when this is dropped, whatever went wrong.
pub(crate) struct Paused(Pid);

impl Paused {
    /// # Errors
    /// There is no such process.
    pub(crate) fn pause(pid: u32) -> anyhow::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(pid)?).context("a process has a number")?;
        kill_process(pid, Signal::STOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}
