//! Publishers: each makes up a write, and tries it blindly until it is acknowledged or refused for good.

use std::sync::Arc;

use serde_json::{Value, json};
use tenbells::broker::{Published, Retracted, TopicAnswer, WriteError, WriteRequest};
use tenbells::model::{EntryId, NewEntry, Position, TopicName};
use tenbells::store::{AppendError, Refused};

use super::node::Node;
use super::tick::{draw, pause};
use super::{EMBARGO_MS_MAX, Known, World};
use crate::history::{Act, Place, Try, What};

/// Tries of one write until its publisher gives up.
const TRIES_MAX: usize = 60;

/// A write, however often it is tried.
struct Write {
    who: String,
    topic: usize,
    act: Act,
    /// One for each entry of a batch.
    parts: Vec<Part>,
    key: Option<String>,
}

struct Part {
    id: String,
    value: String,
    /// The embargo, by the broker's clock, and by the history's.
    released_at: Option<jiff::Timestamp>,
    hidden_until: Option<u64>,
}

/// How a try ended.
enum End {
    Acked(Vec<Option<Position>>),
    Refused(String),
    /// Refused, and it will be so each time.
    Final(String),
    Unknown,
}

/// Publishes until the faults stop, and once more in each topic.
pub(super) async fn run(world: Arc<World>, number: usize) {
    let who = format!("p{number}");
    while !world.is_calm() {
        pause(10, 600).await;
        let write = make(&world, &who);
        insist(&world, write).await;
    }
    if number > 0 {
        return;
    }
    for topic in 0..world.size.topics {
        pause(10, 600).await;
        let part = part(&world, None);
        let write = Write {
            who: who.clone(),
            topic,
            act: Act::Publish,
            key: Some(format!("k-{}", part.value)),
            parts: vec![part],
        };
        insist(&world, write).await;
    }
}

fn part(world: &World, embargo_ms: Option<u64>) -> Part {
    let number = world.number();
    let now = tenbells::clock::Clock::now(world.clock.as_ref());
    let until = |ms: u64| {
        let span = jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0));
        now.saturating_add(span).unwrap_or(now)
    };
    // The broker's clock may go ahead of the history's, and its release with it.
    let ahead = u64::try_from(world.size.jump_ms).unwrap_or(0) * 1_000;
    Part {
        id: format!("n{number}"),
        value: format!("v{number}"),
        released_at: embargo_ms.map(until),
        hidden_until: embargo_ms.map(|ms| (world.now() + ms * 1_000).saturating_sub(ahead)),
    }
}

fn make(world: &World, who: &str) -> Write {
    let topic = draw(|random| random.usize(0..world.size.topics));
    let known: Vec<Known> = {
        let record = world.lock();
        let of_topic = record.entries.iter().filter(|known| known.topic == topic);
        of_topic.cloned().collect()
    };
    let entry = draw(|random| random.choice(known)).map(|known| known.id);
    let (act, parts) = match (draw(|random| random.u32(0..20)), entry) {
        (0..4, Some(id)) => (
            Act::Revise,
            vec![Part {
                id,
                ..part(world, None)
            }],
        ),
        (4..7, Some(id)) => (
            Act::Retract,
            vec![Part {
                id,
                ..part(world, None)
            }],
        ),
        (7, _) => {
            let topic = Part {
                id: String::new(),
                ..part(world, None)
            };
            (Act::Topic, vec![topic])
        }
        (8..11, _) => (Act::Publish, (0..3).map(|_| part(world, None)).collect()),
        (11..14, _) => {
            let ms = draw(|random| random.u64(200..EMBARGO_MS_MAX));
            (Act::Publish, vec![part(world, Some(ms))])
        }
        _ => (Act::Publish, vec![part(world, None)]),
    };
    // An id of its own makes a publish recognisable; anything else needs a key.
    let bare = act == Act::Publish && draw(|random| random.bool());
    let key = (!bare).then(|| format!("k-{}", parts[0].value));
    Write {
        who: who.to_owned(),
        topic,
        act,
        parts,
        key,
    }
}

async fn insist(world: &Arc<World>, write: Write) {
    for _ in 0..TRIES_MAX {
        let Some(node) = world.node().await else {
            return;
        };
        let ops = say_tried(world, &write);
        let patience = draw(|random| random.u64(300..6_000));
        let answer = {
            let call = attempt(world, &node, &write);
            let timed = tokio::time::timeout(std::time::Duration::from_millis(patience), call);
            node.alive(timed).await
        };
        let end = match answer {
            Some(Ok(end)) => end,
            // It gave up waiting, or the process ended.
            Some(Err(_)) | None => End::Unknown,
        };
        drop(node);
        match end {
            End::Acked(positions) => return say_acked(world, &write, &ops, positions),
            End::Final(code) => return say_refused(world, &ops, &code),
            End::Refused(code) => say_refused(world, &ops, &code),
            End::Unknown => {
                for op in ops {
                    world.say(What::Unknown { op });
                }
            }
        }
        if world.is_over() {
            return;
        }
        pause(50, 900).await;
    }
}

