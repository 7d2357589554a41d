//! A process: store, writer and broker, started on the medium and ended without notice; and its supervisor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenbells::broker::{Broker, BrokerOptions, Channel, Outlet, RingLimit, Ticket};
use tenbells::store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::World;
use super::disk::Crash;
use super::mutant::Mutant;
use super::store::SimStore;
use super::tick::{self, InTurn, draw, pause};
use crate::history::What;

/// A running process.
pub(super) struct Node {
    pub(super) broker: Arc<Broker>,
    pub(super) outlet: Arc<SimOutlet>,
    store: Arc<SimStore>,
    /// How it was ended.
    ended: watch::Sender<Option<Crash>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Who delivers: knows the readers that are being sent something, and cuts them off where that was retracted.
#[derive(Default)]
pub(super) struct SimOutlet {
    sending: Mutex<Vec<Sending>>,
    never_cuts: bool,
}

struct Sending {
    topic: String,
    cut: Arc<AtomicBool>,
}

impl SimOutlet {
    /// A flag that says whether what is being sent to a reader of `topic` may not go on.
    pub(super) fn register(&self, topic: &str) -> Arc<AtomicBool> {
        let cut = Arc::new(AtomicBool::new(false));
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.retain(|known| Arc::strong_count(&known.cut) > 1);
        sending.push(Sending {
            topic: topic.to_owned(),
            cut: Arc::clone(&cut),
        });
        cut
    }
}

impl Outlet for SimOutlet {
    fn advanced(&self, _channel: &Arc<Channel>) {}

    fn redacted(&self, channel: &Arc<Channel>, ticket: Ticket) {
        if !self.never_cuts {
            let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
            let of_topic = |known: &&Sending| known.topic == channel.name().as_str();
            for known in sending.iter().filter(of_topic) {
                known.cut.store(true, Ordering::Relaxed);
            }
        }
        drop(ticket);
    }

    fn retired(&self, _channel: &Arc<Channel>) {}
}

impl Node {
    async fn start(world: &Arc<World>) -> Arc<Self> {
        let (store, writer) = SimStore::open(&world.disk, world.clock.clone()).await;
        let options = BrokerOptions {
            ring: RingLimit {
                frames_max: world.size.ring,
                bytes_max: 64 << 10,
            },
            page_bytes_max: 32 << 10,
            idle: Duration::from_millis(draw(|random| random.u64(50..5_000))),
            release_tick: Duration::from_millis(400),
        };
        let as_store: Arc<dyn Store> = Arc::clone(&store) as _;
        let clock: Arc<dyn tenbells::clock::Clock> = world.clock.clone();
        let broker = Broker::with_offload(as_store, clock, options, Arc::new(InTurn));
        let outlet = Arc::new(SimOutlet {
            sending: Mutex::default(),
            never_cuts: world.mutant == Mutant::NoCutOff,
        });
        broker.set_outlets(vec![Arc::clone(&outlet) as _]);
        let tasks = vec![
            tokio::spawn(tick::scope(world, tick::WRITER, writer.run())),
            tokio::spawn(tick::scope(world, tick::BROKER, Arc::clone(&broker).run())),
        ];
        Arc::new(Self {
            broker,
            outlet,
            store,
            ended: watch::Sender::new(None),
            tasks,
        })
    }

    /// Ends it at once. The supervisor notices and starts another.
    pub(super) fn end(&self, crash: Crash) {
        for task in &self.tasks {
            task.abort();
        }
        self.ended.send_replace(Some(crash));
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) -> Crash {
        let mut ended = self.ended.subscribe();
        let crash = ended.wait_for(Option::is_some).await;
        // The sender lives in the node.
        crash.ok().and_then(|crash| *crash).unwrap_or(Crash::Kill)
    }

    /// Does something with the process; none where it ended first.
    pub(super) async fn alive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.ended() => {}
            done = work => return Some(done),
        }
        // All who were with it notice at once.
        pause(1, 3).await;
        None
    }

    /// As the server does: a store that failed ends the process.
    async fn watch_store(&self) {
        loop {
            pause(200, 250).await;
            if self.store.failed().is_some() {
                return;
            }
        }
    }
}

/// Starts a process whenever there is none, until the run is over.
pub(super) async fn supervise(world: Arc<World>) {
    let mut over = world.over.subscribe();
    loop {
        let node = Node::start(&world).await;
        world.node.send_replace(Some(Arc::clone(&node)));
        let crash = tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => None,
            crash = node.ended() => Some(crash),
            () = node.watch_store() => {
                world.say(What::Fault { what: "the process stopped by itself".into() });
                Some(Crash::Kill)
            }
        };
        world.node.send_replace(None);
        let Some(crash) = crash else {
            node.end(Crash::Kill);
            return;
        };
        node.end(crash);
        draw(|random| world.disk.crash(crash, random));
        pause(20, 800).await;
    }
}
