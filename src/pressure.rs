//! Memory that runs short: readers give way in steps, publishers never do.
//!
//! Looked at once a second: what this process keeps (and, in a container, what the kernel keeps for it), against the
//! container's limit or the machine's memory. It only says which step it is; who gives way is the composition's business.

mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use self::reading::Machine;
use crate::config::MemoryConfig;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many percent below its beginning a step ends, so that it does not come and go.
const HYSTERESIS: u64 = 3;

/// How short memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// There is enough.
    Calm,
    /// No new readers.
    Refuse,
    /// And those that are far behind go.
    Drop,
    /// And a share of all readers goes, each second.
    Close,
}

/// How short memory is now.
pub struct Pressure {
    machine: Machine,
    /// In bytes; 0 where none is known.
    limit: AtomicU64,
    used: AtomicU64,
    step: AtomicU8,
    /// Percent of the limit at which each step but the first begins.
    begins: [u64; 3],
}

impl Step {
    const ALL: [Self; 4] = [Self::Calm, Self::Refuse, Self::Drop, Self::Close];

    /// The step at `percent` of the limit, after `before`; `begins` says where each but the first begins.
    fn at(percent: u64, before: Self, begins: [u64; 3]) -> Self {
        let [refuse, drop, close] = begins;
        [
            (Self::Close, close),
            (Self::Drop, drop),
            (Self::Refuse, refuse),
        ]
        .into_iter()
        .find(|(step, begin)| {
            let begin = if before >= *step {
                begin.saturating_sub(HYSTERESIS)
            } else {
                *begin
            };
            percent >= begin
        })
        .map_or(Self::Calm, |(step, _)| step)
    }

    /// Its name in log lines.
    fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "there is enough",
            Self::Refuse => "no new readers",
            Self::Drop => "readers that are far behind go",
            Self::Close => "a share of all readers goes",
        }
    }
}

impl Pressure {
    /// Against the limit of the configuration; without one against the least that the machine and its containers set.
    pub fn new(config: &MemoryConfig) -> Self {
        let machine = Machine::this();
        let limit = config.limit_bytes.or(machine.limit_bytes).unwrap_or(0);
        Self {
            machine,
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            step: AtomicU8::new(0),
            begins: [
                config.refuse_percent,
                config.drop_percent,
                config.close_percent,
            ],
        }
    }

    /// The step as of the last look.
    pub fn step(&self) -> Step {
        let step = usize::from(self.step.load(Ordering::Relaxed));
        Step::ALL.get(step).copied().unwrap_or(Step::Calm)
    }

    /// Bytes in use as of the last look.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit, in bytes; 0 where none is known.
    pub fn limit_bytes(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Goes by another limit from the next look on; 0 for none.
    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Looks once a second, and tells `act` the step at each look that is not calm, and at the first that is calm again.
    /// Never ends.
    pub async fn run(self: Arc<Self>, act: impl Fn(Step) + Send) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let before = self.step();
            let step = self.look();
            if step != before {
                let (used, limit) = (self.used_bytes(), self.limit_bytes());
                tracing::warn!(
                    used,
                    limit,
                    step = step.as_str(),
                    "memory runs short, or does no more"
                );
            }
            if step != Step::Calm || before != Step::Calm {
                act(step);
            }
        }
    }

    fn look(&self) -> Step {
        let used = self.machine.used_bytes().unwrap_or(0);
        self.used.store(used, Ordering::Relaxed);
        let step = match self.limit_bytes() {
            0 => Step::Calm,
            limit => {
                let percent = u128::from(used) * 100 / u128::from(limit);
                let percent = u64::try_from(percent).unwrap_or(u64::MAX);
                Step::at(percent, self.step(), self.begins)
            }
        };
        self.step.store(step as u8, Ordering::Relaxed);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_at_their_percent_and_end_a_little_below() {
        let at = |percent, before| Step::at(percent, before, [80, 88, 95]);
        for (percent, expected) in [
            (0, Step::Calm),
            (79, Step::Calm),
            (80, Step::Refuse),
            (87, Step::Refuse),
            (88, Step::Drop),
            (94, Step::Drop),
            (95, Step::Close),
            (10_000, Step::Close),
        ] {
            assert_eq!(at(percent, Step::Calm), expected, "{percent}");
        }
        for (percent, before, expected) in [
            (92, Step::Close, Step::Close),
            (91, Step::Close, Step::Drop),
            (85, Step::Drop, Step::Drop),
            (84, Step::Drop, Step::Refuse),
            (77, Step::Refuse, Step::Refuse),
            (76, Step::Refuse, Step::Calm),
            (76, Step::Close, Step::Calm),
        ] {
            assert_eq!(at(percent, before), expected, "{percent} after {before:?}");
        }
    }

    #[test]
    fn what_this_process_uses_is_read_and_judged() {
        let mut config = crate::config::Config::default().memory;
        config.limit_bytes = Some(1 << 50);
        let pressure = Pressure::new(&config);
        assert_eq!(pressure.look(), Step::Calm);
        assert!(pressure.used_bytes() > 1 << 20, "{}", pressure.used_bytes());
        pressure.set_limit(1 << 20);
        assert_eq!(pressure.look(), Step::Close);
        assert_eq!(pressure.step(), Step::Close);
        pressure.set_limit(0);
        assert_eq!(pressure.look(), Step::Calm);
    }
}
