//! How single values stand in columns: keys, kinds, times, names, answers.
//!
//! Names and ids are checked again on their way out, since any SQL tool can write to the file.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;

use crate::model::{ChangeKind, EntryId, Epoch, Offset, TopicName};
use crate::store::StepDone;

/// Bits of a key that hold the number within the topic; the bits above hold the topic's number.
pub(in crate::store::sqlite) const OFFSET_BITS: u32 = 40;

/// The largest offset that a key has room for.
pub(in crate::store::sqlite) const OFFSET_MAX: Offset = (1 << OFFSET_BITS) - 1;

/// What is kept in a row is not what this program writes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::store::sqlite) struct BadRow(String);

/// `ID@OFFSET` for each step, with a space between; either side may be empty. Neither character occurs in an id. Where
/// there is a document, `=DOC` follows, in which `%20` stands for a space and `%25` for a percent sign.
pub(in crate::store::sqlite) fn encode_answer(steps: &[StepDone]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (index, step) in steps.iter().enumerate() {
        let space = if index > 0 { " " } else { "" };
        let id = step.entry.as_ref().map_or("", EntryId::as_str);
        let _ = write!(text, "{space}{id}@");
        if let Some(offset) = step.offset {
            let _ = write!(text, "{offset}");
        }
        if let Some(doc) = &step.doc {
            let doc = doc.replace('%', "%25").replace(' ', "%20");
            let _ = write!(text, "={doc}");
        }
    }
    text
}

pub(in crate::store::sqlite) fn decode_answer(text: &str) -> Result<Vec<StepDone>, BadRow> {
    let bad = || BadRow(format!("{text:?} is not an answer"));
    text.split_terminator(' ')
        .map(|step| {
            let (id, rest) = step.split_once('@').ok_or_else(bad)?;
            let (offset, doc) = match rest.split_once('=') {
                Some((offset, doc)) => (offset, Some(doc)),
                None => (rest, None),
            };
            let entry = (!id.is_empty()).then(|| EntryId::parse(id)).transpose();
            let offset = (!offset.is_empty()).then(|| offset.parse()).transpose();
            Ok(StepDone {
                entry: entry.map_err(|_| bad())?,
                offset: offset.map_err(|_| bad())?,
                doc: doc.map(|doc| doc.replace("%20", " ").replace("%25", "%").into()),
            })
        })
        .collect()
}

/// The epoch in a column.
pub(in crate::store::sqlite) fn epoch(row: &Row<'_>, column: usize) -> rusqlite::Result<Epoch> {
    let text = row.get_ref(column)?.as_str()?;
    Epoch::parse(text).map_err(|_| bad(column)(BadRow(format!("{text:?} is not an epoch"))))
}

/// The topic name in a column.
pub(in crate::store::sqlite) fn topic_name(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<TopicName> {
    let text = row.get_ref(column)?.as_str()?;
    TopicName::parse(text).map_err(|error| bad(column)(BadRow(format!("{text:?}: {error}"))))
}

/// The entry id in a column, where there is one.
pub(in crate::store::sqlite) fn entry_id(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<EntryId>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    EntryId::parse(text)
        .map(Some)
        .map_err(|error| bad(column)(BadRow(format!("{text:?}: {error}"))))
}

pub(super) fn bad(column: usize) -> impl FnOnce(BadRow) -> rusqlite::Error {
    move |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The key of a change, entry or audit row: topics side by side, numbers in order within each.
pub(in crate::store::sqlite) fn row_key(topic_id: i64, offset: Offset) -> i64 {
    (topic_id << OFFSET_BITS) | sql(offset.min(OFFSET_MAX))
}

/// The offset in a row's key.
pub(in crate::store::sqlite) fn offset_of(key: i64) -> Offset {
    unsql(key) & OFFSET_MAX
}

/// The number that stands for a kind of change in the database.
pub(in crate::store::sqlite) fn kind_code(kind: ChangeKind) -> i64 {
    match kind {
        ChangeKind::EntryPublished => 1,
        ChangeKind::EntryRevised => 2,
        ChangeKind::EntryRetracted => 3,
        ChangeKind::EntryRedacted => 4,
        ChangeKind::TopicUpdated => 5,
    }
}

/// The kind of change that a number in the database stands for.
pub(in crate::store::sqlite) fn kind_of(code: i64) -> Option<ChangeKind> {
    ChangeKind::ALL
        .into_iter()
        .find(|kind| kind_code(*kind) == code)
}

/// A count as SQLite keeps it. No offset or revision comes near the end of the range.
pub(in crate::store::sqlite) fn sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as this program keeps it. None is negative where this program wrote it.
pub(in crate::store::sqlite) fn unsql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The time of a column of milliseconds.
pub(in crate::store::sqlite) fn timestamp_of(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_keep_topics_apart_and_offsets_in_order() {
        assert!(row_key(1, OFFSET_MAX) < row_key(2, 0));
        assert_eq!(row_key(1, OFFSET_MAX + 1), row_key(1, OFFSET_MAX));
        assert_eq!(offset_of(row_key(7, 42)), 42);
        assert_eq!(offset_of(row_key(7, OFFSET_MAX)), OFFSET_MAX);
    }

    #[test]
    fn kinds_have_one_code_each() {
        for kind in ChangeKind::ALL {
            assert_eq!(kind_of(kind_code(kind)), Some(kind));
        }
        assert_eq!(kind_of(0), None);
        assert_eq!(kind_of(6), None);
    }

    #[test]
    fn answers_that_were_not_written_here_are_refused() {
        for bad in ["x", "a b@1", "a@x", "a@-1", "/@1", "a@1@2", " a@1"] {
            assert!(decode_answer(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn answers_come_back_as_they_were(
            steps in prop::collection::vec(
                (
                    prop::option::of("[A-Za-z0-9][A-Za-z0-9._~-]{0,9}"),
                    prop::option::of(any::<u64>()),
                    prop::option::of("[ %@=2050\\PC]{0,9}"),
                ),
                0..5,
            )
        ) {
            let steps: Vec<StepDone> = steps
                .into_iter()
                .map(|(id, offset, doc)| StepDone {
                    entry: id.map(|id| EntryId::parse(&id).expect("by the rule")),
                    offset,
                    doc: doc.map(Into::into),
                })
                .collect();
            let text = encode_answer(&steps);
            prop_assert_eq!(decode_answer(&text).expect("decodes"), steps);
        }
    }
}