fn say_tried(world: &World, write: &Write) -> Vec<u64> {
    write
        .parts
        .iter()
        .map(|part| {
            let op = world.number();
            world.say(What::Try(Try {
                op,
                who: write.who.clone(),
                topic: world.topic(write.topic),
                act: write.act,
                entry: part.id.clone(),
                value: part.value.clone(),
                hidden_until: part.hidden_until,
                canaries: Vec::new(),
            }));
            op
        })
        .collect()
}

fn say_refused(world: &World, ops: &[u64], code: &str) {
    for op in ops {
        world.say(What::Refused {
            op: *op,
            code: code.to_owned(),
        });
    }
}

fn say_acked(world: &World, write: &Write, ops: &[u64], positions: Vec<Option<Position>>) {
    // An answer that is too short says of the rest that it has no position.
    let positions = positions.into_iter().chain(std::iter::repeat(None));
    for ((op, part), position) in ops.iter().zip(&write.parts).zip(positions) {
        let place: Option<Place> =
            position.map(|position| world.place(position.epoch.as_str(), position.offset));
        world.say(What::Ack { op: *op, place });
        if write.act == Act::Publish {
            world.lock().entries.push(Known {
                topic: write.topic,
                id: part.id.clone(),
            });
        }
    }
}

async fn attempt(world: &World, node: &Node, write: &Write) -> End {
    let Ok(topic) = TopicName::parse(&world.topic(write.topic)) else {
        return End::Final("no topic".into());
    };
    let request = WriteRequest {
        actor: write.who.as_str().into(),
        key: write.key.clone(),
        may_create: true,
    };
    let broker = &node.broker;
    let first = &write.parts[0];
    match write.act {
        Act::Publish if write.parts.len() > 1 => {
            let entries = write.parts.iter().map(entry).collect();
            let done = broker.publish_batch(&topic, entries, request).await;
            end(done, |done: Vec<Published>| {
                done.into_iter().map(|one| one.position).collect()
            })
        }
        Act::Publish => {
            let done = broker.publish(&topic, entry(first), request).await;
            end(done, |done| vec![done.position])
        }
        Act::Revise => {
            let Ok(id) = EntryId::parse(&first.id) else {
                return End::Final("no id".into());
            };
            let patch = json!({"headline": first.value});
            let done = broker.revise(&topic, &id, patch, None, request).await;
            end(done, |done| vec![done.position])
        }
        Act::Retract => {
            let Ok(id) = EntryId::parse(&first.id) else {
                return End::Final("no id".into());
            };
            let reason = Some(first.value.clone());
            let done = broker
                .retract(&topic, &id, reason.clone(), None, request)
                .await;
            // The tombstone of an earlier retraction stands where that one put it.
            end(done, |done: Retracted| {
                vec![done.position.filter(|_| done.tombstone.reason == reason)]
            })
        }
        Act::Topic => {
            let patch = json!({"title": first.value});
            let done = broker.patch_topic(&topic, patch, None, request).await;
            end(done, |done: TopicAnswer| vec![Some(done.position)])
        }
    }
}

fn entry(part: &Part) -> NewEntry {
    let mut fields = json!({"id": part.id, "headline": part.value});
    if let Some(at) = part.released_at {
        fields["released_at"] = Value::from(format!("{at:.3}"));
    }
    serde_json::from_value(fields).unwrap_or_else(|error| panic!("an entry: {error}"))
}

/// What the protocol says of an answer: only an unknown outcome leaves it open whether something was stored.
fn end<T>(done: Result<T, WriteError>, positions: impl FnOnce(T) -> Vec<Option<Position>>) -> End {
    match done {
        Ok(done) => End::Acked(positions(done)),
        Err(WriteError::Append(AppendError::OutcomeUnknown(_))) => End::Unknown,
        Err(WriteError::Append(AppendError::NotStored(refused))) => {
            let code = refused.to_string();
            match refused {
                Refused::Full | Refused::Failed(_) | Refused::Busy(_) => End::Refused(code),
                _ => End::Final(code),
            }
        }
        Err(WriteError::Read(error)) => End::Refused(error.to_string()),
        Err(error) => End::Final(error.to_string()),
    }
}
