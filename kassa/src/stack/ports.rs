//! The ports of a platform: known ones for `up`, free ones for tests, each moved by its name.

use anyhow::bail;

use super::{Name, Parts};
use crate::machine::ports::{free_port, is_taken, owner};

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
    /// Of the second server, where each database has its own: in containers.
    pub postgres_payments: u16,
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
        postgres_payments: 5434,
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
            postgres_payments: free_port()?,
        })
    }

    /// Each port by the name under which it can be moved: the services', the parts', and what only containers use.
    pub fn named(&mut self) -> [(&'static str, &mut u16); 11] {
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
            ("postgres-payments", &mut self.postgres_payments),
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

    /// Checks those that this stack's own processes are going to take.
    ///
    /// # Errors
    /// One is taken: which, by whom, and how to move it.
    pub(super) fn check(mut self, parts: Parts) -> anyhow::Result<()> {
        let ours = match parts {
            Parts::Native => self.named().len() - 1,
            Parts::Containers => Name::SERVICES.len(),
        };
        for (name, port) in self.named().into_iter().take(ours) {
            if is_taken(*port) {
                let holder = match owner(*port) {
                    Some((pid, command)) => format!("process {pid} ({command})"),
                    None => "another user's process".to_owned(),
                };
                bail!(
                    "port {port} for {name} is taken by {holder}; stop it, or move ours: --port {name}={}",
                    port.checked_add(1_000).unwrap_or(18_080)
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
        let error = ports.check(Parts::Native).expect_err("taken").to_string();
        let wanted = [
            port.to_string(),
            std::process::id().to_string(),
            "--port gateway=".to_owned(),
        ];
        assert!(wanted.iter().all(|text| error.contains(text)), "{error}");
    }
}
