//! Postgres: a cluster of our own, and its databases and roles.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;

use super::halves;
use super::settings::{Parts, Settings};
use super::unit::{Name, Ready, Unit};
use crate::machine::fetch::run;
use crate::machine::packages::postgres_bin;
use crate::machine::process::Launch;

/// The passwords of a demo, as in `docker-compose.yml`; nothing outside this machine can reach the server.
const SUPER_PASSWORD: &str = "kassa-demo-postgres";
const PASSWORD: &str = "kassa-demo";

/// A database of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Database {
    Orders,
    Payments,
    Registry,
}

impl Database {
    fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Registry => "registry",
        }
    }
}

/// As whom a database is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who may do anything, for tests that look behind the scenes.
    Super,
    /// Who owns the tables.
    Owner,
    /// As whom the service works.
    App,
}

/// The password that services get; also for [`super::prepare`].
pub(super) const APP_PASSWORD: &str = PASSWORD;

impl Settings {
    /// A connection URL.
    #[must_use]
    pub fn database_url(&self, database: Database, role: Role) -> String {
        let name = database.as_str();
        let (user, password) = match role {
            Role::Super => ("postgres".to_owned(), SUPER_PASSWORD),
            Role::Owner => (format!("{name}_owner"), PASSWORD),
            Role::App => (format!("{name}_app"), PASSWORD),
        };
        // Natively one server holds all databases; in containers each has its own.
        let port = match (self.parts, database) {
            (Parts::Containers, Database::Payments) => self.ports.postgres_payments,
            _ => self.ports.postgres,
        };
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}")
    }

    /// A superuser's URL of the server itself.
    #[must_use]
    pub fn server_url(&self) -> String {
        format!(
            "postgres://postgres:{SUPER_PASSWORD}@127.0.0.1:{}/postgres",
            self.ports.postgres
        )
    }
}

/// Makes the cluster if there is none; the unit that runs it.
pub(super) fn unit(settings: &Settings) -> anyhow::Result<Unit> {
    let bin = postgres_bin().context("there is no Postgres server on this machine")?;
    let data = settings.postgres_data();
    if !data.join("PG_VERSION").exists() {
        init(&bin, &data, settings.wal_folder.as_deref()).context("could not make a Postgres cluster")?;
    }
    halves::own(settings)?;
    fs::write(data.join("kassa.conf"), config(settings))?;
    let (program, mut args) = as_postgres(&bin.join("postgres"));
    args.extend(["-D".to_owned(), data.display().to_string()]);
    let ready = Launch {
        program: bin.join("pg_isready"),
        args: ["-q", "-h", "127.0.0.1", "-p", &settings.ports.postgres.to_string()]
            .map(str::to_owned)
            .to_vec(),
        env: Vec::new(),
        folder: settings.folder.clone(),
    };
    Ok(Unit {
        name: Name::Postgres,
        replica: 0,
        port: settings.ports.postgres,
        launch: Launch {
            program,
            args,
            env: Vec::new(),
            folder: Path::new("/").to_owned(),
        },
        ready: Ready::Succeeds(ready),
        log: settings.logs().join("postgres.log"),
        pids: settings.pids(),
        stop_signal: Signal::INT,
        process: None,
        is_wanted: false,
    })
}

/// fsync and `synchronous_commit` keep their defaults, on: an answer is a promise.
fn config(settings: &Settings) -> String {
    let port = settings.ports.postgres;
    // A log in a folder of its own is a small one: a test wants to see what happens when that is full.
    let (min_wal_mb, max_wal_mb) = if settings.wal_folder.is_some() {
        (8, 48)
    } else {
        (80, 4096)
    };
    format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 200\n\
         shared_buffers = 512MB\nmin_wal_size = {min_wal_mb}MB\nmax_wal_size = {max_wal_mb}MB\nwal_compression = lz4\ncheckpoint_timeout = 15min\n\
         log_line_prefix = '%m %u@%d '\n"
    )
}

fn init(bin: &Path, data: &Path, wal: Option<&Path>) -> anyhow::Result<()> {
    fs::create_dir_all(data)?;
    if rustix::process::geteuid().is_root() {
        run(Command::new("chown").arg("postgres:").arg(data))?;
    }
    let password = data.with_extension("password");
    fs::write(&password, SUPER_PASSWORD)?;
    if rustix::process::geteuid().is_root() {
        run(Command::new("chown").arg("postgres:").arg(&password))?;
    }
    let (program, args) = as_postgres(&bin.join("initdb"));
    let made = run(Command::new(program)
        .args(args)
        .args([
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ])
        .arg(format!("--pwfile={}", password.display()))
        // Segments of 1 MB fill a small disk evenly.
        .args(wal.map(|folder| format!("--waldir={}", folder.display())))
        .args(wal.map(|_| "--wal-segsize=1"))
        .arg("-D")
        .arg(data)
        .current_dir("/"));
    fs::remove_file(&password)?;
    made?;
    let include = data.join("postgresql.conf");
    let text = fs::read_to_string(&include)?;
    Ok(fs::write(&include, format!("{text}\ninclude = 'kassa.conf'\n"))?)
}

/// Postgres refuses to run as root.
fn as_postgres(program: &Path) -> (std::path::PathBuf, Vec<String>) {
    if !rustix::process::geteuid().is_root() {
        return (program.to_owned(), Vec::new());
    }
    let program = program.display().to_string();
    let args = [
        "--reuid",
        "postgres",
        "--regid",
        "postgres",
        "--init-groups",
        "--",
        &program,
    ];
    ("setpriv".into(), args.map(str::to_owned).to_vec())
}

/// Owners may create roles, because a migration creates the service's; nobody else's database is open to them.
const DATABASES: &str = "
select format('create role %I login createrole password %L', r, 'PASSWORD')
  from unnest(array['orders_owner', 'payments_owner', 'registry_owner']) r
 where not exists (select from pg_roles where rolname = r) \\gexec
select format('create database %I owner %I', d, d || '_owner')
  from unnest(array['orders', 'payments', 'registry']) d
 where not exists (select from pg_database where datname = d) \\gexec
select format('revoke connect on database %I from public', d) from unnest(array['orders', 'payments', 'registry']) d \\gexec
";

/// Creates the databases and their owners, if they are not there.
pub(super) fn create_databases(settings: &Settings) -> anyhow::Result<()> {
    let script = settings.folder.join("databases.sql");
    fs::write(&script, DATABASES.replace("PASSWORD", PASSWORD))?;
    let psql = postgres_bin()
        .context("there is no Postgres on this machine")?
        .join("psql");
    run(Command::new(psql)
        .args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&script)
        .arg(settings.server_url()))
    .context("could not create the databases")
}
