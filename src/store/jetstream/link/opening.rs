//! Connecting to the servers, and making the streams where they are not there yet.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{Client, ConnectOptions};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::Url;

use super::{LOG_KEY, LinkError, REQUEST_TIMEOUT, error_text};
use crate::store::jetstream::NatsOptions;

/// How often a quiet connection is tried, so that one that leads nowhere is noticed.
const PING_EVERY: Duration = Duration::from_secs(2);
/// The window in which the servers themselves recognise a repeated record.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// From this many servers on the streams have that many replicas.
const REPLICAS: usize = 3;

pub(super) async fn open(options: &NatsOptions, end: Instant) -> Result<Client, LinkError> {
    let shown: Vec<String> = options
        .servers
        .iter()
        .map(|url| without_user(url))
        .collect();
    let unusable = |cause: String| LinkError::Connect {
        servers: shown.join(", "),
        cause,
    };
    let mut connect = ConnectOptions::new()
        .name(format!("tenbells {}", options.node))
        .connection_timeout(REQUEST_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(PING_EVERY)
        .reconnect_delay_callback(|attempts| {
            let ms = 100_u64.saturating_mul(u64::try_from(attempts).unwrap_or(u64::MAX));
            Duration::from_millis(ms.min(1_000))
        })
        .event_callback(|event| async move {
            tracing::info!(%event, "NATS");
        });
    // The client takes no user out of a URL.
    if let Some((user, password)) = options.servers.iter().find_map(|url| user_of(url)) {
        connect = connect.user_and_password(user, password);
    }
    if let Some(file) = &options.credentials {
        let text = std::fs::read_to_string(file)
            .map_err(|error| unusable(format!("{}: {error}", file.display())))?;
        connect = connect
            .credentials(&text)
            .map_err(|error| unusable(format!("{}: {error}", file.display())))?;
    }
    if let Some(file) = &options.ca {
        connect = connect
            .add_root_certificates(file.clone())
            .require_tls(true);
    }
    loop {
        match tokio::time::timeout_at(end, connect.clone().connect(&options.servers)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) if Instant::now() + Duration::from_millis(300) > end => {
                return Err(unusable(error_text(&error)));
            }
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(_) => return Err(unusable("no answer in time".into())),
        }
    }
}

/// The user and the password in the URL of a server.
fn user_of(url: &str) -> Option<(String, String)> {
    let url = Url::parse(url).ok()?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = Some(url.username()).filter(|user| !user.is_empty())?;
    Some((decoded(user), decoded(url.password().unwrap_or_default())))
}

/// The URL of a server, for people.
fn without_user(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        })
    });
    host.unwrap_or_else(|| "a server that is no URL".into())
}

pub(super) fn stream_config(name: &str, subjects: Vec<String>, options: &NatsOptions) -> Config {
    let by_servers = if options.servers.len() >= REPLICAS {
        REPLICAS
    } else {
        1
    };
    Config {
        name: name.to_owned(),
        subjects,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: options.replicas.unwrap_or(by_servers),
        duplicate_window: DUPLICATE_WINDOW,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        deny_purge: true,
        metadata: [(LOG_KEY.to_owned(), ulid::Ulid::generate().to_string())].into(),
        ..Config::default()
    }
}

/// Makes a stream, unless it is there. Servers that have just started may need a while.
pub(super) async fn make_stream(
    context: &Context,
    config: Config,
    end: Instant,
) -> Result<(), LinkError> {
    loop {
        let error = match context.get_stream(&config.name).await {
            Ok(_) => return Ok(()),
            Err(_) => match context.create_stream(config.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => error_text(&error),
            },
        };
        if Instant::now() >= end {
            return Err(LinkError::JetStream(format!(
                "the stream {} can't be opened or made: {error}",
                config.name
            )));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_in_a_url_is_used_and_not_shown() {
        let url = "nats://desk:p%40ss@a.example:4222";
        let user = user_of(url).expect("a user");
        assert_eq!(user, ("desk".to_owned(), "p@ss".to_owned()));
        assert_eq!(without_user(url), "nats://a.example:4222");
        assert_eq!(user_of("nats://a.example:4222"), None);
    }
}
