//! Content that breaks a rule, with the field that the answer has to name.
//!
//! One line a rule: what is sent here is sent as it stands, and nothing of it may be stored.

use serde_json::{Value, json};

/// Entries with the field of each that does not fit.
pub fn unfit_text() -> Vec<(Value, &'static str)> {
    let long = |bytes: usize| "a".repeat(bytes);
    vec![
        (json!({"headline": "x", "author": "y"}), "author"),
        (json!({"headline": "x", "body": {"rtf": "y"}}), "body.rtf"),
        (json!({"headline": "x", "body": "y"}), "body"),
        (json!({"headline": "x", "body": {}}), "body"),
        (json!({"body": {"text": "x", "html": "y"}}), "body"),
        (json!({}), "body"),
        (json!({"headline": "  ", "body": {"text": "\n"}}), "body"),
        (json!({"headline": 4}), "headline"),
        (json!({"headline": long(1_001)}), "headline"),
        (json!({"body": {"text": long(192 * 1024 + 1)}}), "body"),
    ]
}

/// More of them: lists, times, ids.
pub fn unfit_lists_and_times() -> Vec<(Value, &'static str)> {
    let long = |bytes: usize| "a".repeat(bytes);
    let many = vec![json!({"name": "x"}); 51];
    vec![
        (json!({"headline": "x", "authors": "Ada"}), "authors"),
        (
            json!({"headline": "x", "authors": [{"name": "A"}, {"name": " "}]}),
            "authors[1].name",
        ),
        (
            json!({"headline": "x", "authors": [{"name": "A", "type": "robot"}]}),
            "authors[0].type",
        ),
        (
            json!({"headline": "x", "authors": [{"name": "A", "age": 4}]}),
            "authors[0].age",
        ),
        (json!({"headline": "x", "authors": many}), "authors"),
        (
            json!({"headline": "x", "sources": [{"name": "A", "url": "ftp://a.example/"}]}),
            "sources[0].url",
        ),
        (
            json!({"headline": "x", "related_links": [{"title": "A", "url": "javascript:x"}]}),
            "related_links[0].url",
        ),
        (
            json!({"headline": "x", "related_links": [{"title": "A"}]}),
            "related_links[0]",
        ),
        (json!({"headline": "x", "tags": [long(501)]}), "tags[0]"),
        (json!({"headline": "x", "pinned": "yes"}), "pinned"),
        (
            json!({"headline": "x", "verification": "sure"}),
            "verification",
        ),
        (
            json!({"headline": "x", "correction": {"note": ""}}),
            "correction.note",
        ),
        (
            json!({"headline": "x", "published_at": "yesterday"}),
            "published_at",
        ),
        (
            json!({"headline": "x", "released_at": "1969-01-01T00:00:00Z"}),
            "released_at",
        ),
        (json!({"headline": "x", "id": "a/b"}), "id"),
        (json!({"headline": "x", "id": ""}), "id"),
    ]
}

/// Merge patches with their path and the field that does not fit.
pub fn unfit_patches() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "/v1/topics/t/entries/e",
            json!({"headlines": "x"}),
            "headlines",
        ),
        ("/v1/topics/t/entries/e", json!({"id": "f"}), "id"),
        (
            "/v1/topics/t/entries/e",
            json!({"headline": null, "body": null}),
            "body",
        ),
        ("/v1/topics/t", json!({"name": "x"}), "name"),
        ("/v1/topics/t", json!({"status": "ended"}), "status"),
        (
            "/v1/topics/t",
            json!({"visibility": "secret"}),
            "visibility",
        ),
        (
            "/v1/topics/t",
            json!({"language": "so long, and no tag"}),
            "language",
        ),
        (
            "/v1/topics/t",
            json!({"key_points": ["a", ""]}),
            "key_points[1]",
        ),
        ("/v1/topics/t", json!({"predecessor": {}}), "predecessor"),
    ]
}
