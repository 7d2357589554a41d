//! Lines over a scale: latency by the share of what was faster, cost by the number of readers.

use std::fmt::Write as _;

use super::{
    BOTTOM, RIGHT, SERIES_MAX, Scale, TOP, WIDTH, below, escape, file, mark, named, short,
};

const HEIGHT: f64 = 400.0;
const LEFT: f64 = 92.0;

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub label: String,
    /// Its points, from the left.
    pub points: Vec<(f64, f64)>,
}

/// The whole plot.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The same in words.
    pub words: &'a str,
    /// What is to the right, and what goes up.
    pub scales: (&'a str, &'a str),
    /// Numbers below: where they stand and how they are written. The scale is as long as they are apart.
    pub below: Vec<(f64, String)>,
    /// Whether each step to the right is ten times the one before.
    pub tens: bool,
    /// Whether each step up is.
    pub tens_up: bool,
    /// Whether each point has a mark; or only each line's last.
    pub dotted: bool,
    /// The lines; those beyond [`SERIES_MAX`] are left out.
    pub lines: Vec<Line>,
}

/// Draws it; nothing where there are no points.
pub fn draw(plot: &Lines<'_>) -> Option<String> {
    let lines = &plot.lines[..plot.lines.len().min(SERIES_MAX)];
    let ups = || {
        lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1))
    };
    let top = ups().fold(f64::MIN_POSITIVE, f64::max);
    let floor = if plot.tens_up {
        ups().fold(f64::MAX, f64::min).max(top / 1e6) * 0.9
    } else {
        0.0
    };
    ups().next()?;
    let bottom = HEIGHT - BOTTOM;
    let across = Scale {
        values: (plot.below.first()?.0, plot.below.last()?.0),
        pixels: (LEFT, WIDTH - RIGHT),
        logarithmic: plot.tens,
    };
    let up = Scale {
        values: (floor, top * 1.08),
        pixels: (bottom, TOP),
        logarithmic: plot.tens_up,
    };
    let mut body = grid(plot, &across, &up);
    for (number, line) in lines.iter().enumerate() {
        body.push_str(&polyline(plot, number, line, &across, &up));
    }
    let _ = write!(
        body,
        "<text class=\"soft\" transform=\"translate(20 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>{}",
        f64::midpoint(TOP, bottom),
        escape(plot.scales.1),
        named(plot.scales.0, LEFT, WIDTH - RIGHT, bottom)
    );
    let names: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
    Some(file(plot.title, plot.words, HEIGHT, &names, &body))
}

/// The lines behind, with their numbers.
fn grid(plot: &Lines<'_>, across: &Scale, up: &Scale) -> String {
    let mut body: String = plot
        .below
        .iter()
        .map(|(at, text)| below(across.at(*at), TOP, HEIGHT - BOTTOM, text))
        .collect();
    for tick in up.ticks() {
        let y = up.at(tick);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.5,
            short(tick)
        );
    }
    body
}

/// One line with its marks.
fn polyline(plot: &Lines<'_>, number: usize, line: &Line, across: &Scale, up: &Scale) -> String {
    let places: Vec<(f64, f64)> = line
        .points
        .iter()
        .map(|(right, height)| (across.at(*right), up.at(*height)))
        .collect();
    let points: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let mut drawn = format!(
        "<polyline class=\"s{number} line\" points=\"{}\"/>",
        points.join(" ")
    );
    let marked = if plot.dotted {
        0
    } else {
        places.len().saturating_sub(1)
    };
    for (x, y) in &places[marked..] {
        drawn.push_str(&mark(number, *x, *y));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(lines: Vec<Line>) -> Option<String> {
        draw(&Lines {
            title: "t",
            words: "w",
            scales: ("readers", "µs"),
            below: vec![(100.0, "100".to_owned()), (10_000.0, "10,000".to_owned())],
            tens: true,
            tens_up: false,
            dotted: true,
            lines,
        })
    }

    #[test]
    fn lines_go_from_corner_to_corner() {
        let line = |label: &str, points: &[(f64, f64)]| Line {
            label: label.to_owned(),
            points: points.to_vec(),
        };
        let drawn = plot(vec![
            line("a", &[(100.0, 0.0), (1_000.0, 5.0), (10_000.0, 10.0)]),
            line("b", &[(100.0, 1.0)]),
        ])
        .expect("points");
        let points = drawn
            .split("points=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        assert_eq!(points, Some("92.0,352.0 472.0,222.4 852.0,92.7"));
        assert!(drawn.contains(">a<") && drawn.contains(">b<") && drawn.contains(">readers<"));
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn more_lines_than_shapes_are_left_out_and_none_is_no_plot() {
        let many = (0..9)
            .map(|n| Line {
                label: format!("l{n}"),
                points: vec![(100.0, 1.0)],
            })
            .collect();
        assert_eq!(
            plot(many).expect("points").matches("<polyline").count(),
            SERIES_MAX
        );
        assert!(plot(Vec::new()).is_none());
    }
}
