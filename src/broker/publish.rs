//! Writing entries: publish, batch, revise. Each is one append, answered once the store has kept it.

use std::sync::Arc;

use serde_json::Value;

use super::{Broker, document, read};
use crate::model::limits::BATCH_LEN_MAX;
use crate::model::{Entry, EntryId, Invalid, NewEntry, Position, TopicName};
use crate::store::{
    Append, AppendError, Appended, EntryState, Idempotency, ReadError, Refused, Step, StepDone,
    StoredEntry,
};

/// How often a write is tried again when another write came between.
pub(super) const RACES_MAX: usize = 16;
/// From this size of body on, rendering goes to a thread of its own.
const RENDER_INLINE_BYTES_MAX: usize = 32 * 1024;

/// Who writes, and what makes a repetition of it recognisable.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// Id of the key, for the audit trail.
    pub actor: Arc<str>,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// Whether it may make the topic.
    pub may_create: bool,
}

/// A published or revised entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its id.
    pub id: EntryId,
    /// JSON of the entry, `body_text` in it; of its tombstone where it was retracted since.
    pub json: String,
    /// Where it stands; none while it is under embargo.
    pub position: Option<Position>,
    /// Whether this is the answer to an earlier request.
    pub replayed: bool,
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A field breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An embargo can't be set on what readers have.
    #[error("entry {0} is released: its embargo can't change any more")]
    AlreadyReleased(EntryId),
    /// The store refused, or does not know.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store can't be read; nothing was stored.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl WriteError {
    /// The same, of a write that is stored already: where its answer can't be read, nobody may be told that it isn't.
    pub(super) fn of_stored(self) -> Self {
        match self {
            Self::Read(error) => AppendError::OutcomeUnknown(error.to_string()).into(),
            other => other,
        }
    }
}

impl From<Refused> for WriteError {
    fn from(refused: Refused) -> Self {
        Self::Append(AppendError::NotStored(refused))
    }
}

struct Prepared {
    entry: Entry,
    step: Step,
}

impl Broker {
    /// Publishes an entry, or holds it until its embargo ends.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is stored but for `OutcomeUnknown`.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer, not the entry.
    pub async fn publish(
        self: &Arc<Self>,
        topic: &TopicName,
        entry: NewEntry,
        request: WriteRequest,
    ) -> Result<Published, WriteError> {
        let idempotency = idempotency(&request, "publish", topic.as_str(), &entry);
        let mut published = self
            .publish_all(topic, vec![entry], idempotency, &request)
            .await?;
        Ok(published.remove(0))
    }

    /// Publishes many entries, all or nothing.
    ///
    /// # Errors
    /// As [`Broker::publish`]; the field in an error begins with `entries[N]`.
    pub async fn publish_batch(
        self: &Arc<Self>,
        topic: &TopicName,
        entries: Vec<NewEntry>,
        request: WriteRequest,
    ) -> Result<Vec<Published>, WriteError> {
        if entries.is_empty() || entries.len() > BATCH_LEN_MAX {
            return Err(Invalid::new(
                "entries",
                format!(
                    "has {} items, allowed are 1 to {BATCH_LEN_MAX}",
                    entries.len()
                ),
            )
            .into());
        }
        let idempotency = idempotency(&request, "batch", topic.as_str(), &entries);
        self.publish_all(topic, entries, idempotency, &request)
            .await
            .map_err(|error| match error {
                WriteError::Invalid(invalid) if !invalid.field.starts_with("entries") => {
                    WriteError::Invalid(Invalid::new(
                        format!("entries[0].{}", invalid.field),
                        invalid.message,
                    ))
                }
                other => other,
            })
    }

    async fn publish_all(
        self: &Arc<Self>,
        topic: &TopicName,
        entries: Vec<NewEntry>,
        idempotency: Option<Idempotency>,
        request: &WriteRequest,
    ) -> Result<Vec<Published>, WriteError> {
        let prepared = self.prepare(topic, entries).await?;
        let create = (request.may_create && self.channel_in_use(topic).is_none())
            .then(|| document::bare_topic(topic, self.clock().now()));
        let (entries, steps): (Vec<_>, Vec<_>) = prepared
            .into_iter()
            .map(|prepared| (prepared.entry, prepared.step))
            .unzip();
        let append = Append {
            topic: topic.clone(),
            create,
            steps,
            idempotency,
            actor: Arc::clone(&request.actor),
        };
        let appended = self.store().append(append).wait().await?;
        let mut published = Vec::with_capacity(entries.len());
        for (index, (entry, done)) in entries.iter().zip(&appended.steps).enumerate() {
            published.push(if appended.earlier.contains(&index) {
                self.replayed(topic, done, &appended).await?
            } else {
                Published {
                    id: entry.id.clone(),
                    json: read::entry_with_text(&document::json(entry), &entry.body_html),
                    position: done.offset.map(|offset| appended.epoch.at(offset)),
                    replayed: false,
                }
            });
        }
        Ok(published)
    }

