//! Bodies of publishes: what is accepted is within its limits, survives being written and read, and so does what readers
//! get of it.
//!
//! Input: the body of `POST /v1/topics/{topic}/entries`.
#![cfg_attr(fuzzing, no_main)]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tenbells::content::render;
use tenbells::fuzzing::{new_entry, render_entry};
use tenbells::model::limits::{
    BODY_BYTES_MAX, BODY_HTML_BYTES_MAX, HEADLINE_BYTES_MAX, LABEL_BYTES_MAX, LIST_LEN_MAX,
    NOTE_BYTES_MAX, URL_BYTES_MAX,
};
use tenbells::model::{Body, ChangeBody, Entry, EntryId, TopicName, encode_change};

fuzz_target!(|data: &[u8]| {
    let entry = match new_entry(data) {
        Ok(entry) => entry,
        Err(status) => {
            assert!(matches!(status, 400 | 422), "{status}");
            return;
        }
    };
    let written = serde_json::to_vec(&entry).expect("an entry can be written");
    assert_eq!(new_entry(&written).as_ref(), Ok(&entry));
    within_limits(&serde_json::from_slice(&written).expect("JSON"));

    let id = entry
        .id
        .clone()
        .unwrap_or_else(|| EntryId::parse("id").expect("an id"));
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let Ok(rendered) = render_entry(&entry, id.clone(), now) else {
        return;
    };
    let html = &rendered.entry.body_html;
    assert!(html.len() <= BODY_HTML_BYTES_MAX);
    assert_eq!(&render(&Body::Html(html.clone())), html, "sanitised twice");
    let read: Entry = serde_json::from_str(&rendered.json).expect("what is stored can be read");
    assert_eq!(
        serde_json::to_string(&read).ok().as_ref(),
        Some(&rendered.json)
    );

    // A merge patch that says nothing changes nothing.
    assert_eq!(rendered.input.validate(), Ok(()));
    let again = render_entry(&rendered.input, id, now).expect("renders again");
    assert_eq!(again.json, rendered.json);

    let topic = TopicName::parse("t").expect("a name");
    let change = encode_change(&topic, 1, now, &ChangeBody::Published(&rendered.json));
    assert!(
        !change.contains(['\n', '\r']),
        "one line of an event stream"
    );
    let change: Value = serde_json::from_str(&change).expect("JSON");
    assert_eq!(change["entry"]["id"].as_str(), Some(read.id.as_str()));
});

/// The limits of docs/protocol.md, on the JSON: what has become of a field's type does not matter here.
fn within_limits(entry: &Value) {
    let bytes = |value: &Value| value.as_str().map_or(0, str::len);
    assert!(bytes(&entry["headline"]) <= HEADLINE_BYTES_MAX);
    assert!(bytes(&entry["correction"]["note"]) <= NOTE_BYTES_MAX);
    for format in ["markdown", "html", "text"] {
        assert!(bytes(&entry["body"][format]) <= BODY_BYTES_MAX);
    }
    for list in ["authors", "sources", "related_links", "tags"] {
        let list = entry[list].as_array().expect("a list");
        assert!(list.len() <= LIST_LEN_MAX);
        for item in list {
            for label in [item, &item["name"], &item["title"], &item["role"]] {
                assert!(bytes(label) <= LABEL_BYTES_MAX);
            }
            if let Some(text) = item["url"].as_str() {
                let url = url::Url::parse(text).expect("a URL");
                assert!(matches!(url.scheme(), "http" | "https") && text.len() <= URL_BYTES_MAX);
            }
        }
    }
}
