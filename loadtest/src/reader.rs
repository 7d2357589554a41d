//! Readers by the ten thousand: what a process of them is told ([`Plan`], [`Order`]) and what it says ([`Said`]).
//!
//! A process has a few threads, each with its own epoll and its own share of the readers. Nothing here knows what a
//! scenario is: it connects, leaves, returns and checks as it is ordered.

mod dialect;
mod room;
mod tally;
mod wire;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::handshake::Offer;

pub use dialect::Dialect;
pub use tally::{Bucket, Seen, Tally};
pub use work::work;

/// Who the readers of one process are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// The nodes of a cluster, where the server is one: a reader whose connection is lost goes on at the next.
    #[serde(default)]
    pub nodes: Vec<SocketAddr>,
    /// The `Host` header.
    pub authority: String,
    /// The certificates to trust, where readers speak through TLS.
    pub ca: Option<PathBuf>,
    /// How they speak.
    pub wire: Wire,
    /// The topics; reader `i` reads topic `i % topics`.
    pub topics: Vec<String>,
    /// Name of the run, as it is in entry ids.
    pub run: String,
    /// Threads of the process.
    pub threads: u32,
    /// Handshakes at once, of the process.
    pub in_flight: u32,
    /// Number of its first reader.
    pub first: u64,
    /// How many they are.
    pub readers: u64,
    /// Where they read another server's stream: how.
    pub peer: Option<Peer>,
}

/// How readers speak to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wire {
    /// The broker's WebSocket.
    WebSocket,
    /// The broker's WebSocket, compressed.
    Deflated,
    /// Its event stream.
    EventStream,
    /// Catch-up pages, one after the other, for which the broker waits.
    LongPoll,
    /// Frames on a bare TCP connection, from offset 1: the bare send loop.
    Plain,
    /// Another server's.
    Peer(Dialect),
}

/// How readers speak to another server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The request that opens a subscription, whole.
    pub opening: String,
    /// How many publishers number their changes: 1, 4, 7 … are the first's of three.
    pub lanes: u32,
}

impl Wire {
    /// What a WebSocket of it asks for.
    pub fn offer(self) -> Offer {
        if self == Self::Deflated {
            Offer::Deflate
        } else {
            Offer::Plain
        }
    }
}

/// Where readers begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begin {
    /// At the head.
    Head,
    /// Before the first change.
    Start,
    /// Behind the last change that they had.
    Cursor,
}

/// Something for the readers `from..to` to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Connect; those who are connected drop their connection first.
    Connect {
        /// The first.
        from: u64,
        /// Behind the last.
        to: u64,
        /// Where to begin.
        begin: Begin,
        /// Receive buffer of their sockets in bytes, where it is not the kernel's own.
        receive_buffer: Option<u32>,
    },
    /// Drop the connection.
    Leave {
        /// The first.
        from: u64,
        /// Behind the last.
        to: u64,
    },
    /// Stop reading.
    Freeze {
        /// The first.
        from: u64,
        /// Behind the last.
        to: u64,
    },
    /// Read again.
    Thaw {
        /// The first.
        from: u64,
        /// Behind the last.
        to: u64,
    },
    /// From now on count who is behind these heads, one for each topic.
    Target(Vec<u64>),
    /// Tell all that was gathered, and begin anew.
    Tell,
}

/// What a process of readers says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// How it stands, several times a second.
    Pulse(Pulse),
    /// The answer to [`Order::Tell`].
    Tally(Box<Tally>),
}

/// How readers stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// How many orders were carried out by all threads.
    pub orders: u64,
    /// Readers whose subscription stands.
    pub live: u64,
    /// Readers who are to connect, or are connecting.
    pub pending: u64,
    /// Changes delivered since the start.
    pub deliveries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Violations since the start.
    pub violations: u64,
    /// Readers behind the target.
    pub behind: u64,
    /// Pings, comments and empty pages since the start: what a quiet reader is told.
    pub heartbeats: u64,
    /// Longest delivery of the last moments, in microseconds.
    pub slowest_us: u64,
}

impl Pulse {
    /// Adds another thread's or process's.
    pub fn merge(&mut self, other: &Self) {
        self.orders = self.orders.min(other.orders);
        self.live += other.live;
        self.pending += other.pending;
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.violations += other.violations;
        self.behind += other.behind;
        self.heartbeats += other.heartbeats;
        self.slowest_us = self.slowest_us.max(other.slowest_us);
    }

    /// What others are merged into.
    pub fn none() -> Self {
        Self {
            orders: u64::MAX,
            ..Self::default()
        }
    }
}
