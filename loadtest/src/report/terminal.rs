//! The summary on the terminal: plain text that also reads well in a log.

use std::io::{self, Write};

use super::{Comparison, Report, as_f64, duration, number, three};

/// Writes the summary to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(summary(report).as_bytes())?;
    out.flush()
}

fn summary(report: &Report) -> String {
    let mut lines = vec![
        format!("{}  ({:.1} s)", report.title(), report.seconds),
        format!("  {}", report.machine.one_line()),
        String::new(),
    ];
    let width = report
        .figures
        .iter()
        .map(|figure| figure.label.chars().count())
        .max()
        .unwrap_or(0);
    for figure in &report.figures {
        let line = format!(
            "  {:<width$}  {:>14} {}",
            figure.label,
            number(figure.value),
            figure.unit
        );
        lines.push(line.trim_end().to_owned());
    }
    if !report.distributions.is_empty() {
        let width = report
            .distributions
            .iter()
            .map(|one| one.label.chars().count())
            .max()
            .unwrap_or(0);
        lines.push(String::new());
        lines.push(format!(
            "  {:<width$}  {:>11} {:>11} {:>11} {:>11} {:>11} {:>12}",
            "", "p50", "p90", "p99", "p99.9", "max", "count"
        ));
        for one in &report.distributions {
            lines.push(format!(
                "  {:<width$}  {:>11} {:>11} {:>11} {:>11} {:>11} {:>12}",
                one.label,
                duration(one.p50_us),
                duration(one.p90_us),
                duration(one.p99_us),
                duration(one.p999_us),
                duration(one.max_us),
                number(as_f64(one.count)),
            ));
        }
    }
    if let Some(comparison) = &report.comparison {
        lines.push(String::new());
        lines.extend(beside(comparison));
    }
    lines.push(String::new());
    if report.failures.is_empty() {
        lines.push("  PASSED".to_owned());
    } else {
        lines.push("  FAILED".to_owned());
        lines.extend(
            report
                .failures
                .iter()
                .map(|failure| format!("  - {failure}")),
        );
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Servers beside one another: minimum / median / maximum of the rounds, and below each row where the first one stands.
fn beside(comparison: &Comparison) -> Vec<String> {
    const WIDTH: usize = 34;
    let mut lines = Vec::new();
    for subject in &comparison.subjects {
        lines.push(format!("  {}: {}", subject.name, subject.version));
        lines.push(format!("    {}", subject.settings));
        lines.push(format!("    keeps: {}", subject.keeps));
    }
    lines.extend(comparison.absent.iter().map(|absent| format!("  {absent}")));
    let names: String = comparison
        .subjects
        .iter()
        .map(|subject| format!("{:>WIDTH$}", subject.name))
        .collect();
    lines.extend([
        String::new(),
        "  minimum / median / maximum of the rounds".to_owned(),
        format!("  {names}"),
    ]);
    for row in &comparison.rows {
        lines.push(
            format!("  {} {}", row.label, row.unit)
                .trim_end()
                .to_owned(),
        );
        let cells: String = (0..comparison.subjects.len())
            .map(|subject| format!("{:>WIDTH$}", three(row.spread(subject))))
            .collect();
        lines.push(format!("  {cells}"));
        let verdict = comparison.verdict(row);
        if !verdict.is_empty() {
            lines.push(format!("    → {verdict}"));
        }
    }
    lines.push(String::new());
    lines.extend(comparison.notes.iter().map(|note| format!("  {note}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_last() {
        let mut report = Report::new("fanout", &serde_json::json!({}));
        report.count("gaps", "gaps", 1);
        assert!(summary(&report).contains("PASSED"));
        report.fail("1 gap");
        let text = summary(&report);
        assert!(text.ends_with("  FAILED\n  - 1 gap\n"), "{text}");
    }
}
