//! Everything that can be read out of a store, as one value to compare.

use tenbells::model::{EntryId, TopicName};
use tenbells::store::{
    AuditRecord, EntryFilter, EntryPage, EntryQuery, HeldEntry, ReadLimit, Remembered, Store,
    StoredChange, StoredEntry, StoredTopic,
};

use super::steps::topic;

/// Bounds that nothing in the cases reaches.
pub const ALL: ReadLimit = ReadLimit {
    changes_max: 100_000,
    bytes_max: 1 << 30,
};

/// What a store shows.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub topics: Vec<TopicView>,
    pub held: Vec<HeldEntry>,
}

/// What a store shows of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicView {
    pub topic: StoredTopic,
    pub changes: Vec<StoredChange>,
    pub pages: Vec<EntryPage>,
    pub entries: Vec<(EntryId, Option<StoredEntry>)>,
    pub held: Vec<HeldEntry>,
    pub audit: Vec<AuditRecord>,
    pub remembered: Vec<Option<Remembered>>,
}

/// Reads everything, with what the store remembers of `keys`.
pub fn view(store: &dyn Store, keys: &[&str]) -> View {
    let topics = store.topics(None, 1_000).expect("topics");
    View {
        topics: topics
            .into_iter()
            .map(|topic| topic_view(store, topic, keys))
            .collect(),
        held: store.held(None, 1_000).expect("held"),
    }
}

fn topic_view(store: &dyn Store, stored: StoredTopic, keys: &[&str]) -> TopicView {
    let name = &stored.name;
    assert_eq!(store.topic(name).expect("topic").as_ref(), Some(&stored));
    let audit = store.audit(name, 10_000).expect("audit");
    let mut ids: Vec<EntryId> = audit.iter().filter_map(|line| line.entry.clone()).collect();
    ids.sort();
    ids.dedup();
    TopicView {
        changes: changes(store, name),
        pages: [
            EntryFilter::All,
            EntryFilter::KeyEvents,
            EntryFilter::Pinned,
        ]
        .map(|filter| {
            page(
                store,
                name,
                EntryQuery {
                    before: None,
                    limit: 10_000,
                    filter,
                },
            )
        })
        .into(),
        entries: ids
            .into_iter()
            .map(|id| (id.clone(), store.entry(name, &id).expect("entry")))
            .collect(),
        held: store.held(Some(name), 1_000).expect("held"),
        remembered: keys
            .iter()
            .map(|key| store.remembered(name, key).expect("remembered"))
            .collect(),
        audit,
        topic: stored,
    }
}

/// The whole log of a topic, checked to be dense.
pub fn changes(store: &dyn Store, name: &TopicName) -> Vec<StoredChange> {
    let changes = store.read(name, 0, ALL).expect("changes");
    for (expected, change) in (1_u64..).zip(&changes) {
        assert_eq!(change.offset, expected, "a hole in {name}");
        let json: serde_json::Value = serde_json::from_str(&change.json).expect("JSON");
        assert_eq!(json["offset"], expected);
        assert_eq!(json["topic"], name.as_str());
        assert_eq!(json["kind"], change.kind.as_str());
    }
    let head = store
        .topic(name)
        .expect("topic")
        .map_or(0, |topic| topic.head);
    assert_eq!(changes.len() as u64, head, "the head of {name}");
    changes
}

/// The kinds and entries of a topic's log, as `entry.published a`.
pub fn outline(store: &dyn Store, name: &str) -> Vec<String> {
    changes(store, &topic(name))
        .into_iter()
        .map(|change| match change.entry {
            Some(entry) => format!("{} {entry}", change.kind.as_str()),
            None => change.kind.as_str().to_owned(),
        })
        .collect()
}

/// A snapshot page of a topic that has to be there.
pub fn page(store: &dyn Store, name: &TopicName, query: EntryQuery) -> EntryPage {
    store
        .entries(name, &query)
        .expect("entries")
        .expect("a topic")
}

/// The ids of a snapshot page.
pub fn ids(page: &EntryPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.id.as_str()).collect()
}
