//! The texts of `compare`: changes as the broker itself made them of the harness's entries, recorded once, so that every
//! server carries the same bytes. A publisher fills in the id, which has the time, and the number.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::{self, Content};
use crate::http::Connection;
use crate::message::entry_id;
use crate::peer::Server;

const TRIES_MAX: u32 = 8;

/// Entries and the changes that the broker made of them; a publisher goes around in them.
#[derive(Debug)]
pub struct Corpus {
    entries: Vec<Text>,
    changes: Vec<Text>,
}

/// A text with places for the id of an entry and the number of a change.
#[derive(Debug, PartialEq, Eq)]
struct Text(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Id,
    Offset,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    position: String,
}

impl Corpus {
    /// Publishes `count` entries to the broker and reads the changes back.
    ///
    /// # Errors
    /// When the broker refuses one, or gives back another number of them.
    pub async fn record(broker: &Server, content: &Content, count: usize) -> Result<Self> {
        // A name as long as every other run's: the text is as long, too.
        let run = args::run_name();
        let topic = format!("lt-{run}");
        let mut connection = Connection::new(Arc::clone(&broker.way.target));
        let mut writer = content.writer(0);
        let (mut entries, mut ids) = (Vec::new(), Vec::new());
        for index in 0..count {
            let id = entry_id(&run, crate::clock::now_micros(), index as u64);
            let entry = writer.entry(&id);
            entries.push(Text::of(&entry, &id));
            connection
                .publish_surely(&topic, &id, entry.into(), TRIES_MAX)
                .await
                .map_err(|refused| anyhow::anyhow!("no corpus: {refused}"))?;
            ids.push(id);
        }
        let mut changes = Vec::new();
        let mut after = "start".to_owned();
        while changes.len() < count {
            let path = format!("/v1/topics/{topic}/changes?after={after}&limit=1000");
            let answer = connection.get(&path).await;
            let answer = answer.map_err(|refused| anyhow::anyhow!("no corpus: {refused}"))?;
            let page: Page<'_> =
                serde_json::from_slice(&answer).context("not a page of changes")?;
            if page.changes.is_empty() {
                bail!("the broker gave back {} of {count} changes", changes.len());
            }
            for (raw, id) in page.changes.iter().zip(&ids[changes.len()..]) {
                changes.push(change(raw.get(), id)?);
            }
            after = page.position;
        }
        Ok(Self { entries, changes })
    }

    /// Entry number `index`, as it is published to the broker.
    pub fn entry(&self, index: u64, id: &str) -> String {
        at(&self.entries, index).filled(id, 0)
    }

    /// The change that the broker makes of entry number `index`, as a reader gets it.
    pub fn change(&self, index: u64, id: &str, offset: u64) -> String {
        at(&self.changes, index).filled(id, offset)
    }
}

fn at(texts: &[Text], index: u64) -> &Text {
    &texts[usize::try_from(index % texts.len() as u64).unwrap_or(0)]
}

/// A change of a catch-up page as a WebSocket carries it: with `op` in front.
fn change(raw: &str, id: &str) -> Result<Text> {
    let rest = raw
        .strip_prefix('{')
        .context("a change that is no object")?;
    let text = Text::of(&format!(r#"{{"op":"change",{rest}"#), id);
    if !text.0.contains(&Part::Id) || !text.0.contains(&Part::Offset) {
        bail!("a change without the id {id} or without an offset");
    }
    Ok(text)
}

impl Text {
    /// Takes `text` apart at the id, wherever it stands, and at the first offset.
    fn of(text: &str, id: &str) -> Self {
        const OFFSET: &str = "\"offset\":";
        let mut parts = Vec::new();
        for (index, part) in text.split(id).enumerate() {
            if index > 0 {
                parts.push(Part::Id);
            }
            let numbered = parts.contains(&Part::Offset);
            match part.split_once(OFFSET).filter(|_| !numbered) {
                None => parts.push(Part::Plain(part.to_owned())),
                Some((before, rest)) => {
                    let behind = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
                    parts.push(Part::Plain(format!("{before}{OFFSET}")));
                    parts.push(Part::Offset);
                    parts.push(Part::Plain(behind.to_owned()));
                }
            }
        }
        Self(parts)
    }

    fn filled(&self, id: &str, offset: u64) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Id => text.push_str(id),
                Part::Offset => text.push_str(&offset.to_string()),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, intended, read};

    const RAW: &str = r#"{"topic":"lt-corpus","offset":17,"kind":"entry.published","entry":{"id":"lt-corpus-5-17","url":"/e/lt-corpus-5-17","n":{"offset":3}}}"#;

    #[test]
    fn the_id_and_the_number_are_filled_in_and_nothing_else() {
        let text = change(RAW, "lt-corpus-5-17").expect("a change");
        let filled = text.filled("lt-r-77-9", 41);
        assert_eq!(
            filled,
            r#"{"op":"change","topic":"lt-corpus","offset":41,"kind":"entry.published","entry":{"id":"lt-r-77-9","url":"/e/lt-r-77-9","n":{"offset":3}}}"#
        );
        assert_eq!(read(filled.as_bytes()), Message::Change(41));
        assert_eq!(intended(filled.as_bytes(), "r"), Some(77));
    }

    #[test]
    fn a_change_without_its_places_is_refused() {
        assert!(change(RAW, "another").is_err());
        assert!(change(r#"{"id":"x"}"#, "x").is_err());
        assert!(change("[]", "x").is_err());
    }

    #[test]
    fn texts_go_around() {
        let of = |text| Text::of(text, "ID");
        let corpus = Corpus {
            entries: vec![of("a ID"), of("b ID")],
            changes: vec![of("c ID \"offset\":1;")],
        };
        assert_eq!(corpus.entry(3, "x"), "b x");
        assert_eq!(corpus.change(5, "x", 9), "c x \"offset\":9;");
    }
}
