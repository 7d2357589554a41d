//! Imports: how they are parted, and that repeating one is harmless.

use super::*;
use crate::cli::fake::{Answer, Fake};
use crate::model::{Body, End};

fn entry(id: usize, bytes: usize) -> NewEntry {
    NewEntry {
        id: Some(EntryId::parse(&format!("e{id}")).expect("id")),
        body: Some(Body::Text("x".repeat(bytes))),
        ..NewEntry::default()
    }
}

fn topic() -> TopicName {
    TopicName::parse("t").expect("name")
}

fn answered(len: usize, last: usize) -> Answer {
    let entries: Vec<_> = (last + 1 - len..=last)
        .map(|offset| json!({"entry": {}, "position": format!("k-{offset}")}))
        .collect();
    Answer::Json(201, json!({ "entries": entries }).to_string())
}

fn positioned(offset: usize) -> Answer {
    Answer::Json(
        200,
        json!({"topic": {}, "position": format!("k-{offset}")}).to_string(),
    )
}

#[test]
fn batches_keep_the_order_and_both_limits() {
    let entries: Vec<_> = (0..450).map(|id| entry(id, 10)).collect();
    let by_count = batches(entries.clone());
    assert_eq!(
        by_count.iter().map(Vec::len).collect::<Vec<_>>(),
        [200, 200, 50]
    );
    let sent: Vec<_> = by_count.into_iter().flatten().collect();
    assert_eq!(json!(sent), json!(entries));

    let by_size = batches((0..5).map(|id| entry(id, 80_000)).collect());
    assert_eq!(by_size.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    for batch in &by_size {
        assert!(json!(batch).to_string().len() <= BATCH_BYTES_MAX);
    }
    let alone = batches(vec![
        entry(0, 1),
        entry(1, 190_000),
        entry(2, 210_000),
        entry(3, 1),
    ]);
    assert_eq!(alone.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(batches(Vec::new()).is_empty());
}

#[tokio::test]
async fn a_blog_goes_in_as_topic_entries_and_end() {
    let fake = Fake::http(vec![
        Answer::problem(404, "topic_not_found"),
        positioned(1),
        answered(200, 201),
        answered(50, 251),
        positioned(252),
    ])
    .await;
    let imported = Imported {
        topic: TopicFields {
            title: Some("T".to_owned()),
            ..TopicFields::default()
        },
        entries: (0..250).map(|id| entry(id, 10)).collect(),
        end: Some(End::default()),
        guesses: Vec::new(),
    };
    let line = send(&fake.api(), &topic(), imported)
        .await
        .expect("imports");
    assert_eq!(line, "t 250 entries, position k-252, ended");
    let asked = fake.asked();
    let calls: Vec<_> = asked
        .iter()
        .map(|asked| format!("{} {}", asked.method, asked.path))
        .collect();
    assert_eq!(
        calls,
        [
            "PATCH /base/v1/topics/t",
            "PUT /base/v1/topics/t",
            "POST /base/v1/topics/t/entries:batch",
            "POST /base/v1/topics/t/entries:batch",
            "POST /base/v1/topics/t/end",
        ]
    );
    assert_eq!(asked[0].body, json!({"title": "T"}));
    assert_eq!(asked[3].body["entries"][0]["id"], "e200");
    let mut keys: Vec<_> = asked.iter().map(|asked| asked.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5, "each request has a key of its own");
}

#[tokio::test]
async fn the_same_import_is_sent_under_the_same_keys() {
    let fake = Fake::http(vec![answered(2, 2), answered(2, 2), answered(2, 2)]).await;
    let blog = |bytes| Imported {
        entries: vec![entry(0, 10), entry(1, bytes)],
        ..Imported::default()
    };
    for bytes in [10, 10, 11] {
        send(&fake.api(), &topic(), blog(bytes))
            .await
            .expect("imports");
    }
    let asked = fake.asked();
    assert_eq!(asked[0].key, asked[1].key);
    assert_ne!(asked[0].key, asked[2].key);
}

#[tokio::test]
async fn an_answer_for_fewer_entries_is_not_taken_for_a_success() {
    let fake = Fake::http(vec![answered(1, 1)]).await;
    let imported = Imported {
        entries: vec![entry(0, 10), entry(1, 10)],
        ..Imported::default()
    };
    assert!(send(&fake.api(), &topic(), imported).await.is_err());
}

#[test]
fn an_entry_without_an_id_gets_the_same_one_each_time() {
    let mut bare = entry(0, 10);
    bare.id = None;
    let id = id_of(&bare, 3).expect("id");
    assert_eq!(id, id_of(&bare, 3).expect("id"));
    assert_ne!(
        id,
        id_of(&bare, 4).expect("id"),
        "two equal entries are two"
    );
}

#[test]
fn a_topic_patch_leaves_alone_what_the_file_does_not_say() {
    assert!(topic_patch(&TopicFields::default()).is_empty());
    let fields: TopicFields =
        serde_json::from_value(json!({"summary": "s", "key_points": ["a"]})).expect("fields");
    let patch = Value::Object(topic_patch(&fields));
    assert_eq!(
        patch,
        json!({"summary": {"text": "s"}, "key_points": ["a"]})
    );
}
