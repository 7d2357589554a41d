//! Virtual time: whose turn is when, and the broker's clock.
//!
//! Tokio's timers are a millisecond wide, and it wakes tasks of the same millisecond, or those that wait for the same
//! watch, in an order that chance decides. So each task sleeps to milliseconds of its own, by its number, and draws from
//! a generator of its own.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tenbells::broker::{Offload, Work};
use tenbells::clock::Clock;
use tokio::time::Instant;

use super::World;

/// Numbers of the tasks.
pub(super) const NODE: u64 = 0;
pub(super) const BROKER: u64 = 1;
pub(super) const WRITER: u64 = 2;
pub(super) const NEMESIS: u64 = 3;
pub(super) const LOOKER: u64 = 4;
pub(super) const PUBLISHERS: u64 = 5;
pub(super) const READERS: u64 = 9;
/// The end of the run.
pub(super) const END: u64 = 15;
/// More than there are tasks.
const TASKS: u64 = 16;

struct Task {
    number: u64,
    began: Instant,
    random: RefCell<Rng>,
}

tokio::task_local! {
    static TASK: Task;
}

/// Makes `work` the task of this number. A task that is begun anew draws on differently.
pub(super) fn scope<F: Future<Output = ()> + Send>(
    world: &Arc<World>,
    number: u64,
    work: F,
) -> impl Future<Output = ()> + Send + use<F> {
    let age = u64::try_from(world.began.elapsed().as_millis()).unwrap_or(0);
    let seed = world.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 48) ^ age;
    let task = Task {
        number,
        began: world.began,
        random: RefCell::new(Rng::with_seed(seed)),
    };
    TASK.scope(task, work)
}

/// Something that this task draws.
pub(super) fn draw<T>(from: impl FnOnce(&mut Rng) -> T) -> T {
    TASK.with(|task| from(&mut task.random.borrow_mut()))
}

/// Sleeps for `least_ms` to `most_ms`, to the next millisecond of this task.
pub(super) async fn pause(least_ms: u64, most_ms: u64) {
    let until = TASK.with(|task| {
        let ms = task
            .random
            .borrow_mut()
            .u64(least_ms..=most_ms.max(least_ms));
        let now = task.began.elapsed();
        let mut until = turn(now + Duration::from_millis(ms), task.number);
        if until <= now {
            until += Duration::from_millis(TASKS);
        }
        task.began + until
    });
    tokio::time::sleep_until(until).await;
}

/// The millisecond of this task next to `since_began`.
pub(super) fn turn(since_began: Duration, number: u64) -> Duration {
    let ms = u64::try_from(since_began.as_millis()).unwrap_or(0);
    Duration::from_millis(ms / TASKS * TASKS + number)
}

/// Runs reads where they are asked for, a while before and a while after: what else happens meanwhile does so.
pub(super) struct InTurn;

impl Offload for InTurn {
    fn run(&self, work: Work) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let most = draw(|random| random.choice([1, 1, 40])).unwrap_or(1);
            pause(1, most).await;
            work();
            if draw(|random| random.bool()) {
                pause(1, 40).await;
            }
        })
    }
}

/// Virtual time, and the jump that the machine's clock made.
pub(super) struct SimClock {
    began: Instant,
    jump_ms: AtomicI64,
}

impl SimClock {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            jump_ms: AtomicI64::new(0),
        }
    }

    pub(super) fn jump(&self, ms: i64) {
        self.jump_ms.store(ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let began = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        let jump = SignedDuration::from_millis(self.jump_ms.load(Ordering::Relaxed));
        began
            .saturating_add(passed + jump)
            .unwrap_or(Timestamp::MAX)
    }
}
