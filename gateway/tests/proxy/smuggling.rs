//! Requests that two readers could understand differently, byte by byte: whatever comes, a service sees one request
//! that can be read in one way, or none.
//!
//! Where hyper refuses, the answer is its own: 400 or 431 with no body, and the connection is closed. It is written
//! below everything that could make problem+json of it, and hyper offers no way to say it differently.

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

struct Smuggling {
    service: Service,
    gateway: Gateway,
}

impl Smuggling {
    async fn new() -> Self {
        let service = Service::start(Script::Answer(OK)).await;
        let gateway = Gateway::to(&service).await;
        Self { service, gateway }
    }

    /// The statuses of everything that comes back until the gateway closes.
    async fn statuses(&self, bytes: &str) -> Vec<u16> {
        let mut connection = self.gateway.connect().await;
        connection.send_anyhow(bytes.as_bytes()).await;
        let text = connection.closed_or(&format!("{bytes:?}")).await;
        let heads = text.split("HTTP/1.1 ").skip(1);
        heads.map(|head| head[..3].parse().expect("a status")).collect()
    }

    /// The first line and the body of each request that the service has seen.
    fn seen(&self) -> Vec<(String, String)> {
        let asked = self.service.asked();
        let parts = asked.iter().map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").expect("a whole request");
            (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
        });
        parts.collect()
    }
}

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n{headers}\r\n{body}"
    )
}

fn get(headers: &str) -> String {
    format!("GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n{headers}\r\n")
}

#[tokio::test]
async fn what_no_two_readers_agree_on_reaches_no_service() {
    let smuggling = Smuggling::new().await;
    for bytes in [
        // Lengths.
        post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
        post("Content-Length: 2, 2\r\n", "{}"),
        post("Content-Length: +2\r\n", "{}"),
        post("Content-Length: -2\r\n", "{}"),
        post("Content-Length: 0x2\r\n", "{}"),
        post("Content-Length: 2 \x0b\r\n", "{}"),
        post("Content-Length: 99999999999999999999999\r\n", "{}"),
        post("Content-Length:\r\n", "{}"),
        // Codings.
        post("Transfer-Encoding: identity\r\n", "{}"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "0\r\n\r\n",
        ),
        post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
        post("Content-Length: 2\r\nTransfer-Encoding: identity\r\n", "{}"),
        "POST /orders HTTP/1.0\r\nX-User-Id: alice\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        // Chunks.
        post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\n{}\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "2\n{}\n0\n\n"),
        post("Transfer-Encoding: chunked\r\n", "2\r\n{}0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "2;a=\nb\r\n{}\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "\r\n2\r\n{}\r\n0\r\n\r\n"),
        // Lines.
        get("X-Folded: a\r\n b\r\n"),
        get("X-Folded: a\r\n\tX-User-Id: bob\r\n"),
        get("X-Bare: a\rX-User-Id: bob\r\n"),
        get("X Space: a\r\n"),
        get(": no name\r\n"),
        get("no colon\r\n"),
        get("X-Nul: a\0b\r\n"),
        get("X-Nul\0: a\r\n"),
        get("X-Bell: \x07\r\n"),
        // Hosts.
        "GET /orders HTTP/1.1\r\nX-User-Id: alice\r\n\r\n".to_owned(),
        get("Host: other\r\n"),
        get("host: kassa\r\n"),
        // Request lines.
        "GET  /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n".to_owned(),
        "GET /orders\r\nHost: kassa\r\n\r\n".to_owned(),
        "GET /orders HTTP/1.1 \r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n".to_owned(),
        "GET /orders HTTP/2.0\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n".to_owned(),
        "GET /or ders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n".to_owned(),
        "GET /orders\0 HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n".to_owned(),
    ] {
        let statuses = smuggling.statuses(&bytes).await;
        assert_eq!(statuses, [400], "{bytes:?}");
    }
    // Another protocol is not even answered.
    assert_eq!(smuggling.statuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, [0; 0]);
    assert_eq!(smuggling.seen(), []);
}

#[tokio::test]
async fn a_line_may_end_without_its_return_and_is_then_a_line_for_everybody() {
    let smuggling = Smuggling::new().await;
    let bare = "GET /orders HTTP/1.1\nHost: kassa\nX-User-Id: alice\nConnection: close\n\n";
    assert_eq!(smuggling.statuses(bare).await, [200]);
    let asked = &smuggling.service.asked()[0];
    assert_eq!(asked.matches('\n').count(), asked.matches("\r\n").count(), "{asked:?}");
    // Whoever thought it was the value's end has sent two users.
    let two = get("X-Note: a\nX-User-Id: bob\r\nConnection: close\r\n");
    assert_eq!(smuggling.statuses(&two).await, [400]);
    assert_eq!(smuggling.seen().len(), 1);
}

