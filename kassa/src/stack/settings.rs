//! Where a platform keeps its things, and on which ports it runs.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::Name;
use crate::machine::ports::{free_port, is_taken, owner};

/// Where a platform keeps its things.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Data, logs and process ids.
    pub folder: PathBuf,
    /// Whether all of that goes with the stack.
    pub is_temporary: bool,
    /// Its ports.
    pub ports: Ports,
    /// Which build of the services runs.
    pub profile: Profile,
    /// After how much silence Kafka takes a consumer for dead.
    pub session_timeout_ms: u32,
    /// Whether the JVMs start quickly rather than run quickly.
    pub quick_jvm: bool,
    /// What some services are told beside what they need to find each other.
    pub service_env: Vec<(Name, &'static str, String)>,
}

/// A build of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

impl Profile {
    /// Cargo's folder for it.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// The ports of a platform.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Ports {
    pub gateway: u16,
    pub orders_api: u16,
    pub payments_api: u16,
    pub orders_processor: u16,
    pub payments_processor: u16,
    pub kafka: u16,
    pub kafka_controller: u16,
    pub registry: u16,
    pub registry_management: u16,
    pub postgres: u16,
}

impl Ports {
    /// Where users expect them.
    pub const LOCAL: Self = Self {
        gateway: 8080,
        orders_api: 8081,
        payments_api: 8082,
        orders_processor: 8091,
        payments_processor: 8092,
        kafka: 9092,
        kafka_controller: 9093,
        registry: 8085,
        registry_management: 8086,
        postgres: 5433,
    };

    /// Ports that nobody has now.
    ///
    /// # Errors
    /// There are none.
    pub fn free() -> std::io::Result<Self> {
        Ok(Self {
            gateway: free_port()?,
            orders_api: free_port()?,
            payments_api: free_port()?,
            orders_processor: free_port()?,
            payments_processor: free_port()?,
            kafka: free_port()?,
            kafka_controller: free_port()?,
            registry: free_port()?,
            registry_management: free_port()?,
            postgres: free_port()?,
        })
    }

    /// Each port by the name under which it can be moved.
    pub fn named(&mut self) -> [(&'static str, &mut u16); 10] {
        [
            ("gateway", &mut self.gateway),
            ("orders-api", &mut self.orders_api),
            ("payments-api", &mut self.payments_api),
            ("orders-processor", &mut self.orders_processor),
            ("payments-processor", &mut self.payments_processor),
            ("kafka", &mut self.kafka),
            ("kafka-controller", &mut self.kafka_controller),
            ("registry", &mut self.registry),
            ("registry-management", &mut self.registry_management),
            ("postgres", &mut self.postgres),
        ]
    }

    /// Moves one, as `name=port`.
    ///
    /// # Errors
    /// It is not of that form, or names no port of ours.
    pub fn move_one(&mut self, text: &str) -> anyhow::Result<()> {
        let Some((name, Ok(port))) = text.split_once('=').map(|(name, port)| (name, port.parse::<u16>())) else {
            bail!("--port {text}: write --port gateway=9080");
        };
        let mut named = self.named();
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => **place = port,
            None => bail!("--port {text}: there is no {name}; there are {}", names.join(", ")),
        }
        Ok(())
    }

    /// # Errors
    /// One is taken: which, by whom, and how to move it.
    pub(super) fn check(mut self) -> anyhow::Result<()> {
        for (name, port) in self.named() {
            if is_taken(*port) {
                let holder = match owner(*port) {
                    Some((pid, command)) => format!("process {pid} ({command})"),
                    None => "another user's process".to_owned(),
                };
                bail!(
                    "port {port} for {name} is taken by {holder}; stop it, or move ours: --port {name}={}",
                    *port + 1000
                );
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, name: Name) -> u16 {
        match name {
            Name::Gateway => self.gateway,
            Name::OrdersApi => self.orders_api,
            Name::PaymentsApi => self.payments_api,
            Name::OrdersProcessor => self.orders_processor,
            Name::PaymentsProcessor => self.payments_processor,
            Name::Kafka => self.kafka,
            Name::Registry => self.registry,
            Name::Postgres => self.postgres,
        }
    }
}

impl Settings {
    /// The platform of `cargo kassa up`: known ports, data that stays.
    #[must_use]
    pub fn local() -> Self {
        Self::in_folder(root().join(".kassa/local"))
    }

    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            is_temporary: false,
            ports: Ports::LOCAL,
            profile: Profile::Debug,
            session_timeout_ms: 10_000,
            quick_jvm: false,
            service_env: Vec::new(),
        }
    }

    /// A platform for a test: free ports, data that goes.
    ///
    /// # Errors
    /// There are no free ports.
    pub fn temporary(name: &str) -> std::io::Result<Self> {
        let folder = root().join(format!(".kassa/{name}-{}", std::process::id()));
        Ok(Self {
            is_temporary: true,
            ports: Ports::free()?,
            session_timeout_ms: 6_000,
            quick_jvm: true,
            ..Self::in_folder(folder)
        })
    }

    /// What was downloaded; shared by all stacks.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        std::env::var_os("KASSA_CACHE_DIR").map_or_else(|| root().join(".kassa/cache"), PathBuf::from)
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Who was started.
    #[must_use]
    pub fn pids(&self) -> PathBuf {
        self.folder.join("pids")
    }

    /// Postgres refuses to run as root, and its own user may not reach a root's folders: then its data lie
    /// where everybody may go, under a name made from the folder.
    #[must_use]
    pub fn postgres_data(&self) -> PathBuf {
        if !rustix::process::geteuid().is_root() {
            return self.folder.join("postgres");
        }
        let name = self
            .folder
            .to_string_lossy()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        Path::new("/var/tmp").join(format!("kassa{name}"))
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        root().join("target").join(self.profile.folder()).join(name)
    }
}

/// The repository: where this crate was compiled from, or the folder that holds its manifest now.
#[must_use]
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = manifest.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let is_root = |folder: &&Path| folder.join("Cargo.lock").exists() && folder.join("kassa").exists();
    start
        .ancestors()
        .find(is_root)
        .map_or_else(|| start.clone(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_moved_by_name() {
        let mut ports = Ports::LOCAL;
        ports.move_one("gateway=9080").expect("a port");
        assert_eq!(ports.gateway, 9080);
        for wrong in ["gateway", "gateway=x", "nobody=1", "gateway=70000"] {
            assert!(ports.move_one(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_taken_port_is_refused_with_its_holder_and_the_way_out() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ports = Ports {
            gateway: port,
            ..Ports::free().expect("free ports")
        };
        let error = ports.check().expect_err("taken").to_string();
        let wanted = [
            port.to_string(),
            std::process::id().to_string(),
            "--port gateway=".to_owned(),
        ];
        assert!(wanted.iter().all(|text| error.contains(text)), "{error}");
    }
}
