//! `tables`: reports of earlier runs as Markdown tables, written between two marks of a document. So a document of
//! figures is made anew by the machine that measured them, and nobody copies numbers. Plots go beside it.

mod beside;
mod pairs;
mod plots;
mod ratios;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::report;

const BEGIN: &str = "<!-- tables: begin -->";
const END: &str = "<!-- tables: end -->";

/// Which reports, and where the tables go.
#[derive(Debug, Clone, Args)]
pub struct TablesArgs {
    /// Folder with reports (`--json`), taken in the order of their names
    folder: PathBuf,
    /// Document whose part between `<!-- tables: begin -->` and `<!-- tables: end -->` is replaced; its plots go into
    /// the folder `plots` beside it
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

/// One report, with the name of its file.
struct Run {
    name: String,
    report: Value,
}

/// Writes the tables.
///
/// # Errors
/// When a report or the document can't be read, or the document has no place for tables.
pub fn run(args: &TablesArgs) -> Result<()> {
    let runs = read(&args.folder)?;
    let document = std::fs::read_to_string(&args.into)
        .with_context(|| format!("can't read {}", args.into.display()))?;
    let mut text = String::new();
    plots::write(&mut text, &runs, &args.into.with_file_name("plots"))?;
    tables(&mut text, &runs)?;
    let text = place(&document, &text)
        .with_context(|| format!("{} has no {BEGIN} … {END}", args.into.display()))?;
    std::fs::write(&args.into, text).with_context(|| format!("can't write {}", args.into.display()))
}

fn read(folder: &Path) -> Result<Vec<Run>> {
    let mut paths = std::fs::read_dir(folder)
        .with_context(|| format!("can't read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "json"));
    paths.sort();
    if paths.is_empty() {
        bail!("{} has no reports", folder.display());
    }
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path)?;
            let report = serde_json::from_str(&text)
                .with_context(|| format!("{} is not a report", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Ok(Run {
                name: name.into_owned(),
                report,
            })
        })
        .collect()
}

fn place(document: &str, tables: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

fn tables(text: &mut String, runs: &[Run]) -> Result<()> {
    let (compared, runs_of_ours): (Vec<_>, Vec<_>) = runs
        .iter()
        .partition(|run| run.report["command"] == "compare");
    for run in compared {
        beside::table(text, run)?;
    }
    let (ratios, others): (Vec<_>, Vec<_>) = runs_of_ours
        .into_iter()
        .partition(|run| run.report["command"] == "ratio");
    if !ratios.is_empty() {
        ratios::table(text, &ratios)?;
        ratios::by_readers(text, &ratios)?;
    }
    for run in others {
        if run.report["command"] == "pair" {
            pairs::table(text, run)?;
        } else {
            run_tables(text, run)?;
        }
    }
    machines(text, runs)
}

fn run_tables(text: &mut String, run: &Run) -> Result<()> {
    let report = &run.report;
    let command = report["command"].as_str().unwrap_or("?");
    let outcome = if report["passed"] == true {
        "passed"
    } else {
        "FAILED"
    };
    let by = report["transport"]
        .as_str()
        .map_or_else(String::new, |transport| format!(" by {transport}"));
    writeln!(text, "### {}: `{command}`{by}, {outcome}\n", run.name)?;
    if let Some(figures) = report["figures"].as_object().filter(|all| !all.is_empty()) {
        text.push_str("| figure | |\n|---|--:|\n");
        for (key, value) in figures {
            writeln!(text, "| {} | {} |", key.replace('_', " "), number(value, 2))?;
        }
        text.push('\n');
    }
    let Some(all) = report["distributions"]
        .as_object()
        .filter(|all| !all.is_empty())
    else {
        return Ok(());
    };
    text.push_str(
        "| ms | p50 | p90 | p99 | p99.9 | max | count |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for one in all.values() {
        let ms = |key: &str| {
            let us = one[key].as_f64();
            us.map_or_else(|| "–".to_owned(), |us| format!("{:.2}", us / 1_000.0))
        };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            one["label"].as_str().unwrap_or("?"),
            ms("p50_us"),
            ms("p90_us"),
            ms("p99_us"),
            ms("p999_us"),
            ms("max_us"),
            number(&one["count"], 0),
        )?;
    }
    text.push('\n');
    Ok(())
}

/// The machines the runs were made on: one line where it was one.
fn machines(text: &mut String, runs: &[Run]) -> Result<()> {
    let mut lines: Vec<String> = runs
        .iter()
        .map(|run| {
            let machine = &run.report["machine"];
            let gib = machine["memory_bytes"].as_f64().unwrap_or(0.0) / f64::from(1 << 30);
            format!(
                "{}, {} cores, {gib:.0} GiB, Linux {}, harness {}",
                machine["processor"].as_str().unwrap_or("?"),
                machine["cores"],
                machine["kernel"].as_str().unwrap_or("?"),
                machine["harness"].as_str().unwrap_or("?"),
            )
        })
        .collect();
    lines.sort();
    lines.dedup();
    for line in lines {
        writeln!(text, "Machine: {line}.")?;
    }
    Ok(())
}

/// A number with commas between its thousands.
fn number(value: &Value, digits: usize) -> String {
    let Some(value) = value.as_f64() else {
        return value.as_str().unwrap_or("–").to_owned();
    };
    let digits = if value.fract() == 0.0 { 0 } else { digits };
    report::grouped(value, digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (json!(0), "0"),
            (json!(999.0), "999"),
            (json!(1_234_567.891), "1,234,567.89"),
            (json!(-1_000), "-1,000"),
            (json!(null), "–"),
        ] {
            assert_eq!(number(&value, 2), text);
        }
    }

    #[test]
    fn tables_take_the_place_between_the_marks_and_only_that() {
        let folder = tempfile::tempdir().expect("folder");
        let ratio = json!({
            "command": "ratio", "passed": true, "machine": {"cores": 2},
            "settings": {"readers": {"readers": 10_000}, "sender_threads": 1, "rounds": 3},
            "figures": {"ratio_min": 1.01, "ratio_median": 1.02, "ratio_max": 1.031},
        });
        let burst = json!({
            "command": "burst", "transport": "event stream", "passed": false, "machine": {"cores": 2}, "settings": {},
            "figures": {"deliveries": 5_000},
            "distributions": {"a": {"label": "publish to delivery", "p50_us": 1_500, "count": 7}},
        });
        std::fs::write(folder.path().join("b.json"), burst.to_string()).expect("written");
        std::fs::write(folder.path().join("a.json"), ratio.to_string()).expect("written");
        let document = folder.path().join("x.md");
        std::fs::write(&document, format!("head\n{BEGIN}\nold\n{END}\ntail\n")).expect("written");
        let args = TablesArgs {
            folder: folder.path().to_owned(),
            into: document.clone(),
        };
        run(&args).expect("written");
        run(&args).expect("and again");
        let text = std::fs::read_to_string(&document).expect("read");
        assert!(
            text.starts_with("head\n") && text.ends_with("\ntail\n"),
            "{text}"
        );
        assert!(!text.contains("old"), "{text}");
        assert!(
            text.contains(
                "| a | 10,000 | 1 | – / – / – | – / – / – | – / – / – | 1.01 / 1.02 / 1.03 | – / – / – | – / – / – |"
            ),
            "{text}"
        );
        assert!(
            text.contains("### b: `burst` by event stream, FAILED"),
            "{text}"
        );
        assert!(text.contains("| publish to delivery | 1.50 |"), "{text}");
        assert_eq!(text.matches("Machine: ").count(), 1, "{text}");
        std::fs::write(&document, "no marks").expect("written");
        assert!(run(&args).is_err());
    }
}
