//! Heads that mean one thing to a proxy and another to us: what hyper's parser leaves to the server to refuse.
//!
//! Where two parties read the same bytes as different requests, one of them can be made to serve a request that the
//! other never saw (request smuggling), or to judge a request by a field that the other did not look at. So a request
//! has one host (RFC 9112, section 3.2), one coding of its body, and no field twice of which one alone would be read.

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    SEC_WEBSOCKET_KEY, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, Version};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::protocol::Code;

/// Fields that a request has once at the most.
const ONCE: [HeaderName; 8] = [
    HOST,
    ORIGIN,
    AUTHORIZATION,
    CONTENT_TYPE,
    SEC_WEBSOCKET_KEY,
    TRANSFER_ENCODING,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// Lets a request through whose head can be read in one way only. The others are answered, and their connection ends.
pub(super) async fn check(request: Request) -> Result<Request, Response> {
    match flaw(request.version(), request.headers()) {
        None => Ok(request),
        Some(detail) => {
            let mut response = Problem::new(Code::InvalidParameter, detail).into_response();
            ends_connection(&mut response);
            Err(response)
        }
    }
}

/// Ends the connection behind this answer: what follows on it may not be what it seems.
pub(super) fn ends_connection(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().append(CONNECTION, close);
}

fn flaw(version: Version, headers: &HeaderMap) -> Option<String> {
    for name in &ONCE {
        let count = headers.get_all(name).iter().count();
        if count > 1 {
            return Some(format!(
                "the {name} field is there {count} times, allowed is one"
            ));
        }
    }
    if version == Version::HTTP_11 && !headers.contains_key(HOST) {
        return Some("a request of HTTP/1.1 has a Host field".to_owned());
    }
    let coding = headers.get(TRANSFER_ENCODING)?;
    let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    (!is_chunked).then(|| "Transfer-Encoding is chunked, and nothing else".to_owned())
}
