//! Writing the topic itself: create, change, end, reopen. Each is a `topic.updated` in the log.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::publish::{RACES_MAX, append, idempotency, keep};
use super::{Broker, WriteError, WriteRequest, document, read};
use crate::model::{End, Offset, Position, Topic, TopicFields, TopicName, TopicStatus, Visibility};
use crate::store::{
    Append, AppendError, Appended, ReadError, Refused, Step, StepDone, StoredTopic,
};

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
        self.refresh(topic).await?;
        if let Some(known) = self.remembered(topic, idempotency.as_ref()).await? {
            self.settle_hidden(self.topic(topic).await?.as_ref())
                .await?;
            return self.topic_answer(topic, &known).await;
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
            let expect = stored.as_ref().map_or(0, |stored| stored.revision);
            let next = next_document(topic, stored.as_ref(), &update, now)?;
            let (create, step) = match &next {
                Some((doc, fields)) => (
                    stored.is_none().then(|| document::new_topic(doc, fields)),
                    Step::Topic {
                        expect,
                        doc: document::json(doc),
                        raw: document::json(fields),
                        ended: doc.status == TopicStatus::Ended,
                        private: doc.visibility == Visibility::Private,
                    },
                ),
                None if idempotency.is_none() => {
                    self.settle_hidden(stored.as_ref()).await?;
                    return unchanged(stored);
                }
                None => (None, keep(None, expect)),
            };
            let is_kept = next.is_none();
            let hides = matches!(&step, Step::Topic { private: true, .. })
                && stored.is_some_and(|stored| !stored.private);
            // In use before the append, or the feed would pass it by and there would be nothing to wait for.
            let hidden = if hides {
                self.channel(topic).await?
            } else {
                None
            };
            let append = Append {
                create,
                ..append(topic, vec![step], idempotency.clone(), request)
            };
            match self.store().append(append).wait().await {
                Ok(appended) => {
                    if is_kept || appended.replayed {
                        self.settle_hidden(self.topic(topic).await?.as_ref())
                            .await?;
                    } else if let Some(channel) = hidden {
                        self.settle(&channel, first_done(&appended)?.1).await;
                    }
                    return self.topic_answer(topic, &appended).await;
                }
                Err(AppendError::NotStored(Refused::Stale { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refused::Busy(RACES_MAX).into())
    }

    /// Waits until no older byte of a topic can leave that is private by now: who made it so may still be waiting, and an
    /// answer means the same whoever gets it first.
    async fn settle_hidden(
        self: &Arc<Self>,
        stored: Option<&StoredTopic>,
    ) -> Result<(), WriteError> {
        if let Some(stored) = stored.filter(|stored| stored.private)
            && let Some(channel) = self.channel(&stored.name).await?
        {
            self.settle_again(&channel, stored.head).await;
        }
        Ok(())
    }

    /// The topic as the write left it, whether it is asked now or later.
    async fn topic_answer(
        self: &Arc<Self>,
        topic: &TopicName,
        appended: &Appended,
    ) -> Result<TopicAnswer, WriteError> {
        #[derive(Deserialize)]
        struct Update<'a> {
            #[serde(borrow)]
            state: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Revision {
            revision: u64,
        }
        let (done, offset) = first_done(appended)?;
        let (json, created) = match &done.doc {
            Some(doc) => (doc.to_string(), false),
            None => {
                let change = self.change_at(topic, offset).await;
                let change = change.map_err(WriteError::of_stored)?;
                let update: Update<'_> = read::parse_stored(&change)?;
                let doc: Revision = read::parse_stored(update.state.get())?;
                // A topic that a publish made has revision 1 too, but no change that says so.
                (update.state.get().to_owned(), doc.revision == 1)
            }
        };
        Ok(TopicAnswer {
            json,
            position: appended.epoch.at(offset),
            created,
            replayed: appended.replayed,
        })
    }
}

fn first_done(appended: &Appended) -> Result<(&StepDone, Offset), WriteError> {
    let done = appended.steps.first();
    let found = done.and_then(|done| done.offset.map(|offset| (done, offset)));
    Ok(found.ok_or_else(|| ReadError::Corrupt("an answer about a topic has no offset".into()))?)
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
