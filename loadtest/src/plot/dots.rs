//! Rows of marks with whiskers on one scale: ratios, each from its smallest to its largest.

use std::fmt::Write as _;

use super::{BOTTOM, RIGHT, Scale, TOP, WIDTH, below, escape, file, mark, named, short};

/// Room of one row, and what is kept between the marks of its series.
const ROW: f64 = 22.0;
const MARK: f64 = 13.0;
/// Room for the names of the rows.
const LEFT: f64 = 300.0;

/// Letters of a row's name that fit in one line.
const LABEL_MAX: usize = 36;

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// For each series the smallest, middle and largest value; none where it has no value.
    pub spreads: Vec<Option<(f64, f64, f64)>>,
}

/// The whole plot.
#[derive(Debug, Clone)]
pub struct Dots<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The same in words, for those who can't see it.
    pub words: &'a str,
    /// What the numbers are.
    pub scale: &'a str,
    /// The series, each with a colour and a shape.
    pub series: Vec<String>,
    /// The rows, from above.
    pub rows: Vec<Row>,
}

/// Draws it on a logarithmic scale with a line at 1; nothing where there are no values.
pub fn draw(dots: &Dots<'_>) -> Option<String> {
    let values = || {
        let spreads = dots
            .rows
            .iter()
            .flat_map(|row| row.spreads.iter().flatten());
        spreads.flat_map(|(low, _, high)| [*low, *high])
    };
    let (low, high) = values().fold((1.0_f64, 1.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    values().next()?;
    #[expect(clippy::cast_precision_loss, reason = "few series")]
    let each = ROW + MARK * dots.series.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "few rows")]
    let bottom = TOP + each * dots.rows.len() as f64;
    let scale = Scale {
        values: (low * 0.93, high * 1.07),
        pixels: (LEFT, WIDTH - RIGHT),
        logarithmic: true,
    };
    let mut body: String = ticks(&scale)
        .into_iter()
        .map(|tick| below(scale.at(tick), TOP - 6.0, bottom, &short2(tick)))
        .collect();
    let one = scale.at(1.0);
    let _ = write!(
        body,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>",
        TOP - 6.0
    );
    let mut y = TOP + ROW / 2.0;
    for row in &dots.rows {
        body.push_str(&name(&row.label, y + (each - ROW) / 2.0 + 4.0));
        let mut at = y;
        for (number, spread) in row.spreads.iter().enumerate() {
            if let Some((low, middle, high)) = spread {
                let _ = write!(
                    body,
                    "<line class=\"s{number} line\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>{}",
                    scale.at(*low),
                    scale.at(*high),
                    mark(number, scale.at(*middle), at)
                );
            }
            at += MARK;
        }
        y += each;
    }
    body.push_str(&named(dots.scale, LEFT, WIDTH - RIGHT, bottom));
    Some(file(
        dots.title,
        dots.words,
        bottom + BOTTOM,
        &dots.series,
        &body,
    ))
}

/// Round numbers; where the scale is too short for many of them, finer ones.
fn ticks(scale: &Scale) -> Vec<f64> {
    let (low, high) = scale.values;
    if high / low > 10.0 {
        return scale.ticks();
    }
    if high / low > 2.5 {
        let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
        return (-3..=6)
            .flat_map(|power| steps.map(|of| of * 10_f64.powi(power)))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
    }
    let a_unit = if high / low > 1.5 { 5.0 } else { 20.0 };
    let first = (low * a_unit).ceil();
    (0..60)
        .map(|n| (first + f64::from(n)) / a_unit)
        .take_while(|tick| *tick <= high)
        .collect()
}

/// The name of a row, in two lines where it is too long for one.
fn name(label: &str, y: f64) -> String {
    let line = |text: &str, y: f64| {
        format!(
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 14.0,
            escape(text)
        )
    };
    let middle = label.len() / 2;
    let split = label
        .match_indices(' ')
        .map(|(at, _)| at)
        .min_by_key(|at| at.abs_diff(middle));
    match split {
        Some(at) if label.chars().count() > LABEL_MAX => {
            line(&label[..at], y - 8.0) + &line(&label[at + 1..], y + 9.0)
        }
        _ => line(label, y),
    }
}

/// With two digits, where they say something.
fn short2(value: f64) -> String {
    let text = format!("{value:.2}");
    if value >= 10.0 {
        return short(value);
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(rows: Vec<Row>) -> Option<String> {
        draw(&Dots {
            title: "t",
            words: "w",
            scale: "times",
            series: vec!["one".to_owned(), "two".to_owned()],
            rows,
        })
    }

    #[test]
    fn each_value_has_its_mark_and_whisker() {
        let row = |label: &str, spreads| Row {
            label: label.to_owned(),
            spreads,
        };
        let drawn = plot(vec![
            row("a", vec![Some((0.97, 1.0, 1.02)), Some((2.0, 3.0, 4.0))]),
            row("b", vec![None, Some((1.0, 1.1, 1.2))]),
        ])
        .expect("values");
        assert_eq!(drawn.matches(" line\"").count(), 3);
        // One circle and two squares, and one of each in the legend.
        assert_eq!(
            (
                drawn.matches("<circle").count(),
                drawn.matches("width=\"9\"").count()
            ),
            (2, 3)
        );
        for text in [">a<", ">b<", ">times<", ">1<", ">2<"] {
            assert!(drawn.contains(text), "{text}: {drawn}");
        }
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn a_short_scale_has_ticks_all_the_same() {
        let scale = |low, high| Scale {
            values: (low, high),
            pixels: (0.0, 1.0),
            logarithmic: true,
        };
        assert!(ticks(&scale(0.95, 1.15)).len() >= 4);
        assert!(ticks(&scale(0.9, 1.8)).len() >= 4);
        assert!(ticks(&scale(0.7, 3.9)).len() <= 12);
        assert_eq!(ticks(&scale(0.9, 20.0)), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(short2(1.05), "1.05");
        assert_eq!(short2(1.2), "1.2");
    }

    #[test]
    fn a_long_name_has_two_lines() {
        let long = name("deliveries a second, the most that was kept up with", 40.0);
        assert_eq!(long.matches("<text").count(), 2, "{long}");
        assert!(long.contains(">deliveries a second, the<"), "{long}");
        assert_eq!(name("short", 40.0).matches("<text").count(), 1);
    }

    #[test]
    fn without_values_there_is_no_plot() {
        assert!(plot(Vec::new()).is_none());
        let empty = Row {
            label: "a".to_owned(),
            spreads: vec![None, None],
        };
        assert!(plot(vec![empty]).is_none());
    }
}
