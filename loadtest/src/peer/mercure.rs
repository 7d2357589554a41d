//! Mercure's hub at its best for one channel with many readers: the local transport, which keeps no history, readers
//! without a token, no debugging, no compression, nothing of Caddy's but what serves it. Mercure has event streams only,
//! so its readers read those.

use super::shelves::says;
use super::{Found, Kind, Launch, Place, Post, Shelves, absent};

/// Signs the token below; the hub listens on loopback alone, for as long as a round lasts.
const KEY: &str = "loadtest-hub-on-loopback-for-one-round";
/// `{"mercure":{"publish":["*"]}}`, signed with [`KEY`] by HS256.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0.w5q4cz5pdPmuibuQ9SNzwR8rUMkULwP89mSclQVOJsY";
const PATH: &str = "/.well-known/mercure";

pub fn find(shelves: &Shelves) -> Result<Found, String> {
    let program = shelves
        .program("mercure")
        .ok_or_else(|| absent(Kind::Mercure, "the program mercure"))?;
    let version = says(&program, &["version"], "v")
        .ok_or_else(|| absent(Kind::Mercure, "a mercure that can be started"))?;
    Ok(Found {
        kind: Kind::Mercure,
        program,
        module: None,
        version,
    })
}

pub fn settings(threads: u32) -> String {
    format!(
        "GOMAXPROCS={threads}; Caddy's build; event stream over HTTP/1.1; transport local (no history); anonymous readers; \
         no compression, no subscription events; write_timeout and dispatch_timeout off"
    )
}

pub fn launch(place: &Place) -> Launch {
    let file = place.folder.join("Caddyfile");
    let folder = place.folder.to_string_lossy().into_owned();
    Launch {
        args: vec![
            "run".to_owned(),
            "--config".to_owned(),
            file.to_string_lossy().into_owned(),
            "--adapter".to_owned(),
            "caddyfile".to_owned(),
        ],
        env: vec![
            ("GOMAXPROCS".to_owned(), place.threads.to_string()),
            // Caddy keeps its state below these.
            ("XDG_DATA_HOME".to_owned(), folder.clone()),
            ("XDG_CONFIG_HOME".to_owned(), folder),
        ],
        files: vec![(file, config(place.port))],
    }
}

fn config(port: u16) -> String {
    format!(
        "{{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tlog {{\n\t\tlevel ERROR\n\t}}\n}}\n\
         http://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\tmercure {{\n\t\tpublisher_jwt {KEY}\n\t\tanonymous\n\t\t\
         transport local\n\t\twrite_timeout 0s\n\t\tdispatch_timeout 0s\n\t}}\n\trespond 404\n}}\n"
    )
}

pub fn opening(authority: &str, channel: &str) -> String {
    format!(
        "GET {PATH}?topic={channel} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n\r\n"
    )
}

pub fn post(channel: &str, text: &str) -> Post {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("topic", channel)
        .append_pair("data", text)
        .finish();
    Post {
        path: PATH.to_owned(),
        kind: "application/x-www-form-urlencoded",
        body: body.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_config_is_on_loopback_without_an_admin_port() {
        let config = config(7703);
        for line in [
            "\tadmin off\n",
            "\tbind 127.0.0.1\n",
            "http://127.0.0.1:7703 {",
            "transport local",
        ] {
            assert!(config.contains(line), "{line}: {config}");
        }
        assert_eq!(config.matches('{').count(), config.matches('}').count());
    }

    #[test]
    fn the_token_has_three_parts_without_padding() {
        let parts: Vec<&str> = TOKEN.split('.').collect();
        assert_eq!(parts.len(), 3);
        assert!(
            parts
                .iter()
                .all(|part| !part.is_empty() && !part.contains('='))
        );
    }
}
