//! The JSON file of a report: stable keys with their unit at the end, for scripts and for comparing runs.

use serde_json::{Map, Value, json};

use super::{Comparison, Report};

/// Number of the file's form; it rises when a key changes its meaning.
const FORMAT: u32 = 1;

/// The whole file.
pub fn document(report: &Report) -> Value {
    let figures: Map<String, Value> = report
        .figures
        .iter()
        .map(|figure| (figure.key.clone(), json!(figure.value)))
        .collect();
    let distributions: Map<String, Value> = report
        .distributions
        .iter()
        .map(|one| (one.key.clone(), json!(one)))
        .collect();
    let series: Map<String, Value> = report
        .series
        .iter()
        .map(|one| {
            (
                one.key.clone(),
                json!({"unit": one.unit, "points": one.points}),
            )
        })
        .collect();
    let comparison = report.comparison.as_ref().map(Comparison::document);
    json!({
        "format": FORMAT,
        "command": report.command,
        "transport": report.transport,
        "passed": report.failures.is_empty(),
        "failures": report.failures,
        "started_at": report.started_at,
        "seconds": report.seconds,
        "machine": report.machine,
        "settings": report.settings,
        "figures": figures,
        "distributions": distributions,
        "series": series,
        "comparison": comparison,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    #[test]
    fn the_file_has_what_was_found() {
        let mut report = Report::new("fanout", &json!({"readers": 3})).over("event stream");
        let mut latency = Latency::new();
        latency.record_micros(250);
        report.figure("deliveries_per_second", "deliveries", 12.5, "1/s");
        report.distribution("delivery_us", "publish to delivery", &latency);
        report.over_time("deliveries", "deliveries", "1/s", vec![(0.0, 1.0)]);
        report.fail("a gap");
        let value = document(&report);
        assert_eq!(value["passed"], false);
        assert_eq!(value["transport"], "event stream");
        assert_eq!(value["settings"]["readers"], 3);
        assert_eq!(value["figures"]["deliveries_per_second"], 12.5);
        assert_eq!(value["distributions"]["delivery_us"]["p99_us"], 250);
        assert_eq!(value["series"]["deliveries"]["points"][0][1], 1.0);
        assert_eq!(value["failures"][0], "a gap");
        assert!(value["machine"]["kernel"].is_string());
    }
}
