//! The tables of `pair`: one way beside another, figure by figure.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Run, number};

/// The figures of a pair, with their units and digits.
const FIGURES: [(&str, &str, usize); 5] = [
    ("cpu_per_delivery_us", "server CPU of a delivery, µs", 2),
    ("bytes_per_delivery", "bytes of a delivery", 0),
    (
        "rss_per_reader_bytes",
        "server memory of an idle reader, B",
        0,
    ),
    ("connects_per_second", "connects a second", 0),
    ("last_reader_ms", "due to last reader, median, ms", 1),
];

/// One run.
///
/// # Errors
/// Never, as a string takes all that is written.
pub fn table(text: &mut String, run: &Run) -> Result<()> {
    let (report, settings) = (&run.report, &run.report["settings"]);
    let name = |key: &str| settings[key].as_str().unwrap_or("?");
    let (first, second) = (name("first"), name("second"));
    let outcome = if report["passed"] == true {
        "passed"
    } else {
        "FAILED"
    };
    writeln!(
        text,
        "### {}: `{second}` beside `{first}`, {outcome}\n\n\
         {} readers, {} shards, {} rounds of each in turns; minimum / median / maximum.\n\n\
         | figure | {first} | {second} | {second} over {first} |\n|---|--:|--:|--:|",
        run.name,
        number(&settings["readers"]["readers"], 0),
        number(&settings["shards"], 0),
        number(&settings["rounds"], 0),
    )?;
    for (key, label, digits) in FIGURES {
        let three = |of: &str, digits: usize| {
            ["min", "median", "max"]
                .map(|at| number(&report["figures"][format!("{of}_{key}_{at}")], digits))
                .join(" / ")
        };
        writeln!(
            text,
            "| {label} | {} | {} | {} |",
            three(first, digits),
            three(second, digits),
            three("ratio", 2),
        )?;
    }
    text.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_ways_and_their_ratio_stand_in_a_row() {
        let run = Run {
            name: "pair-tls".to_owned(),
            report: json!({
                "passed": true,
                "settings": {"first": "plain", "second": "tls", "readers": {"readers": 5_000}, "shards": 2, "rounds": 3},
                "figures": {
                    "plain_cpu_per_delivery_us_min": 2.0, "plain_cpu_per_delivery_us_median": 2.5,
                    "plain_cpu_per_delivery_us_max": 3.0, "tls_cpu_per_delivery_us_median": 5.25,
                    "ratio_cpu_per_delivery_us_median": 2.1,
                },
            }),
        };
        let mut text = String::new();
        table(&mut text, &run).expect("written");
        for line in [
            "### pair-tls: `tls` beside `plain`, passed",
            "5,000 readers, 2 shards, 3 rounds",
            "| figure | plain | tls | tls over plain |",
            "| server CPU of a delivery, µs | 2 / 2.50 / 3 | – / 5.25 / – | – / 2.10 / – |",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
