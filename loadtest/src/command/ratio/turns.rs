//! The broker's half of a round, in turns: publishing to a topic with readers, and publishing as much to one that nobody
//! reads. What the second costs is the publish itself (its request, commit and answer); the rest of the first is what
//! deliveries cost. At 100 readers the publish is most of it, at 19,000 next to nothing.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::{Broker, Content};
use crate::proc::Usage;
use crate::reader::Begin;
use crate::report::{Report, as_f64};
use crate::scenario::{Part, Readers, Scenario};

/// Turns of each kind in a round: the machine drifts over seconds, too.
const TURNS: u32 = 4;
/// How long the server rests between connecting and the first turn.
const SETTLE: Duration = Duration::from_secs(1);

/// What a round of the broker came to.
pub struct Turns {
    /// All turns with readers.
    pub part: Part,
    /// CPU of one publish that nobody reads, in microseconds, with `ksoftirqd`.
    pub publish_us: f64,
}

impl Turns {
    /// CPU of a delivery without that of the publishes, in microseconds; none where nothing was measured.
    pub fn net_per_delivery_us(&self) -> Option<f64> {
        let publishes = as_f64(self.part.stretch.acknowledged);
        let deliveries = as_f64(self.part.tally.deliveries);
        let all_us = self.part.cpu_per_delivery_us()? * deliveries;
        Some((all_us - self.publish_us * publishes) / deliveries)
    }
}

/// Connects the readers, takes the turns and gathers.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the part, or in `report`.
pub async fn take(
    broker: &Broker,
    readers: &Readers,
    content: &Content,
    (rate, duration): (f64, Duration),
    report: &mut Report,
) -> Result<Turns> {
    let count = u64::from(readers.readers);
    let mut scenario = Scenario::open(broker, content, readers).await?;
    let mut unread = scenario.publisher.beside("unread", content.writer(0));
    unread.open_topics().await?;
    scenario.connect(0, count, Begin::Head, count).await?;
    tokio::time::sleep(SETTLE).await;
    let arrived = scenario.crew.tell().await?;
    let mut part = None::<Part>;
    let (mut unread_cpu, mut unread_entries) = (Duration::ZERO, 0);
    for _ in 0..TURNS {
        let turn = scenario.publish(rate, duration / TURNS).await?;
        match &mut part {
            Some(part) => part.merge(turn),
            None => part = Some(turn),
        }
        let before = usage(&scenario)?;
        let stretch = unread.pace(rate, duration / TURNS).await?;
        unread_cpu += usage(&scenario)?.cpu_since(&before);
        unread_entries += stretch.acknowledged;
        for refused in stretch.refused.iter().take(5) {
            report.fail(format!("refused: {refused}"));
        }
    }
    let mut part = part.context("no turn was taken")?;
    part.expect_all(report, count, u64::from(readers.topics));
    part.tally.violations.merge(&arrived.violations);
    Ok(Turns {
        part,
        publish_us: unread_cpu.as_secs_f64() * 1e6 / as_f64(unread_entries.max(1)),
    })
}

fn usage(scenario: &Scenario) -> Result<Usage> {
    scenario
        .usage()?
        .context("the broker's process can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Stretch;
    use crate::reader::Tally;

    #[test]
    fn the_publishes_are_taken_off() {
        let after = Usage {
            user: Duration::from_micros(5_000),
            ..Usage::default()
        };
        let turns = Turns {
            part: Part {
                tally: Tally {
                    deliveries: 1_000,
                    ..Tally::default()
                },
                stretch: Stretch {
                    acknowledged: 10,
                    ..Stretch::default()
                },
                usage: Some((Usage::default(), after)),
                start_us: 0,
                earlier_s: 0.0,
                cost: Vec::new(),
            },
            publish_us: 200.0,
        };
        // 5,000 µs in all, 10 publishes of 200 µs, 1,000 deliveries.
        assert_eq!(turns.part.cpu_per_delivery_us(), Some(5.0));
        assert_eq!(turns.net_per_delivery_us(), Some(3.0));
    }
}
