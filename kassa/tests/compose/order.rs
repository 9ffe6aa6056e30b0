//! Who waits for whom, and who looks after whom.

use std::collections::BTreeSet;

use crate::compose_file::{ComposeFile, OURS, Service};

#[test]
fn all_five_services_are_there() {
    let compose = ComposeFile::load();
    for name in OURS {
        let service = compose.service(name);
        let target = service.build.as_ref().map(|build| build.target.as_str());
        assert_eq!((target, service.is_one_shot()), (Some(name), false), "{name}");
    }
}

#[test]
fn every_dependency_is_a_service_that_can_fulfil_its_condition() {
    let compose = ComposeFile::load();
    for (name, service) in &compose.services {
        for (dependency, wanted) in &service.depends_on {
            let is_one_shot = compose.service(dependency).is_one_shot();
            let possible = if is_one_shot {
                "service_completed_successfully"
            } else {
                "service_healthy"
            };
            assert_eq!(wanted.condition, possible, "{name} waits for {dependency}");
        }
    }
}

#[test]
fn every_service_waits_for_all_that_it_calls() {
    let compose = ComposeFile::load();
    for (name, service) in &compose.services {
        let mut called: BTreeSet<String> = addresses(service).into_iter().map(|(host, _)| host).collect();
        let awaited = compose.awaited_by(name);
        // The gateway only watches the processors: it takes orders without them, and starts without them.
        called.retain(|host| name != "gateway" || !host.ends_with("-processor"));
        let missing: Vec<&String> = called.difference(&awaited).collect();
        assert!(
            missing.is_empty(),
            "{name} is told to call {missing:?}, but does not wait for it"
        );
    }
}

#[test]
fn every_long_running_service_has_a_health_check_and_is_restarted() {
    for (name, service) in ComposeFile::load().services {
        if !service.is_one_shot() {
            assert!(service.healthcheck.is_some(), "{name} has no health check");
            assert_eq!(service.restart, "unless-stopped", "{name}");
        }
    }
}

/// `host:port` of every setting that has one and means another container.
fn addresses(service: &Service) -> BTreeSet<(String, u16)> {
    let environment = service.environment();
    let told = environment.iter().filter(|(name, _)| *name != "KASSA_LISTEN");
    told.filter_map(|(_, value)| {
        let after_scheme = value.split_once("://").map_or(value.as_str(), |(_, rest)| rest);
        let authority = after_scheme.split('/').next()?;
        let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = address.split_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    })
    .filter(|(host, _)| host != "localhost")
    .collect()
}

#[test]
fn every_address_is_one_that_its_service_listens_on() {
    let compose = ComposeFile::load();
    for (name, _, service) in compose.of_our_programs() {
        for (host, port) in addresses(service) {
            let called = compose.service(&host);
            // Kafka sends its clients on to the address that it advertises on the listener they came by.
            let is_heard = match called.environment().get("KAFKA_ADVERTISED_LISTENERS") {
                Some(listeners) => listeners.contains(&format!("://{host}:{port}")),
                None => called.ports().iter().any(|known| known.target == port),
            };
            assert!(is_heard, "{name} calls {host}:{port}, where nobody would answer");
        }
    }
}
