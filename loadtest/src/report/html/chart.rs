//! Charts as SVG, drawn with nothing but lines and text.

use super::escape;
use crate::report::{Distribution, Series, duration, number};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 15.0;
const TOP: f64 = 15.0;
const BOTTOM: f64 = 30.0;

/// Latency over the share of what was faster; the tail is drawn as wide as the rest (each nine has equal room).
pub fn distribution(one: &Distribution) -> String {
    let floor = latency(one.curve.first().map_or(1, |(_, value)| *value))
        .max(1.0)
        .log10();
    let ceiling = latency(one.max_us).max(10.0).log10().max(floor + 0.3);
    let nines = |share: f64| -(1.0 - share.min(99.9995) / 100.0).log10();
    let points: Vec<(f64, f64)> = one
        .curve
        .iter()
        .map(|(share, value)| {
            let height = (latency(*value).max(1.0).log10() - floor) / (ceiling - floor);
            (nines(*share) / nines(100.0), height)
        })
        .collect();
    let mut marks = String::new();
    for share in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999] {
        marks.push_str(&below(nines(share) / nines(100.0), &format!("{share} %")));
    }
    for step in 0..=3 {
        let at = f64::from(step) / 3.0;
        let micros = 10_f64.powf(floor + (ceiling - floor) * at).round();
        marks.push_str(&beside(at, &duration(whole(micros))));
    }
    let title = format!(
        "{}: median {}, 99 percent within {}, at most {}",
        one.label,
        duration(one.p50_us),
        duration(one.p99_us),
        duration(one.max_us)
    );
    svg(&title, &points, &marks)
}

/// A number over time.
pub fn series(one: &Series) -> String {
    let last = one.points.iter().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = one
        .points
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let points: Vec<(f64, f64)> = one
        .points
        .iter()
        .map(|(at, value)| (at / last, value / top))
        .collect();
    let mut marks = String::new();
    for step in 0..=4 {
        let at = f64::from(step) / 4.0;
        marks.push_str(&below(at, &format!("{} s", number(last * at))));
        marks.push_str(&beside(at, &number(top * at)));
    }
    let title = format!(
        "{} over {} s, at most {} {}",
        one.label,
        number(last),
        number(top),
        one.unit
    );
    svg(&title, &points, &marks)
}

fn svg(title: &str, points: &[(f64, f64)], marks: &str) -> String {
    let line: Vec<String> = points
        .iter()
        .map(|(right, up)| format!("{:.1},{:.1}", x(*right), y(*up)))
        .collect();
    format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{marks}\
         <polyline points=\"{}\" fill=\"none\" stroke=\"var(--c0)\" stroke-width=\"2\"/></svg>\
         <figcaption>{title}</figcaption></figure>",
        line.join(" "),
        title = escape(title),
    )
}

fn below(right: f64, text: &str) -> String {
    let (at, bottom) = (x(right), HEIGHT - BOTTOM);
    format!(
        "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
         <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
        bottom + 18.0
    )
}

fn beside(up: f64, text: &str) -> String {
    let (at, right) = (y(up), WIDTH - RIGHT);
    format!(
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
        LEFT - 6.0,
        at + 4.0
    )
}

fn x(right: f64) -> f64 {
    LEFT + right.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y(up: f64) -> f64 {
    HEIGHT - BOTTOM - up.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

#[expect(clippy::cast_precision_loss, reason = "a pixel is wider")]
fn latency(micros: u64) -> f64 {
    micros as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and at most an hour in microseconds"
)]
fn whole(micros: f64) -> u64 {
    micros as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_inside_the_chart() {
        let one = Series {
            key: "k".to_owned(),
            label: "l".to_owned(),
            unit: "",
            points: vec![(0.0, 0.0), (5.0, 10.0)],
        };
        let drawn = series(&one);
        let points = drawn
            .split("points=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        assert_eq!(points, Some("70.0,210.0 785.0,15.0"));
    }

    #[test]
    fn a_single_zero_can_be_drawn() {
        let one = Series {
            key: "k".to_owned(),
            label: "a<b".to_owned(),
            unit: "",
            points: vec![(0.0, 0.0)],
        };
        let drawn = series(&one);
        assert!(drawn.contains("a&lt;b") && !drawn.contains("NaN"));
    }
}
