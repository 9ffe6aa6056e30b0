//! The page at `/`: files written by hand, carried by this program, with the rules that a browser holds them to.
//!
//! The page is asked for anew each time and names its parts under `/assets/<version>/`, where they never change: a
//! reload loads one file, and parts of two versions never meet.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use http_kit::etag::is_known;
use http_kit::problem::{Code, Problem};
use poem::{Endpoint, Request, Response, endpoint};
use uuid::Uuid;

use crate::identity::Auth;

/// Everything comes from here; nothing is written into the page itself, and no text becomes code.
const RULES: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                     object-src 'none'; require-trusted-types-for 'script'";

const HTML: &str = include_str!("../web/index.html");

macro_rules! assets {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../web/assets/", $name)))),*] };
}

/// Every file of `gateway/web/assets`; a test looks for one that was forgotten.
const ASSETS: &[(&str, &str)] = assets![
    "api.mjs",
    "backoff.mjs",
    "base.css",
    "dom.mjs",
    "event-stream.mjs",
    "follow-order.mjs",
    "health.mjs",
    "icon.svg",
    "lists.css",
    "main.mjs",
    "money.mjs",
    "parts.css",
    "problem.mjs",
    "rows.mjs",
    "sending-form.mjs",
    "session.mjs",
    "slots.mjs",
    "store.mjs",
    "sync.mjs",
    "timeline.mjs",
    "views.mjs",
    "words.mjs",
];

/// The page, `/`. Where users come with tokens it says so, and lets nobody in by a name.
pub fn page(auth: Auth) -> impl Endpoint<Output = Response> + 'static {
    let html = Arc::<str>::from(html(auth));
    let etag = etag(&html);
    endpoint::make_sync(move |request: Request| {
        answer(
            request.headers(),
            &etag,
            "no-cache",
            "text/html; charset=utf-8",
            html.to_string(),
        )
    })
}

/// Its parts, `/assets/<version>/<name>`.
pub fn assets() -> impl Endpoint<Output = Response> + 'static {
    let version = version();
    endpoint::make_sync(move |request: Request| asset(&request, &version))
}

fn asset(request: &Request, version: &str) -> poem::Result<Response> {
    let path = request.uri().path().trim_start_matches("/assets/");
    let (asked, name) = path.split_once('/').unwrap_or(("", path));
    let found = ASSETS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| Problem::new(Code::NotFound, "no such file"))?;
    // A page of another version may come here from another replica: it gets what there is, to be asked for again.
    let cache = if asked == version {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let body = (*text).to_owned();
    Ok(answer(request.headers(), &etag(text), cache, content_type(name), body))
}

fn answer(asked: &HeaderMap, etag: &str, cache: &str, content_type: &str, body: String) -> Response {
    let response = Response::builder()
        .header(ETAG, etag)
        .header(CACHE_CONTROL, cache)
        .header(CONTENT_SECURITY_POLICY, RULES);
    if is_known(asked, etag) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.header(CONTENT_TYPE, content_type).body(body)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "mjs")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Changes with any byte of the page or of a part.
fn version() -> String {
    let all = ASSETS.iter().fold(HTML.to_owned(), |all, (_, text)| all + text);
    digest(&all)
}

fn etag(text: &str) -> String {
    format!("\"{}\"", digest(text))
}

fn digest(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
}

/// The page with its version, and with every module named: a browser fetches them all at once, not one by one.
fn html(auth: Auth) -> String {
    let preload: String = ASSETS
        .iter()
        .filter(|(name, _)| name.ends_with(".mjs"))
        .map(|(name, _)| format!("<link rel=\"modulepreload\" href=\"/assets/{name}\">\n  "))
        .collect();
    let mut html = HTML.replace("<script type", &format!("{preload}<script type"));
    if auth == Auth::Jwt {
        html = html.replacen("data-auth=\"demo\"", "data-auth=\"jwt\"", 1);
    }
    html.replace("\"/assets/", &format!("\"/assets/{}/", version()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_served_and_every_name_is_a_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/assets");
        let mut files: Vec<String> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let served: Vec<&str> = ASSETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, served);

        let imports = ASSETS.iter().flat_map(|(_, text)| text.split(" from './").skip(1));
        let imports = imports.map(|rest| rest.split('\'').next().unwrap_or_default());
        let links = HTML.split("\"/assets/").skip(1);
        let links = links.map(|rest| rest.split('"').next().unwrap_or_default());
        for name in imports.chain(links) {
            assert!(served.contains(&name), "{name} is not served");
        }
    }

    #[test]
    fn nothing_is_written_into_the_page_and_nothing_comes_from_elsewhere() {
        let texts = ASSETS
            .iter()
            .map(|(_, text)| *text)
            .filter(|text| !text.starts_with("<svg"));
        for text in texts.chain([html(Auth::Demo).as_str()]) {
            for word in [
                "://",
                "innerHTML",
                "eval(",
                " style=",
                " onclick=",
                "<style",
                "@import",
                "url(",
            ] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
        assert_eq!(html(Auth::Demo).matches("<script").count(), 1);
    }

    #[test]
    fn the_page_knows_how_users_are_known() {
        assert!(html(Auth::Demo).contains("<html lang=\"en\" data-auth=\"demo\">"));
        assert!(html(Auth::Jwt).contains("<html lang=\"en\" data-auth=\"jwt\">"));
    }
}
