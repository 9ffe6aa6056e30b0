//! Which pages of other origins may call the API from a browser (the Fetch standard's CORS protocol); none by default.
//!
//! Only answers are touched: the route table answers `OPTIONS` with 204 and `Allow`, or 404, and this adds what a
//! browser wants to know. There are no cookies, so credentials are never allowed.

use anyhow::{Context as _, ensure};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use poem::Request;

const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// What the API reads.
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, traceparent, X-Request-Id, \
     X-User-Id",
);
/// What the API says in headers.
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, \
     WWW-Authenticate, X-Request-Id",
);

/// Whose pages may call.
#[derive(Clone, Debug)]
pub struct Cors {
    /// `None`: anybody's.
    origins: Option<Vec<HeaderValue>>,
}

/// What a browser wants to know.
#[derive(Clone, Debug)]
pub struct Asked {
    origin: HeaderValue,
    is_preflight: bool,
}

impl Cors {
    /// `None` for no origins: then nothing is said at all.
    ///
    /// # Errors
    /// Something that is no origin: `https://shop.example` is one, without a path, and so is `*` alone.
    pub fn new(origins: &[String]) -> anyhow::Result<Option<Self>> {
        match origins {
            [] => Ok(None),
            [any] if any == "*" => Ok(Some(Self { origins: None })),
            origins => {
                let origins = origins.iter().map(|origin| parse(origin)).collect::<Result<_, _>>()?;
                Ok(Some(Self { origins: Some(origins) }))
            }
        }
    }

    /// Looks at a request before it is served.
    #[must_use]
    pub fn asked(&self, request: &Request) -> Option<Asked> {
        let headers = request.headers();
        Some(Asked {
            origin: headers.get(ORIGIN)?.clone(),
            is_preflight: *request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
        })
    }

    /// Adds to the answer, whatever it is: a page must be able to read errors too.
    pub fn answer(&self, asked: Option<&Asked>, headers: &mut HeaderMap) {
        if self.origins.is_some() {
            // Caches must not give one origin's answer to another.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(asked) = asked else { return };
        let allowed = match &self.origins {
            None => HeaderValue::from_static("*"),
            Some(origins) if origins.contains(&asked.origin) => asked.origin.clone(),
            Some(_) => return,
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if !asked.is_preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
            return;
        }
        if let Some(methods) = headers.get(ALLOW).cloned() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        }
    }
}

fn parse(origin: &str) -> anyhow::Result<HeaderValue> {
    let wrong = || format!("cors_allowed_origins: {origin:?} is no origin; write https://shop.example, or * alone");
    let uri: Uri = origin.parse().with_context(wrong)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    // As a browser writes it: in lower case, with no slash at the end.
    let is_bare = origin.rsplit("://").next() == Some(authority) && !authority.contains('@');
    ensure!(is_web && is_bare && origin.to_lowercase() == origin, wrong());
    HeaderValue::from_str(origin).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> anyhow::Result<Option<Cors>> {
        Cors::new(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_origin_is_what_a_browser_would_send() {
        assert!(cors(&[]).expect("off").is_none());
        for fine in [
            &["*"][..],
            &["https://shop.example"],
            &["http://localhost:3000", "https://a.b"],
        ] {
            assert!(cors(fine).expect("on").is_some(), "{fine:?}");
        }
        for wrong in [
            "shop.example",
            "https://shop.example/",
            "https://shop.example/a",
            "https://Shop.example",
            "https://u@shop.example",
            "null",
            "ftp://shop.example",
            "https://*.example, *",
        ] {
            assert!(cors(&[wrong]).is_err(), "{wrong}");
        }
        assert!(cors(&["*", "https://shop.example"]).is_err(), "anybody, or these");
    }

    #[test]
    fn the_answer_names_the_origin_that_asks_and_no_other() {
        let cors = cors(&["https://a.example", "https://b.example"])
            .expect("valid")
            .expect("on");
        let answer = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            let asked = Asked {
                origin: HeaderValue::from_static(origin),
                is_preflight: false,
            };
            cors.answer(Some(&asked), &mut headers);
            assert_eq!(headers[VARY], "Origin");
            headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN)
        };
        assert_eq!(answer("https://b.example").expect("allowed"), "https://b.example");
        for other in ["https://c.example", "https://a.example.evil", "null"] {
            assert_eq!(answer(other), None, "{other}");
        }
    }
}