    async fn prepare(
        self: &Arc<Self>,
        topic: &TopicName,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Prepared>, WriteError> {
        let now = self.now();
        let many = entries.len() > 1;
        let bytes: usize = entries
            .iter()
            .map(|entry| entry.body.as_ref().map_or(0, |body| body.raw().len()))
            .sum();
        let topic = topic.clone();
        let work = move || {
            entries
                .into_iter()
                .enumerate()
                .map(|(index, new)| {
                    prepare_one(&topic, &new, now).map_err(|invalid| {
                        if many {
                            let field = format!("entries[{index}].{}", invalid.field);
                            Invalid::new(field, invalid.message)
                        } else {
                            invalid
                        }
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        if bytes <= RENDER_INLINE_BYTES_MAX {
            return Ok(work()?);
        }
        Ok(tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ReadError::Medium(error.to_string()))??)
    }

    /// Revises an entry by a JSON merge patch, when its revision is `if_match` (where given). A patch that changes
    /// nothing makes no change; its answer is remembered all the same.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is stored but for `OutcomeUnknown`.
    pub async fn revise(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
        patch: Value,
        if_match: Option<u64>,
        request: WriteRequest,
    ) -> Result<Published, WriteError> {
        let idempotency = idempotency(&request, "revise", id.as_str(), &(&patch, if_match));
        self.refresh(topic).await?;
        if let Some(done) = self.remembered(topic, idempotency.as_ref()).await? {
            return self.replayed(topic, &done.steps[0], &done).await;
        }
        for _ in 0..RACES_MAX {
            let stored = self.stored_entry(topic, id).await?;
            if let Some(expect) = if_match
                && expect != stored.revision
            {
                return Err(Refused::Stale {
                    current: stored.revision,
                }
                .into());
            }
            let (entry, steps) = match self.revision(&stored, &patch)? {
                Some((entry, steps)) => (Some(entry), steps),
                None if idempotency.is_none() => return self.unchanged(topic, &stored).await,
                None => (None, vec![keep(Some(id), stored.revision)]),
            };
            let append = append(topic, steps, idempotency.clone(), &request);
            match self.store().append(append).wait().await {
                Ok(appended) => {
                    // A release in the same append has the offset.
                    let Some(done) = appended.steps.last() else {
                        continue;
                    };
                    return match entry {
                        Some(entry) if !appended.replayed => Ok(Published {
                            id: id.clone(),
                            json: read::entry_with_text(&document::json(&entry), &entry.body_html),
                            position: done.offset.map(|offset| appended.epoch.at(offset)),
                            replayed: false,
                        }),
                        _ => Ok(Published {
                            replayed: appended.replayed,
                            ..self.replayed(topic, done, &appended).await?
                        }),
                    };
                }
                Err(AppendError::NotStored(Refused::Stale { .. } | Refused::NoEntry(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refused::Busy(RACES_MAX).into())
    }

    /// The next revision and the steps that store it; none where the patch changes nothing.
    fn revision(
        &self,
        stored: &StoredEntry,
        patch: &Value,
    ) -> Result<Option<(Entry, Vec<Step>)>, WriteError> {
        let (current, held) = match &stored.state {
            EntryState::Retracted { .. } => {
                return Err(Refused::EntryRetracted(stored.id.clone()).into());
            }
            EntryState::Released { change, .. } => (read::entry_of_change(change)?, false),
            EntryState::Held { doc, .. } => (read::parse_stored::<Entry>(doc)?, true),
        };
        let before = document::input(&current, &stored.raw);
        let mut after: NewEntry = document::patched(&before, patch)?;
        after.validate()?;
        if after.id != before.id {
            return Err(Invalid::new("id", "an entry keeps its id through all revisions").into());
        }
        if !held && after.released_at != before.released_at {
            return Err(WriteError::AlreadyReleased(stored.id.clone()));
        }
        if after == before {
            return Ok(None);
        }
        let now = self.now();
        if held && after.released_at.is_none() {
            // Released by this patch, at this moment.
            after.published_at = after.published_at.or(Some(now));
        }
        let stamp = document::Stamp {
            id: current.id,
            revision: stored.revision + 1,
            created_at: current.created_at,
            now,
        };
        let entry = document::entry(&after, stamp)?;
        let write = document::write(&entry, after.body.as_ref(), None);
        let steps = if !held {
            vec![Step::Revise(write, stored.revision)]
        } else {
            let until = after.released_at.unwrap_or(now);
            let mut steps = vec![Step::ReviseHeld(write, stored.revision, until)];
            if until <= now {
                steps.push(Step::Release(stored.id.clone()));
            }
            steps
        };
        Ok(Some((entry, steps)))
    }

    async fn unchanged(
        self: &Arc<Self>,
        topic: &TopicName,
        stored: &StoredEntry,
    ) -> Result<Published, WriteError> {
        let offset = match &stored.state {
            EntryState::Released { last, .. } => Some(*last),
            EntryState::Retracted { .. } | EntryState::Held { .. } => None,
        };
        let epoch = self.epoch(topic).await?;
        Ok(Published {
            id: stored.id.clone(),
            json: read::entry_answer(stored)?.json_with_text(),
            position: offset.map(|offset| epoch.at(offset)),
            replayed: false,
        })
    }

    /// What an idempotency key was answered with, where the request is the same.
    pub(super) async fn remembered(
        self: &Arc<Self>,
        topic: &TopicName,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<Appended>, WriteError> {
        let Some(idempotency) = idempotency else {
            return Ok(None);
        };
        let (topic, key) = (topic.clone(), idempotency.key.clone());
        let remembered = self
            .blocking(move |store| store.remembered(&topic, &key))
            .await?;
        match remembered {
            Some(known) if known.request != idempotency.request => Err(Refused::KeyReused.into()),
            Some(known) if !known.steps.is_empty() => Ok(Some(Appended {
                epoch: known.epoch,
                earlier: (0..known.steps.len()).collect(),
                steps: known.steps,
                replayed: true,
            })),
            _ => Ok(None),
        }
    }

    async fn replayed(
        self: &Arc<Self>,
        topic: &TopicName,
        done: &StepDone,
        appended: &Appended,
    ) -> Result<Published, WriteError> {
        let id = done
            .entry
            .clone()
            .ok_or_else(|| ReadError::Corrupt("an answer without an entry".into()))?;
        let json = match done.offset {
            Some(offset) => self.entry_at(topic, &id, offset).await,
            None => self.entry_as_it_stands(topic, &id).await,
        };
        Ok(Published {
            json: json.map_err(WriteError::of_stored)?,
            id,
            position: done.offset.map(|offset| appended.epoch.at(offset)),
            replayed: true,
        })
    }
}

fn prepare_one(
    topic: &TopicName,
    new: &NewEntry,
    now: jiff::Timestamp,
) -> Result<Prepared, Invalid> {
    new.validate()?;
    let request = new
        .id
        .as_ref()
        .map(|id| document::fingerprint("publish", &format!("{topic}/{id}"), new));
    let stamp = document::Stamp {
        id: new.id.clone().unwrap_or_else(|| document::new_id(now)),
        revision: 1,
        created_at: now,
        now,
    };
    let entry = document::entry(new, stamp)?;
    let write = document::write(&entry, new.body.as_ref(), request);
    let step = match new.released_at {
        Some(until) if until > now => Step::Hold(write, until),
        _ => Step::Publish(write),
    };
    Ok(Prepared { entry, step })
}

pub(super) fn idempotency(
    request: &WriteRequest,
    operation: &str,
    target: &str,
    content: &impl serde::Serialize,
) -> Option<Idempotency> {
    request.key.as_ref().map(|key| Idempotency {
        key: format!("key:{key}"),
        request: document::fingerprint(operation, target, content),
    })
}

/// The step of a write that changes nothing: it has the answer remembered, so that a late repetition can't take effect
/// after another write.
pub(super) fn keep(entry: Option<&EntryId>, expect: u64) -> Step {
    Step::Keep {
        entry: entry.cloned(),
        expect,
    }
}

pub(super) fn append(
    topic: &TopicName,
    steps: Vec<Step>,
    idempotency: Option<Idempotency>,
    request: &WriteRequest,
) -> Append {
    Append {
        topic: topic.clone(),
        create: None,
        steps,
        idempotency,
        actor: Arc::clone(&request.actor),
    }
}
