//! A process of the stack: started in a group of its own, with a log file, and stopped for sure.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::leftovers::{self, Identity};

/// How a process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside what every process gets.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub folder: PathBuf,
}

impl Launch {
    /// Adds to its environment; what is there already gets the new value.
    pub fn tell(&mut self, env: &[(&str, &str)]) {
        let told = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.env.extend(told);
    }

    /// A command with this launch's environment and none of ours that could leak into it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.folder).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let is_ours = name
                .to_str()
                .is_some_and(|name| name.starts_with("KASSA_") || name.starts_with("PG"));
            if is_ours {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    pids: PathBuf,
}

impl Process {
    /// Starts `launch` with its output in `log`, and writes it down in `pids`.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(name: &str, launch: &Launch, log: &Path, pids: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let child = launch
            .command()
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {}", launch.program.display()))?;
        if let Some(identity) = Identity::of(child.id()) {
            leftovers::remember(pids, name, identity)?;
        }
        Ok(Self {
            child,
            name: name.to_owned(),
            pids: pids.to_owned(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs; a process that has ended is reaped here.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it without warning, as a crash would: this process alone, as a crash would.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        leftovers::forget(&self.pids, &self.name);
    }

    /// Stops it in mid-step, and its children with it: Postgres serves each session in one of its own.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // It starts no more of them now.
        self.signal_children(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal_children(&self, signal: Signal) {
        for child in children(self.child.id()) {
            let _ = kill_process(child, signal);
        }
    }

    /// Asks it to stop with `signal`.
    pub fn ask_to_stop(&self, signal: Signal) {
        self.signal(Signal::CONT);
        self.signal(signal);
    }

    /// Asks it to stop with `signal`, waits for it, and insists after `grace`.
    pub fn stop(&mut self, signal: Signal, grace: Duration) {
        self.ask_to_stop(signal);
        let until = Instant::now() + grace;
        while self.is_running() && Instant::now() < until {
            sleep(Duration::from_millis(20));
        }
        if self.is_running() {
            if let Some(pid) = self.raw() {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
        leftovers::forget(&self.pids, &self.name);
    }

    fn raw(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.raw() {
            // The child is not reaped before `wait`, so its number is still its own.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The processes that a process has started and that still run.
fn children(parent: u32) -> Vec<Pid> {
    let is_child = |stat: &str| {
        // The name in parentheses may hold anything, so look behind it: state, parent.
        let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest);
        after_name.and_then(|rest| rest.split(' ').nth(1)) == Some(parent.to_string().as_str())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| fs::read_to_string(entry.path().join("stat")).is_ok_and(|stat| is_child(&stat)))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .collect()
}
