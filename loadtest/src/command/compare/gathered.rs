//! What the turns of each server of a `compare` come to: its figures round by round, and how they are named.

use std::collections::BTreeMap;

use crate::latency::Latency;
use crate::peer::{Found, Kind};
use crate::report::{Better, Comparison, Report, Row};
use crate::turn::Turn;

/// What is compared: the key of a turn's figure, its name, its unit, which is better.
const ROWS: [(&str, &str, &str, Better); 12] = [
    (
        "deliveries_per_second_max",
        "deliveries a second, the most that was kept up with",
        "1/s",
        Better::More,
    ),
    (
        "cpu_per_delivery_us",
        "server CPU of a delivery, with ksoftirqd",
        "µs",
        Better::Less,
    ),
    (
        "rss_per_reader_bytes",
        "server memory of an idle reader",
        "B",
        Better::Less,
    ),
    (
        "rss_connected_mib",
        "server memory with all readers connected",
        "MiB",
        Better::Less,
    ),
    (
        "delivery_p50_ms",
        "publish to delivery, p50",
        "ms",
        Better::Less,
    ),
    (
        "delivery_p99_ms",
        "publish to delivery, p99",
        "ms",
        Better::Less,
    ),
    (
        "last_reader_p50_ms",
        "publish to last reader, median",
        "ms",
        Better::Less,
    ),
    (
        "last_reader_max_ms",
        "publish to last reader, longest",
        "ms",
        Better::Less,
    ),
    (
        "connect_all_s",
        "until all readers are connected and subscribed",
        "s",
        Better::Less,
    ),
    (
        "acknowledge_p50_ms",
        "publish to answer, p50 (see what is kept by then)",
        "ms",
        Better::Less,
    ),
    (
        "bytes_per_delivery",
        "bytes of a delivery, with what is around the change",
        "B",
        Better::Neither,
    ),
    (
        "faults",
        "deliveries missing, doubled or out of order",
        "",
        Better::Neither,
    ),
];

/// What has to be known to read the figures.
pub const NOTES: [&str; 5] = [
    "Tenbells commits a change to disk, synced, before any reader gets it, and keeps it for readers who come back; its \
     peers here keep changes in memory or not at all. The disk is in Tenbells' figures and not in theirs.",
    "Every server carries the same text: changes that Tenbells made of the same entries, each with the time of its \
     intended publish and a number. Every reader checked the number of every delivery.",
    "CPU is user and system time of the server and its children, and what ksoftirqd took meanwhile; taking the publishes \
     in is part of it. The harness, its publishers and its readers had the same cores.",
    "Memory is resident memory. That of an idle reader is its growth while all connect, over their number, after a few \
     readers came and left; what a server sets aside at its start (nginx its table of connections) is only in the row of \
     the whole.",
    "A rate was kept where nothing was missing and the lag of the last third of the changes was not above that of the \
     first third.",
];

/// A server and what its turns found.
pub struct Gathered {
    /// The server.
    pub found: Found,
    figures: BTreeMap<&'static str, Vec<f64>>,
    connect: Latency,
    delivery: Latency,
    last_reader: Latency,
}

impl Gathered {
    /// Nothing yet.
    pub fn new(found: Found) -> Self {
        Self {
            found,
            figures: BTreeMap::new(),
            connect: Latency::new(),
            delivery: Latency::new(),
            last_reader: Latency::new(),
        }
    }

    /// Adds a turn; what was wrong with ours fails the report, with a peer it is a note.
    pub fn take(&mut self, turn: Turn, round: u32, report: &mut Report, to: &mut Comparison) {
        for (key, value) in turn.figures {
            self.figures.entry(key).or_default().push(value);
        }
        self.connect.merge(&turn.connect);
        self.delivery.merge(&turn.delivery);
        self.last_reader.merge(&turn.last_reader);
        for fault in turn.faults {
            let said = format!("round {round}, {}: {fault}", self.found.kind.name());
            if self.found.kind == Kind::Tenbells {
                report.fail(said);
            } else {
                to.notes.push(said);
            }
        }
    }

    /// Writes how long connecting and deliveries took, over all rounds.
    pub fn distributions(&self, report: &mut Report) {
        let (key, name) = (self.found.kind.key(), self.found.kind.name());
        report.distribution(
            format!("{key}_connect_us"),
            format!("{name}: connect to subscribed"),
            &self.connect,
        );
        report.distribution(
            format!("{key}_delivery_us"),
            format!("{name}: publish to delivery"),
            &self.delivery,
        );
        report.distribution(
            format!("{key}_last_reader_us"),
            format!("{name}: publish to last reader"),
            &self.last_reader,
        );
    }
}

/// The rows, without those that nobody has a figure of.
pub fn rows(all: &[Gathered]) -> Vec<Row> {
    ROWS.iter()
        .map(|(key, label, unit, better)| Row {
            key,
            label,
            unit,
            better: *better,
            values: all
                .iter()
                .map(|one| one.figures.get(key).cloned().unwrap_or_default())
                .collect(),
        })
        .filter(|row| row.values.iter().any(|values| !values.is_empty()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn rows_without_a_figure_are_left_out() {
        let found = |kind| Found {
            kind,
            program: PathBuf::new(),
            module: None,
            version: String::new(),
        };
        let mut all = vec![
            Gathered::new(found(Kind::Tenbells)),
            Gathered::new(found(Kind::Nchan)),
        ];
        all[1].figures.insert("connect_all_s", vec![1.0, 2.0]);
        let rows = rows(&all);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].values, [vec![], vec![1.0, 2.0]]);
    }
}
