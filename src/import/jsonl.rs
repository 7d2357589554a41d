//! One entry a line, in the form that `POST …/entries` takes; blank lines and lines with `#` in front are skipped.
//!
//! The simplest of the formats, and the one to write from a script. An entry without an id gets one from its
//! content, so that importing the file twice publishes it once.

use std::collections::HashMap;

use super::{ImportError, Imported, from_line, id_of, lines, numbered};
use crate::model::{EntryId, NewEntry};

/// Reads the entries, in the order of the file.
pub(super) fn parse(text: &str) -> Result<Imported, ImportError> {
    let mut seen: HashMap<EntryId, usize> = HashMap::new();
    let mut equal: HashMap<EntryId, usize> = HashMap::new();
    let mut entries = Vec::new();
    for (number, line) in lines(text) {
        let mut entry: NewEntry = from_line(number, line)?;
        entry
            .validate()
            .map_err(|error| ImportError::at(number, error.to_string()))?;
        if entry.id.is_none() {
            let json = serde_json::to_string(&entry).unwrap_or_default();
            entry.id = numbered(id_of("l-", &[&json]), &mut equal);
        }
        if let Some(id) = &entry.id
            && let Some(first) = seen.insert(id.clone(), number)
        {
            let message = format!("the id {id} is used on line {first} already");
            return Err(ImportError::at(number, message));
        }
        entries.push(entry);
    }
    Ok(Imported {
        entries,
        ..Imported::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn entries_come_in_the_order_of_the_file_with_stable_ids() {
        let text = "\u{feff}# a comment\n{\"id\":\"x\",\"headline\":\"A\"}\r\n\n{\"headline\":\"B\"}\n {\"headline\":\"B\"}";
        let first = parse(text).expect("parses").entries;
        assert_eq!(first.len(), 3);
        assert_eq!(first[0].id.as_ref().map(EntryId::as_str), Some("x"));
        assert!(first[1].id.is_some() && first[1].id != first[2].id);
        let grown = parse(&format!("{text}\n{{\"headline\":\"C\"}}")).expect("parses");
        assert_eq!(grown.entries[..3], first);
    }

    #[test]
    fn errors_name_line_column_and_field() {
        let unknown = error("{\"headline\":\"A\"}\n\n{\"headline\":\"A\",\"auhtor\":1}");
        assert!(
            unknown.starts_with("line 3: column 24, auhtor: unknown field `auhtor`"),
            "{unknown}"
        );
        let nested = error(r#"{"headline":"A","authors":[{"name":"B"},{"name":3}]}"#);
        assert!(
            nested.starts_with("line 1: column 49, authors[1].name: invalid type"),
            "{nested}"
        );
        assert_eq!(
            error(r#"{"headline":"A","tags":[""]}"#),
            "line 1: tags[0]: is empty"
        );
        assert_eq!(
            error(r#"{"headline":"A"} {"headline":"B"}"#),
            "line 1: column 18: more than one JSON value on the line"
        );
        assert_eq!(
            error("{\"id\":\"x\",\"headline\":\"A\"}\n{\"id\":\"x\",\"headline\":\"B\"}"),
            "line 2: the id x is used on line 1 already"
        );
        assert!(error("[1]").starts_with("line 1: column "));
    }
}
