//! The plots of the document: each is a file beside it, and a line of Markdown that shows it. What is in a plot stands
//! in a table as well.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Run, ratios};
use crate::plot::dots::{self, Dots};
use crate::plot::lines::{self, Line, Lines};
use crate::plot::{SERIES_MAX, short};

/// Shares of deliveries under the latency plot, in percent: each nine has as much room as the one before.
const SHARES: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];

/// A plot.
struct Plot {
    file: String,
    words: String,
    svg: String,
}

/// Draws what `runs` have into `folder`, and shows it in `text`, whose document is beside the folder.
///
/// # Errors
/// When a file can't be written.
pub fn write(text: &mut String, runs: &[Run], folder: &Path) -> Result<()> {
    let plots: Vec<Plot> = [ratio(runs), latency(runs)]
        .into_iter()
        .flatten()
        .chain(by_readers(runs))
        .chain(beside(runs))
        .collect();
    if plots.is_empty() {
        return Ok(());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    text.push_str("### In pictures\n\n");
    for plot in plots {
        let path = folder.join(&plot.file);
        std::fs::write(&path, plot.svg)
            .with_context(|| format!("can't write {}", path.display()))?;
        writeln!(text, "![{}]({name}/{})\n", plot.words, plot.file)?;
    }
    Ok(())
}

fn of<'a>(runs: &'a [Run], command: &'a str) -> Vec<&'a Run> {
    runs.iter()
        .filter(|run| run.report["command"] == command)
        .collect()
}

/// Smallest, middle and largest of a figure.
fn spread(figures: &Value, key: &str) -> Option<(f64, f64, f64)> {
    let get = |at: &str| figures[format!("{key}_{at}")].as_f64();
    Some((get("min")?, get("median")?, get("max")?))
}

fn ratio(runs: &[Run]) -> Option<Plot> {
    let rows = of(runs, "ratio")
        .into_iter()
        .map(|run| {
            let (figures, settings) = (&run.report["figures"], &run.report["settings"]);
            let readers = settings["readers"]["readers"].as_f64().unwrap_or(0.0);
            let shards = settings["sender_threads"].as_u64().unwrap_or(0);
            let size = settings["content"]["size"].as_u64();
            let size = size.map_or_else(String::new, |size| format!(", {size} B"));
            let elsewhere = if settings["receive_core"].is_null() {
                ""
            } else {
                ", received elsewhere"
            };
            dots::Row {
                label: format!(
                    "{}, {shards} shard{}{size}{elsewhere}",
                    short(readers),
                    if shards == 1 { "" } else { "s" }
                ),
                spreads: ["ratio", "ratio_net", "last_reader_ratio"]
                    .map(|key| spread(figures, key))
                    .to_vec(),
            }
        })
        .collect();
    let words = "For each number of readers, shards and size of a body: the broker over a bare send loop on as many \
                 sockets, from the smallest to the largest round, with a mark at the median. 1 is the bare loop.";
    let svg = dots::draw(&Dots {
        title: "A delivery over the bare send loop",
        words,
        scale: "times the bare loop (rounds of one run: smallest, median, largest)",
        series: [
            "CPU of a delivery",
            "CPU without the publish itself",
            "time to the last reader",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    })?;
    Some(Plot {
        file: "ratio.svg".to_owned(),
        words: words.to_owned(),
        svg,
    })
}

fn latency(runs: &[Run]) -> Option<Plot> {
    let nines = |share: f64| -(1.0 - share / 100.0).log10();
    let end = SHARES[SHARES.len() - 1];
    let lines: Vec<Line> = of(runs, "fanout")
        .into_iter()
        .filter_map(|run| {
            let curve = run.report["distributions"]["delivery_us"]["curve"].as_array()?;
            let points: Vec<(f64, f64)> = curve
                .iter()
                .filter_map(|point| Some((point[0].as_f64()?, point[1].as_f64()?)))
                .filter(|(share, _)| *share <= end)
                .map(|(share, micros)| (nines(share), (micros / 1e3).max(0.01)))
                .collect();
            (!points.is_empty()).then(|| Line {
                label: run.name.trim_start_matches("fanout-").to_owned(),
                points,
            })
        })
        .take(SERIES_MAX)
        .collect();
    let words = "Time from the moment at which an entry was due to its delivery, by the share of deliveries that were \
                 faster, for each fan-out.";
    let svg = lines::draw(&Lines {
        title: "From publish to delivery",
        words,
        scales: ("share of deliveries that were faster", "ms"),
        below: SHARES
            .iter()
            .map(|share| (nines(*share), format!("{share} %")))
            .collect(),
        tens: false,
        tens_up: true,
        dotted: false,
        lines,
    })?;
    Some(Plot {
        file: "latency.svg".to_owned(),
        words: words.to_owned(),
        svg,
    })
}

fn by_readers(runs: &[Run]) -> Vec<Plot> {
    let ratio = of(runs, "ratio");
    ratios::series(&ratio)
        .into_iter()
        .enumerate()
        .filter_map(|(number, series)| {
            let line = |label: &str, key: &str| Line {
                label: label.to_owned(),
                points: series
                    .steps
                    .iter()
                    .filter_map(|(readers, figures)| {
                        #[expect(clippy::cast_precision_loss, reason = "readers are few")]
                        let readers = *readers as f64;
                        Some((readers, spread(figures, key)?.1))
                    })
                    .collect(),
            };
            let words = format!(
                "CPU of a delivery by the number of readers, of the broker without the publish itself, and of the bare \
                 send loop; {}.",
                series.of
            );
            let svg = lines::draw(&Lines {
                title: "CPU of a delivery by the number of readers",
                words: &words,
                scales: ("readers of the topic", "µs"),
                below: series
                    .steps
                    .iter()
                    .map(|(readers, _)| {
                        #[expect(clippy::cast_precision_loss, reason = "readers are few")]
                        let readers = *readers as f64;
                        (readers, short(readers))
                    })
                    .collect(),
                tens: true,
                tens_up: false,
                dotted: true,
                lines: vec![
                    line("broker, without the publish itself", "broker_net_cpu_per_delivery_us"),
                    line("bare send loop", "bare_cpu_per_delivery_us"),
                ],
            })?;
            Some(Plot {
                file: format!("by-readers-{}.svg", number + 1),
                words,
                svg,
            })
        })
        .collect()
}

fn beside(runs: &[Run]) -> Vec<Plot> {
    of(runs, "compare")
        .into_iter()
        .filter_map(|run| {
            let comparison = &run.report["comparison"];
            let subjects = comparison["subjects"].as_array()?;
            let (ours, others) = subjects.split_first()?;
            let key = |subject: &Value| subject["key"].as_str().unwrap_or("?").to_owned();
            let rows = comparison["rows"]
                .as_array()?
                .iter()
                .filter(|row| row["better"] != "neither")
                .map(|row| dots::Row {
                    label: row["label"].as_str().unwrap_or("?").to_owned(),
                    spreads: others
                        .iter()
                        .map(|other| times(row, &key(ours), &key(other)))
                        .collect(),
                })
                .collect();
            let words = "For each figure of the comparison: how many times as good Tenbells is as each peer, by the \
                         medians, and from its worst round over the other's best to its best over the other's worst. To \
                         the right of 1 Tenbells is ahead.";
            let svg = dots::draw(&Dots {
                title: "Tenbells beside its peers",
                words,
                scale: "times as good as the peer: to the right of 1 Tenbells is ahead",
                series: others
                    .iter()
                    .map(|other| format!("than {}", other["name"].as_str().unwrap_or("?")))
                    .collect(),
                rows,
            })?;
            Some(Plot {
                file: format!("{}.svg", run.name),
                words: words.to_owned(),
                svg,
            })
        })
        .collect()
}

/// How many times as good ours is as the other: at worst, by the medians, at best.
fn times(row: &Value, ours: &str, other: &str) -> Option<(f64, f64, f64)> {
    let of = |who: &str, at: &str| row["cells"][who][at].as_f64().filter(|value| *value > 0.0);
    let (median, other_median) = (of(ours, "median")?, of(other, "median")?);
    let (low, high) = (of(ours, "min")?, of(ours, "max")?);
    let (other_low, other_high) = (of(other, "min")?, of(other, "max")?);
    Some(if row["better"] == "more" {
        (low / other_high, median / other_median, high / other_low)
    } else {
        (other_low / high, other_median / median, other_high / low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(name: &str, report: Value) -> Run {
        Run {
            name: name.to_owned(),
            report,
        }
    }

    #[test]
    fn what_was_measured_is_drawn_and_shown() {
        let spread = |value: f64| json!({"min": value, "median": value * 2.0, "max": value * 4.0});
        let ratio = |readers: u64| {
            run(
                "ratio",
                json!({
                    "command": "ratio", "settings": {"readers": {"readers": readers}, "sender_threads": 1},
                    "figures": {"ratio_min": 1.0, "ratio_median": 1.1, "ratio_max": 1.2,
                        "bare_cpu_per_delivery_us_min": 1.0, "bare_cpu_per_delivery_us_median": 1.0,
                        "bare_cpu_per_delivery_us_max": 1.0},
                }),
            )
        };
        let runs = [
            ratio(100),
            ratio(1_000),
            ratio(10_000),
            run(
                "fanout-1",
                json!({"command": "fanout",
                       "distributions": {"delivery_us": {"curve": [[0.0, 100], [50.0, 200], [100.0, 900]]}}}),
            ),
            run(
                "compare",
                json!({"command": "compare", "comparison": {
                    "subjects": [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}],
                    "rows": [{"label": "CPU", "better": "less", "cells": {"a": spread(1.0), "b": spread(3.0)}}],
                }}),
            ),
        ];
        let folder = tempfile::tempdir().expect("folder");
        let plots = folder.path().join("plots");
        let mut text = String::new();
        write(&mut text, &runs, &plots).expect("written");
        for file in [
            "ratio.svg",
            "latency.svg",
            "by-readers-1.svg",
            "compare.svg",
        ] {
            assert!(text.contains(&format!("](plots/{file})")), "{file}: {text}");
            let svg = std::fs::read_to_string(plots.join(file)).expect("drawn");
            assert!(
                svg.starts_with("<svg xmlns=") && !svg.contains("NaN"),
                "{svg}"
            );
        }
        // The delivery of the slowest is in no share that is shown.
        let svg = std::fs::read_to_string(plots.join("latency.svg")).expect("drawn");
        let points = svg
            .split("points=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        assert_eq!(points.map(|points| points.split(' ').count()), Some(2));
    }

    #[test]
    fn better_is_to_the_right_whichever_way_it_counts() {
        let row = |better: &str| {
            json!({"better": better, "cells": {"a": {"min": 1.0, "median": 2.0, "max": 4.0},
                                               "b": {"min": 8.0, "median": 8.0, "max": 16.0}}})
        };
        assert_eq!(times(&row("less"), "a", "b"), Some((2.0, 4.0, 16.0)));
        assert_eq!(times(&row("more"), "a", "b"), Some((0.0625, 0.25, 0.5)));
        assert_eq!(times(&row("less"), "a", "c"), None);
    }

    #[test]
    fn without_reports_nothing_is_shown() {
        let folder = tempfile::tempdir().expect("folder");
        let mut text = String::new();
        write(&mut text, &[], &folder.path().join("plots")).expect("nothing to do");
        assert!(text.is_empty() && !folder.path().join("plots").exists());
    }
}
