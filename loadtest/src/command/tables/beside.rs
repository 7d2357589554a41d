//! The table of a `compare`: one row for each figure, one column for each server, and where Tenbells is not ahead.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::{Run, number};

/// Writes it.
///
/// # Errors
/// When there is no memory to write to.
pub fn table(text: &mut String, run: &Run) -> Result<()> {
    let (settings, beside) = (&run.report["settings"], &run.report["comparison"]);
    let empty = Vec::new();
    let all = |key: &str| beside[key].as_array().unwrap_or(&empty).clone();
    let subjects = all("subjects");
    writeln!(
        text,
        "### {}: Tenbells beside its peers\n\n\
         {} readers of one channel, {} changes a second from {} publishers for {} s, {} rounds that take turns at being \
         first; {} thread(s) of each server. Each: minimum / median / maximum of the rounds. The last column is where \
         Tenbells stands: ahead where its worst round is better than the other's best, level where they overlap.\n",
        run.name,
        number(&settings["readers"]["readers"], 0),
        number(&settings["rate"], 2),
        number(&settings["publishers"], 0),
        number(&settings["seconds"]["secs"], 0),
        number(&settings["rounds"], 0),
        number(&settings["server_threads"], 0),
    )?;
    let names: Vec<&str> = subjects
        .iter()
        .map(|subject| subject["name"].as_str().unwrap_or("?"))
        .collect();
    writeln!(text, "| | {} | Tenbells is |", names.join(" | "))?;
    writeln!(text, "|---|{}---|", "--:|".repeat(names.len()))?;
    for row in all("rows") {
        let cells: Vec<String> = subjects
            .iter()
            .map(|subject| cell(&row["cells"][subject["key"].as_str().unwrap_or("?")]))
            .collect();
        let unit = row["unit"].as_str().filter(|unit| !unit.is_empty());
        writeln!(
            text,
            "| {}{} | {} | {} |",
            row["label"].as_str().unwrap_or("?"),
            unit.map_or_else(String::new, |unit| format!(", {unit}")),
            cells.join(" | "),
            verdict(&row),
        )?;
    }
    text.push('\n');
    for subject in &subjects {
        let of = |key: &str| subject[key].as_str().unwrap_or("?").to_owned();
        writeln!(
            text,
            "- {}: {}. {}. A publisher's answer means: {}.",
            of("name"),
            of("version"),
            of("settings"),
            of("keeps")
        )?;
    }
    for note in all("absent").iter().chain(&all("notes")) {
        writeln!(text, "- {}", note.as_str().unwrap_or("?"))?;
    }
    text.push('\n');
    Ok(())
}

fn cell(spread: &Value) -> String {
    ["min", "median", "max"]
        .map(|key| {
            let value = &spread[key];
            let digits = match value.as_f64() {
                Some(value) if value.abs() >= 100.0 => 0,
                Some(value) if value.abs() < 1.0 => 3,
                _ => 2,
            };
            number(value, digits)
        })
        .join(" / ")
}

/// Where Tenbells is behind, in bold.
fn verdict(row: &Value) -> String {
    let verdict = row["verdict"].as_str().unwrap_or("");
    match verdict.split_once("; ") {
        _ if !verdict.starts_with("BEHIND") => verdict.to_owned(),
        Some((behind, rest)) => format!("**{behind}**; {rest}"),
        None => format!("**{verdict}**"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_behind_stands_in_bold_and_the_absent_are_named() {
        let subject = |key: &str, name: &str| json!({"key": key, "name": name, "version": "1", "settings": "s", "keeps": "k"});
        let spread = |value: f64| json!({"min": value, "median": value * 2.0, "max": 5_000.0});
        let run = Run {
            name: "x".to_owned(),
            report: json!({
                "settings": {"readers": {"readers": 5_000}, "rate": 4.0, "publishers": 4, "seconds": {"secs": 10},
                             "rounds": 3, "server_threads": 1},
                "comparison": {
                    "subjects": [subject("tenbells", "Tenbells"), subject("nchan", "nchan")],
                    "rows": [{"label": "CPU", "unit": "µs", "verdict": "BEHIND nchan; ahead of a",
                              "cells": {"tenbells": spread(1.5), "nchan": spread(0.25)}}],
                    "absent": ["Mercure was skipped"],
                    "notes": ["disk"],
                },
            }),
        };
        let mut text = String::new();
        table(&mut text, &run).expect("written");
        for line in [
            "| | Tenbells | nchan | Tenbells is |",
            "| CPU, µs | 1.50 / 3 / 5,000 | 0.250 / 0.500 / 5,000 | **BEHIND nchan**; ahead of a |",
            "- Mercure was skipped",
            "- disk",
            "5,000 readers of one channel",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_server_without_figures_has_dashes() {
        assert_eq!(cell(&Value::Null), "– / – / –");
        assert_eq!(verdict(&json!({"verdict": "BEHIND a"})), "**BEHIND a**");
        assert_eq!(verdict(&json!({"verdict": "ahead of all"})), "ahead of all");
    }
}
