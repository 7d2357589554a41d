//! `import`: a whole live blog out of a file, into a topic.
//!
//! Everything is sent under keys and ids that are made from the content, so importing a file again, or going on after
//! an import that broke off, stores nothing twice. What a file means is the importer's business, not this one's.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::api::{Api, Call};
use super::entries::{Writing, position_of, strange};
use super::entry_args::parse_topic;
use super::exit::Failure;
use super::input::read_text;
use super::output::{self, clean_line, note};
use super::topics::change_topic;
use crate::import::{Format, Imported, parse};
use crate::model::{EntryId, NewEntry, TopicFields, TopicName};

/// Largest file that is read.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
const BATCH_LEN_MAX: usize = 200;
const BATCH_BYTES_MAX: usize = 200 * 1024;

/// `tenbells import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// File to read; `-` is stdin
    pub file: PathBuf,
    /// Format of the file; told by its name where it is left out
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub format: Option<Format>,
    /// Topic to import into; created where it isn't there
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic)]
    pub topic: TopicName,
    /// Only reads the file, and shows what would be published
    #[arg(long)]
    pub dry_run: bool,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// Reads a format argument.
///
/// # Errors
/// The names that there are.
pub fn parse_format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        format!("the formats are {}", names.join(", "))
    })
}

/// The format that the name of `file` tells.
pub fn format_of(file: &Path) -> Option<Format> {
    Format::from_file_name(file.file_name()?.to_str()?)
}

/// Imports a file.
///
/// # Errors
/// When the file can't be read, or the broker refuses something of it.
pub async fn import(args: ImportArgs) -> Result<(), Failure> {
    let format = args
        .format
        .or_else(|| format_of(&args.file))
        .ok_or_else(|| {
            Failure::usage(format!("can't tell the format of {}", args.file.display()))
                .advise("name it: --format transcript, jsonld or jsonl")
        })?;
    let imported = read(&args.file, format)?;
    for guess in &imported.guesses {
        note(format_args!("guessed: {guess}"));
    }
    if args.dry_run {
        return show(&imported, &args.topic);
    }
    let api = args.writing.api()?;
    output::line(send(&api, &args.topic, imported).await?)
}

/// Reads a file of that format, and gives every entry an id.
///
/// # Errors
/// When it can't be read, or has an entry that breaks a limit.
pub fn read(file: &Path, format: Format) -> Result<Imported, Failure> {
    let text = read_text(Some(file), "an import", FILE_BYTES_MAX)?;
    from_text(file, &text, format)
}

/// The entries in `text`, which `file` has; each gets an id where it has none.
///
/// # Errors
/// When it isn't in that format, or an entry is outside the limits of the model.
pub fn from_text(file: &Path, text: &str, format: Format) -> Result<Imported, Failure> {
    let name = file.display();
    let mut imported =
        parse(format, text).map_err(|error| Failure::data(format!("{name}: {error}")))?;
    for (index, entry) in imported.entries.iter_mut().enumerate() {
        entry
            .validate()
            .map_err(|invalid| Failure::data(format!("{name}: entry {}: {invalid}", index + 1)))?;
        if entry.id.is_none() {
            entry.id = Some(id_of(entry, index)?);
        }
    }
    Ok(imported)
}

/// The id of an entry that has none: made from its place and content, so that the next import gives the same.
fn id_of(entry: &NewEntry, index: usize) -> Result<EntryId, Failure> {
    let digest = digest(&format!("{index} {}", json!(entry)));
    EntryId::parse(&format!("import-{digest}")).map_err(|error| Failure::data(error.to_string()))
}

/// The fields that are set, as a merge patch.
pub fn topic_patch(fields: &TopicFields) -> Map<String, Value> {
    let Value::Object(mut patch) = json!(fields) else {
        return Map::new();
    };
    // The importer knows nothing of these where they have their defaults; they stay as they are.
    patch.retain(|name, value| match name.as_str() {
        "key_points" => value.as_array().is_some_and(|points| !points.is_empty()),
        "visibility" => value != "public",
        _ => !value.is_null(),
    });
    patch
}

