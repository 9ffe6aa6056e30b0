//! One process of the platform: how it starts, whether it is ready, whether it is meant to run.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::machine::http_get::http_get;
use crate::machine::ports::answers;
use crate::machine::process::{Launch, Process};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Name {
    Postgres,
    Kafka,
    Registry,
    Gateway,
    OrdersApi,
    PaymentsApi,
    OrdersProcessor,
    PaymentsProcessor,
}

impl Name {
    /// The five processes that are ours, in the order in which they are started.
    pub const SERVICES: [Self; 5] = [
        Self::OrdersProcessor,
        Self::PaymentsProcessor,
        Self::OrdersApi,
        Self::PaymentsApi,
        Self::Gateway,
    ];
    /// The parts that they stand on.
    pub const PARTS: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Registry];

    /// As in logs and file names; of a service also its program's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Gateway => "gateway",
            Self::OrdersApi => "orders-api",
            Self::PaymentsApi => "payments-api",
            Self::OrdersProcessor => "orders-processor",
            Self::PaymentsProcessor => "payments-processor",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a process shows that it is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// A path answers 200.
    Http(u16, &'static str),
    /// Somebody listens on the port.
    Listens(u16),
    /// A command succeeds.
    Succeeds(Launch),
}

impl Ready {
    /// Whether it is.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http(port, path) => http_get(*port, path).is_ok_and(|(status, _)| status == 200),
            Self::Listens(port) => answers(*port),
            Self::Succeeds(launch) => launch.command().output().is_ok_and(|output| output.status.success()),
        }
    }

    /// What it says, for an error message.
    #[must_use]
    pub fn answer(&self) -> String {
        match self {
            Self::Http(port, path) => match http_get(*port, path) {
                Ok((status, body)) => format!("{path} answers {status}: {body}"),
                Err(error) => format!("{path}: {error}"),
            },
            Self::Listens(port) => format!("nobody listens on port {port}"),
            Self::Succeeds(launch) => format!("{} fails", launch.program.display()),
        }
    }
}

pub(super) struct Unit {
    pub(super) name: Name,
    pub(super) replica: usize,
    pub(super) port: u16,
    pub(super) launch: Launch,
    pub(super) ready: Ready,
    pub(super) log: PathBuf,
    pub(super) pids: PathBuf,
    /// Postgres ends sessions and stops on SIGINT; on SIGTERM it waits for them.
    pub(super) stop_signal: Signal,
    pub(super) process: Option<Process>,
    pub(super) is_wanted: bool,
}

/// The name, with its number if there are several.
pub(super) fn title(name: Name, replica: usize) -> String {
    if replica == 0 {
        name.to_string()
    } else {
        format!("{name}-{}", replica + 1)
    }
}

impl Unit {
    /// The name, with its number if there are several.
    pub(super) fn title(&self) -> String {
        title(self.name, self.replica)
    }

    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(&[])
    }

    /// Starts it, this once with more in its environment.
    pub(super) fn start_with(&mut self, env: &[(&str, &str)]) -> anyhow::Result<()> {
        self.is_wanted = true;
        if !self.is_running() {
            let mut launch = self.launch.clone();
            launch.tell(env);
            self.process = Some(Process::start(&self.title(), &launch, &self.log, &self.pids)?);
        }
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    pub(super) fn kill9(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill9();
        }
    }

    /// Sends the signal and does not wait, so that several stop at the same time.
    pub(super) fn ask_to_stop(&self) {
        if let Some(process) = &self.process {
            process.ask_to_stop(self.stop_signal);
        }
    }

    pub(super) fn stop(&mut self) {
        self.is_wanted = false;
        if let Some(mut process) = self.process.take() {
            process.stop(self.stop_signal, Duration::from_secs(12));
        }
    }

    pub(super) fn pause(&mut self) {
        if let Some(process) = &self.process {
            process.pause();
        }
    }

    pub(super) fn resume(&mut self) {
        if let Some(process) = &self.process {
            process.resume();
        }
    }
}
