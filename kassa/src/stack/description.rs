//! A platform as the load program is told of it.

use serde_json::{Value, json};

use super::{Database, Role, Stack};
use crate::machine::leftovers;

impl Stack {
    /// Where it is asked (`http://host:port` each), its databases with a superuser's rights, and its processes.
    #[must_use]
    pub fn described(&self, gateways: &[String]) -> Value {
        let settings = self.settings();
        let processes: Vec<_> = leftovers::read(&settings.pids())
            .into_iter()
            .map(|(name, identity)| json!({ "name": name, "pid": identity.pid }))
            .collect();
        json!({
            "gateways": gateways,
            "server": settings.server_url(),
            "orders": settings.database_url(Database::Orders, Role::Super),
            "payments": settings.database_url(Database::Payments, Role::Super),
            "processes": processes,
        })
    }
}
