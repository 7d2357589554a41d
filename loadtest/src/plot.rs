//! Plots as SVG files of their own, for documents: light and dark by the reader's choice, shapes besides colours, and a
//! description in words. A plot knows nothing of reports; `command/tables/plots.rs` has what is drawn.

pub mod dots;
pub mod lines;

use std::fmt::Write as _;

/// Width of every plot, in pixels of its own; it is scaled to the page.
const WIDTH: f64 = 880.0;
/// Room for the title and the legend.
const TOP: f64 = 72.0;
/// Room for the numbers of the scale and its name.
const BOTTOM: f64 = 48.0;
/// Room on the right, for half of the last number.
const RIGHT: f64 = 28.0;
/// Most series in one plot: each has a colour and a shape.
pub const SERIES_MAX: usize = 5;

const STYLE: &str = "\
text{font:14px system-ui,sans-serif;fill:#1b1f24}.soft{fill:#57606a;font-size:13px}.title{font-size:17px;font-weight:600}\
.grid{stroke:#d0d7de}.one{stroke:#57606a;stroke-dasharray:4 4}.paper{fill:#fff}\
.s0{--c:#0550ae}.s1{--c:#953800}.s2{--c:#116329}.s3{--c:#8250df}.s4{--c:#57606a}\
.mark{fill:var(--c);stroke:var(--c)}.line{fill:none;stroke:var(--c);stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9da7b3}.grid{stroke:#3d444d}.one{stroke:#9da7b3}\
.paper{fill:#0d1117}.s0{--c:#79c0ff}.s1{--c:#ffa657}.s2{--c:#7ee787}.s3{--c:#d2a8ff}.s4{--c:#9da7b3}}";

/// A stretch of numbers laid onto a stretch of pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    values: (f64, f64),
    pixels: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let on = |value: f64| {
            if self.logarithmic {
                value.max(f64::MIN_POSITIVE).log10()
            } else {
                value
            }
        };
        let (low, high) = (on(self.values.0), on(self.values.1));
        let share = ((on(value) - low) / (high - low)).clamp(0.0, 1.0);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Round numbers within the scale: 1, 2 and 5 of each power of ten, or steps of one of those.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.values;
        if !self.logarithmic {
            let rough = (high - low) / 5.0;
            let power = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0]
                .map(|of| of * power)
                .into_iter()
                .find(|step| *step >= rough)
                .unwrap_or(power * 10.0);
            let first = (low / step).ceil();
            return (0..=20)
                .map(|n| (first + f64::from(n)) * step)
                .take_while(|tick| *tick <= high * 1.000_001)
                .collect();
        }
        (-9..=12)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|of| of * 10_f64.powi(power)))
            .filter(|tick| *tick >= low * 0.999_999 && *tick <= high * 1.000_001)
            .collect()
    }
}

/// The whole file around `body`. Series are named in a legend where there are several.
fn file(title: &str, words: &str, height: f64, series: &[String], body: &str) -> String {
    let mut legend = String::new();
    if series.len() > 1 {
        let mut x = 16.0;
        for (number, name) in series.iter().enumerate() {
            legend.push_str(&mark(number, x + 6.0, 49.0));
            let _ = write!(
                legend,
                "<text class=\"soft\" x=\"{:.1}\" y=\"54\">{}</text>",
                x + 18.0,
                escape(name)
            );
            x += 38.0 + 7.2 * width(name);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"t d\"><title id=\"t\">{title}</title><desc id=\"d\">{words}</desc><style>{STYLE}</style>\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\
         <text class=\"title\" x=\"16\" y=\"28\">{title}</text>{legend}{body}</svg>\n",
        title = escape(title),
        words = escape(words),
    )
}

/// The mark of series number `series` at a point: circle, square, diamond, triangle, cross.
fn mark(series: usize, x: f64, y: f64) -> String {
    let path = match series % SERIES_MAX {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"),
        1 => format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\"/>",
            x - 4.5,
            y - 4.5
        ),
        2 => format!("<path d=\"M{x:.1} {:.1}l6 6l-6 6l-6-6z\"/>", y - 6.0),
        3 => format!("<path d=\"M{x:.1} {:.1}l6 11h-12z\"/>", y - 6.0),
        _ => format!(
            "<path stroke-width=\"3\" d=\"M{:.1} {:.1}l9 9m0-9l-9 9\"/>",
            x - 4.5,
            y - 4.5
        ),
    };
    format!("<g class=\"s{} mark\">{path}</g>", series % SERIES_MAX)
}

/// A line of the grid with its number under it.
fn below(x: f64, top: f64, bottom: f64, text: &str) -> String {
    format!(
        "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\
         <text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        bottom + 18.0,
        escape(text)
    )
}

/// The name of a scale, under its numbers.
fn named(name: &str, from: f64, to: f64, bottom: f64) -> String {
    format!(
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(from, to),
        bottom + 38.0,
        escape(name)
    )
}

/// A number as short as it can be said.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 10.0 || size == 0.0 => 0,
        size if size >= 1.0 => 1,
        _ => 3,
    };
    let text = crate::report::grouped(value, digits);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "names are short")]
fn width(text: &str) -> f64 {
    text.chars().count() as f64
}

/// Text that can stand in SVG and HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(low: f64, high: f64, logarithmic: bool) -> Scale {
        Scale {
            values: (low, high),
            pixels: (100.0, 200.0),
            logarithmic,
        }
    }

    #[test]
    fn a_scale_lays_numbers_onto_pixels_and_keeps_them_inside() {
        for (value, linear, logarithmic) in [
            (1.0, 100.0, 100.0),
            (10.0, 109.1, 150.0),
            (100.0, 200.0, 200.0),
            (1e9, 200.0, 200.0),
            (0.0, 100.0, 100.0),
        ] {
            let near = |a: f64, b: f64| (a - b).abs() < 0.1;
            assert!(near(scale(1.0, 100.0, false).at(value), linear), "{value}");
            assert!(
                near(scale(1.0, 100.0, true).at(value), logarithmic),
                "{value}"
            );
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let near = |ticks: Vec<f64>, wanted: &[f64]| {
            assert_eq!(ticks.len(), wanted.len(), "{ticks:?}");
            for (tick, wanted) in ticks.iter().zip(wanted) {
                assert!(
                    (tick / wanted - 1.0).abs() < 1e-9 || tick.abs() < 1e-9,
                    "{ticks:?}"
                );
            }
        };
        near(scale(0.9, 6.0, true).ticks(), &[1.0, 2.0, 5.0]);
        near(scale(0.0, 5.5, false).ticks(), &[0.0, 2.0, 4.0]);
        near(
            scale(0.0, 0.5, false).ticks(),
            &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        );
    }

    #[test]
    fn numbers_are_said_shortly() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (1.0, "1"),
            (1.25, "1.2"),
            (20.0, "20"),
            (10_000.0, "10,000"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn names_can_not_become_markup() {
        let names = ["<script>".to_owned(), "a & b".to_owned()];
        let file = file("\"x\" < y", "<b>", 100.0, &names, "");
        assert!(!file.contains("<script") && !file.contains("<b>"), "{file}");
        assert!(
            file.contains("a &amp; b") && file.contains("&quot;x&quot; &lt; y"),
            "{file}"
        );
    }
}
