//! One whole platform on real parts, as a value: start it, hurt it, stop it.
//!
//! parts (Postgres, Kafka, registry) → preparation (databases, tables, topics, schemas) → services. Whatever it
//! started is stopped when it is dropped, and written down for the next stack if even that fails.

pub mod containers;
mod description;
mod halves;
mod kafka;
mod ports;
mod postgres;
mod prepare;
mod registry;
mod saved;
mod services;
mod settings;
mod supervisor;
mod unit;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

pub use ports::Ports;
pub use postgres::{Database, Role};
pub use settings::{KafkaDetour, Parts, Profile, Settings, cache, root};
pub use unit::{Name, Ready};

use crate::machine::{java, leftovers, packages};
use supervisor::Supervisor;
use unit::Unit;

/// Told about each change of state: who, and what.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// One platform.
pub struct Stack {
    settings: Settings,
    say: Say,
    units: Arc<Mutex<Vec<Unit>>>,
    supervisor: Option<Supervisor>,
    is_cancelled: Arc<AtomicBool>,
    /// Two tools on one folder would stop each other's processes; the kernel gives the lock back after any death.
    _lock: File,
}

impl Stack {
    /// A platform that has not been started. Clears what an earlier one with the same folder left running.
    ///
    /// # Errors
    /// Something is missing that cannot be installed; a port is taken; another tool runs this very platform.
    pub fn new(settings: Settings, say: Say) -> anyhow::Result<Self> {
        if settings.is_temporary {
            sweep(&settings.folder);
        }
        let lock = lock(&settings.folder)?;
        packages::install_missing(&|text| say(text))?;
        if settings.is_temporary {
            fs::write(settings.folder.join(TEMPORARY), "")?;
        }
        for name in leftovers::clear(&settings.pids()) {
            say(&format!("stopped {name}, which an earlier run had left behind"));
        }
        settings.ports.check(settings.parts)?;
        fs::create_dir_all(settings.logs())?;
        Ok(Self {
            settings,
            say,
            units: Arc::default(),
            supervisor: None,
            is_cancelled: Arc::default(),
            _lock: lock,
        })
    }

