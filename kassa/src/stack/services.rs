//! Our five processes, and the environment that each gets.

use rustix::process::Signal;

use super::postgres::{Database, Role};
use super::registry;
use super::settings::{Settings, root};
use super::unit::{Name, Ready, Unit, title};
use crate::machine::process::Launch;

pub(super) fn unit(settings: &Settings, name: Name, replica: usize, port: u16) -> Unit {
    Unit {
        name,
        replica,
        port,
        launch: Launch {
            program: settings.program(name.as_str()),
            args: Vec::new(),
            env: env(settings, name, replica, port),
            folder: root(),
        },
        ready: Ready::Http(port, "/health/ready"),
        log: settings.logs().join(format!("{}.log", title(name, replica))),
        pids: settings.pids(),
        stop_signal: Signal::TERM,
        process: None,
        is_wanted: false,
    }
}

pub(super) fn env(settings: &Settings, name: Name, replica: usize, port: u16) -> Vec<(String, String)> {
    let local = |port: u16| format!("http://127.0.0.1:{port}");
    let orders = || ("KASSA_DATABASE_URL", settings.database_url(Database::Orders, Role::App));
    let payments = || {
        (
            "KASSA_DATABASE_URL",
            settings.database_url(Database::Payments, Role::App),
        )
    };
    let schemas = || ("KASSA_REGISTRY_URL", settings.registry_url());
    let session = || {
        (
            "KASSA_KAFKA_SESSION_TIMEOUT_MS",
            settings.session_timeout_ms.to_string(),
        )
    };
    let brokers = || ("KASSA_KAFKA_BROKERS", settings.kafka_brokers());
    // By it the group knows a process again that was killed and started anew.
    let instance = || ("KASSA_KAFKA_INSTANCE_ID", title(name, replica));
    let own = match name {
        Name::Gateway => vec![
            ("KASSA_ORDERS_URL", local(settings.ports.orders_api)),
            ("KASSA_PAYMENTS_URL", local(settings.ports.payments_api)),
            ("KASSA_ORDERS_PROCESSOR_URL", local(settings.ports.orders_processor)),
            ("KASSA_PAYMENTS_PROCESSOR_URL", local(settings.ports.payments_processor)),
        ],
        Name::OrdersApi => vec![orders(), schemas()],
        Name::PaymentsApi => vec![payments()],
        Name::OrdersProcessor => vec![orders(), schemas(), brokers(), instance(), session()],
        Name::PaymentsProcessor => vec![payments(), schemas(), brokers(), instance(), session()],
        Name::Postgres | Name::Kafka | Name::Registry => Vec::new(),
    };
    let common = [
        ("KASSA_LISTEN", format!("127.0.0.1:{port}")),
        ("KASSA_MODE", "demo".to_owned()),
    ];
    let told = settings.service_env.iter().filter(|(service, ..)| *service == name);
    common
        .into_iter()
        .chain(own)
        .chain(told.map(|(_, name, value)| (*name, value.clone())))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl Settings {
    /// Kafka's bootstrap servers.
    #[must_use]
    pub fn kafka_brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.kafka)
    }

    /// The schema registry.
    #[must_use]
    pub fn registry_url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.ports.registry, registry::API)
    }
}
