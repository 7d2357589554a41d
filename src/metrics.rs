//! What is measured, in a registry of our own, as OpenMetrics text. No topic, address or key is ever a label.
//!
//! Counters of requests and writes are kept here; what others count themselves (the fan-out's shards, the registry of
//! topics) is read when somebody asks.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the request durations, in seconds.
const DURATIONS_S: [f64; 11] = [
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// The registry and the counters that requests move.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    /// Entries published, replays included.
    pub publishes: Counter,
    /// Revisions.
    pub revisions: Counter,
    /// Retractions.
    pub retractions: Counter,
    /// Keys that were not known.
    pub auth_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

/// A number that somebody else counts.
pub enum Reading {
    /// Goes up and down.
    Gauge(Box<dyn Fn() -> f64 + Send + Sync>),
    /// Only goes up.
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
}

struct Readings(Vec<(&'static str, &'static str, Reading)>);

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, ..)| name))
            .finish()
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, reading) in &self.0 {
            match reading {
                Reading::Gauge(read) => {
                    let gauge = ConstGauge::new(read());
                    let metric =
                        encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
                    gauge.encode(metric)?;
                }
                Reading::Counter(read) => {
                    let counter = ConstCounter::new(read());
                    let metric =
                        encoder.encode_descriptor(name, help, None, counter.metric_type())?;
                    counter.encode(metric)?;
                }
            }
        }
        Ok(())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tenbells");
        let requests = Family::<RequestLabels, Counter>::default();
        let durations =
            Family::<RouteLabels, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS_S));
        let (publishes, revisions, retractions, auth_failures): (
            Counter,
            Counter,
            Counter,
            Counter,
        ) = Default::default();
        registry.register(
            "http_requests",
            "Requests by route, method and status",
            requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time until an answer began",
            durations.clone(),
        );
        registry.register("publishes", "Entries published", publishes.clone());
        registry.register("revisions", "Entries revised", revisions.clone());
        registry.register("retractions", "Entries retracted", retractions.clone());
        registry.register(
            "auth_failures",
            "Requests with a key that is not known",
            auth_failures.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            requests,
            durations,
            publishes,
            revisions,
            retractions,
            auth_failures,
        }
    }

    /// Adds numbers that are read when somebody asks: name without the prefix, help, and how to read it.
    pub fn observe(&self, readings: Vec<(&'static str, &'static str, Reading)>) {
        self.lock().register_collector(Box::new(Readings(readings)));
    }

    /// Counts a request.
    pub fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::HEAD => "HEAD",
            Method::OPTIONS => "OPTIONS",
            // Methods are the peer's to invent, labels are not.
            _ => "other",
        }
        .to_owned();
        let route = route.to_owned();
        self.durations
            .get_or_create(&RouteLabels {
                method: method.clone(),
                route: route.clone(),
            })
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels {
                method,
                route,
                status: status.as_u16(),
            })
            .inc();
    }

    /// All of it, as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.lock());
        text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        // Registering is done before anything runs; a panic in it would have ended the start.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_prefix_and_units() {
        let metrics = Metrics::new();
        metrics.observe(vec![
            ("readers", "Readers", Reading::Gauge(Box::new(|| 3.0))),
            ("deliveries", "Deliveries", Reading::Counter(Box::new(|| 7))),
        ]);
        metrics.publishes.inc();
        metrics.request(
            &Method::GET,
            "/v1/topics/{topic}",
            StatusCode::OK,
            Duration::from_millis(2),
        );
        let text = metrics.encode();
        for line in [
            "tenbells_readers 3.0",
            "tenbells_deliveries_total 7",
            "tenbells_publishes_total 1",
            r#"tenbells_http_requests_total{method="GET",route="/v1/topics/{topic}",status="200"} 1"#,
            r#"tenbells_http_request_duration_seconds_bucket{le="0.0025",method="GET",route="/v1/topics/{topic}"} 1"#,
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
