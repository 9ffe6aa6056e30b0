//! What our programs are told.

use std::collections::{BTreeMap, BTreeSet};

use kassa::stack::{Database, Name, Parts, Role, Settings, Stack, containers};

use crate::compose_file::{ComposeFile, text};
use crate::programs::{accepts, run};

#[test]
fn every_setting_is_one_that_its_program_knows() {
    for (name, program, service) in ComposeFile::load().of_our_programs() {
        let environment = service.environment();
        if program == "schemas" {
            // A command without a settings file: its help names what it reads.
            let help = run(program, &[&service.command[0], "--help"], &BTreeMap::new());
            let help = String::from_utf8_lossy(&help.stdout).into_owned();
            let unknown = environment.keys().find(|key| !help.contains(&format!("[env: {key}=")));
            assert_eq!(unknown, None, "{name}");
        } else {
            assert_eq!(accepts(program, &environment), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_misspelt_setting_is_found() {
    for (_, program, service) in ComposeFile::load().of_our_programs() {
        if program != "schemas" {
            let mut environment = service.environment();
            environment.insert("KASSA_LISTNE".to_owned(), "0.0.0.0:80".to_owned());
            let refusal = accepts(program, &environment).expect_err("no program knows it");
            assert!(refusal.contains("listne"), "{refusal}");
        }
    }
}

#[test]
fn every_service_is_told_all_that_the_native_one_is_told() {
    let compose = ComposeFile::load();
    for name in Name::SERVICES {
        let told = compose.service(name.as_str()).environment();
        let native = Stack::env_of(&Settings::named("local").expect("a name"), name);
        let missing: BTreeSet<String> = native
            .into_iter()
            .map(|(key, _)| key)
            // Natively tests shorten it; the default is the platform's.
            .filter(|key| key != "KASSA_KAFKA_SESSION_TIMEOUT_MS" && !told.contains_key(key))
            .collect();
        assert_eq!(missing, BTreeSet::new(), "{name}");
    }
}

#[test]
fn the_apis_know_the_gateway_by_a_credential() {
    let compose = ComposeFile::load();
    let credential = |name: &str| compose.service(name).environment().remove("KASSA_INTERNAL_CREDENTIAL");
    assert!(credential("gateway").is_some_and(|credential| !credential.is_empty()));
    for api in ["orders-api", "payments-api"] {
        assert_eq!(credential(api), credential("gateway"), "{api}");
    }
}

#[test]
fn services_work_as_the_role_that_the_migration_makes() {
    let compose = ComposeFile::load();
    for (service, program) in [
        ("orders", "orders-api"),
        ("orders", "orders-processor"),
        ("payments", "payments-api"),
        ("payments", "payments-processor"),
    ] {
        let migration = compose.service(&format!("migrate-{service}")).environment();
        let server = compose.service(&format!("postgres-{service}")).environment();
        let url = |user: &str, password: &str| {
            format!(
                "postgres://{user}:{password}@postgres-{service}:5432/{}",
                server["POSTGRES_DB"]
            )
        };
        let owner = url(&server["POSTGRES_USER"], &server["POSTGRES_PASSWORD"]);
        let app = url(&format!("{service}_app"), &migration["KASSA_APP_PASSWORD"]);
        assert_eq!(migration["KASSA_DATABASE_URL"], owner);
        assert_eq!(
            compose.service(program).environment()["KASSA_DATABASE_URL"],
            app,
            "{program}"
        );
    }
}

#[test]
fn passwords_are_written_in_one_place() {
    let text = text();
    let (before, rest) = text.split_once("\nx-secrets:\n").expect("a section for secrets");
    let (_, after) = rest.split_once("\nx-").expect("a section after it");
    for place in [before, after] {
        let is_secret = |line: &&str| !line.starts_with('#') && (line.contains("PASSWORD") || line.contains("${"));
        assert_eq!(place.lines().find(is_secret), None);
    }
}

#[test]
fn services_of_this_machine_reach_the_databases_in_containers() {
    // As `cargo kassa up` has them where Docker answers: parts in containers, services beside them.
    let compose = ComposeFile::load();
    let mut settings = Settings::named("local").expect("a name");
    settings.parts = Parts::Containers;
    for (database, name) in [(Database::Orders, "orders"), (Database::Payments, "payments")] {
        let server = compose.service(&format!("postgres-{name}"));
        let (environment, port) = (server.environment(), server.ports()[0].published);
        let url = |user: &str, password: &str| format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}");
        let owner = url(&environment["POSTGRES_USER"], &environment["POSTGRES_PASSWORD"]);
        assert_eq!(settings.database_url(database, Role::Owner), owner);
        let migration = compose.service(&format!("migrate-{name}")).environment();
        let app = url(&format!("{name}_app"), &migration["KASSA_APP_PASSWORD"]);
        assert_eq!(settings.database_url(database, Role::App), app);
    }
    let outside = &compose.service("kafka").environment()["KAFKA_ADVERTISED_LISTENERS"];
    let port = settings.kafka_brokers().replace("127.0.0.1:", "");
    assert!(outside.contains(&format!("OUTSIDE://localhost:{port}")), "{outside}");
    for part in containers::PARTS {
        assert!(compose.services.contains_key(part), "{part}");
    }
}
