//! The servers that `compare` puts side by side: where each is found, how it is started at its best for one channel
//! with many readers, and how it is spoken to. What is measured with them it does not know.
//!
//! Nothing is fetched here: `loadtest/peers` installs what is missing.

mod bare;
mod centrifugo;
mod mercure;
mod nchan;
mod server;
mod shelves;
mod tenbells;
mod uwebsockets;

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::http::{Placed, Target};
use crate::reader::{Dialect, Wire};

pub use server::Server;
pub use shelves::Shelves;

/// A server that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Ours
    Tenbells,
    /// Centrifugo, Go
    Centrifugo,
    /// The hub of Mercure, Go
    Mercure,
    /// nginx with the module nchan, C
    Nchan,
    /// uWebSockets through socketify, C++ and Python
    #[value(name = "uwebsockets")]
    UWebSockets,
}

/// A server that is installed.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub kind: Kind,
    /// The program to start.
    pub program: PathBuf,
    /// What the program loads, where it needs something: nginx its module.
    pub module: Option<PathBuf>,
    /// Its version, as it says it itself.
    pub version: String,
}

/// Where a server is to run.
#[derive(Debug, Clone)]
pub struct Place {
    /// An empty folder for its files.
    pub folder: PathBuf,
    /// Its port on 127.0.0.1; a server that needs a second one takes the next.
    pub port: u16,
    /// Threads or processes that serve readers.
    pub threads: u32,
    /// Most readers there will be.
    pub readers: u32,
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, in addition to the harness's own.
    pub env: Vec<(String, String)>,
    /// Files that must be there, and what is in them.
    pub files: Vec<(PathBuf, String)>,
}

/// How a running server is spoken to.
#[derive(Debug, Clone)]
pub struct Way {
    /// Which it is.
    pub kind: Kind,
    /// Where it is, and what lets a publisher in.
    pub target: std::sync::Arc<Target>,
}

/// A change on its way to a server.
#[derive(Debug, Clone)]
pub struct Post {
    /// Path and query.
    pub path: String,
    /// `Content-Type`.
    pub kind: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Tenbells,
        Self::Centrifugo,
        Self::Mercure,
        Self::Nchan,
        Self::UWebSockets,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenbells => "Tenbells",
            Self::Centrifugo => "Centrifugo",
            Self::Mercure => "Mercure",
            Self::Nchan => "nchan",
            Self::UWebSockets => "uWebSockets",
        }
    }

    /// Its name in reports, without capitals.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tenbells => "tenbells",
            Self::Centrifugo => "centrifugo",
            Self::Mercure => "mercure",
            Self::Nchan => "nchan",
            Self::UWebSockets => "uwebsockets",
        }
    }

    /// What is true of a change when its publisher has its answer: no two of them promise the same.
    pub fn keeps(self) -> &'static str {
        match self {
            Self::Tenbells => {
                "on disk, synced, before a reader gets it; a reader who was away gets what it missed"
            }
            Self::Centrifugo => {
                "nothing is kept: memory engine, no history; a reader who was away has a gap"
            }
            Self::Mercure => {
                "nothing is kept: local transport, no history; a reader who was away has a gap"
            }
            Self::Nchan => {
                "in memory until it is delivered, no history; a reader who was away has a gap"
            }
            Self::UWebSockets => {
                "nothing is kept: a library, its store would be one's own; a reader who was away has a gap"
            }
        }
    }

    /// The settings that were chosen, with so many threads.
    pub fn settings(self, threads: u32) -> String {
        match self {
            Self::Tenbells => tenbells::settings(threads),
            Self::Centrifugo => centrifugo::settings(threads),
            Self::Mercure => mercure::settings(threads),
            Self::Nchan => nchan::settings(threads),
            Self::UWebSockets => uwebsockets::settings(),
        }
    }

    /// Looks for it.
    ///
    /// # Errors
    /// A sentence that says that it is not installed and how to install it.
    pub fn find(self, shelves: &Shelves) -> Result<Found, String> {
        match self {
            Self::Tenbells => tenbells::find(shelves),
            Self::Centrifugo => centrifugo::find(shelves),
            Self::Mercure => mercure::find(shelves),
            Self::Nchan => nchan::find(shelves),
            Self::UWebSockets => uwebsockets::find(shelves),
        }
    }
}

