//! What operators ask: `/healthz`, `/readyz`, `/metrics` on the admin listener, and the measuring of requests.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, RawQuery, Request, State as Extract};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::response::{json, typed};
use super::{Http, State};

/// The route table of the admin listener.
pub fn admin_router(http: Arc<Http>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(http)
}

async fn healthz() -> Response {
    json(StatusCode::OK, r#"{"status":"alive"}"#.into())
}

/// Whether this node can take what comes. A node that is cut off from the shared log takes readers, but no writes: asked
/// with `?for=readers` it is ready.
async fn readyz(Extract(http): State, RawQuery(query): RawQuery) -> Response {
    let failed = http.broker.store().failed();
    let cluster = http.broker.cluster();
    let stale = cluster.as_ref().and_then(|state| state.stale.clone());
    let for_readers = query.as_deref() == Some("for=readers");
    let (status, reason) = match (failed, stale) {
        (Some(_), _) => ("not ready", Some("the store takes no writes".to_owned())),
        (None, _) if http.shutdown.is_triggered() => ("not ready", Some("draining".to_owned())),
        (None, Some(why)) => ("stale", Some(format!("cut off from the shared log: {why}"))),
        (None, None) => ("ready", None),
    };
    let mut body = serde_json::json!({"status": status});
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    if let Some(state) = cluster {
        body["node"] = state.node.into();
        body["lag_records"] = state.lag.into();
        body["silent_s"] = state.silent_s.into();
        body["applied"] = state.applied.into();
        body["synced"] = state.synced.into();
        let nodes = state.nodes.into_iter().map(|node| {
            serde_json::json!({"node": node.name, "silent_s": node.silent_s, "applied": node.applied})
        });
        body["nodes"] = nodes.collect();
    }
    let code = match status {
        "ready" => StatusCode::OK,
        "stale" if for_readers => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(code, body.to_string())
}

async fn metrics(Extract(http): State) -> Response {
    typed(
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        http.metrics.encode(),
    )
}

/// Counts every request by route, method and status, and how long its answer took to begin.
pub(super) async fn measure(Extract(http): State, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = next.run(request).await.into_response();
    http.metrics
        .request(&method, &route, response.status(), began.elapsed());
    response
}
