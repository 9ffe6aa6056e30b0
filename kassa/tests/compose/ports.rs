//! Where this machine finds what.

use std::net::SocketAddr;

use kassa::stack::Ports;

use crate::compose_file::{ComposeFile, OURS};

#[test]
fn everything_is_published_where_the_native_platform_has_it() {
    let mut local = Ports::LOCAL;
    let named = local.named();
    let native = |name: &str| {
        let name = if name == "postgres-orders" { "postgres" } else { name };
        let known = named.iter().find(|(known, _)| *known == name);
        known.map(|(_, port)| **port)
    };
    let mut published = Vec::new();
    for (name, service) in &ComposeFile::load().services {
        for port in service.ports() {
            assert_eq!(Some(port.published), native(name), "{name}");
            published.push(name.clone());
        }
    }
    for name in OURS
        .into_iter()
        .chain(["kafka", "registry", "postgres-orders", "postgres-payments"])
    {
        assert!(published.iter().any(|known| known == name), "{name} is not published");
    }
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    for (name, service) in ComposeFile::load().services {
        for port in service.ports() {
            assert_eq!(port.address, "127.0.0.1", "{name}");
        }
    }
}

#[test]
fn services_listen_on_the_port_that_is_published() {
    let compose = ComposeFile::load();
    for name in OURS {
        let service = compose.service(name);
        let listen: SocketAddr = service.environment()["KASSA_LISTEN"].parse().expect("an address");
        assert!(
            listen.ip().is_unspecified(),
            "{name}: other containers could not reach {listen}"
        );
        assert_eq!(service.ports().len(), 1, "{name}");
        assert_eq!(service.ports()[0].target, listen.port(), "{name}");
    }
}
