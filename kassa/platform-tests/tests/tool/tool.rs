//! The tool's process: started, watched, interrupted, killed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kassa::machine::http_get::answers;
use kassa::machine::leftovers::{self, Identity};
use kassa::stack::{Ports, Settings, root};
use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(240);

/// One platform by its name, and the `up` that runs it, if one does.
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) ports: Ports,
    up: Option<Child>,
    output: PathBuf,
}

impl Tool {
    pub(crate) fn new(name: &str, ports: Ports) -> Self {
        Self {
            name: name.to_owned(),
            ports,
            up: None,
            output: std::env::temp_dir().join(format!("{name}.log")),
        }
    }

    pub(crate) fn program() -> PathBuf {
        root().join("target/debug/kassa")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(Self::program());
        command.arg("up").args(["--native", "--no-build", "--name", &self.name]);
        let mut ports = self.ports;
        for (name, port) in ports.named() {
            command.arg("--port").arg(format!("{name}={port}"));
        }
        command.current_dir(root()).stdin(Stdio::null());
        command
    }

    /// Starts the platform and waits until it says that it is ready.
    pub(crate) fn up(&mut self) {
        let output = File::create(&self.output).expect("a log");
        let child = self
            .command()
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("the tool starts");
        self.up = Some(child);
        let log = || fs::read_to_string(&self.output).unwrap_or_default();
        wait(
            "up says that all are ready",
            || log().contains("Ctrl-C stops everything"),
            log,
        );
        assert!(answers(self.ports.gateway, "/health/ready"), "the gateway is ready");
    }

    /// What a second `up` says, which must not start.
    pub(crate) fn up_refused(&self) -> String {
        let output = self.command().output().expect("the tool starts");
        assert!(!output.status.success(), "it must refuse");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub(crate) fn said(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// The processes that the platform has written down and that run.
    pub(crate) fn running(&self, settings: &Settings) -> Vec<(String, Identity)> {
        leftovers::read(&settings.pids())
    }

    pub(crate) fn a_service_that_dies_is_restarted(&self, settings: &Settings) {
        let running = self.running(settings);
        let (_, gateway) = running
            .iter()
            .find(|(name, _)| name == "gateway")
            .expect("the gateway runs");
        signal(gateway.pid, Signal::KILL);
        wait("it is restarted", || self.said("gateway starts again"), || self.log());
        wait(
            "it is ready",
            || answers(self.ports.gateway, "/health/ready"),
            || self.log(),
        );
        assert!(
            self.said("gateway died; it is started again in 200 ms"),
            "{}",
            self.log()
        );
    }

    /// Kills the tool without warning; the processes that it leaves behind.
    pub(crate) fn crash(&mut self, settings: &Settings) -> Vec<(String, Identity)> {
        let mut up = self.up.take().expect("up runs");
        up.kill().expect("killed");
        up.wait().expect("reaped");
        self.running(settings)
    }

    /// Ctrl-C, and the wait for its end.
    pub(crate) fn interrupt(&mut self) {
        let mut up = self.up.take().expect("up runs");
        signal(up.id(), Signal::INT);
        let status = up.wait().expect("reaped");
        assert!(status.success() && self.said("stopped"), "{status}: {}", self.log());
    }

    pub(crate) fn down_with_wipe(&mut self) {
        let output = Command::new(Self::program())
            .args(["down", "--wipe", "--name", &self.name])
            .output()
            .expect("the tool starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("the data are deleted"),
            "{output:?}"
        );
        let mut up = self.up.take().expect("up runs");
        assert!(up.wait().expect("reaped").success(), "{}", self.log());
    }
}

impl Drop for Tool {
    /// A failed test leaves nothing behind either.
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            signal(up.id(), Signal::INT);
            let _ = up.wait();
        }
        let wipe = ["down", "--wipe", "--name", &self.name];
        let _ = Command::new(Self::program()).args(wipe).output();
        let _ = fs::remove_file(&self.output);
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("our own process");
}

fn wait(what: &str, holds: impl Fn() -> bool, log: impl Fn() -> String) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "not within {LIMIT:?}: {what}\n{}", log());
        sleep(Duration::from_millis(50));
    }
}
