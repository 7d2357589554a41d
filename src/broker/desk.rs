//! What a desk asks before it writes: its topics at a glance, an entry or topic as it was sent, a body as it would show.
//!
//! Reads only. Who may ask is decided by the caller, as everywhere in the broker.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Broker, WriteError, document, read};
use crate::content;
use crate::model::limits::{BODY_BYTES_MAX, BODY_HTML_BYTES_MAX};
use crate::model::{Body, EntryId, Invalid, TopicName};
use crate::store::{
    EntryFilter, EntryQuery, EntryState, ReadError, Refused, StoredEntry, StoredTopic,
};

/// Longest text of [`LastEntry::text`], in characters.
const EXCERPT_CHARS_MAX: usize = 160;

/// A topic in a list.
#[derive(Debug, Clone)]
pub struct ListedTopic {
    /// The topic with its head.
    pub topic: StoredTopic,
    /// What was published last, where anything was.
    pub last: Option<LastEntry>,
}

/// What was published last, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEntry {
    /// Its id.
    pub id: EntryId,
    /// The headline; none for a tombstone.
    pub headline: Option<String>,
    /// The beginning of its text; none for a tombstone.
    pub text: Option<String>,
    /// The shown time, or when it was retracted.
    pub at: Timestamp,
    /// Whether it was taken back.
    pub retracted: bool,
}

/// An entry or a topic in the form that a merge patch is applied to.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What a publisher would send to get it.
    pub fields: Value,
    /// The revision it is true at: good for `If-Match`.
    pub revision: u64,
    /// Whether it is under embargo. Only the desk may know of such an entry.
    pub held: bool,
}

/// A body as it would be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Sanitised HTML.
    pub body_html: String,
    /// The same as plain text.
    pub body_text: String,
}

impl Broker {
    /// Topics whose name is kept, private ones too, the one with the newest change first.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn listed_topics(
        self: &Arc<Self>,
        keep: impl Fn(&TopicName) -> bool + Send + 'static,
        limit: usize,
    ) -> Result<Vec<ListedTopic>, ReadError> {
        self.blocking(move |store| {
            let newest = EntryQuery {
                before: None,
                limit: 1,
                filter: EntryFilter::All,
            };
            let topics = store.newest_named(&keep, limit)?;
            topics
                .into_iter()
                .map(|topic| {
                    let page = store.entries(&topic.name, &newest)?;
                    let last = page.as_ref().and_then(|page| page.entries.first());
                    Ok(ListedTopic {
                        last: last.map(last_entry).transpose()?,
                        topic,
                    })
                })
                .collect()
        })
        .await
    }

    /// An entry as it was sent, with its revisions laid over it.
    ///
    /// # Errors
    /// [`WriteError`] as a revision would: no such topic or entry, or one that was retracted.
    pub async fn entry_source(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
    ) -> Result<Source, WriteError> {
        let stored = self.stored_entry(topic, id).await?;
        let (entry, held) = match &stored.state {
            EntryState::Retracted { .. } => return Err(Refused::EntryRetracted(id.clone()).into()),
            EntryState::Released { change, .. } => (read::entry_of_change(change)?, false),
            EntryState::Held { doc, .. } => (read::parse_owned(doc)?, true),
        };
        let fields = document::input(&entry, &stored.raw);
        Ok(Source {
            fields: serde_json::to_value(fields).unwrap_or_default(),
            revision: stored.revision,
            held,
        })
    }

    /// A topic as it was sent, with its updates laid over it.
    ///
    /// # Errors
    /// When there is no such topic, or the store can't be read.
    pub async fn topic_source(self: &Arc<Self>, topic: &TopicName) -> Result<Source, WriteError> {
        let stored = self.topic(topic).await?.ok_or(Refused::NoTopic)?;
        Ok(Source {
            fields: read::parse_owned(&stored.raw)?,
            revision: stored.revision,
            held: false,
        })
    }

    /// What readers would get for this body, from the sanitiser that a publish goes through. Nothing is kept.
    ///
    /// # Errors
    /// [`WriteError::Invalid`] where a publish would refuse the body.
    pub async fn preview(self: &Arc<Self>, body: Body) -> Result<Preview, WriteError> {
        let bytes = body.raw().len();
        if bytes > BODY_BYTES_MAX {
            let message = format!("has {bytes} bytes, the limit is {BODY_BYTES_MAX}");
            return Err(Invalid::new("body", message).into());
        }
        // Off the threads that serve readers, whatever its size: it comes with every pause in somebody's typing.
        let rendered = tokio::task::spawn_blocking(move || {
            let body_html = content::render(&body);
            let body_text = content::text(&body_html);
            Preview {
                body_html,
                body_text,
            }
        });
        let preview = rendered
            .await
            .map_err(|error| ReadError::Medium(error.to_string()))?;
        let bytes = preview.body_html.len();
        if bytes > BODY_HTML_BYTES_MAX {
            let message =
                format!("has {bytes} bytes once rendered, the limit is {BODY_HTML_BYTES_MAX}");
            return Err(Invalid::new("body", message).into());
        }
        Ok(preview)
    }
}

fn last_entry(stored: &StoredEntry) -> Result<LastEntry, ReadError> {
    match &stored.state {
        EntryState::Released { change, .. } => {
            let entry = read::entry_of_change(change)?;
            Ok(LastEntry {
                id: entry.id,
                headline: entry.headline,
                text: Some(excerpt(&content::text(&entry.body_html))),
                at: entry.published_at,
                retracted: false,
            })
        }
        EntryState::Retracted { change, .. } => {
            let tombstone = read::tombstone_of_change(change)?;
            Ok(LastEntry {
                id: tombstone.id,
                headline: None,
                text: None,
                at: tombstone.retracted_at,
                retracted: true,
            })
        }
        EntryState::Held { .. } => Err(ReadError::Corrupt(format!(
            "entry {} is under embargo and in a snapshot",
            stored.id
        ))),
    }
}

/// The beginning of a text in one line, cut at a word where there is one.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(EXCERPT_CHARS_MAX) else {
        return line;
    };
    let cut = &line[..end];
    let cut = cut.rfind(' ').map_or(cut, |space| &cut[..space]);
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_cut_at_a_word() {
        assert_eq!(excerpt(" a\n\n b  c "), "a b c");
        assert_eq!(excerpt(""), "");
        let exact = "x".repeat(EXCERPT_CHARS_MAX);
        assert_eq!(excerpt(&exact), exact);
        let long = format!("{} word and more", "ä".repeat(150));
        assert_eq!(excerpt(&long), format!("{} word and…", "ä".repeat(150)));
        let one = "ä".repeat(500);
        assert_eq!(excerpt(&one), format!("{}…", "ä".repeat(EXCERPT_CHARS_MAX)));
    }
}
