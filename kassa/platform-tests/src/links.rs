//! The links between the parts, each through proxies that can break it.

use std::net::{Ipv4Addr, SocketAddr};

use fault_proxy::{Fault, FaultProxy};
use kassa::machine::ports::free_port;
use kassa::stack::{Database, KafkaDetour, Name, Role, Settings};

/// A link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkName {
    /// From the APIs and the processors to their databases.
    Postgres,
    /// From the processors to the broker.
    Kafka,
    /// From the gateway to both APIs.
    Apis,
    /// From the orders API and the processors to the schema registry.
    Registry,
}

impl LinkName {
    /// As in test names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Apis => "apis",
            Self::Registry => "registry",
        }
    }

    /// The parts of which each of them says that one is down while the link is broken.
    #[must_use]
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["database"],
            Self::Kafka => &["consumer", "relay"],
            Self::Apis => &["orders-api", "payments-api"],
            Self::Registry => &["schemas"],
        }
    }

    /// Whose readiness tells that the link is broken.
    #[must_use]
    pub fn users(self) -> &'static [Name] {
        match self {
            Self::Postgres => &[
                Name::OrdersApi,
                Name::PaymentsApi,
                Name::OrdersProcessor,
                Name::PaymentsProcessor,
            ],
            Self::Kafka => &[Name::OrdersProcessor, Name::PaymentsProcessor],
            Self::Apis => &[Name::Gateway],
            Self::Registry => &[Name::OrdersApi, Name::OrdersProcessor, Name::PaymentsProcessor],
        }
    }
}

/// One link: all of its proxies have the same fault at the same time.
#[derive(Debug)]
pub struct Link {
    proxies: Vec<FaultProxy>,
}

impl Link {
    /// See [`FaultProxy::inject`].
    pub fn inject(&self, fault: Fault) {
        self.proxies.iter().for_each(|proxy| proxy.inject(fault));
    }

    /// See [`FaultProxy::heal`].
    pub fn heal(&self) {
        self.proxies.iter().for_each(FaultProxy::heal);
    }

    /// See [`FaultProxy::bury`].
    pub fn bury(&self) {
        self.proxies.iter().for_each(FaultProxy::bury);
    }

    /// See [`FaultProxy::hits`].
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.proxies.iter().map(FaultProxy::hits).sum()
    }
}

/// All links of one platform.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Links {
    pub postgres: Link,
    pub kafka: Link,
    pub apis: Link,
    pub registry: Link,
}

impl Links {
    /// Puts proxies between the parts of the platform that `settings` describe, before it is started.
    ///
    /// # Errors
    /// There are no free ports.
    pub async fn before(settings: &mut Settings, seed: u64) -> anyhow::Result<Self> {
        let proxy = async |server: u16| FaultProxy::start(local(free_port()?), local(server), seed).await;
        let postgres = proxy(settings.ports.postgres).await?;
        let registry = proxy(settings.ports.registry).await?;
        let orders_api = proxy(settings.ports.orders_api).await?;
        let payments_api = proxy(settings.ports.payments_api).await?;
        let detour = free_port()?;
        let kafka = proxy(detour).await?;

        settings.kafka_detour = Some(KafkaDetour {
            listen: detour,
            advertised: kafka.address().port(),
        });
        let registry_url = moved(&settings.registry_url(), settings.ports.registry, &registry);
        for name in LinkName::Registry.users() {
            tell(settings, *name, "KASSA_REGISTRY_URL", registry_url.clone());
        }
        for name in LinkName::Kafka.users() {
            tell(settings, *name, "KASSA_KAFKA_BROKERS", kafka.address().to_string());
        }
        for name in LinkName::Postgres.users() {
            let database = match name {
                Name::OrdersApi | Name::OrdersProcessor => Database::Orders,
                _ => Database::Payments,
            };
            let direct = settings.database_url(database, Role::App);
            let url = moved(&direct, settings.ports.postgres, &postgres);
            tell(settings, *name, "KASSA_DATABASE_URL", url);
        }
        for (variable, api) in [("KASSA_ORDERS_URL", &orders_api), ("KASSA_PAYMENTS_URL", &payments_api)] {
            tell(settings, Name::Gateway, variable, format!("http://{}", api.address()));
        }
        let link = |proxies: Vec<FaultProxy>| Link { proxies };
        Ok(Self {
            postgres: link(vec![postgres]),
            kafka: link(vec![kafka]),
            apis: link(vec![orders_api, payments_api]),
            registry: link(vec![registry]),
        })
    }

    /// A link by its name.
    #[must_use]
    pub fn of(&self, name: LinkName) -> &Link {
        match name {
            LinkName::Postgres => &self.postgres,
            LinkName::Kafka => &self.kafka,
            LinkName::Apis => &self.apis,
            LinkName::Registry => &self.registry,
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn moved(url: &str, port: u16, proxy: &FaultProxy) -> String {
    url.replace(&format!(":{port}/"), &format!(":{}/", proxy.address().port()))
}

fn tell(settings: &mut Settings, name: Name, variable: &'static str, value: String) {
    settings.service_env.push((name, variable, value));
}