    /// Starts everything and waits until all of it is ready.
    ///
    /// # Errors
    /// A part does not start; says where its log is.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_parts()?;
        self.start_services()?;
        self.wait_until_ready(Duration::from_secs(60))
    }

    /// Starts Postgres, Kafka and the registry, and prepares all three.
    ///
    /// # Errors
    /// A part does not start.
    pub fn start_parts(&mut self) -> anyhow::Result<()> {
        if self.settings.parts == Parts::Containers {
            (self.say)("Kafka, the registry and Postgres start in containers");
            containers::start()?;
            prepare::migrate(&self.settings)?;
            prepare::create_topics(&self.settings)?;
            return prepare::register_schemas(&self.settings);
        }
        self.start_native_parts()
    }

    fn start_native_parts(&mut self) -> anyhow::Result<()> {
        let say = self.say.clone();
        let java = java::java(&cache(), &|text| say(text))?;
        halves::put_aside(&self.settings, &|text| say(text))?;
        let kafka = kafka::unit(&self.settings, &java, &|text| say(text))?;
        self.add_and_start(kafka)?;
        let postgres = postgres::unit(&self.settings)?;
        self.add_and_start(postgres)?;
        self.wait_for(Name::Postgres, Duration::from_secs(60))?;
        postgres::create_databases(&self.settings)?;
        let registry = registry::unit(&self.settings, &java, &|text| say(text))?;
        self.add_and_start(registry)?;
        prepare::migrate(&self.settings)?;
        self.wait_for(Name::Kafka, Duration::from_secs(60))?;
        prepare::create_topics(&self.settings)?;
        self.wait_for(Name::Registry, Duration::from_secs(90))?;
        prepare::register_schemas(&self.settings)
    }

    /// Starts Postgres alone, for tests of stores.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_postgres(&mut self) -> anyhow::Result<()> {
        self.add_and_start(postgres::unit(&self.settings)?)?;
        self.wait_for(Name::Postgres, Duration::from_secs(60))
    }

    /// Starts the five services.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn start_services(&mut self) -> anyhow::Result<()> {
        for name in Name::SERVICES {
            self.add_and_start(services::unit(&self.settings, name, 0, self.settings.ports.of(name)))?;
        }
        Ok(())
    }

    /// Starts one more process of a service, on a port of its own; its number, from 1.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn add_replica(&self, name: Name) -> anyhow::Result<usize> {
        self.add_replica_with(name, &[])
    }

    /// The same, told something else than the others.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn add_replica_with(&self, name: Name, env: &[(&str, &str)]) -> anyhow::Result<usize> {
        let number = self.units().iter().filter(|unit| unit.name == name).count();
        let port = crate::machine::ports::free_port()?;
        let mut unit = services::unit(&self.settings, name, number, port);
        unit.launch.tell(env);
        self.add_and_start(unit)?;
        Ok(number)
    }

    /// Stops the last process of a service that [`Stack::add_replica`] started, and forgets it.
    pub fn remove_replica(&self, name: Name) {
        let mut units = self.units();
        let last = units.iter().rposition(|unit| unit.name == name && unit.replica > 0);
        if let Some(index) = last {
            units.remove(index).stop();
        }
    }

    /// Restarts what dies from now on, until the stack is dropped.
    pub fn supervise(&mut self) {
        self.supervisor
            .get_or_insert_with(|| Supervisor::start(self.units.clone(), self.say.clone()));
    }

    /// Waits until every started process says that it is ready.
    ///
    /// # Errors
    /// One does not within `limit`; says which, and what it says.
    pub fn wait_until_ready(&self, limit: Duration) -> anyhow::Result<()> {
        let names: Vec<Name> = self.units().iter().map(|unit| unit.name).collect();
        let until = Instant::now() + limit;
        for name in names {
            self.wait_for(name, until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// Waits until every process called `name` is ready.
    ///
    /// # Errors
    /// One is not within `limit`.
    pub fn wait_for(&self, name: Name, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            if self.is_cancelled.load(Ordering::Acquire) {
                bail!("stopped before {name} was ready");
            }
            let Some((ready, log, is_running)) = self.first_not_ready(name) else {
                return Ok(());
            };
            if !is_running && self.supervisor.is_none() {
                bail!("{name} ended; its log is {}\n{}", log.display(), tail(&log));
            }
            if Instant::now() >= until {
                let (answer, log_file) = (ready.answer(), log.display());
                bail!(
                    "{name} is not ready after {limit:?}: {answer}\nits log is {log_file}\n{}",
                    tail(&log)
                );
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// The lock is not held while a process is asked: the supervisor needs it.
    fn first_not_ready(&self, name: Name) -> Option<(Ready, PathBuf, bool)> {
        let asked: Vec<_> = self
            .units()
            .iter_mut()
            .filter(|unit| unit.name == name)
            .map(|unit| (unit.ready.clone(), unit.log.clone(), unit.is_running()))
            .collect();
        asked.into_iter().find(|(ready, ..)| !ready.is_ready())
    }

    /// From now on every wait ends with an error once `flag` is true.
    pub fn cancel_with(&mut self, flag: Arc<AtomicBool>) {
        self.is_cancelled = flag;
    }

    /// Kills a process as a crash would; a supervisor, if there is one, restarts it.
    pub fn kill9(&self, name: Name, replica: usize) {
        self.with_unit(name, replica, Unit::kill9);
    }

    /// Stops a process in an orderly way; no supervisor restarts it.
    pub fn stop_one(&self, name: Name, replica: usize) {
        self.with_unit(name, replica, Unit::stop);
    }

    /// Starts a process that was stopped or killed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_one(&self, name: Name, replica: usize) -> anyhow::Result<()> {
        let mut result = Ok(());
        self.with_unit(name, replica, |unit| result = unit.start());
        result
    }

    /// Starts a process that was killed, this once told something else than at its next start.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_one_with(&self, name: Name, replica: usize, env: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut result = Ok(());
        self.with_unit(name, replica, |unit| result = unit.start_with(env));
        result
    }

    /// Whether a process runs; one that has ended is reaped here.
    #[must_use]
    pub fn is_running(&self, name: Name, replica: usize) -> bool {
        let mut is_running = false;
        self.with_unit(name, replica, |unit| is_running = unit.is_running());
        is_running
    }

    /// Whether a process says that it is ready.
    #[must_use]
    pub fn is_ready(&self, name: Name, replica: usize) -> bool {
        let mut asked = None;
        self.with_unit(name, replica, |unit| asked = Some(unit.ready.clone()));
        // Nobody else waits for the answer.
        asked.is_some_and(|ready| ready.is_ready())
    }

    /// Stops a process in mid-step (SIGSTOP).
    pub fn pause(&self, name: Name, replica: usize) {
        self.with_unit(name, replica, Unit::pause);
    }

    /// Lets a paused process go on.
    pub fn resume(&self, name: Name, replica: usize) {
        self.with_unit(name, replica, Unit::resume);
    }

    /// The port of a process.
    #[must_use]
    pub fn port(&self, name: Name, replica: usize) -> u16 {
        let mut port = 0;
        self.with_unit(name, replica, |unit| port = unit.port);
        port
    }

    /// Where a process writes its log.
    #[must_use]
    pub fn log(&self, name: Name, replica: usize) -> PathBuf {
        let mut log = PathBuf::new();
        self.with_unit(name, replica, |unit| log.clone_from(&unit.log));
        log
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `http://127.0.0.1:<port of the gateway>`.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings.ports.gateway)
    }

    /// The environment with which a service's own commands work on a platform.
    #[must_use]
    pub fn env_of(settings: &Settings, name: Name) -> Vec<(String, String)> {
        services::env(settings, name, 0, settings.ports.of(name))
    }

    /// Stops everything, the services first.
    pub fn stop(&mut self) {
        // Nothing may be restarted while it is being stopped.
        drop(self.supervisor.take());
        let units = std::mem::take(&mut *self.units());
        let (mut services, mut parts): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| Name::SERVICES.contains(&unit.name));
        for group in [&mut services, &mut parts] {
            group.iter().for_each(Unit::ask_to_stop);
            group.iter_mut().for_each(Unit::stop);
        }
        if self.settings.parts == Parts::Containers
            && let Err(error) = containers::stop()
        {
            (self.say)(&format!("the containers do not stop: {error:#}"));
        }
    }

    /// Each process, and if it is not ready, what it says instead.
    #[must_use]
    pub fn readiness(&self) -> Vec<(String, Result<(), String>)> {
        let asked: Vec<_> = self
            .units()
            .iter()
            .map(|unit| (unit.title(), unit.ready.clone()))
            .collect();
        let ask = |(title, ready): (String, Ready)| {
            let answer = if ready.is_ready() { Ok(()) } else { Err(ready.answer()) };
            (title, answer)
        };
        asked.into_iter().map(ask).collect()
    }

    fn add_and_start(&self, mut unit: Unit) -> anyhow::Result<()> {
        (self.say)(&format!("{} starts on port {}", unit.title(), unit.port));
        unit.start()?;
        self.units().push(unit);
        Ok(())
    }

    fn with_unit(&self, name: Name, replica: usize, act: impl FnOnce(&mut Unit)) {
        let mut units = self.units();
        let unit = units.iter_mut().filter(|unit| unit.name == name).nth(replica);
        act(unit.unwrap_or_else(|| panic!("there is no {name} {replica} in this stack")));
    }

    fn units(&self) -> MutexGuard<'_, Vec<Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop();
        if self.settings.is_temporary {
            let _ = fs::remove_dir_all(&self.settings.folder);
            let _ = fs::remove_dir_all(self.settings.postgres_data());
        }
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Clears temporary platforms beside `folder` whose tool was killed: nobody holds their lock any more.
fn sweep(folder: &Path) {
    let siblings = folder.parent().and_then(|parent| fs::read_dir(parent).ok());
    for sibling in siblings.into_iter().flatten().flatten() {
        let folder = sibling.path();
        let is_temporary = folder.join(TEMPORARY).exists();
        let Ok(file) = File::open(folder.join("lock")) else {
            continue;
        };
        if is_temporary && file.try_lock().is_ok() {
            let settings = Settings::in_folder(folder);
            let _ = leftovers::clear(&settings.pids());
            // Whatever cannot be deleted is in nobody's way.
            let _ = wipe(&settings);
        }
    }
}

/// Marks a platform that goes with its tool.
const TEMPORARY: &str = "temporary";

/// The right to run the platform of `folder`, held as long as the file is open.
fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join("lock"))?;
    file.try_lock()
        .ok()
        .context("this platform is already running: stop it with Ctrl-C there, or with `cargo kassa down`")?;
    Ok(file)
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Deletes a platform's data.
///
/// # Errors
/// It cannot be deleted.
pub fn wipe(settings: &Settings) -> anyhow::Result<()> {
    for folder in [settings.postgres_data(), settings.folder.clone()] {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("could not delete {}", folder.display()))?;
        }
    }
    Ok(())
}
