//! Servers beside one another, as a table; the row says itself where the first server stands.

use super::escape;
use crate::report::{Comparison, Row, three};

/// The part of the page.
pub fn page(comparison: &Comparison) -> String {
    let heads: String = comparison
        .subjects
        .iter()
        .map(|subject| format!("<th scope=\"col\">{}</th>", escape(subject.name)))
        .collect();
    let rows: String = comparison
        .rows
        .iter()
        .map(|row| table_row(comparison, row))
        .collect();
    let subjects: String = comparison
        .subjects
        .iter()
        .map(|subject| {
            format!(
                "<dt>{}: {}</dt><dd>{}. A publisher's answer means: {}.</dd>",
                escape(subject.name),
                escape(&subject.version),
                escape(&subject.settings),
                escape(subject.keeps)
            )
        })
        .collect();
    let notes: String = comparison
        .absent
        .iter()
        .chain(&comparison.notes)
        .map(|note| format!("<li>{}</li>", escape(note)))
        .collect();
    format!(
        "<h2>Side by side</h2><p>Minimum / median / maximum of the rounds.</p><div class=\"scroll\"><table><thead><tr>\
         <th scope=\"col\"></th>{heads}<th scope=\"col\">{first} is</th></tr></thead><tbody>{rows}</tbody></table></div>\
         <dl>{subjects}</dl><ul>{notes}</ul>",
        first = comparison
            .subjects
            .first()
            .map_or_else(String::new, |subject| escape(subject.name)),
    )
}

fn table_row(comparison: &Comparison, row: &Row) -> String {
    let cells: String = (0..comparison.subjects.len())
        .map(|subject| format!("<td>{}</td>", three(row.spread(subject))))
        .collect();
    let verdict = comparison.verdict(row);
    let class = if verdict.starts_with("BEHIND") {
        "bad"
    } else {
        "good"
    };
    let unit = if row.unit.is_empty() {
        String::new()
    } else {
        format!(", {}", row.unit)
    };
    format!(
        "<tr><th scope=\"row\">{}{unit}</th>{cells}<td class=\"{class}\">{}</td></tr>",
        escape(row.label),
        escape(&verdict)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Better, Subject};

    #[test]
    fn what_a_server_says_of_itself_can_not_become_markup() {
        let subject = |name| Subject {
            key: name,
            name,
            version: "<script>".to_owned(),
            settings: String::new(),
            keeps: "",
        };
        let comparison = Comparison {
            subjects: vec![subject("ours"), subject("theirs")],
            rows: vec![Row {
                key: "k",
                label: "l",
                unit: "ms",
                better: Better::Less,
                values: vec![vec![2.0], vec![1.0]],
            }],
            absent: vec!["<b>".to_owned()],
            notes: Vec::new(),
        };
        let page = page(&comparison);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(
            page.contains("<td class=\"bad\">BEHIND theirs</td>"),
            "{page}"
        );
        assert!(page.contains("ours is"), "{page}");
    }
}
