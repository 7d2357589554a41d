//! The seeded simulation: the real broker over a store with injected faults, with publishers that retry and readers that
//! lag, drop and return, in virtual time.
//!
//! Everything runs on one thread. Each task has a number and random choices of its own, and wakes in milliseconds that
//! no other task wakes in, so that one seed gives one history whatever the machine does. The history is judged by R1 to
//! R8; [`Mutant`]s show that a broken store or broker would be noticed.

mod disk;
mod mutant;
mod nemesis;
mod node;
mod publisher;
mod reader;
mod store;
mod tick;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::disk::Disk;
pub use self::mutant::Mutant;
use self::node::Node;
use self::tick::SimClock;
use crate::history::{Event, Place, What};
use crate::judge::{Options, Verdict, judge};

/// How long the run goes on after the faults stop: what R8 allows, and a little.
const CALM: Duration = Duration::from_secs(36);
/// Longest embargo; also what has to be over when the run ends.
const EMBARGO_MS_MAX: u64 = 4_000;

/// What came of one seed.
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub events: Vec<Event>,
    /// What the judge says.
    pub verdict: Verdict,
    /// How often each fault was injected.
    pub faults: BTreeMap<String, u64>,
}

/// How large a run is, drawn from its seed.
#[derive(Debug, Clone, Copy)]
struct Size {
    topics: usize,
    publishers: usize,
    readers: usize,
    /// How long faults are injected.
    faulty: Duration,
    /// A jump of the clock, forward or back.
    jump_ms: i64,
    /// Frames of each topic's ring.
    ring: usize,
}

/// What all tasks of a run share.
struct World {
    seed: u64,
    size: Size,
    mutant: Mutant,
    began: Instant,
    clock: Arc<SimClock>,
    disk: Arc<Disk>,
    /// The process that runs, if one does.
    node: watch::Sender<Option<Arc<Node>>>,
    calm: watch::Sender<bool>,
    over: watch::Sender<bool>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    events: Vec<Event>,
    /// Names for the epochs, which are random, in the order in which they were seen.
    epochs: Vec<String>,
    entries: Vec<Known>,
    made: u64,
}

/// An entry that publishers know of.
#[derive(Clone)]
struct Known {
    topic: usize,
    id: String,
}

/// Runs one seed and judges it.
///
/// # Panics
/// When the runtime can't be made.
pub fn run(seed: u64, mutant: Mutant) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let events = runtime.block_on(live(seed, mutant));
    let mut faults = BTreeMap::new();
    for event in &events {
        if let What::Fault { what } = &event.what {
            *faults.entry(what.clone()).or_default() += 1;
        }
    }
    let options = Options {
        // A timer is a millisecond wide.
        grace_us: 0,
        ..Options::default()
    };
    let verdict = judge(&events, options);
    Run {
        seed,
        events,
        verdict,
        faults,
    }
}

async fn live(seed: u64, mutant: Mutant) -> Vec<Event> {
    let world = World::new(seed, mutant);
    let mut tasks = JoinSet::new();
    tasks.spawn(tick::scope(
        &world,
        tick::NODE,
        node::supervise(Arc::clone(&world)),
    ));
    tasks.spawn(tick::scope(
        &world,
        tick::NEMESIS,
        nemesis::inject(Arc::clone(&world)),
    ));
    for number in 0..world.size.publishers {
        let publisher = publisher::run(Arc::clone(&world), number);
        tasks.spawn(tick::scope(
            &world,
            tick::PUBLISHERS + number as u64,
            publisher,
        ));
    }
    for number in 0..world.size.readers {
        let reader = reader::run(Arc::clone(&world), number);
        tasks.spawn(tick::scope(&world, tick::READERS + number as u64, reader));
    }
    let looker = reader::look(Arc::clone(&world));
    tasks.spawn(tick::scope(&world, tick::LOOKER, looker));
    let ends = tick::turn(world.size.faulty + CALM, tick::END);
    tokio::time::sleep_until(world.began + ends).await;
    // What they still say while they end is no part of it.
    let events = std::mem::take(&mut world.lock().events);
    world.over.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    events
}

impl World {
    fn new(seed: u64, mutant: Mutant) -> Arc<Self> {
        let mut random = Rng::with_seed(seed);
        let jump_ms = match random.u32(0..4) {
            0 => random.i64(-3_000..3_000),
            _ => 0,
        };
        let size = Size {
            topics: random.usize(1..4),
            publishers: random.usize(1..4),
            readers: random.usize(2..7),
            faulty: Duration::from_millis(random.u64(3_000..15_000)),
            jump_ms,
            ring: random.usize(1..40),
        };
        Arc::new(Self {
            seed,
            size,
            mutant,
            began: Instant::now(),
            clock: Arc::new(SimClock::new()),
            disk: Arc::new(Disk::new(mutant)),
            node: watch::Sender::new(None),
            calm: watch::Sender::new(false),
            over: watch::Sender::new(false),
            record: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the run began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn say(&self, what: What) {
        let at = self.now();
        let node = String::new();
        self.lock().events.push(Event { at, node, what });
    }

    fn number(&self) -> u64 {
        let mut record = self.lock();
        record.made += 1;
        record.made
    }

    /// The place under a name of its epoch that does not depend on chance.
    fn place(&self, epoch: &str, offset: u64) -> Place {
        let mut record = self.lock();
        let known = record.epochs.iter().position(|known| known == epoch);
        let index = known.unwrap_or_else(|| {
            record.epochs.push(epoch.to_owned());
            record.epochs.len() - 1
        });
        Place::new(format!("e{index}"), offset)
    }

    fn topic(&self, number: usize) -> String {
        format!("t{number}")
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    /// The process that runs now; waits for one. None once the run is over.
    async fn node(&self) -> Option<Arc<Node>> {
        let mut nodes = self.node.subscribe();
        let mut over = self.over.subscribe();
        let found = tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => None,
            found = nodes.wait_for(Option::is_some) => found.ok().and_then(|node| node.clone()),
        };
        // All who waited for it see it at once.
        tick::pause(1, 3).await;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_history() {
        for seed in [1, 2, 77, 4_711] {
            let (first, again) = (run(seed, Mutant::None), run(seed, Mutant::None));
            let differ = first
                .events
                .iter()
                .zip(&again.events)
                .position(|(a, b)| a != b);
            let at = differ.map(|at| (&first.events[at], &again.events[at]));
            assert!(at.is_none(), "seed {seed}: {at:?}");
            assert_eq!(first.events.len(), again.events.len(), "seed {seed}");
        }
    }

    #[test]
    fn some_seeds_are_clean_and_have_seen_faults() {
        let mut faults = 0;
        for seed in 0..20 {
            let run = run(seed, Mutant::None);
            assert!(run.verdict.is_clean(), "seed {seed}: {}", run.verdict);
            faults += run.faults.values().sum::<u64>();
        }
        assert!(faults >= 20, "{faults} faults");
    }

    #[test]
    fn every_mutant_is_caught() {
        for mutant in Mutant::ALL {
            let caught = (0..600).find_map(|seed| {
                let rules = run(seed, mutant).verdict.rules();
                (!rules.is_empty()).then_some((seed, rules))
            });
            assert!(caught.is_some(), "{mutant:?} goes unnoticed");
        }
    }
}
