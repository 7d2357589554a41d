//! Warnings at the start: whether the servers sync each record to the disk before they acknowledge it, and how many keep it.
//!
//! JetStream syncs every two minutes unless it is told otherwise: three servers that lose power together can lose what they
//! acknowledged. Only the servers' own monitoring says which it is, and only the system account may ask.

use std::time::Duration;

use serde::Deserialize;

use super::NatsOptions;
use super::link::Link;

/// How long the servers may take to say.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
struct Answer {
    data: Option<Varz>,
}

#[derive(Debug, Deserialize)]
struct Varz {
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    #[serde(default)]
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
    #[serde(default)]
    sync_interval: i64,
}

/// What is known of how a server syncs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Syncs {
    Always,
    Every(Duration),
    Unknown(String),
}

/// Warns loudly of what would lose acknowledged changes; whether each record is synced, where that is known.
pub(super) async fn warn(link: &Link, options: &NatsOptions) -> Option<bool> {
    let syncs = ask(link).await;
    match &syncs {
        Syncs::Always => {
            tracing::info!("the NATS server syncs every record before it acknowledges it")
        }
        Syncs::Every(interval) => tracing::warn!(
            seconds = interval.as_secs(),
            "THE NATS SERVER DOES NOT SYNC RECORDS BEFORE IT ACKNOWLEDGES THEM: a power failure of all servers loses what \
             was acknowledged. Set `jetstream {{ sync_interval: always }}` in nats.conf"
        ),
        Syncs::Unknown(cause) => tracing::warn!(
            %cause,
            "whether the NATS servers sync every record can't be known from here: make sure that nats.conf has \
             `jetstream {{ sync_interval: always }}`"
        ),
    }
    match link.replicas().await {
        Ok(1) if options.servers.len() > 1 => tracing::warn!(
            servers = options.servers.len(),
            "the log has one replica: one server that is lost loses it. `nats stream edit --replicas 3` changes that"
        ),
        Ok(replicas) => tracing::info!(replicas, "the log is open"),
        Err(error) => tracing::warn!(%error, "how many replicas the log has can't be known"),
    }
    match syncs {
        Syncs::Always => Some(true),
        Syncs::Every(_) => Some(false),
        Syncs::Unknown(_) => None,
    }
}

async fn ask(link: &Link) -> Syncs {
    let server = link.client().server_info().server_id;
    let subject = format!("$SYS.REQ.SERVER.{server}.VARZ");
    let asked = link.client().request(subject, "".into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => read(&answer.payload),
        Ok(Err(error)) => Syncs::Unknown(error.to_string()),
        Err(_) => Syncs::Unknown("the user of this node may not ask the server".into()),
    }
}

fn read(payload: &[u8]) -> Syncs {
    match serde_json::from_slice::<Answer>(payload) {
        Ok(Answer { data: Some(varz) }) => {
            let config = varz.jetstream.config;
            if config.sync_always {
                Syncs::Always
            } else {
                let nanos = config.sync_interval.unsigned_abs();
                Syncs::Every(Duration::from_nanos(nanos))
            }
        }
        Ok(_) => Syncs::Unknown("the server may not be asked".into()),
        Err(error) => Syncs::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_of_its_syncing_is_read() {
        let always = br#"{"server":{},"data":{"jetstream":{"config":{"sync_interval":120000000000,"sync_always":true}}}}"#;
        assert_eq!(read(always), Syncs::Always);
        let two_minutes = br#"{"data":{"jetstream":{"config":{"sync_interval":120000000000}}}}"#;
        assert_eq!(read(two_minutes), Syncs::Every(Duration::from_secs(120)));
        assert!(matches!(read(br#"{"error":{}}"#), Syncs::Unknown(_)));
        assert!(matches!(read(b"no"), Syncs::Unknown(_)));
    }
}