/// Sends it all, and gives the line that sums it up.
async fn send(api: &Api, topic: &TopicName, imported: Imported) -> Result<String, Failure> {
    let mut position = None;
    let patch = topic_patch(&imported.topic);
    if !patch.is_empty() {
        let key = key_of(topic, "topic", &json!(patch));
        let answer = change_topic(api, topic, patch, Some(&key)).await?;
        position = Some(position_of(&answer)?);
        note(format_args!("{topic}: topic written"));
    }
    let total = imported.entries.len();
    let mut sent = 0;
    for batch in batches(imported.entries) {
        position = send_batch(api, topic, &batch).await?.or(position);
        sent += batch.len();
        note(format_args!("{topic}: {sent} of {total} entries"));
    }
    let mut ended = "";
    if let Some(end) = &imported.end {
        let body = json!(end);
        let doing = format!("end {topic}");
        let path = ["v1", "topics", topic.as_str(), "end"];
        let call = Call::new(&doing, Method::POST, &path)
            .idempotency_key(key_of(topic, "end", &body))
            .body(body);
        position = Some(position_of(&api.send(call).await?)?);
        ended = ", ended";
    }
    let position = position.unwrap_or_else(|| "none".to_owned());
    Ok(format!(
        "{topic} {total} entries, position {position}{ended}"
    ))
}

async fn send_batch(
    api: &Api,
    topic: &TopicName,
    batch: &[Value],
) -> Result<Option<String>, Failure> {
    let body = json!({ "entries": batch });
    let doing = format!("import into {topic}");
    let path = ["v1", "topics", topic.as_str(), "entries:batch"];
    let call = Call::new(&doing, Method::POST, &path)
        .idempotency_key(key_of(topic, "batch", &body))
        .body(body);
    let answer = api.send(call).await?;
    let answered = answer
        .get("entries")
        .and_then(Value::as_array)
        .filter(|answered| answered.len() == batch.len())
        .ok_or_else(|| strange(&format!("no list of {} entries", batch.len())))?;
    answered.last().map(position_of).transpose()
}

/// Parts the entries into batches of at most 200 and about 200 KiB; a larger entry goes alone.
fn batches(entries: Vec<NewEntry>) -> Vec<Vec<Value>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let entry = json!(entry);
        let len = entry.to_string().len() + 1;
        if !batch.is_empty() && (batch.len() == BATCH_LEN_MAX || bytes + len > BATCH_BYTES_MAX) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += len;
        batch.push(entry);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// An idempotency key made from what is sent.
fn key_of(topic: &TopicName, what: &str, body: &Value) -> String {
    format!("import-{what}-{}", digest(&format!("{topic} {body}")))
}

/// 32 hex digits of SHA-256.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn show(imported: &Imported, topic: &TopicName) -> Result<(), Failure> {
    let patch = topic_patch(&imported.topic);
    if !patch.is_empty() {
        output::line(format_args!("topic {}", Value::Object(patch)))?;
    }
    for entry in &imported.entries {
        output::line(entry_line(entry))?;
    }
    if let Some(end) = &imported.end {
        output::line(format_args!("end {}", json!(end)))?;
    }
    note(format_args!(
        "{} entries would go to {topic} (batches: {}); nothing was sent",
        imported.entries.len(),
        batches(imported.entries.clone()).len()
    ));
    Ok(())
}

/// One line that tells an entry: id, headline or first words, byline, size.
pub fn entry_line(entry: &NewEntry) -> String {
    let id = entry.id.as_ref().map_or("-", EntryId::as_str);
    let body = entry.body.as_ref().map_or("", |body| body.raw());
    let words = entry.headline.as_deref().unwrap_or(body);
    let words: String = clean_line(words).chars().take(60).collect();
    let byline: Vec<_> = entry
        .authors
        .iter()
        .map(|author| clean_line(&author.name))
        .collect();
    let byline = if byline.is_empty() {
        "no byline".to_owned()
    } else {
        byline.join(", ")
    };
    format!("{id} “{words}” — {byline} ({} bytes)", body.len())
}

#[cfg(test)]
mod tests;
