//! One server's turn in a round of `compare`: a fresh process, all readers connect, rest, are published to at a pace,
//! and then faster and faster until the server no longer keeps up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::corpus::Corpus;
use crate::latency::Latency;
use crate::peer::{Found, Place, Server};
use crate::report::as_f64;
use crate::scenario::{Part, Readers};
use crate::session::Session;

/// Readers and changes a second of the warm-up.
const WARM_READERS: u32 = 200;
const WARM_RATE: f64 = 20.0;
/// How long a probe's readers may take behind its last publish.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// Most probes of a search.
const PROBES_MAX: u32 = 14;
/// A search ends where the rate that was kept and the one that was not are as near as this.
const NEAR: f64 = 1.1;
/// Lag that is always allowed to grow, in microseconds: a scheduler's hiccup.
const GROWTH_FREE_US: u64 = 50_000;
/// Lag beyond which nobody speaks of keeping up, in microseconds.
const LAG_MAX_US: u64 = 1_000_000;

/// What a turn consists of.
#[derive(Debug, Clone)]
pub struct Load {
    /// The readers.
    pub readers: Readers,
    /// How many publish.
    pub publishers: u32,
    /// Changes a second.
    pub rate: f64,
    /// For so long.
    pub duration: Duration,
    /// How long a server rests before its memory is read.
    pub settle: Duration,
    /// How long each probe of the search for the largest rate is; none for no search.
    pub probe: Option<Duration>,
}

/// What a turn found.
#[derive(Debug)]
pub struct Turn {
    /// Figures by the key of their row.
    pub figures: BTreeMap<&'static str, f64>,
    /// From each connection's start to its subscription.
    pub connect: Latency,
    /// From the intended publish to each delivery.
    pub delivery: Latency,
    /// From the intended publish to the last reader.
    pub last_reader: Latency,
    /// What was wrong with the readers' streams, and what was refused.
    pub faults: Vec<String>,
}

/// Takes it.
///
/// # Errors
/// When the server can't be started, or readers can't connect.
pub async fn take(found: &Found, place: &Place, load: &Load, corpus: &Arc<Corpus>) -> Result<Turn> {
    let server = Server::start(found, place).await?;
    let outcome = measure(&server, load, corpus).await;
    let outcome =
        outcome.with_context(|| format!("{}: {}", found.kind.name(), server.last_words()));
    server.stop().await?;
    outcome
}

async fn measure(server: &Server, load: &Load, corpus: &Arc<Corpus>) -> Result<Turn> {
    let readers = u64::from(load.readers.readers);
    warm_up(server, load, corpus).await?;
    let before = server.process.usage()?;
    let mut session = Session::open(server, corpus, &load.readers, load.publishers).await?;
    let arrival = session.connect().await?;
    tokio::time::sleep(load.settle).await;
    let idle = server.process.usage()?;
    let patience = load.readers.patience;
    let part = session
        .publish(server, load.rate, load.duration, patience)
        .await?;
    let last_reader = part.last_reader();
    let grown = idle.rss_bytes.saturating_sub(before.rss_bytes);
    let mut figures = BTreeMap::from([
        ("rss_per_reader_bytes", as_f64(grown) / as_f64(readers)),
        ("delivery_p50_ms", ms(part.tally.delivery.percentile(50.0))),
        ("delivery_p99_ms", ms(part.tally.delivery.percentile(99.0))),
        ("last_reader_p50_ms", ms(last_reader.percentile(50.0))),
        ("last_reader_max_ms", ms(last_reader.max())),
        ("connect_all_s", arrival.all_s),
        ("rss_connected_mib", as_f64(idle.rss_bytes) / 1_048_576.0),
        (
            "acknowledge_p50_ms",
            ms(part.stretch.latency.percentile(50.0)),
        ),
        ("bytes_per_delivery", part.bytes_per_delivery()),
    ]);
    if let Some(cpu) = part.cpu_per_delivery_us() {
        figures.insert("cpu_per_delivery_us", cpu);
    }
    let faults = faults(&part, readers);
    figures.insert("faults", as_f64(faulty(&part, readers)));
    if let Some(probe) = load.probe {
        let rate = search(
            server,
            load,
            corpus,
            session,
            keeps_up(&part, readers),
            probe,
        )
        .await?;
        figures.insert("deliveries_per_second_max", rate * as_f64(readers));
    }
    Ok(Turn {
        figures,
        connect: arrival.connect,
        delivery: part.tally.delivery,
        last_reader,
        faults,
    })
}

/// A few readers come, read and leave, so that what a server does for the first time is not measured as a reader's.
async fn warm_up(server: &Server, load: &Load, corpus: &Arc<Corpus>) -> Result<()> {
    let readers = Readers {
        readers: load.readers.readers.min(WARM_READERS),
        ..load.readers.clone()
    };
    let mut session = Session::open(server, corpus, &readers, load.publishers).await?;
    session.connect().await?;
    session
        .publish(server, WARM_RATE, Duration::from_secs(1), PROBE_PATIENCE)
        .await?;
    drop(session);
    tokio::time::sleep(load.settle).await;
    Ok(())
}

