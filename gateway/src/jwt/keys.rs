//! The issuer's keys, from a JSON Web Key Set (RFC 7517), each with all that a token signed by it must say.

use std::collections::HashMap;
use std::str::FromStr as _;

use anyhow::{Context as _, ensure};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

/// What every token must say.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    /// One of them.
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    /// How far clocks may be apart.
    pub(super) leeway_seconds: u64,
}

/// Keys by `kid`.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: HashMap<String, Key>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) key: DecodingKey,
    /// Its algorithms are this key's alone: no token can choose what its signature is checked by.
    pub(super) validation: Validation,
}

/// Reads the allow-list.
///
/// # Errors
/// A name that is none, or an algorithm whose key signs as well as it verifies.
pub(super) fn algorithms(names: &[String]) -> anyhow::Result<Vec<Algorithm>> {
    ensure!(!names.is_empty(), "jwt_algorithms: name at least one, such as RS256");
    let algorithm = |name: &String| {
        let algorithm = Algorithm::from_str(name);
        let algorithm = algorithm.with_context(|| format!("jwt_algorithms: {name:?} is none that is known here"))?;
        let family = algorithm.family();
        ensure!(
            family != AlgorithmFamily::Hmac,
            "jwt_algorithms: {name} has one key for signing and verifying; published keys are public"
        );
        Ok(algorithm)
    };
    names.iter().map(algorithm).collect()
}

impl KeySet {
    /// Reads a key set; keys for other purposes are left out.
    ///
    /// # Errors
    /// It is none, or has no key that could be used.
    pub(super) fn parse(bytes: &[u8], expected: &Expected) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }

        let document: Document = serde_json::from_slice(bytes).context("it is no JSON Web Key Set")?;
        let mut keys = HashMap::new();
        for value in document.keys {
            match usable(value, expected) {
                Ok((id, key)) => {
                    // Of two keys with one name the first counts.
                    keys.entry(id).or_insert(key);
                }
                Err(reason) => debug!("a published key is left out: {reason:#}"),
            }
        }
        ensure!(!keys.is_empty(), "it has no key that could be used");
        Ok(Self { keys })
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn usable(value: Value, expected: &Expected) -> anyhow::Result<(String, Key)> {
    let jwk: Jwk = serde_json::from_value(value)?;
    let id = jwk
        .common
        .key_id
        .clone()
        .filter(|id| !id.is_empty())
        .context("it has no kid")?;
    let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let operations = jwk.common.key_operations.as_ref();
    let may_verify = operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    ensure!(is_for_signatures && may_verify, "{id}: it is not for signatures");
    let own = match jwk.common.key_algorithm {
        Some(algorithm) => vec![Algorithm::try_from(algorithm)?],
        None => expected.algorithms.clone(),
    };
    let is_allowed =
        |algorithm: &Algorithm| expected.algorithms.contains(algorithm) && fits(*algorithm, &jwk.algorithm);
    let algorithms: Vec<Algorithm> = own.into_iter().filter(is_allowed).collect();
    let first = *algorithms
        .first()
        .with_context(|| format!("{id}: none of its algorithms is allowed"))?;
    let mut validation = Validation::new(first);
    validation.algorithms = algorithms;
    validation.leeway = expected.leeway_seconds;
    validation.validate_nbf = true;
    validation.set_issuer(&[&expected.issuer]);
    validation.set_audience(&expected.audience);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let key = DecodingKey::from_jwk(&jwk)?;
    Ok((id, Key { key, validation }))
}

fn fits(algorithm: Algorithm, key: &AlgorithmParameters) -> bool {
    match key {
        AlgorithmParameters::RSA(_) => algorithm.family() == AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(key) => matches!(
            (algorithm, &key.curve),
            (Algorithm::ES256, EllipticCurve::P256) | (Algorithm::ES384, EllipticCurve::P384)
        ),
        AlgorithmParameters::OctetKeyPair(_) => algorithm == Algorithm::EdDSA,
        // A shared secret, or what came after this was written.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(keys: &Value) -> anyhow::Result<KeySet> {
        let expected = Expected {
            issuer: "https://issuer.example".to_owned(),
            audience: vec!["kassa".to_owned()],
            algorithms: vec![Algorithm::RS256, Algorithm::ES256],
            leeway_seconds: 30,
        };
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &expected)
    }

    fn rsa(more: &Value) -> Value {
        let mut key = json!({ "kty": "RSA", "kid": "a", "n": "wWyZ", "e": "AQAB" });
        key.as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().expect("an object"));
        key
    }

    #[test]
    fn a_key_verifies_by_its_own_algorithm_only() {
        let keys = parse(&json!([
            rsa(&json!({})),
            rsa(&json!({ "kid": "b", "alg": "RS256", "use": "sig", "key_ops": ["verify"] })),
            { "kty": "EC", "kid": "c", "crv": "P-256", "x": "AA", "y": "AA" },
        ]))
        .expect("three keys");
        assert_eq!(keys.len(), 3);
        for (id, algorithm) in [
            ("a", Algorithm::RS256),
            ("b", Algorithm::RS256),
            ("c", Algorithm::ES256),
        ] {
            assert_eq!(keys.get(id).expect("there").validation.algorithms, [algorithm], "{id}");
        }
    }

    #[test]
    fn keys_for_other_purposes_are_left_out_and_a_set_without_any_is_refused() {
        let useless = [
            rsa(&json!({ "use": "enc" })),
            rsa(&json!({ "key_ops": ["encrypt"] })),
            rsa(&json!({ "alg": "RS512" })),
            rsa(&json!({ "alg": "RSA-OAEP" })),
            rsa(&json!({ "kid": "" })),
            rsa(&json!({ "n": "not base64!" })),
            json!({ "kty": "RSA", "n": "wWyZ", "e": "AQAB" }),
            json!({ "kty": "EC", "kid": "c", "crv": "P-384", "x": "AA", "y": "AA" }),
            json!({ "kty": "oct", "kid": "d", "k": "c2VjcmV0", "alg": "HS256" }),
            json!({ "kty": "AKP", "kid": "e", "pub": "AA" }),
            json!("nonsense"),
        ];
        for key in &useless {
            assert!(parse(&json!([key])).is_err(), "{key}");
        }
        let mut all = useless.to_vec();
        all.push(rsa(&json!({})));
        assert_eq!(parse(&json!(all)).expect("one key").len(), 1);
        assert!(KeySet::parse(b"<html>", &parse_nothing()).is_err());
    }

    fn parse_nothing() -> Expected {
        Expected {
            issuer: String::new(),
            audience: Vec::new(),
            algorithms: Vec::new(),
            leeway_seconds: 0,
        }
    }

    #[test]
    fn a_shared_secret_is_no_public_key() {
        let names = |names: &[&str]| algorithms(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            names(&["RS256", "EdDSA"]).expect("fine"),
            [Algorithm::RS256, Algorithm::EdDSA]
        );
        for wrong in [&[][..], &["none"], &["HS256"], &["RS256", "HS512"], &["rs256"]] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
    }
}
