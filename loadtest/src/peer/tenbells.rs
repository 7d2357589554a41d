//! Tenbells itself, beside its peers.

use super::shelves::says;
use super::{Found, Kind, Launch, Place, Post, Shelves};
use crate::http::{Placed, placed, shortened};

pub fn find(shelves: &Shelves) -> Result<Found, String> {
    let program = shelves
        .broker()
        .or_else(|| shelves.program("tenbells"))
        .ok_or("Tenbells is not beside the harness: `cargo build --release` makes both, or name it with --server-bin")?;
    let version = says(&program, &["--version"], "tenbells").unwrap_or_default();
    Ok(Found {
        kind: Kind::Tenbells,
        program,
        module: None,
        version,
    })
}

pub fn settings(threads: u32) -> String {
    format!("--shards {threads}; WebSocket, plain; group commit and history on")
}

pub fn launch(place: &Place) -> Launch {
    let text = |text: &str| text.to_owned();
    Launch {
        args: vec![
            text("serve"),
            text("--shards"),
            place.threads.to_string(),
            text("--data-dir"),
            place.folder.to_string_lossy().into_owned(),
            text("--listen"),
            format!("127.0.0.1:{}", place.port),
            text("--admin-listen"),
            format!("127.0.0.1:{}", place.port + 1),
        ],
        ..Launch::default()
    }
}

pub fn post(topic: &str, entry: &str) -> Post {
    Post {
        path: format!("/v1/topics/{topic}/entries"),
        kind: "application/json",
        body: entry.to_owned().into(),
    }
}

pub fn taken(answer: &[u8]) -> Result<Placed, String> {
    placed(answer).ok_or_else(|| format!("an answer without a position: {}", shortened(answer)))
}
