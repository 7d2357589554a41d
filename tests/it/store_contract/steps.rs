//! The words in which the cases say what to append.

use jiff::Timestamp;
use tenbells::model::{EntryId, Epoch, Offset, TopicName};
use tenbells::store::{
    Append, AppendError, Appended, EntryWrite, Idempotency, NewTopic, Refused, Step, Store,
};

pub fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic name")
}

pub fn id(text: &str) -> EntryId {
    EntryId::parse(text).expect("an entry id")
}

/// What a topic begins with; its epoch follows from its name, so that equal topics are equal in two stores.
pub fn new_topic(name: &str) -> NewTopic {
    let seed = name.bytes().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(131).wrapping_add(u64::from(byte))
    });
    NewTopic {
        doc: topic_doc(name, 1),
        raw: "{}".into(),
        private: false,
        epoch: Epoch::from_seed(seed),
    }
}

pub fn topic_doc(name: &str, revision: u64) -> String {
    serde_json::json!({ "topic": name, "revision": revision }).to_string()
}

/// One revision of an entry with `text` as its body.
pub fn write(entry: &str, revision: u64, text: &str) -> EntryWrite {
    EntryWrite {
        id: id(entry),
        revision,
        doc: serde_json::json!({ "id": entry, "revision": revision, "body_html": text })
            .to_string(),
        raw: serde_json::json!({ "text": text }).to_string(),
        key_event: false,
        pinned: false,
        request: None,
    }
}

pub fn publish(entry: &str, text: &str) -> Step {
    Step::Publish(write(entry, 1, text))
}

pub fn hold(entry: &str, text: &str, until: Timestamp) -> Step {
    Step::Hold(write(entry, 1, text), until)
}

pub fn revise(entry: &str, expect: u64, text: &str) -> Step {
    Step::Revise(write(entry, expect + 1, text), expect)
}

pub fn release(entry: &str) -> Step {
    Step::Release(id(entry))
}

pub fn retract(entry: &str) -> Step {
    Step::Retract {
        id: id(entry),
        reason: None,
        expect: None,
    }
}

pub fn drop_held(entry: &str, expect: Option<u64>) -> Step {
    Step::DropHeld {
        id: id(entry),
        expect,
    }
}

/// The topic's next document, which says whether it has ended.
pub fn update_topic(name: &str, expect: u64, status: Status) -> Step {
    Step::Topic {
        expect,
        doc: topic_doc(name, expect + 1),
        raw: format!(r#"{{"title":"{expect}"}}"#),
        ended: status == Status::Ended,
        private: false,
    }
}

/// Whether a topic goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Live,
    Ended,
}

/// An append that makes its topic where there is none.
pub fn append(name: &str, steps: Vec<Step>) -> Append {
    Append {
        create: Some(new_topic(name)),
        ..append_existing(name, steps)
    }
}

/// An append to a topic that has to be there.
pub fn append_existing(name: &str, steps: Vec<Step>) -> Append {
    Append {
        topic: topic(name),
        create: None,
        steps,
        idempotency: None,
        actor: "desk-1".into(),
    }
}

/// `append` under an idempotency key; `request` stands for the content of the request.
pub fn keyed(append: Append, key: &str, request: u8) -> Append {
    Append {
        idempotency: Some(Idempotency {
            key: key.into(),
            request: [request; 32],
        }),
        ..append
    }
}

/// Appends what has to go well.
pub fn stored(store: &dyn Store, append: Append) -> Appended {
    let what = format!("{append:?}");
    store
        .append(append)
        .wait_blocking()
        .unwrap_or_else(|error| panic!("{error}: {what}"))
}

/// Appends what has to be refused.
pub fn refused(store: &dyn Store, append: Append) -> Refused {
    let what = format!("{append:?}");
    match store.append(append).wait_blocking() {
        Err(AppendError::NotStored(refused)) => refused,
        other => panic!("{other:?} for {what}"),
    }
}

/// The offsets that an append was given, none for what is held.
pub fn offsets(appended: &Appended) -> Vec<Option<Offset>> {
    appended.steps.iter().map(|step| step.offset).collect()
}
