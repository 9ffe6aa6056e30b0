//! What two readers of a request's head could understand in two ways is refused (RFC 9112, sections 3.2 and 6.1).
//!
//! hyper has refused the rest before, without problem+json: two different lengths, white space before a colon, folded
//! lines, control characters. Two things it settles itself and does not tell: of `Transfer-Encoding` beside
//! `Content-Length` it takes the former, removes the latter and closes the connection afterwards; of two equal
//! lengths it keeps one. Neither can reach another reader: the gateway sends a body on with a length of its own.

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

use crate::problem::{Code, Problem};

/// # Errors
/// `invalid_request`: no `Host` or several, or a body in another coding than plain chunks. The connection is closed.
pub fn check(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    // Where the next request would begin is anybody's guess.
    let refuse = |detail| Err(Problem::new(Code::InvalidRequest, detail).header(CONNECTION, "close"));
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => {}
        (None, _) if version != Version::HTTP_11 => {}
        _ => return refuse("send the header Host, once"),
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => refuse("the only Transfer-Encoding understood is chunked, once"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn is_fine(version: Version, given: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        check(version, &headers).is_ok()
    }

    #[test]
    fn there_is_one_host_and_at_most_one_coding() {
        let host = ("host", "kassa");
        assert!(is_fine(Version::HTTP_11, &[host]));
        assert!(is_fine(Version::HTTP_10, &[]));
        assert!(is_fine(Version::HTTP_11, &[host, ("transfer-encoding", "Chunked")]));
        for refused in [
            &[][..],
            &[host, host],
            &[host, ("transfer-encoding", "gzip, chunked")],
            &[host, ("transfer-encoding", "chunked, chunked")],
            &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[host, ("transfer-encoding", "")],
        ] {
            assert!(!is_fine(Version::HTTP_11, refused), "{refused:?}");
        }
        assert!(!is_fine(Version::HTTP_10, &[host, host]));
    }
}
