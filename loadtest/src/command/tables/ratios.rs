//! The tables of `ratio`: the broker over the bare loop run by run, and the cost of a delivery by the number of readers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::{Run, number};

/// Least numbers of readers that make a series.
const SERIES_MIN: usize = 3;

/// Runs that differ in nothing but the number of their readers, fewest readers first.
pub struct Series<'a> {
    /// What they have in common, in words.
    pub of: String,
    /// The number of readers and the report's figures.
    pub steps: Vec<(u64, &'a Value)>,
}

/// The series among `runs`: those with several numbers of readers.
pub fn series<'a>(runs: &[&'a Run]) -> Vec<Series<'a>> {
    let mut all: BTreeMap<String, BTreeMap<u64, &'a Value>> = BTreeMap::new();
    for run in runs {
        let settings = &run.report["settings"];
        let Some(readers) = settings["readers"]["readers"].as_u64() else {
            continue;
        };
        let size = settings["content"]["size"].as_u64();
        let size = size.map_or_else(
            || "entries of a real live blog's sizes".to_owned(),
            |size| format!("bodies of {size} B"),
        );
        let mut of = format!("{} shards, {size}", settings["sender_threads"]);
        if !settings["receive_core"].is_null() {
            of.push_str(", the receiving half on another core");
        }
        let steps = all.entry(of).or_default();
        steps.insert(readers, &run.report["figures"]);
    }
    all.into_iter()
        .filter(|(_, steps)| steps.len() >= SERIES_MIN)
        .map(|(of, steps)| Series {
            of,
            steps: steps.into_iter().collect(),
        })
        .collect()
}

/// Run by run.
///
/// # Errors
/// Never, as a string takes all that is written.
pub fn table(text: &mut String, runs: &[&Run]) -> Result<()> {
    text.push_str(
        "### CPU of a delivery over the bare send loop\n\n\
         Each: minimum / median / maximum of the rounds.\n\n\
         Broker and bare sender have alternating rounds of one run. *Without publishes* is the broker's CPU less what \
         as many publishes cost that nobody reads, measured in turns with the others. The last column is the time \
         from the moment at which a message was due to its last reader, over the same of the bare loop, \
         medians of each round: a publish, its commit and its answer are in it.\n\n\
         | run | readers | shards | broker, µs | without publishes, µs | bare loop, µs | ratio | without publishes, \
         ratio | to last reader, ratio |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for run in runs {
        let (figures, settings) = (&run.report["figures"], &run.report["settings"]);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            run.name,
            number(&settings["readers"]["readers"], 0),
            number(&settings["sender_threads"], 0),
            three(figures, "broker_cpu_per_delivery_us"),
            three(figures, "broker_net_cpu_per_delivery_us"),
            three(figures, "bare_cpu_per_delivery_us"),
            three(figures, "ratio"),
            three(figures, "ratio_net"),
            three(figures, "last_reader_ratio"),
        )?;
    }
    text.push('\n');
    Ok(())
}

/// How flat the cost of a delivery is, from few readers to many.
///
/// # Errors
/// As [`table`].
pub fn by_readers(text: &mut String, runs: &[&Run]) -> Result<()> {
    for series in series(runs) {
        writeln!(
            text,
            "### CPU of a delivery by readers: {}\n\n\
             | readers | of a publish, µs | broker, µs | without publishes, µs | over the series' middle | bare loop, \
             µs | over the series' middle |\n|--:|--:|--:|--:|--:|--:|--:|",
            series.of
        )?;
        let median = |figures: &Value, key: &str| figures[format!("{key}_median")].as_f64();
        let (net, bare) = ("broker_net_cpu_per_delivery_us", "bare_cpu_per_delivery_us");
        let middle = |key: &str| {
            let values = series.steps.iter().filter_map(|step| median(step.1, key));
            let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
            f64::midpoint(low, high)
        };
        let over = |figures: &Value, key: &str| match median(figures, key) {
            Some(value) => format!("{:+.0}%", (value / middle(key) - 1.0) * 100.0),
            None => "–".to_owned(),
        };
        for (readers, figures) in &series.steps {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                number(&Value::from(*readers), 0),
                three(figures, "publish_cpu_us"),
                three(figures, "broker_cpu_per_delivery_us"),
                three(figures, net),
                over(figures, net),
                three(figures, bare),
                over(figures, bare),
            )?;
        }
        text.push('\n');
    }
    Ok(())
}

fn three(figures: &Value, key: &str) -> String {
    ["min", "median", "max"]
        .map(|of| number(&figures[format!("{key}_{of}")], 2))
        .join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(readers: u64, net: f64) -> Run {
        Run {
            name: format!("r{readers}"),
            report: json!({
                "settings": {"readers": {"readers": readers}, "sender_threads": 1, "content": {"size": 20}},
                "figures": {"broker_net_cpu_per_delivery_us_median": net},
            }),
        }
    }

    #[test]
    fn a_series_says_how_flat_it_is() {
        let runs = [run(10_000, 5.0), run(100, 3.0), run(1_000, 4.0)];
        let all: Vec<&Run> = runs.iter().collect();
        let mut text = String::new();
        by_readers(&mut text, &all).expect("written");
        assert!(text.contains("1 shards, bodies of 20 B"), "{text}");
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.contains('%'))
            .map(|line| line.split(' ').nth(1).expect("readers"))
            .collect();
        assert_eq!(rows, ["100", "1,000", "10,000"]);
        assert!(text.contains("-25%") && text.contains("+0%") && text.contains("+25%"));
    }

    #[test]
    fn two_numbers_are_no_series() {
        let runs = [run(100, 3.0), run(1_000, 4.0), run(1_000, 4.5)];
        assert!(series(&runs.iter().collect::<Vec<_>>()).is_empty());
    }
}
