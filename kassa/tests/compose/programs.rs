//! Our programs, asked themselves: they must have been built, as `cargo kassa test` does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;

use kassa::stack::root;

use crate::compose_file::{ComposeFile, Service, with_defaults};

/// Reserved for a service that has died out.
const NOBODYS_PORT: u16 = 1;

/// Runs a program with this environment and no other.
pub(crate) fn run(program: &str, args: &[&str], environment: &BTreeMap<String, String>) -> Output {
    let path = root().join("target/debug").join(program);
    assert!(
        path.exists(),
        "target/debug/{program} has not been built: run `cargo build --workspace --bins`, or `cargo kassa test`"
    );
    let mut command = Command::new(path);
    command.args(args).env_clear().envs(environment);
    command.output().expect("the program can be started")
}

/// Whether a program takes these settings, and why not.
///
/// A check of its health reads all settings, unknown ones are refused, and only then finds that nobody listens.
pub(crate) fn accepts(program: &str, environment: &BTreeMap<String, String>) -> Result<(), String> {
    let listen = format!("listen=127.0.0.1:{NOBODYS_PORT}");
    let asked = run(program, &["--set", &listen, "healthcheck"], environment);
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    if said.contains("nothing listens on") {
        Ok(())
    } else {
        Err(said)
    }
}

#[test]
fn every_command_is_one_that_its_program_has() {
    for (name, program, service) in ComposeFile::load().of_our_programs() {
        let command: Vec<&str> = service.command.iter().map(String::as_str).collect();
        assert_eq!(command.len(), usize::from(service.is_one_shot()), "{name}");
        let asked = run(program, &[&command[..], &["--help"]].concat(), &BTreeMap::new());
        assert!(asked.status.success(), "{name}: {program} has no command {command:?}");
    }
}

#[test]
fn every_service_of_ours_checks_itself() {
    for (name, program, service) in ComposeFile::load().of_our_programs() {
        if let Some(check) = &service.healthcheck {
            assert_eq!(check.test, ["CMD", program, "healthcheck"], "{name}");
        }
    }
}

/// Answers one request with `status`; the port.
fn server(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        // The whole request is read, or closing would reset the connection.
        let lines = BufReader::new(&client).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let _ = write!(&client, "HTTP/1.0 {status}\r\n\r\n");
    });
    port
}

fn registry_is_ready(registry: &Service, port: u16) -> bool {
    let test = &registry.healthcheck.as_ref().expect("a health check").test;
    let [_, bash, flag, script] = &test[..] else {
        panic!("the registry is checked by a script for bash");
    };
    let script = with_defaults(script).replace("/8080", &format!("/{port}"));
    let checked = Command::new(bash).args([flag, &script]).output();
    checked.expect("bash is there").status.success()
}

#[test]
fn the_registrys_check_tells_ready_from_not_ready() {
    let compose = ComposeFile::load();
    let registry = compose.service("registry");
    assert!(registry_is_ready(registry, server("200 OK")));
    assert!(!registry_is_ready(registry, server("503 Service Unavailable")));
    assert!(!registry_is_ready(registry, NOBODYS_PORT));
}
