//! Where keys come from, how they change, and what happens without any.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Door, OK, ask, is_refused, started};
use crate::sockets::{Script, Service};
use crate::tokens::{Signer, claims, key_set, published, publishing};

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    let (old, new) = (Signer::ec("old"), Signer::rsa("new"));
    let published = published(&[&old]);
    let door = Door::new(&published, json!({ "jwt_jwks_refetch_ms": 20 })).await;
    let (old_token, new_token) = (old.token(&claims()), new.token(&claims()));
    is_refused(&door.ask_with(&new_token).await, "not published yet");
    *published.lock().expect("no panic") = key_set(&[&old, &new]);
    while door.ask_with(&new_token).await.status != 200 {}
    assert_eq!(door.ask_with(&old_token).await.status, 200, "both are published");

    *published.lock().expect("no panic") = key_set(&[&new]);
    // Any unknown key makes the gateway look again.
    while door.ask_with(&old_token).await.status != 401 {
        door.ask_with(&Signer::ec("unknown").token(&claims())).await;
    }
    assert_eq!(door.ask_with(&new_token).await.status, 200);
}

#[tokio::test]
async fn keys_are_fetched_anew_in_any_case() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let published = published(&[&old]);
    let settings = json!({ "jwt_jwks_refresh_ms": 20, "jwt_jwks_refetch_ms": 600_000 });
    let door = Door::new(&published, settings).await;
    *published.lock().expect("no panic") = key_set(&[&new]);
    while door.ask_with(&new.token(&claims())).await.status != 200 {}
    is_refused(&door.ask_with(&old.token(&claims())).await, "withdrawn");
}

#[tokio::test]
async fn unknown_keys_cannot_make_the_gateway_ask_more_often_than_it_may() {
    const INTERVAL_MS: u64 = 200;
    let key = Signer::ec("a");
    let started = Instant::now();
    let door = Door::new(&published(&[&key]), json!({ "jwt_jwks_refetch_ms": INTERVAL_MS })).await;
    let unknown = Signer::ec("unknown").token(&claims());
    while door.keys.asked_at_all() < 3 {
        is_refused(&door.ask_with(&unknown).await, "unknown");
    }
    let most = 1 + started.elapsed().as_millis() / u128::from(INTERVAL_MS);
    let asked = door.keys.asked_at_all() as u128;
    assert!(asked <= most, "{asked} of {most}");
    assert!(started.elapsed() >= Duration::from_millis(2 * INTERVAL_MS));
}

#[tokio::test]
async fn without_keys_the_gateway_is_up_and_not_ready_and_finds_them_later() {
    let key = Signer::ec("a");
    let (service, away) = (Service::start(Script::Answer(OK)).await, Service::away());
    let gateway = started(json!({
        "orders_url": service.url, "payments_url": service.url,
        "jwt_jwks_url": format!("{}/keys", away.url), "jwt_jwks_refresh_ms": 20,
    }))
    .await
    .expect("a gateway");
    let lines = format!("Authorization: Bearer {}\r\n", key.token(&claims()));
    assert_eq!(gateway.ask("GET /health/live", "", "").await.status, 200);
    let ready = gateway.ask("GET /health/ready", "", "").await;
    assert!(ready.status == 503 && ready.body.contains("token-keys"), "{ready:?}");
    let answer = ask(&gateway, &lines).await;
    answer.is_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    is_refused(&ask(&gateway, "").await, "there is nothing to verify");

    let _keys = away.returns(publishing(&published(&[&key])));
    while ask(&gateway, &lines).await.status != 200 {}
    while gateway.ask("GET /health/ready", "", "").await.status != 200 {}
}

#[tokio::test]
async fn keys_once_known_outlive_their_server() {
    let key = Signer::ec("a");
    let published = published(&[&key]);
    let door = Door::new(&published, json!({ "jwt_jwks_refresh_ms": 10 })).await;
    for nonsense in [json!(null), json!({ "keys": [] }), json!({ "error": "down" })] {
        *published.lock().expect("no panic") = nonsense;
        let until = door.keys.asked_at_all() + 3;
        while door.keys.asked_at_all() < until {
            assert_eq!(door.ask_with(&key.token(&claims())).await.status, 200);
        }
    }
    door.ready().await;
}

#[tokio::test]
async fn keys_may_come_from_a_file_that_changes() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keys-{}.json", std::process::id()));
    let write = |signer: &Signer| {
        // Whole or not at all, as somebody who rotates keys does it.
        let next = file.with_extension("next");
        std::fs::write(&next, key_set(&[signer]).to_string()).expect("written");
        std::fs::rename(next, &file).expect("renamed");
    };
    write(&old);
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = started(json!({
        "orders_url": service.url, "jwt_jwks_file": file, "jwt_jwks_refetch_ms": 10,
    }))
    .await
    .expect("a gateway");
    let with = |signer: &Signer| format!("Authorization: Bearer {}\r\n", signer.token(&claims()));
    while ask(&gateway, &with(&old)).await.status != 200 {}
    write(&new);
    while ask(&gateway, &with(&new)).await.status != 200 {}
    is_refused(&ask(&gateway, &with(&old)).await, "withdrawn");
    std::fs::remove_file(file).expect("removed");
}