impl Found {
    fn launch(&self, place: &Place) -> Launch {
        match self.kind {
            Kind::Tenbells => tenbells::launch(place),
            Kind::Centrifugo => centrifugo::launch(place),
            Kind::Mercure => mercure::launch(place),
            Kind::Nchan => nchan::launch(place, self.module.as_deref()),
            Kind::UWebSockets => uwebsockets::launch(place),
        }
    }
}

impl Way {
    /// How readers speak.
    pub fn wire(&self) -> Wire {
        match self.kind {
            Kind::Tenbells => Wire::WebSocket,
            Kind::Centrifugo => Wire::Peer(Dialect::Centrifugo),
            Kind::Mercure => Wire::Peer(Dialect::Mercure),
            Kind::Nchan | Kind::UWebSockets => Wire::Peer(Dialect::Bare),
        }
    }

    /// How a reader of `channel` begins, with another server than ours.
    pub fn opening(&self, channel: &str) -> Option<String> {
        let authority = &self.target.authority;
        match self.kind {
            Kind::Tenbells => None,
            Kind::Centrifugo => Some(centrifugo::opening(authority, channel)),
            Kind::Mercure => Some(mercure::opening(authority, channel)),
            Kind::Nchan | Kind::UWebSockets => Some(bare::opening(authority, channel)),
        }
    }

    /// The request that publishes `text`.
    pub fn post(&self, channel: &str, text: &str) -> Post {
        match self.kind {
            Kind::Tenbells => tenbells::post(channel, text),
            Kind::Centrifugo => centrifugo::post(channel, text),
            Kind::Mercure => mercure::post(channel, text),
            Kind::Nchan | Kind::UWebSockets => bare::post(channel, text),
        }
    }

    /// Whether a change was taken; where the server numbers changes itself, its number.
    ///
    /// # Errors
    /// What the server said in place of it.
    pub fn taken(&self, answer: &[u8]) -> Result<Option<Placed>, String> {
        match self.kind {
            Kind::Tenbells => tenbells::taken(answer).map(Some),
            Kind::Centrifugo => centrifugo::taken(answer).map(|()| None),
            Kind::Mercure | Kind::Nchan | Kind::UWebSockets => Ok(None),
        }
    }
}

/// How a peer that is absent is put in a sentence.
fn absent(kind: Kind, looked_for: &str) -> String {
    format!(
        "{} was skipped: {looked_for} is not here; `loadtest/peers {}` installs it",
        kind.name(),
        kind.key()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_says_how_to_install_it() {
        let empty = tempfile::tempdir().expect("a folder");
        let shelves = Shelves::only(empty.path());
        for kind in Kind::ALL {
            let absent = kind.find(&shelves).expect_err("an empty folder");
            assert!(absent.contains(kind.name()), "{absent}");
            let way = if kind == Kind::Tenbells {
                "cargo build"
            } else {
                "loadtest/peers"
            };
            assert!(absent.contains(way), "{absent}");
        }
    }

    #[test]
    fn everyone_carries_the_whole_text() {
        let text = r#"{"op":"change","offset":1,"entry":{"body":"50% & more +"}}"#;
        let target = Target::parse("http://127.0.0.1:7700", None, None).expect("a target");
        for kind in Kind::ALL {
            let way = Way {
                kind,
                target: std::sync::Arc::new(target.clone()),
            };
            let body = way.post("lt-c", text).body;
            let body = String::from_utf8(body.to_vec()).expect("text");
            let carried = match kind {
                Kind::Mercure => url::form_urlencoded::parse(body.as_bytes())
                    .any(|(name, value)| name == "data" && value == text),
                _ => body.contains(text),
            };
            assert!(carried, "{kind:?}: {body}");
        }
    }
}
