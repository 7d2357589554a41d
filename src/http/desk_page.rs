//! The page of the desk and its assets. Its header fields are stricter than those of readers' pages.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::response::{Audience, cached, etag_of_bytes, typed};
use crate::pages;
use crate::protocol::Code;

/// Sent with the page and with each asset.
const HARDENING: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, pages::DESK_CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    // No window that opens the desk, or is opened by it, has a hand on it.
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// `GET /desk`
pub(super) async fn page(headers: HeaderMap) -> Response {
    let page = pages::desk();
    let response = typed(StatusCode::OK, "text/html; charset=utf-8", page);
    let mut response = cached(
        &headers,
        harden(response),
        &etag_of_bytes(page),
        Audience::Public,
    );
    // Asked for each time, so that an upgraded broker is never met by an old desk.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// `GET /desk/{name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = pages::desk_asset(&name) else {
        return Problem::new(Code::NotFound, "the desk has no such file").into_response();
    };
    let response = typed(StatusCode::OK, asset.content_type, asset.bytes);
    cached(&headers, harden(response), &asset.etag(), Audience::Public)
}

fn harden(mut response: Response) -> Response {
    for (name, value) in HARDENING {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
