//! The HTML file of a report: one file, no scripts, charts as inline SVG, light and dark by the reader's choice. Every
//! chart has its numbers in a table beside it, so nothing is in a picture alone.

use super::{Report, duration, number};
use crate::plot::escape;

mod beside;
mod chart;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d0d7de;--bad:#a40e26;--good:#116329;\
--c0:#0550ae;--c1:#953800;--c2:#116329;--c3:#8250df}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--paper:#0d1117;--line:#3d444d;--bad:#ff7b72;\
--good:#7ee787;--c0:#79c0ff;--c1:#ffa657;--c2:#7ee787;--c3:#d2a8ff}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;\
padding:0 1rem}h1,h2{line-height:1.2}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid var(--line)}\
th:first-child,td:first-child{text-align:left;font-weight:400}thead th{color:var(--soft)}\
svg{width:100%;height:auto;margin:1rem 0}.axis{stroke:var(--line)}text{fill:var(--soft);font-size:12px}\
.bad{color:var(--bad)}.good{color:var(--good)}.scroll{overflow-x:auto}pre{overflow-x:auto;white-space:pre-wrap}";

/// The whole file.
pub fn page(report: &Report) -> String {
    let verdict = if report.failures.is_empty() {
        "<p class=\"good\"><strong>Passed</strong>: no reader saw a gap, a duplicate or an inversion.</p>".to_owned()
    } else {
        let items: String = report
            .failures
            .iter()
            .map(|failure| format!("<li>{}</li>", escape(failure)))
            .collect();
        format!("<p class=\"bad\"><strong>Failed</strong></p><ul>{items}</ul>")
    };
    let settings = serde_json::to_string_pretty(&report.settings).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><main>\
         <h1>{title}</h1><p>{started}, {seconds:.1} s. {machine}</p>{verdict}\
         {beside}<h2>Figures</h2>{figures}<h2>Latency</h2>{latency}{series}\
         <h2>Settings</h2><pre>{settings}</pre></main></body></html>\n",
        title = escape(&report.title()),
        started = escape(&report.started_at),
        seconds = report.seconds,
        machine = escape(&report.machine.one_line()),
        beside = report
            .comparison
            .as_ref()
            .map_or_else(String::new, beside::page),
        figures = figures(report),
        latency = latency(report),
        series = series(report),
        settings = escape(&settings),
    )
}

fn figures(report: &Report) -> String {
    let rows: String = report
        .figures
        .iter()
        .map(|one| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{} {}</td></tr>",
                escape(&one.label),
                number(one.value),
                one.unit
            )
        })
        .collect();
    format!("<table><tbody>{rows}</tbody></table>")
}

fn latency(report: &Report) -> String {
    if report.distributions.is_empty() {
        return "<p>None was measured.</p>".to_owned();
    }
    let rows: String = report
        .distributions
        .iter()
        .map(|one| {
            let cells: String = [one.p50_us, one.p90_us, one.p99_us, one.p999_us, one.max_us]
                .iter()
                .map(|value| format!("<td>{}</td>", duration(*value)))
                .collect();
            format!(
                "<tr><th scope=\"row\">{}</th>{cells}<td>{}</td></tr>",
                escape(&one.label),
                one.count
            )
        })
        .collect();
    let charts: String = report
        .distributions
        .iter()
        .map(chart::distribution)
        .collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">From, to</th><th scope=\"col\">p50</th>\
         <th scope=\"col\">p90</th><th scope=\"col\">p99</th><th scope=\"col\">p99.9</th><th scope=\"col\">max</th>\
         <th scope=\"col\">count</th></tr></thead><tbody>{rows}</tbody></table></div>{charts}"
    )
}

fn series(report: &Report) -> String {
    report
        .series
        .iter()
        .map(|one| {
            let rows: String = one
                .points
                .iter()
                .map(|(at, value)| format!("<tr><th scope=\"row\">{at:.0} s</th><td>{} {}</td></tr>", number(*value), one.unit))
                .collect();
            format!(
                "<h2>{label} over time</h2>{chart}<details><summary>As a table</summary><table><tbody>{rows}</tbody>\
                 </table></details>",
                label = escape(&one.label),
                chart = chart::series(one),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    fn report() -> Report {
        let mut report = Report::new("fanout", &serde_json::json!({"readers": 3}));
        let mut latency = Latency::new();
        for value in 1..2_000 {
            latency.record_micros(value);
        }
        report.distribution("delivery_us", "publish to delivery", &latency);
        report.over_time(
            "deliveries",
            "deliveries",
            "1/s",
            vec![(0.0, 1.0), (1.0, 3.0)],
        );
        report
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page(&report());
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("http"));
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("role=\"img\"").count(), 2);
        assert!(page.contains("lang=\"en\"") && page.contains("prefers-color-scheme"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn what_a_server_said_can_not_become_markup() {
        let mut report = report();
        report.fail("<img src=x onerror=alert(1)>");
        let page = page(&report);
        assert!(page.contains("&lt;img") && !page.contains("<img"));
    }
}
