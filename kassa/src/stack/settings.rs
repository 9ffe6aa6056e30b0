//! Where a platform keeps its things, and how it runs.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::Name;
use super::ports::Ports;

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
    /// Where Kafka, the registry and Postgres run.
    pub parts: Parts,
    /// Into how many partitions the topics are made, if not as many as usual.
    pub topic_partitions: Option<u16>,
    /// After how much silence Kafka takes a consumer for dead.
    pub session_timeout_ms: u32,
    /// Whether the JVMs start quickly rather than run quickly.
    pub quick_jvm: bool,
    /// What some services are told beside, or instead of, what they need to find each other.
    pub service_env: Vec<(Name, &'static str, String)>,
    /// A second way to Kafka, for clients that are to meet a broken link.
    pub kafka_detour: Option<KafkaDetour>,
    /// Where Postgres keeps its log, if not with its data: a folder that its user may write to.
    pub wal_folder: Option<PathBuf>,
}

/// Kafka tells its clients where to connect, so whoever stands in between must be in what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaDetour {
    /// The broker's port for it.
    pub listen: u16,
    /// The port that clients of it are told.
    pub advertised: u16,
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

/// Where the parts run that are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// As processes of this machine, in the stack's own folder.
    Native,
    /// In the containers of `docker-compose.yml`.
    Containers,
}

impl Settings {
    /// The platform of `cargo kassa up --name NAME`: known ports, data that stays.
    ///
    /// # Errors
    /// The name is not one that a folder can have.
    pub fn named(name: &str) -> anyhow::Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_plain) || name == "cache" {
            bail!("--name {name}: letters, digits and hyphens make a name");
        }
        Ok(Self::in_folder(root().join(".kassa").join(name)))
    }

    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            is_temporary: false,
            ports: Ports::LOCAL,
            profile: Profile::Debug,
            parts: Parts::Native,
            topic_partitions: None,
            session_timeout_ms: 6_000,
            quick_jvm: false,
            service_env: Vec::new(),
            kafka_detour: None,
            wal_folder: None,
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
            quick_jvm: true,
            ..Self::in_folder(folder)
        })
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
        let [of_a_user, of_root] = self.postgres_data_of_anybody();
        if rustix::process::geteuid().is_root() {
            of_root
        } else {
            of_a_user
        }
    }

    /// Where they are if the platform was made by a user, and by root.
    pub(super) fn postgres_data_of_anybody(&self) -> [PathBuf; 2] {
        let name = self
            .folder
            .to_string_lossy()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let of_root = Path::new("/var/tmp").join(format!("kassa{name}"));
        [self.folder.join("postgres"), of_root]
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        root().join("target").join(self.profile.folder()).join(name)
    }
}

/// What was downloaded; shared by all stacks.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("KASSA_CACHE_DIR").map_or_else(|| root().join(".kassa/cache"), PathBuf::from)
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
    fn a_name_is_a_folders_and_nothing_more() {
        assert!(Settings::named("second-1").is_ok());
        for wrong in ["", "..", "a/b", "cache", "ä"] {
            assert!(Settings::named(wrong).is_err(), "{wrong}");
        }
    }
}
