//! The bounds of the model, in one place. Bytes are bytes of UTF-8.

/// Longest topic name, in bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 128;
/// Longest entry id, in bytes.
pub const ENTRY_ID_BYTES_MAX: usize = 128;
/// Longest headline or title, in bytes.
pub const HEADLINE_BYTES_MAX: usize = 1_000;
/// Longest raw body of an entry, in bytes, before sanitising.
pub const BODY_BYTES_MAX: usize = 192 * 1024;
/// Longest sanitised body of an entry, in bytes (escaping can make it longer than the raw one).
pub const BODY_HTML_BYTES_MAX: usize = 512 * 1024;
/// Longest raw summary of a topic, in bytes.
pub const SUMMARY_BYTES_MAX: usize = 32 * 1024;
/// Longest name of an author, source, tag or link title, in bytes.
pub const LABEL_BYTES_MAX: usize = 500;
/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Longest correction note, retraction reason or key point, in bytes.
pub const NOTE_BYTES_MAX: usize = 2_000;
/// Most authors, sources, related links or tags of one entry, each; most key points of a topic.
pub const LIST_LEN_MAX: usize = 50;
/// Longest language tag (BCP 47), in bytes.
pub const LANGUAGE_BYTES_MAX: usize = 35;
/// Most entries in one batch.
pub const BATCH_LEN_MAX: usize = 1_000;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
