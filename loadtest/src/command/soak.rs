//! `soak`: a fan-out for hours, and whether the server's memory grows meanwhile.

use anyhow::Result;

use super::fanout::{self, FanoutArgs};
use crate::report::Report;

/// Runs it: the arguments are those of `fanout`, with hours in `--seconds`.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &FanoutArgs) -> Result<Report> {
    let mut report = Report::new("soak", args).over(args.readers.transport.name());
    let part = fanout::measure(args, &mut report).await?;
    part.report(&mut report, "");
    // What is filled at the start (rings, pools) is not growth: only the later half counts.
    let later = &part.cost[part.cost.len() / 2..];
    let memory: Vec<(f64, f64)> = later.iter().map(|(at, _, memory)| (*at, *memory)).collect();
    if let Some(slope) = slope(&memory) {
        report.figure(
            "memory_growth_mib_per_hour",
            "server memory grows by, an hour",
            slope * 3_600.0,
            "MiB/h",
        );
    }
    Ok(report)
}

/// The slope of the line that fits best; none through less than two moments.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.iter().map(|_| 1.0).sum::<f64>();
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let width: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let rise: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    (width > 0.0).then(|| rise / width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 5.0), (9.0, 5.0)]), Some(0.0));
        assert_eq!(slope(&[(1.0, 5.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
