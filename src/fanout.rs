//! Fan-out: WebSockets after their handshake, spread over shards. A shard is a thread that owns its connections.
//!
//! The log is the only queue. A subscriber is a cursor; when a head moves, each shard walks the topic's members and hands
//! everyone at the same cursor the same bytes by a direct, non-blocking write. Whoever has no room stays where its cursor
//! is, and is walked forward once its socket is writable, from the ring or from pages of the store. Live, resume, replay
//! and slow are one path. It knows no HTTP and stores nothing.

mod connection;
mod counters;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inbound;
mod inbox;
mod runs;
mod session;
mod shard;
mod socket;
mod topic;
mod wheel;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::ServerConnection;
use tokio::runtime::Handle;

pub use counters::Counters;

use self::counters::ShardCounters;
use self::inbox::{Command, Inbox};
use self::shard::{Shard, ShardParts};
use crate::broker::{Broker, Channel, Outlet, Ticket};
use crate::keys::{Grant, Keys};
use crate::limits::{Address, Limits};
use crate::model::{After, TopicName};
use crate::protocol::Wire;

/// How often a drain looks whether everyone has gone.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// What a drain waits beyond its window for peers to take their leave.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// A socket after its handshakes.
pub struct Handover {
    /// The socket itself.
    pub stream: TcpStream,
    /// The TLS session on it, if it has one.
    pub session: Option<Box<ServerConnection>>,
    /// What the peer sent behind its opening handshake, deciphered.
    pub left_over: Bytes,
}

/// What HTTP knows of a socket that it hands over.
pub struct Hello {
    /// The grant of the key that came with the handshake.
    pub grant: Option<Arc<Grant>>,
    /// Whom its replays count for; none where they are not counted.
    pub client: Option<Address>,
    /// The topic to follow at once.
    pub subscribe: Option<(TopicName, After)>,
    /// In which form the reader gets its changes.
    pub wire: Wire,
    /// Dropped when the connection is gone: its place is free again.
    pub admission: Box<dyn Send>,
}

/// Bounds of the fan-out.
#[derive(Debug, Clone)]
pub struct FanOutOptions {
    /// Threads that serve readers, from 1 to 1,024.
    pub shards: usize,
    /// Most topics of one connection.
    pub topics_per_connection_max: usize,
    /// Longest message of a reader, in bytes.
    pub message_bytes_max: usize,
    /// Time to the first subscription.
    pub first_subscribe: Duration,
    /// How often a reader is pinged.
    pub ping_every: Duration,
    /// Time for the answer to a ping.
    pub pong_within: Duration,
    /// How long a reader that takes nothing is kept; looked at as often as that, so up to twice as long.
    pub stall_max: Duration,
    /// How often the number of readers is told, where it changed.
    pub presence_every: Duration,
    /// Longest wait for more changes to join, while the shard has no idle time left.
    pub join_window: Duration,
}

impl Default for FanOutOptions {
    fn default() -> Self {
        Self {
            shards: 1,
            topics_per_connection_max: 32,
            message_bytes_max: 4_096,
            first_subscribe: Duration::from_secs(10),
            ping_every: Duration::from_secs(25),
            pong_within: Duration::from_secs(10),
            stall_max: Duration::from_secs(60),
            presence_every: Duration::from_secs(5),
            join_window: Duration::from_millis(5),
        }
    }
}

/// All shards of one node.
pub struct FanOut {
    shards: Vec<ShardHandle>,
}

struct ShardHandle {
    inbox: Arc<Inbox>,
    counters: Arc<ShardCounters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Readers that give way to memory that runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// Those that take nothing now, or are being walked forward.
    Laggards,
    /// So many percent of all.
    Percent(usize),
}

/// One shard, as the broker sees it.
struct ShardOutlet(Arc<Inbox>);

impl FanOut {
    /// Starts the threads. Reads of the store are done on `runtime`.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(
        options: FanOutOptions,
        broker: Arc<Broker>,
        keys: Arc<dyn Keys>,
        limits: Arc<Limits>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let count = options.shards.clamp(1, 1_024);
        let options = Arc::new(options);
        let shards = (0..count)
            .map(|index| {
                let (shard, inbox) = Shard::new(ShardParts {
                    options: Arc::clone(&options),
                    broker: Arc::clone(&broker),
                    keys: Arc::clone(&keys),
                    limits: Arc::clone(&limits),
                    runtime: runtime.clone(),
                })?;
                let counters = shard.counters();
                let thread = std::thread::Builder::new()
                    .name(format!("shard-{index}"))
                    .spawn(move || shard.run())?;
                Ok(ShardHandle {
                    inbox,
                    counters,
                    thread: Mutex::new(Some(thread)),
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { shards })
    }

    /// What the broker tells of moved heads and retractions.
    pub fn outlets(&self) -> Vec<Arc<dyn Outlet>> {
        self.shards
            .iter()
            .map(|shard| Arc::new(ShardOutlet(Arc::clone(&shard.inbox))) as Arc<dyn Outlet>)
            .collect()
    }

    /// Takes a socket over after its handshake, with what the peer sent behind it.
    pub fn adopt(&self, handover: Handover, hello: Hello) {
        let Some(shard) = self
            .shards
            .iter()
            .min_by_key(|shard| shard.counters.connections())
        else {
            return;
        };
        shard.counters.opened();
        shard.inbox.post(Command::Adopt { handover, hello });
    }

    /// Open WebSockets.
    pub fn connections(&self) -> u64 {
        self.counters().connections
    }

    /// Sums over all shards.
    pub fn counters(&self) -> Counters {
        let mut sums = Counters::default();
        for shard in &self.shards {
            shard.counters.add_to(&mut sums);
        }
        sums
    }

    /// Closes every connection with a reconnect delay of its own, spread over at most `window`. Returns when they are
    /// gone, or a little after the window.
    ///
    /// # Cancel safety
    /// Dropping it does not stop the drain.
    pub async fn drain(&self, window: Duration) {
        for shard in &self.shards {
            shard.inbox.post(Command::Drain { window });
        }
        let end = Instant::now() + window + DRAIN_GRACE;
        while self.connections() > 0 && Instant::now() < end {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// Closes some readers, so that their memory comes back.
    pub fn shed(&self, shed: Shed) {
        for shard in &self.shards {
            shard.inbox.post(Command::Shed(shed));
        }
    }

    /// Ends the threads; whoever is still connected is cut off.
    pub fn stop(&self) {
        for shard in &self.shards {
            shard.inbox.post(Command::Stop);
        }
        for shard in &self.shards {
            let thread = shard
                .thread
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a shard had panicked");
            }
        }
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Outlet for ShardOutlet {
    fn retired(&self, channel: &Arc<Channel>) {
        self.0.post(Command::Retired(Arc::clone(channel)));
    }

    fn advanced(&self, channel: &Arc<Channel>) {
        self.0.advanced(channel);
    }

    fn redacted(&self, channel: &Arc<Channel>, ticket: Ticket) {
        self.0.post(Command::Redacted {
            channel: Arc::clone(channel),
            ticket,
        });
    }
}
