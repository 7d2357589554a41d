//! Writing the topic itself: create, change, end, reopen. Each is a `topic.updated` in the log.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::publish::idempotency;
use super::{Broker, WriteError, WriteRequest, document, read};
use crate::model::{End, Position, Topic, TopicFields, TopicName, TopicStatus, Visibility};
use crate::store::{Append, AppendError, Appended, Refused, Step, StoredTopic};

/// How often a write is tried again when another write came between.
const RACES_MAX: usize = 16;

/// A topic after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAnswer {
    /// JSON of the topic.
    pub json: String,
    /// Where the change stands.
    pub position: Position,
    /// Whether the write made the topic.
    pub created: bool,
    /// Whether this is the answer to an earlier request.
    pub replayed: bool,
}

/// What to do to a topic.
#[derive(Debug, Clone, serde::Serialize)]
enum Update {
    Put(TopicFields),
    Patch(Value),
    End(End),
    Reopen,
}

impl Broker {
    /// Creates the topic, or replaces all its fields.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is stored but for `OutcomeUnknown`.
    pub async fn put_topic(
        self: &Arc<Self>,
        topic: &TopicName,
        fields: TopicFields,
        request: WriteRequest,
    ) -> Result<TopicAnswer, WriteError> {
        fields.validate()?;
        self.update(topic, Update::Put(fields), None, &request)
            .await
    }

    /// Changes some fields by a JSON merge patch, when the topic's revision is `if_match` (where given).
    ///
    /// # Errors
    /// As [`Broker::put_topic`].
    pub async fn patch_topic(
        self: &Arc<Self>,
        topic: &TopicName,
        patch: Value,
        if_match: Option<u64>,
        request: WriteRequest,
    ) -> Result<TopicAnswer, WriteError> {
        self.update(topic, Update::Patch(patch), if_match, &request)
            .await
    }

    /// Ends the topic; open pages are told, with the successor. Ending an ended topic changes its successor.
    ///
    /// # Errors
    /// As [`Broker::put_topic`].
    pub async fn end_topic(
        self: &Arc<Self>,
        topic: &TopicName,
        end: End,
        request: WriteRequest,
    ) -> Result<TopicAnswer, WriteError> {
        end.validate()?;
        self.update(topic, Update::End(end), None, &request).await
    }

    /// Takes the end back.
    ///
    /// # Errors
    /// As [`Broker::put_topic`].
    pub async fn reopen_topic(
        self: &Arc<Self>,
        topic: &TopicName,
        request: WriteRequest,
    ) -> Result<TopicAnswer, WriteError> {
        self.update(topic, Update::Reopen, None, &request).await
    }

    async fn update(
        self: &Arc<Self>,
        topic: &TopicName,
        update: Update,
        if_match: Option<u64>,
        request: &WriteRequest,
    ) -> Result<TopicAnswer, WriteError> {
        let idempotency = idempotency(request, "topic", topic.as_str(), &(&update, if_match));
        if let Some(known) = self.remembered(topic, idempotency.as_ref()).await? {
            return self.replayed_topic(topic, &known).await;
        }
        for _ in 0..RACES_MAX {
            let now = self.clock().now();
            let stored = self.topic(topic).await?;
            if stored.is_none() && !(matches!(update, Update::Put(_)) && request.may_create) {
                return Err(Refused::NoTopic.into());
            }
            if let (Some(expect), Some(stored)) = (if_match, &stored)
                && expect != stored.revision
            {
                let current = stored.revision;
                return Err(Refused::Stale { current }.into());
            }
            let Some((doc, fields)) = next_document(topic, stored.as_ref(), &update, now)? else {
                return unchanged(stored);
            };
            let json = document::json(&doc);
            let append = Append {
                topic: topic.clone(),
                create: stored.is_none().then(|| document::new_topic(&doc, &fields)),
                steps: vec![Step::Topic {
                    expect: stored.as_ref().map_or(0, |stored| stored.revision),
                    doc: json.clone(),
                    raw: document::json(&fields),
                    ended: doc.status == TopicStatus::Ended,
                    private: doc.visibility == Visibility::Private,
                }],
                idempotency: idempotency.clone(),
                actor: Arc::clone(&request.actor),
            };
            match self.store().append(append).wait().await {
                Ok(appended) if appended.replayed => {
                    return self.replayed_topic(topic, &appended).await;
                }
                Ok(appended) => {
                    let offset = first_offset(&appended)?;
                    let hides = doc.visibility == Visibility::Private
                        && stored.as_ref().is_some_and(|stored| !stored.private);
                    if hides && let Some(channel) = self.channel(topic).await? {
                        self.settle(&channel, offset).await;
                    }
                    return Ok(TopicAnswer {
                        json,
                        position: appended.epoch.at(offset),
                        created: stored.is_none(),
                        replayed: false,
                    });
                }
                Err(AppendError::NotStored(Refused::Stale { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refused::Busy(RACES_MAX).into())
    }

    async fn replayed_topic(
        self: &Arc<Self>,
        topic: &TopicName,
        appended: &Appended,
    ) -> Result<TopicAnswer, WriteError> {
        #[derive(Deserialize)]
        struct Update<'a> {
            #[serde(borrow)]
            state: &'a RawValue,
        }
        let offset = first_offset(appended)?;
        let change = self.change_at(topic, offset).await?;
        let update: Update<'_> = read::parse_stored(&change)?;
        Ok(TopicAnswer {
            json: update.state.get().to_owned(),
            position: appended.epoch.at(offset),
            created: false,
            replayed: true,
        })
    }
}

fn first_offset(appended: &Appended) -> Result<u64, WriteError> {
    let offset = appended.steps.first().and_then(|done| done.offset);
    Ok(offset.ok_or_else(|| {
        crate::store::ReadError::Corrupt("an answer about a topic has no offset".into())
    })?)
}

fn unchanged(stored: Option<StoredTopic>) -> Result<TopicAnswer, WriteError> {
    let stored = stored.ok_or(Refused::NoTopic)?;
    Ok(TopicAnswer {
        position: stored.epoch.at(stored.head),
        json: stored.doc,
        created: false,
        replayed: false,
    })
}

/// The document after the update, with the desk's fields; none where nothing changes.
fn next_document(
    name: &TopicName,
    stored: Option<&StoredTopic>,
    update: &Update,
    now: Timestamp,
) -> Result<Option<(Topic, TopicFields)>, WriteError> {
    let (before, fields): (Topic, TopicFields) = match stored {
        Some(stored) => (
            read::parse_owned(&stored.doc)?,
            read::parse_owned(&stored.raw)?,
        ),
        None => (Topic::new(name.clone(), now), TopicFields::default()),
    };
    let mut doc = before.clone();
    let mut after = fields;
    match update {
        Update::Put(put) => after = put.clone(),
        Update::Patch(patch) => {
            after = document::patched(&after, patch)?;
            after.validate()?;
        }
        Update::End(end) => {
            doc.status = TopicStatus::Ended;
            doc.ended_at = doc.ended_at.or(Some(now));
            doc.successor.clone_from(&end.successor);
        }
        Update::Reopen => {
            doc.status = TopicStatus::Live;
            doc.ended_at = None;
            doc.successor = None;
        }
    }
    document::apply_fields(&mut doc, &after);
    if doc == before && stored.is_some() {
        return Ok(None);
    }
    if stored.is_some() {
        doc.revision += 1;
        doc.updated_at = now;
    }
    Ok(Some((doc, after)))
}
