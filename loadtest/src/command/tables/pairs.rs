//! The tables of `pair`: one way beside another, figure by figure.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Run, number};

/// The figures of a pair, with their units and digits.
const FIGURES: [(&str, &str, usize); 5] = [
    ("cpu_per_delivery_us", "server CPU of a delivery, µs", 2),
    ("bytes_per_delivery", "bytes of a delivery", 0),
    ("rss_per_reader_bytes", "server memory of an idle reader, B", 0),
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
