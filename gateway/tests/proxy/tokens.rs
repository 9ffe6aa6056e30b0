//! An issuer of tokens, made for the test: its keys, a server that publishes them, and whatever it signs.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::sockets::{Script, Service};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "kassa";

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn now_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// What a good token says.
pub(crate) fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now_seconds() + 600, "nbf": now_seconds() - 600 })
}

/// Claims, with some of them changed; `null` takes one away.
pub(crate) fn claims_with(changes: Value) -> Value {
    changed(claims(), changes)
}

pub(crate) fn changed(mut all: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    for (name, value) in changes {
        let all = all.as_object_mut().expect("an object");
        if value.is_null() {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
    }
    all
}

/// A key with a name.
pub(crate) struct Signer {
    id: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    pub(crate) fn rsa(id: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self {
            id,
            pair: Pair::Rsa(pair),
        }
    }

    pub(crate) fn ec(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self {
            id,
            pair: Pair::Ec(pair),
        }
    }

    /// As it is published.
    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": self.id, "alg": "RS256", "use": "sig", "n": base64(n), "e": base64(e) })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "kid": self.id, "crv": "P-256", "x": base64(x), "y": base64(y) })
            }
        }
    }

    /// The public key's bytes, as somebody might take them for a secret.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn header(&self) -> Value {
        let algorithm = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        json!({ "alg": algorithm, "kid": self.id, "typ": "JWT" })
    }

    /// A token with its own header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    /// A token with any header.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .expect("signed");
                signature
            }
            Pair::Ec(pair) => pair
                .sign(&random, message.as_bytes())
                .expect("signed")
                .as_ref()
                .to_vec(),
        };
        format!("{message}.{}", base64(signature))
    }
}

/// What a key server publishes; it can be changed.
pub(crate) type Published = Arc<Mutex<Value>>;

pub(crate) fn published(signers: &[&Signer]) -> Published {
    Arc::new(Mutex::new(key_set(signers)))
}

pub(crate) fn key_set(signers: &[&Signer]) -> Value {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() })
}

/// Publishes whatever is there at the moment; anything but an object is answered as an error.
pub(crate) fn publishing(published: &Published) -> Script {
    let published = published.clone();
    Script::Call(Arc::new(move |_| {
        let published = published.lock().expect("no panic").clone();
        let (status, body) = if published.is_object() {
            ("200 OK", published.to_string())
        } else {
            ("500 Internal Server Error", "{\"keys\":[]}".to_owned())
        };
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }))
}

/// A server that publishes these keys.
pub(crate) async fn key_server(published: &Published) -> Service {
    Service::start(publishing(published)).await
}
