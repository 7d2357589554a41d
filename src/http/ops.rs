//! What operators ask: `/healthz`, `/readyz`, `/metrics` on the admin listener, and the measuring of requests.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State as Extract};
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

async fn readyz(Extract(http): State) -> Response {
    let failed = http.broker.store().failed();
    let reason = match &failed {
        Some(_) => Some("the store takes no writes"),
        None if http.shutdown.is_triggered() => Some("draining"),
        None => None,
    };
    match reason {
        Some(reason) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({"status": "not ready", "reason": reason}).to_string(),
        ),
        None => json(StatusCode::OK, r#"{"status":"ready"}"#.into()),
    }
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
