//! Tokens: only what the issuer has signed for us, now, names a user.

mod bad_tokens;
mod key_sets;

use serde_json::{Value, json};

use crate::sockets::{Answer, Gateway, Script, Service};
use crate::tokens::{
    AUDIENCE, ISSUER, Published, Signer, changed, claims, claims_with, key_server, now_seconds, published,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A gateway that believes tokens, a key server and a service.
struct Door {
    gateway: Gateway,
    service: Service,
    keys: Service,
}

impl Door {
    async fn new(published: &Published, settings: Value) -> Self {
        let (service, keys) = (Service::start(Script::Answer(OK)).await, key_server(published).await);
        let urls = json!({
            "orders_url": service.url, "payments_url": service.url, "jwt_jwks_url": format!("{}/keys", keys.url),
        });
        let gateway = started(changed(urls, settings)).await.expect("a gateway");
        let door = Self { gateway, service, keys };
        door.ready().await;
        door
    }

    async fn ready(&self) {
        while self.gateway.ask("GET /health/ready", "", "").await.status != 200 {}
    }

    /// A request with these lines in its head, and nothing else that names a user.
    async fn ask(&self, lines: &str) -> Answer {
        ask(&self.gateway, lines).await
    }

    async fn ask_with(&self, token: &str) -> Answer {
        self.ask(&format!("Authorization: Bearer {token}\r\n")).await
    }
}

async fn started(settings: Value) -> anyhow::Result<Gateway> {
    let jwt = json!({ "auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_leeway_seconds": 30 });
    Gateway::start(json!({}), changed(jwt, settings)).await
}

async fn ask(gateway: &Gateway, lines: &str) -> Answer {
    let mut connection = gateway.connect().await;
    let head = format!("GET /orders HTTP/1.1\r\nHost: kassa\r\nConnection: close\r\n{lines}\r\n");
    connection.send(&head).await;
    connection.answer().await
}

fn is_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    answer.is_problem(401, "unauthorized");
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(
        challenge == "bearer" || challenge == "bearer error=\"invalid_token\"",
        "{what}: {challenge}"
    );
}

#[tokio::test]
async fn a_good_token_is_its_subject_and_nothing_else_in_the_request_is() {
    let (rsa, ec) = (Signer::rsa("a"), Signer::ec("b"));
    let door = Door::new(&published(&[&rsa, &ec]), json!({})).await;
    let several = claims_with(json!({ "aud": ["other", AUDIENCE], "nbf": null }));
    let edge = claims_with(json!({ "exp": now_seconds() - 10, "nbf": now_seconds() + 10 }));
    let access = changed(rsa.header(), json!({ "typ": "at+jwt" }));
    let untyped = changed(ec.header(), json!({ "typ": null }));
    let lines = [
        format!("Authorization: Bearer {}\r\n", rsa.token(&claims())),
        format!("Authorization: Bearer {}\r\n", ec.token(&claims())),
        format!("authorization: bearer {}\r\n", rsa.token(&several)),
        format!("Authorization: BEARER    {}  \r\n", ec.token(&edge)),
        format!("Authorization: Bearer {}\r\n", rsa.sign(&access, &claims())),
        format!("Authorization: Bearer {}\r\n", ec.sign(&untyped, &claims())),
    ];
    for lines in &lines {
        let spoofed = format!("X-User-Id: mallory\r\nX_User_Id: mallory\r\nX-User-Id: bob\r\n{lines}");
        assert_eq!(door.ask(&spoofed).await.status, 200, "{lines}");
    }
    let asked = door.service.asked();
    assert_eq!(asked.len(), lines.len());
    for asked in asked {
        let asked = asked.to_lowercase();
        assert!(
            asked.contains("x-user-id: alice\r\n") && asked.contains("x-kassa-internal: sesame\r\n"),
            "{asked}"
        );
        for gone in ["mallory", "bob", "authorization", "bearer"] {
            assert!(!asked.contains(gone), "{gone}: {asked}");
        }
    }
    assert_eq!(door.keys.asked_at_all(), 1, "keys are fetched once");
}

#[tokio::test]
async fn another_claim_can_be_the_user() {
    let key = Signer::ec("a");
    let door = Door::new(&published(&[&key]), json!({ "jwt_user_claim": "email" })).await;
    let token = key.token(&claims_with(json!({ "email": "carol@shop.example" })));
    assert_eq!(door.ask_with(&token).await.status, 200);
    assert!(door.service.asked()[0].contains("x-user-id: carol@shop.example\r\n"));
    is_refused(&door.ask_with(&key.token(&claims())).await, "no email");
}

#[tokio::test]
async fn settings_that_would_let_anybody_in_are_refused() {
    let key = Signer::ec("a");
    let keys = key_server(&published(&[&key])).await;
    let url = format!("{}/keys", keys.url);
    let jwt = json!({ "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": url });
    let jwt = |changes: Value| changed(jwt.clone(), changes);
    let (production, demo) = (json!({ "mode": "production" }), json!({}));
    let bare = json!({ "mode": "production", "internal_credential": null });
    for (common, settings, named) in [
        (&production, json!({}), "jwt_audience"),
        (&production, json!({ "auth": "demo" }), "auth = jwt"),
        (&bare, jwt(json!({})), "KASSA_INTERNAL_CREDENTIAL"),
        (
            &json!({ "internal_credential": null }),
            jwt(json!({ "auth": "jwt" })),
            "KASSA_INTERNAL_CREDENTIAL",
        ),
        (&json!({ "internal_credential": "" }), json!({}), "internal_credential"),
        (&production, jwt(json!({ "jwt_issuer": null })), "KASSA_JWT_ISSUER"),
        (&production, jwt(json!({ "jwt_audience": "" })), "KASSA_JWT_AUDIENCE"),
        (&production, jwt(json!({ "jwt_jwks_url": null })), "KASSA_JWT_JWKS_URL"),
        (
            &production,
            jwt(json!({ "jwt_jwks_file": "keys.json" })),
            "KASSA_JWT_JWKS_FILE",
        ),
        (&production, jwt(json!({ "jwt_algorithms": "HS256" })), "HS256"),
        (&production, jwt(json!({ "jwt_algorithms": "none" })), "jwt_algorithms"),
        (&production, jwt(json!({ "jwt_user_claim": "" })), "jwt_user_claim"),
        (
            &demo,
            json!({ "cors_allowed_origins": "shop.example" }),
            "cors_allowed_origins",
        ),
    ] {
        let refused = Gateway::start(common.clone(), settings.clone()).await.err();
        let text = refused.map_or_else(String::new, |error| format!("{error:#}"));
        assert!(text.contains(named), "{settings}: {text:?}");
    }
    // Tokens are what there is outside demo mode; they may be tried within it.
    assert!(Gateway::start(production, jwt(json!({}))).await.is_ok());
    assert!(Gateway::start(demo, jwt(json!({ "auth": "jwt" }))).await.is_ok());
}