/// The largest rate that is kept: doubled until it is not, then halved in between. `first` is whether the load's own
/// rate was. After a probe that failed readers begin anew on another channel.
async fn search(
    server: &Server,
    load: &Load,
    corpus: &Arc<Corpus>,
    session: Session,
    first: bool,
    probe: Duration,
) -> Result<f64> {
    let readers = u64::from(load.readers.readers);
    let mut bounds = Bounds::new(load.rate, first);
    let mut session = first.then_some(session);
    for _ in 0..PROBES_MAX {
        let Some(rate) = bounds.next() else {
            break;
        };
        let mut trying = match session.take() {
            Some(session) => session,
            None => {
                let mut fresh =
                    Session::open(server, corpus, &load.readers, load.publishers).await?;
                fresh.connect().await?;
                fresh
            }
        };
        let part = trying.publish(server, rate, probe, PROBE_PATIENCE).await?;
        let kept = keeps_up(&part, readers);
        bounds.note(rate, kept);
        session = kept.then_some(trying);
    }
    Ok(bounds.kept)
}

/// What a search knows.
#[derive(Debug)]
struct Bounds {
    /// The largest rate that was kept; 0 where none was.
    kept: f64,
    /// The smallest rate that was not.
    lost: Option<f64>,
}

impl Bounds {
    fn new(rate: f64, kept: bool) -> Self {
        Self {
            kept: if kept { rate } else { 0.0 },
            lost: (!kept).then_some(rate),
        }
    }

    /// The next rate to try; none where it is known well enough.
    fn next(&self) -> Option<f64> {
        match self.lost {
            None => Some(self.kept * 2.0),
            Some(lost) if self.kept <= 0.0 => Some(lost / 2.0),
            Some(lost) => (lost / self.kept > NEAR).then(|| (lost * self.kept).sqrt()),
        }
    }

    fn note(&mut self, rate: f64, kept: bool) {
        if kept {
            self.kept = rate;
        } else {
            self.lost = Some(rate);
        }
    }
}

/// Whether all came to all, and the last ones no later than the first ones.
fn keeps_up(part: &Part, readers: u64) -> bool {
    let lags: Vec<u64> = part
        .tally
        .seen
        .iter()
        .filter(|seen| seen.intended_us > 0)
        .map(|seen| (seen.intended_us, seen.last_us))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .map(|(intended, last)| last.saturating_sub(intended))
        .collect();
    faulty(part, readers) == 0 && part.stretch.refused.is_empty() && !growing(&lags)
}

/// Whether lags, in their order in time, grow beyond what a moment's noise would be.
fn growing(lags: &[u64]) -> bool {
    let third = lags.len() / 3;
    let early = middle(&lags[..third.max(1).min(lags.len())]);
    let late = middle(&lags[lags.len() - third.max(1).min(lags.len())..]);
    late > LAG_MAX_US || late > early + early / 2 + GROWTH_FREE_US
}

fn middle(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Deliveries that were missing, doubled, out of order, or of another content.
fn faulty(part: &Part, readers: u64) -> u64 {
    let due = part.stretch.acknowledged * readers;
    part.tally.violations.total() + due.saturating_sub(part.tally.deliveries)
}

fn faults(part: &Part, readers: u64) -> Vec<String> {
    let violations = &part.tally.violations;
    let mut faults: Vec<String> = violations
        .counts()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    let due = part.stretch.acknowledged * readers;
    if part.tally.deliveries != due {
        faults.push(format!("{} of {due} deliveries", part.tally.deliveries));
    }
    faults.extend(violations.examples.iter().take(3).cloned());
    faults.extend(part.stretch.refused.iter().take(3).cloned());
    faults
}

fn ms(micros: u64) -> f64 {
    as_f64(micros) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Stretch;
    use crate::reader::{Seen, Tally};

    #[test]
    fn a_search_doubles_and_then_closes_in() {
        let limit = 730.0;
        let mut bounds = Bounds::new(10.0, true);
        let mut probes = 0;
        while let Some(rate) = bounds.next() {
            bounds.note(rate, rate <= limit);
            probes += 1;
        }
        assert!(
            bounds.kept <= limit && bounds.kept * NEAR >= limit,
            "{bounds:?}"
        );
        assert!(probes <= PROBES_MAX, "{probes}");
    }

    #[test]
    fn a_search_goes_down_where_the_first_rate_was_not_kept() {
        let mut bounds = Bounds::new(10.0, false);
        assert_eq!(bounds.next(), Some(5.0));
        bounds.note(5.0, true);
        assert_eq!(bounds.next(), Some(50.0_f64.sqrt()));
    }

    #[test]
    fn a_lag_that_grows_is_told_from_one_that_stays() {
        assert!(!growing(&[]));
        assert!(!growing(&[30_000; 60]));
        let rising: Vec<u64> = (0..60).map(|at| at * 5_000).collect();
        assert!(growing(&rising));
        assert!(growing(&[2_000_000; 60]), "steady, and far too much");
        let mut hiccup = vec![30_000; 60];
        hiccup[40] = 400_000;
        assert!(!growing(&hiccup));
    }

    #[test]
    fn what_did_not_come_is_a_fault() {
        let seen = (1..=3).map(|offset| Seen {
            offset,
            intended_us: offset,
            last_us: offset + 9,
            readers: 2,
            ..Seen::default()
        });
        let mut part = Part {
            tally: Tally {
                deliveries: 6,
                seen: seen.collect(),
                ..Tally::default()
            },
            stretch: Stretch {
                acknowledged: 3,
                ..Stretch::default()
            },
            usage: None,
            start_us: 0,
            cost: Vec::new(),
            earlier_s: 0.0,
        };
        assert!(keeps_up(&part, 2) && faults(&part, 2).is_empty());
        part.tally.deliveries = 5;
        assert_eq!(faulty(&part, 2), 1);
        assert!(!keeps_up(&part, 2));
        assert_eq!(faults(&part, 2), ["5 of 6 deliveries"]);
    }
}
