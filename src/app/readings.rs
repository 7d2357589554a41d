//! Numbers that the parts of a server count for themselves, read at each scrape.

use std::sync::Arc;

use crate::broker::Broker;
use crate::fanout::{Counters, FanOut};
use crate::http::Admission;
use crate::limits::Limits;
use crate::metrics::Reading;
use crate::pressure::Pressure;
use crate::store::ClusterState;
use crate::tls::Tls;

/// A metric: its name without the prefix, its help, and how it is read.
pub(super) type Metric = (&'static str, &'static str, Reading);

/// All of them.
pub(super) fn all(
    broker: &Arc<Broker>,
    fanout: &Arc<FanOut>,
    admission: &Arc<Admission>,
) -> Vec<Metric> {
    let (topics, subscribers) = (Arc::clone(broker), Arc::clone(broker));
    let (connections, readers) = (Arc::clone(admission), Arc::clone(admission));
    vec![
        gauge("topics_in_use", "Topics in memory", move || {
            topics.channel_count() as u64
        }),
        gauge(
            "subscribers",
            "Subscribers of all topics, on all transports",
            move || subscribers.reader_count(),
        ),
        gauge(
            "connections",
            "Open connections of the public listener",
            move || connections.connections() as u64,
        ),
        gauge("readers", "Connections that are readers", move || {
            readers.readers() as u64
        }),
        gauge(
            "websockets",
            "Open WebSockets",
            counted(fanout, |of| of.connections),
        ),
        gauge(
            "laggards",
            "WebSockets that are behind the head",
            counted(fanout, |of| of.laggards),
        ),
        counter(
            "deliveries",
            "Changes handed to subscribers on WebSockets",
            counted(fanout, |of| of.deliveries),
        ),
        counter(
            "delivered_bytes",
            "Bytes of changes handed to subscribers on WebSockets",
            counted(fanout, |of| of.bytes),
        ),
        counter(
            "sends",
            "Writes that handed them over: fewer than deliveries where changes were joined",
            counted(fanout, |of| of.sends),
        ),
        counter(
            "websockets_closed",
            "WebSockets that the server closed with a code of its own",
            counted(fanout, |of| of.closed),
        ),
        counter(
            "websocket_auth_failures",
            "Keys and tokens shown in a message on a WebSocket that were not good",
            counted(fanout, |of| of.auth_failures),
        ),
    ]
}

/// Those of a node of a cluster; a single node has none of them.
pub(super) fn cluster(broker: &Arc<Broker>) -> Vec<Metric> {
    if broker.cluster().is_none() {
        return Vec::new();
    }
    let stated = |one: fn(ClusterState) -> u64| {
        let broker = Arc::clone(broker);
        move || broker.cluster().map_or(0, one)
    };
    vec![
        gauge(
            "cluster_stale",
            "1 while this node is cut off from the shared log, and refuses writes",
            stated(|state| u64::from(state.stale.is_some())),
        ),
        gauge(
            "cluster_lag_records",
            "Records of the shared log that this node has not applied yet",
            stated(|state| state.lag),
        ),
        gauge(
            "cluster_silent_seconds",
            "How long ago this node heard of the shared log",
            stated(|state| state.silent_s),
        ),
        gauge(
            "cluster_applied_sequence",
            "Sequence of the last record of the shared log that this node has applied",
            stated(|state| state.applied),
        ),
        gauge(
            "cluster_nodes",
            "Other nodes that were heard of in the last 10 seconds",
            stated(|state| state.nodes.iter().filter(|node| node.silent_s < 10).count() as u64),
        ),
        gauge(
            "cluster_erasures_pending",
            "Retracted contents that are still to be taken out of the shared log",
            stated(|state| state.erasures),
        ),
    ]
}

/// Those of rate limits and of memory that runs short.
pub(super) fn limits(limits: &Arc<Limits>, pressure: &Arc<Pressure>) -> Vec<Metric> {
    let limits = Arc::clone(limits);
    let (used, step) = (Arc::clone(pressure), Arc::clone(pressure));
    vec![
        counter(
            "rate_limited",
            "Requests and replays refused by a rate limit",
            move || limits.refused(),
        ),
        gauge(
            "memory_used_bytes",
            "Memory in use, as far as readers give way for it",
            move || used.used_bytes(),
        ),
        gauge(
            "memory_step",
            "How short memory is: 0 not at all, 1 no new readers, 2 laggards go, 3 a share of all readers goes",
            move || step.step() as u64,
        ),
    ]
}

/// Those of TLS.
pub(super) fn tls(tls: &Arc<Tls>) -> Vec<Metric> {
    let counted = |one: fn(&Tls) -> u64| {
        let tls = Arc::clone(tls);
        move || one(&tls)
    };
    vec![
        gauge(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use ends, in seconds since 1970",
            counted(|tls| tls.expires_s().unsigned_abs()),
        ),
        counter(
            "tls_handshakes_failed",
            "TLS handshakes that failed or took too long",
            counted(Tls::handshakes_failed),
        ),
        counter(
            "tls_reloads",
            "New certificates that were taken into use",
            counted(Tls::reloads),
        ),
        counter(
            "tls_reloads_failed",
            "New certificates that could not be used",
            counted(Tls::reloads_failed),
        ),
    ]
}

fn counted(
    fanout: &Arc<FanOut>,
    one: fn(Counters) -> u64,
) -> impl Fn() -> u64 + Send + Sync + 'static {
    let fanout = Arc::clone(fanout);
    move || one(fanout.counters())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn gauge(
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) -> Metric {
    (name, help, Reading::Gauge(Box::new(move || read() as f64)))
}

fn counter(
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) -> Metric {
    (name, help, Reading::Counter(Box::new(read)))
}
