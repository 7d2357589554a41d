//! What a run found: the terminal summary, the JSON file and the HTML file are three views of one [`Report`].
//!
//! A command fills it with figures, distributions, series and failures; what these mean it knows, how they look it
//! does not.

mod comparison;
mod html;
mod json;
mod terminal;

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::latency::Latency;
use crate::machine::Machine;

pub use comparison::{Better, Comparison, Row, Spread, Subject};
pub use terminal::print;

/// Everything that a run found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The command, as it was typed.
    pub command: &'static str,
    /// How readers read; none where there are none, or only those of the bare loop.
    pub transport: Option<&'static str>,
    /// Its settings.
    pub settings: Value,
    /// Where it ran.
    pub machine: Machine,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Single numbers, in the order in which they are shown.
    pub figures: Vec<Figure>,
    /// Distributions of latencies.
    pub distributions: Vec<Distribution>,
    /// What happened over time.
    pub series: Vec<Series>,
    /// Servers beside one another, where several were measured.
    pub comparison: Option<Comparison>,
    /// What was wrong. A run with one of these ends with a non-zero exit code.
    pub failures: Vec<String>,
}

/// A number with a name.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Its name in the JSON file: words with `_`, the unit last.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// The number.
    pub value: f64,
    /// Its unit; empty for a plain count.
    pub unit: &'static str,
}

/// A distribution of latencies, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Distribution {
    /// Its name in the JSON file.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// How many were measured.
    pub count: u64,
    /// The mean.
    pub mean_us: f64,
    /// The median.
    pub p50_us: u64,
    /// 90 % are below.
    pub p90_us: u64,
    /// 99 % are below.
    pub p99_us: u64,
    /// 99.9 % are below.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// The curve: share in percent, latency.
    pub curve: Vec<(f64, u64)>,
}

/// A number over time.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Its name in the JSON file.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// Unit of the numbers.
    pub unit: &'static str,
    /// Seconds since the start, number.
    pub points: Vec<(f64, f64)>,
}

/// Where the curve of a distribution is read, in percent.
const CURVE: [f64; 25] = [
    0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0,
    98.0, 99.0, 99.5, 99.7, 99.9, 99.95, 99.99, 99.999, 100.0,
];

impl Report {
    /// A report without findings.
    pub fn new(command: &'static str, settings: &impl Serialize) -> Self {
        Self {
            command,
            transport: None,
            settings: serde_json::to_value(settings).unwrap_or_default(),
            machine: Machine::look(),
            started_at: jiff::Timestamp::now().to_string(),
            seconds: 0.0,
            figures: Vec::new(),
            distributions: Vec::new(),
            series: Vec::new(),
            comparison: None,
            failures: Vec::new(),
        }
    }

    /// The same report, of readers over `transport`.
    #[must_use]
    pub fn over(mut self, transport: &'static str) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What was run, for headings: the command, and how readers read.
    pub fn title(&self) -> String {
        match self.transport {
            Some(transport) => format!("loadtest {}, by {transport}", self.command),
            None => format!("loadtest {}", self.command),
        }
    }

    /// Adds a number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "figures are shown with a few digits"
    )]
    pub fn count(&mut self, key: impl Into<String>, label: impl Into<String>, value: u64) {
        self.figure(key, label, value as f64, "");
    }

    /// Adds a number with a unit.
    pub fn figure(
        &mut self,
        key: impl Into<String>,
        label: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.figures.push(Figure {
            key: key.into(),
            label: label.into(),
            value,
            unit,
        });
    }

    /// Adds the smallest, the middle and the largest of the rounds' values, unless there are none.
    pub fn spread(&mut self, key: &str, label: &str, values: Vec<f64>, unit: &'static str) {
        let Some(Spread { min, median, max }) = Spread::of(&values) else {
            return;
        };
        for (name, value) in [("min", min), ("median", median), ("max", max)] {
            self.figure(
                format!("{key}_{name}"),
                format!("{label}, {name}"),
                value,
                unit,
            );
        }
    }

    /// Adds a distribution, unless it is empty.
    pub fn distribution(
        &mut self,
        key: impl Into<String>,
        label: impl Into<String>,
        latency: &Latency,
    ) {
        if latency.count() == 0 {
            return;
        }
        self.distributions.push(Distribution {
            key: key.into(),
            label: label.into(),
            count: latency.count(),
            mean_us: latency.mean(),
            p50_us: latency.percentile(50.0),
            p90_us: latency.percentile(90.0),
            p99_us: latency.percentile(99.0),
            p999_us: latency.percentile(99.9),
            max_us: latency.max(),
            curve: CURVE
                .iter()
                .map(|share| (*share, latency.percentile(*share)))
                .collect(),
        });
    }

    /// Adds what happened over time, unless nothing did.
    pub fn over_time(
        &mut self,
        key: impl Into<String>,
        label: impl Into<String>,
        unit: &'static str,
        points: Vec<(f64, f64)>,
    ) {
        if points.is_empty() {
            return;
        }
        self.series.push(Series {
            key: key.into(),
            label: label.into(),
            unit,
            points,
        });
    }

    /// Adds something that was wrong.
    pub fn fail(&mut self, failure: impl Into<String>) {
        self.failures.push(failure.into());
    }

    /// Writes the JSON file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(&json::document(self))?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
    }

    /// Writes the HTML file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write_html(&self, path: &Path) -> Result<()> {
        std::fs::write(path, html::page(self))
            .with_context(|| format!("can't write {}", path.display()))
    }
}

/// A count as a number for rates.
#[expect(
    clippy::cast_precision_loss,
    reason = "rates are shown with a few digits"
)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A number as people read it: thousands apart, few digits behind the point.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || (size.fract() == 0.0) => 0,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    grouped(value, digits)
}

/// A number with so many digits behind the point, and its thousands apart.
pub fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match rest {
        Some(rest) => format!("{sign}{grouped}.{rest}"),
        None => format!("{sign}{grouped}"),
    }
}

/// Minimum / median / maximum as people read them; a dash where there is nothing.
pub fn three(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |spread| {
            [spread.min, spread.median, spread.max]
                .map(number)
                .join(" / ")
        },
    )
}

/// Microseconds as people read them.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(12.345), "12.35");
        assert_eq!(number(0.123_45), "0.1235");
        assert_eq!(number(-1_000.0), "-1,000");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn durations_have_their_unit() {
        assert_eq!(duration(999), "999 µs");
        assert_eq!(duration(1_500), "1.50 ms");
        assert_eq!(duration(2_000_000), "2.00 s");
    }

    #[test]
    fn the_spread_has_the_middle() {
        let mut report = Report::new("ratio", &serde_json::json!({}));
        report.spread("r", "r", vec![3.0, 1.0, 2.0], "×");
        report.spread("s", "s", vec![4.0, 1.0, 2.0, 3.0], "×");
        report.spread("t", "t", Vec::new(), "×");
        let values: Vec<f64> = report.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [1.0, 2.0, 3.0, 1.0, 2.5, 4.0]);
    }

    #[test]
    fn an_empty_distribution_is_left_out() {
        let mut report = Report::new("test", &serde_json::json!({}));
        report.distribution("x_us", "x", &Latency::new());
        assert!(report.distributions.is_empty());
    }
}
