//! Tokens that must not open the door, each wrong in one way.

use serde_json::{Value, json};

use super::{Door, is_refused};
use crate::tokens::{ISSUER, Signer, base64, changed, claims, claims_with, now_seconds, published};

#[tokio::test]
async fn no_other_token_opens_the_door() {
    let (rsa, ec, stranger) = (Signer::rsa("a"), Signer::ec("b"), Signer::rsa("a"));
    let door = Door::new(&published(&[&rsa, &ec]), json!({})).await;
    let good = rsa.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let with = |changes: Value| rsa.token(&claims_with(changes));
    let headed = |changes: Value| rsa.sign(&changed(rsa.header(), changes), &claims());
    let unsigned = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "a", "typ": "JWT" });
        format!("{}.{}.", base64(header.to_string()), parts[1])
    };
    let tampered = base64(claims_with(json!({ "sub": "bob" })).to_string());
    let mut flipped = parts[2].to_owned();
    flipped.replace_range(10..11, if flipped.as_bytes()[10] == b'A' { "B" } else { "A" });
    let hmac = {
        let header = json!({ "alg": "HS256", "kid": "a", "typ": "JWT" });
        let message = format!("{}.{}", base64(header.to_string()), parts[1]);
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &rsa.public_bytes());
        format!(
            "{message}.{}",
            base64(aws_lc_rs::hmac::sign(&secret, message.as_bytes()))
        )
    };
    let (now, huge) = (now_seconds(), "x".repeat(9_000));

    for (what, token) in [
        ("no algorithm", unsigned("none")),
        ("no algorithm, in capitals", unsigned("None")),
        (
            "a right one without its signature",
            format!("{}.{}.", parts[0], parts[1]),
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("five parts, as if encrypted", format!("{good}.x.y")),
        ("the public key as a secret", hmac),
        ("another's key under the same name", stranger.token(&claims())),
        ("the name of another key", headed(json!({ "kid": "b" }))),
        ("another key's algorithm", headed(json!({ "alg": "ES256" }))),
        ("an algorithm that is not allowed", headed(json!({ "alg": "RS512" }))),
        ("an algorithm that nobody knows", headed(json!({ "alg": "XS256" }))),
        ("no name of a key", headed(json!({ "kid": null }))),
        ("an unknown key", headed(json!({ "kid": "z" }))),
        ("a key's name that is none", headed(json!({ "kid": 7 }))),
        ("a key of its own", {
            let own = json!({ "jwk": stranger.jwk(), "kid": "own" });
            stranger.sign(&changed(rsa.header(), own), &claims())
        }),
        ("a critical extension", headed(json!({ "crit": ["b64"], "b64": false }))),
        ("an empty list of extensions", headed(json!({ "crit": [] }))),
        ("another type", headed(json!({ "typ": "logout+jwt" }))),
        ("another payload", format!("{}.{tampered}.{}", parts[0], parts[2])),
        ("another signature", format!("{}.{}.{flipped}", parts[0], parts[1])),
        ("a signature with padding", format!("{good}==")),
        ("another issuer", with(json!({ "iss": "https://evil.example" }))),
        ("an issuer with a slash", with(json!({ "iss": format!("{ISSUER}/") }))),
        ("no issuer", with(json!({ "iss": null }))),
        (
            "several issuers",
            with(json!({ "iss": [ISSUER, "https://evil.example"] })),
        ),
        ("an issuer that is a number", with(json!({ "iss": 1 }))),
        ("for somebody else", with(json!({ "aud": "other" }))),
        ("for several others", with(json!({ "aud": ["other", "more"] }))),
        ("for nobody", with(json!({ "aud": [] }))),
        ("without an audience", with(json!({ "aud": null }))),
        ("expired", with(json!({ "exp": now - 60 }))),
        ("without an end", with(json!({ "exp": null }))),
        ("an end that is a text", with(json!({ "exp": (now + 600).to_string() }))),
        ("an end before the beginning of time", with(json!({ "exp": -1 }))),
        ("not valid yet", with(json!({ "nbf": now + 60 }))),
        ("a beginning that is a text", with(json!({ "nbf": "now" }))),
        ("no subject", with(json!({ "sub": null }))),
        ("a subject that is a number", with(json!({ "sub": 7 }))),
        ("a subject that is a list", with(json!({ "sub": ["alice"] }))),
        ("an empty subject", with(json!({ "sub": "" }))),
        ("a subject with a space", with(json!({ "sub": "alice bob" }))),
        (
            "a subject with a line break",
            with(json!({ "sub": "alice\r\nX-Kassa-Internal: 1" })),
        ),
        ("a subject that is not ASCII", with(json!({ "sub": "ålice" }))),
        ("a subject that is too long", with(json!({ "sub": "x".repeat(256) }))),
        ("claims that are a list", { rsa.token(&json!([claims()])) }),
        (
            "claims that are no JSON",
            format!("{}.{}.{}", parts[0], base64("{"), parts[2]),
        ),
        (
            "a header that is no JSON",
            format!("{}.{}.{}", base64("{"), parts[1], parts[2]),
        ),
        ("other letters", good.replacen('.', ".+/", 1)),
        ("a huge one", with(json!({ "padding": huge }))),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("white space within", format!("{} {}", &good[..20], &good[20..])),
        ("quotes", format!("\"{good}\"")),
    ] {
        let answer = door.ask_with(&token).await;
        is_refused(&answer, what);
    }

    for (what, lines) in [
        ("no header", String::new()),
        ("a name alone", "X-User-Id: alice\r\n".to_owned()),
        (
            "two headers",
            format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n"),
        ),
        (
            "a second scheme",
            format!("Authorization: Basic YTpi\r\nAuthorization: Bearer {good}\r\n"),
        ),
        ("two in one", format!("Authorization: Bearer {good}, Bearer {good}\r\n")),
        ("another scheme", "Authorization: Basic YWxpY2U6YQ==\r\n".to_owned()),
        (
            "the token under another scheme",
            format!("Authorization: Token {good}\r\n"),
        ),
        ("the scheme alone", "Authorization: Bearer\r\n".to_owned()),
        ("no scheme", format!("Authorization: {good}\r\n")),
        ("a tab", format!("Authorization: Bearer\t{good}\r\n")),
        ("another header", format!("X-Authorization: Bearer {good}\r\n")),
        (
            "an underscore's spelling",
            format!("Proxy-Authorization: Bearer {good}\r\n"),
        ),
    ] {
        is_refused(&door.ask(&lines).await, what);
    }
    assert_eq!(door.service.asked(), Vec::<String>::new());
    assert_eq!(door.ask_with(&good).await.status, 200, "the good one is good");
}

#[tokio::test]
async fn who_sends_no_token_is_not_told_that_it_is_wrong() {
    let key = Signer::ec("a");
    let door = Door::new(&published(&[&key]), json!({})).await;
    assert_eq!(door.ask("").await.header("www-authenticate"), Some("bearer"));
    let wrong = door.ask_with("a.b.c").await;
    assert_eq!(wrong.header("www-authenticate"), Some("bearer error=\"invalid_token\""));
    // What is not there is not there for anybody.
    door.gateway
        .ask("GET /nowhere", "", "")
        .await
        .is_problem(404, "not_found");
    assert_eq!(door.gateway.ask("GET /docs", "", "").await.status, 200);
}
