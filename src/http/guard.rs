//! What is asked before a request is served: whose it is, and whether that one asks for too much.
//!
//! Readers are counted by address, whoever may publish by key, so that nothing a reader does at an address stops a
//! publisher there. Failures of authentication are counted after the fact: a good key is always let in.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::bearer;
use super::listener::Peer;
use super::problem::Problem;
use super::read::Query;
use super::{Http, State};
use crate::keys::Right;
use crate::limits::{Address, Exceeded};

/// Whom a request counts for; nobody, where it is not counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub Option<Address>);

/// Counts a request, and lets it through.
pub(super) async fn guard(Extract(http): State, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
    let client = peer.and_then(|peer| http.limits.client(peer, request.headers()));
    request.extensions_mut().insert(Client(client));
    let in_reserve = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.place.is_reserved);
    if in_reserve && http.publisher(request.headers()).is_none() {
        return no_room();
    }
    let Some(address) = client else {
        return next.run(request).await;
    };
    if let Err(exceeded) = http.count(request.method(), request.headers(), address) {
        return Problem::from(exceeded).into_response();
    }
    let shows_something = shows_something(&request);
    let response = next.run(request).await;
    if shows_something
        && response.status() == StatusCode::UNAUTHORIZED
        && let Err(exceeded) = http.limits.auth_failure(address)
    {
        return Problem::from(exceeded).into_response();
    }
    response
}

impl Http {
    fn count(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: Address,
    ) -> Result<(), Exceeded> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !reads && let Some(key) = self.publisher(headers) {
            return self.limits.publish(&key);
        }
        // The key is only looked at where its address may ask for nothing more.
        self.limits
            .read(address)
            .or_else(|exceeded| match self.publisher(headers) {
                Some(key) => self.limits.publish(&key),
                None => Err(exceeded),
            })
    }

    /// The id of the key of a request, where it is good and may publish.
    fn publisher(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let grant = self.keys.authenticate(bearer(headers)?).ok()?;
        grant.role.has(Right::Publish).then(|| grant.id.clone())
    }

    /// Counts a replay of so many changes to a reader that is so many behind.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn count_replay(
        &self,
        client: Option<Client>,
        behind: u64,
        changes: u64,
    ) -> Result<(), Problem> {
        let address = client.and_then(|client| client.0);
        Ok(self.limits.replay(address, behind, changes)?)
    }
}

/// The answer to whoever is no publisher in a place that is kept for them: the place is free again at once.
fn no_room() -> Response {
    let detail = "as many connections as may be are here; the rest is kept for publishers";
    let mut response = Problem::unavailable(detail).into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether a request shows a key, a token or a ticket.
fn shows_something(request: &Request) -> bool {
    request.headers().contains_key(header::AUTHORIZATION)
        || Query::parse(request.uri().query()).get("ticket").is_some()
}