#[tokio::test]
async fn of_a_coding_and_a_length_the_coding_counts_and_nothing_is_left_over() {
    let smuggling = Smuggling::new().await;
    let hidden = "GET /orders/hidden HTTP/1.1\r\nHost: kassa\r\nX-User-Id: bob\r\n\r\n";
    // A reader who goes by the length would take the hidden request for the next one.
    let body = format!("2\r\n{{}}\r\n0\r\n\r\n{hidden}");
    for headers in [
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
            body.len() - hidden.len()
        ),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", body.len()),
        "Content-Length: 0\r\nTransfer-Encoding: CHUNKED\r\n".to_owned(),
    ] {
        let statuses = smuggling.statuses(&post(&headers, &body)).await;
        // The connection ends there: who sends both may mean either.
        assert_eq!(statuses, [200], "{headers}");
    }
    let line = "POST /orders HTTP/1.1".to_owned();
    assert_eq!(smuggling.seen(), vec![(line, "{}".to_owned()); 3]);
    for asked in smuggling.service.asked() {
        let asked = asked.to_lowercase();
        assert!(asked.contains("content-length: 2\r\n"), "{asked}");
        assert!(!asked.contains("transfer-encoding"), "{asked}");
    }
}

#[tokio::test]
async fn a_body_travels_on_with_one_length_whatever_its_framing_was() {
    let smuggling = Smuggling::new().await;
    for (headers, body) in [
        ("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        (
            "Transfer-Encoding: chunked\r\n",
            "1;name=\"value\"\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\r\n", "000002\r\n{}\r\n0\r\n\r\n"),
        // Trailers are nobody's headers.
        (
            "Transfer-Encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\nX-User-Id: bob\r\n\r\n",
        ),
        ("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"),
    ] {
        let headers = format!("{headers}Connection: close\r\n");
        let statuses = smuggling.statuses(&post(&headers, body)).await;
        assert_eq!(statuses.last(), Some(&200), "{headers:?}: {statuses:?}");
    }
    let asked = smuggling.service.asked();
    assert_eq!(asked.len(), 5);
    for asked in asked {
        let lower = asked.to_lowercase();
        assert_eq!(lower.matches("content-length: 2\r\n").count(), 1, "{asked}");
        assert!(asked.ends_with("\r\n\r\n{}") && !lower.contains("bob"), "{asked}");
        assert!(
            !lower.contains("transfer-encoding") && !lower.contains("expect"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn two_requests_in_one_piece_are_two() {
    let smuggling = Smuggling::new().await;
    let bytes = post("Content-Length: 2\r\n", "{}") + &get("") + &get("Connection: close\r\n") + &get("");
    assert_eq!(smuggling.statuses(&bytes).await, [200, 200, 200]);
    assert_eq!(smuggling.seen().len(), 3);
}

#[tokio::test]
async fn another_authority_in_the_request_line_changes_nothing() {
    let smuggling = Smuggling::new().await;
    for line in [
        "GET http://kassa/orders HTTP/1.1",
        "GET http://127.0.0.1:1/orders HTTP/1.1",
        "GET https://evil.example/orders HTTP/1.1",
    ] {
        let bytes = format!("{line}\r\nHost: kassa\r\nX-User-Id: alice\r\nConnection: close\r\n\r\n");
        assert_eq!(smuggling.statuses(&bytes).await, [200], "{line}");
    }
    for asked in smuggling.service.asked() {
        assert!(asked.starts_with("GET /orders HTTP/1.1\r\n"), "{asked}");
        let host = smuggling.service.url.trim_start_matches("http://");
        assert!(asked.contains(&format!("host: {host}\r\n")), "{asked}");
    }
    for line in [
        "CONNECT evil.example:443 HTTP/1.1",
        "GET http://evil.example HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET //evil.example/orders HTTP/1.1",
        "GET /orders/../accounts/balance HTTP/1.1",
        "GET /./orders HTTP/1.1",
        "GET /%6frders HTTP/1.1",
    ] {
        let bytes = format!("{line}\r\nHost: kassa\r\nX-User-Id: alice\r\nConnection: close\r\n\r\n");
        let statuses = smuggling.statuses(&bytes).await;
        // The page is at `/`, for everybody.
        let expected = if line.contains("evil.example HTTP") { 200 } else { 404 };
        assert_eq!(statuses, [expected], "{line}");
    }
    assert_eq!(smuggling.seen().len(), 3);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_before_it_is_whole() {
    let smuggling = Smuggling::new().await;
    let long = "x".repeat(20_000);
    for bytes in [
        format!("GET /orders?{long} HTTP/1.1\r\nHost: kassa\r\n"),
        format!("GET /orders HTTP/1.1\r\nHost: kassa\r\nX-Long: {long}"),
        format!(
            "GET /orders HTTP/1.1\r\nHost: kassa\r\n{}",
            "X-Many: 1\r\n".repeat(2_000)
        ),
        get(&"X-Many: 1\r\n".repeat(100)),
    ] {
        assert_eq!(smuggling.statuses(&bytes).await, [431], "{}", &bytes[..40]);
    }
    let headers = "X-Many: 1\r\n".repeat(61);
    let answer = smuggling.gateway.ask("GET /orders", &headers, "").await;
    answer.is_problem(431, "headers_too_large");
    assert_eq!(smuggling.seen(), []);
    // As many as are let in, a service takes, with what the gateway adds.
    let headers = "X-Many: 1\r\n".repeat(60);
    assert_eq!(smuggling.gateway.ask("GET /orders", &headers, "").await.status, 200);
}
