//! Centrifugo at its best for one channel with many readers: the memory engine without history, presence or joins, its
//! one-way WebSocket in JSON (no frames of replies, fewer bytes than the two-way one), write buffers from a pool,
//! several pending publications joined in one frame. Its usage statistics are off: nothing leaves the machine.

use serde_json::json;

use super::shelves::says;
use super::{Found, Kind, Launch, Place, Post, Shelves, absent};
use crate::handshake;
use crate::http::shortened;

/// Lets a publisher in; the server listens on loopback alone, for as long as a round lasts.
pub const KEY: &str = "loadtest";

pub fn find(shelves: &Shelves) -> Result<Found, String> {
    let program = shelves
        .program("centrifugo")
        .ok_or_else(|| absent(Kind::Centrifugo, "the program centrifugo"))?;
    let version = says(&program, &["version"], "Centrifugo")
        .ok_or_else(|| absent(Kind::Centrifugo, "a centrifugo that can be started"))?;
    Ok(Found {
        kind: Kind::Centrifugo,
        program,
        module: None,
        version,
    })
}

pub fn settings(threads: u32) -> String {
    format!(
        "GOMAXPROCS={threads}; engine.type memory; no history, presence or joins; uni_websocket with join_push_messages, \
         use_write_buffer_pool, write_buffer_size 4096, read_buffer_size 512, compression off; log.level error; \
         usage_stats.disabled; publisher by the HTTP API"
    )
}

pub fn launch(place: &Place) -> Launch {
    let file = place.folder.join("centrifugo.json");
    Launch {
        args: vec!["-c".to_owned(), file.to_string_lossy().into_owned()],
        env: vec![("GOMAXPROCS".to_owned(), place.threads.to_string())],
        files: vec![(file, config(place.port))],
    }
}

fn config(port: u16) -> String {
    json!({
        "engine": {"type": "memory"},
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"key": KEY},
        "client": {"allow_anonymous_connect_without_token": true},
        "channel": {"without_namespace": {
            "allow_subscribe_for_client": true,
            "allow_subscribe_for_anonymous": true,
        }},
        "websocket": {"disabled": true},
        "uni_websocket": {
            "enabled": true,
            "join_push_messages": true,
            "use_write_buffer_pool": true,
            "write_buffer_size": 4096,
            "read_buffer_size": 512,
        },
        "usage_stats": {"disabled": true},
        "log": {"level": "error"},
    })
    .to_string()
}

pub fn opening(authority: &str, channel: &str) -> String {
    let connect = json!({"subs": {channel: {}}}).to_string();
    let query: String = url::form_urlencoded::byte_serialize(connect.as_bytes()).collect();
    let path = format!("/connection/uni_websocket?cf_connect={query}");
    handshake::upgrade(authority, &path, "")
}

pub fn post(channel: &str, text: &str) -> Post {
    Post {
        path: "/api/publish".to_owned(),
        kind: "application/json",
        body: format!(r#"{{"channel":"{channel}","data":{text}}}"#).into(),
    }
}

/// An error comes with status 200.
pub fn taken(answer: &[u8]) -> Result<(), String> {
    if answer.starts_with(b"{\"error\"") {
        return Err(shortened(answer));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn its_config_is_on_loopback_and_says_nothing_to_anyone() {
        let config: Value = serde_json::from_str(&config(7700)).expect("json");
        assert_eq!(config["http_server"]["address"], "127.0.0.1");
        assert_eq!(config["http_server"]["port"], 7700);
        assert_eq!(config["usage_stats"]["disabled"], true);
        assert_eq!(config["uni_websocket"]["enabled"], true);
    }

    #[test]
    fn a_reader_asks_for_its_channel_in_the_query() {
        let opening = opening("h:1", "lt-c");
        let line = opening.lines().next().expect("a line");
        let url = format!("http://h{}", line.split(' ').nth(1).expect("a path"));
        let url = url::Url::parse(&url).expect("a URL");
        let (name, value) = url.query_pairs().next().expect("a query");
        assert_eq!(name, "cf_connect");
        let connect: Value = serde_json::from_str(&value).expect("json");
        assert!(connect["subs"]["lt-c"].is_object());
    }

    #[test]
    fn a_refusal_with_status_200_is_seen() {
        assert!(taken(br#"{"result":{}}"#).is_ok());
        assert!(taken(br#"{"error":{"code":107,"message":"bad request"}}"#).is_err());
    }
}
