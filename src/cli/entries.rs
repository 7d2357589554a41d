//! `publish`, `revise` and `retract`: what happens to one entry.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, Call, Remote};
use super::entry_args::{EntryFields, parse_id, parse_topic};
use super::exit::Failure;
use super::input::read_body;
use super::output::{self, clean_line};
use super::retry::Retry;
use crate::model::{EntryId, Position, TopicName};

/// What every writing command takes.
#[derive(Debug, Clone, Args)]
pub struct Writing {
    /// The broker.
    #[command(flatten)]
    pub remote: Remote,
    /// Tries after the first one, when the broker can't be reached or asks to wait
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Broker")]
    pub retries: u32,
}

/// `tenbells publish`.
#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// Topic to publish to; the first publish creates it
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// File with the body; stdin where it is left out or `-`
    pub file: Option<PathBuf>,
    /// An id of your own: publishing it again with the same content changes nothing
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    pub id: Option<EntryId>,
    /// Key under which a repetition is recognised, for the life of the topic; made up where it is left out
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Prints the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// The fields.
    #[command(flatten)]
    pub fields: EntryFields,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// `tenbells revise`.
#[derive(Debug, Clone, Args)]
pub struct ReviseArgs {
    /// Topic of the entry
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// Id of the entry
    #[arg(value_parser = parse_id)]
    pub id: EntryId,
    /// Only if the entry still has this revision
    #[arg(long, value_name = "REVISION")]
    pub if_match: Option<u64>,
    /// Prints the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// The fields.
    #[command(flatten)]
    pub fields: EntryFields,
    /// Takes the pin away
    #[arg(long, conflicts_with = "pin", help_heading = "Entry")]
    pub unpin: bool,
    /// Makes it no key event any more
    #[arg(long, conflicts_with = "key_event", help_heading = "Entry")]
    pub no_key_event: bool,
    /// What was wrong, for the reader; an empty note takes it away
    #[arg(long, value_name = "NOTE", help_heading = "Entry")]
    pub correction: Option<String>,
    /// A new body out of this file; `-` is stdin
    #[arg(long, value_name = "FILE", help_heading = "Entry")]
    pub body_from: Option<PathBuf>,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// `tenbells retract`.
#[derive(Debug, Clone, Args)]
pub struct RetractArgs {
    /// Topic of the entry
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// Id of the entry
    #[arg(value_parser = parse_id)]
    pub id: EntryId,
    /// Why, for the reader
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only if the entry still has this revision
    #[arg(long, value_name = "REVISION")]
    pub if_match: Option<u64>,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

impl Writing {
    /// The broker over HTTP.
    ///
    /// # Errors
    /// When this machine's TLS can't be set up.
    pub fn api(&self) -> Result<Api, Failure> {
        Api::new(&self.remote, Retry::new(self.retries))
    }
}

/// Publishes an entry, and prints its id and position.
///
/// # Errors
/// When the input is wrong or the broker refuses it.
pub async fn publish(args: PublishArgs) -> Result<(), Failure> {
    let body = read_body(args.file.as_deref())?;
    let entry = args.fields.entry(args.id, body)?;
    let doing = format!("publish to {}", args.topic);
    let path = ["v1", "topics", args.topic.as_str(), "entries"];
    let mut call = Call::new(&doing, Method::POST, &path).body(json!(entry));
    if let Some(key) = args.idempotency_key {
        call = call.idempotency_key(key);
    }
    let answer = args.writing.api()?.send(call).await?;
    if args.json {
        return output::line(answer);
    }
    output::line(published_line(&answer)?)
}

/// Revises an entry, and prints its id and position.
///
/// # Errors
/// When nothing is to be changed, the input is wrong or the broker refuses it.
pub async fn revise(args: ReviseArgs) -> Result<(), Failure> {
    let patch = args.patch()?;
    let doing = format!("revise {} in {}", args.id, args.topic);
    let path = entry_path(&args.topic, &args.id);
    let call = Call::new(&doing, Method::PATCH, &path)
        .body(Value::Object(patch))
        .if_match(args.if_match);
    let answer = args.writing.api()?.send(call).await?;
    if args.json {
        return output::line(answer);
    }
    output::line(published_line(&answer)?)
}

/// Retracts an entry, and prints its id and position.
///
/// # Errors
/// When the broker refuses it.
pub async fn retract(args: RetractArgs) -> Result<(), Failure> {
    let doing = format!("retract {} from {}", args.id, args.topic);
    let path = entry_path(&args.topic, &args.id);
    let mut call = Call::new(&doing, Method::DELETE, &path).if_match(args.if_match);
    if let Some(reason) = args.reason {
        call = call.body(json!({ "reason": reason }));
    }
    let answer = args.writing.api()?.send(call).await?;
    output::line(format_args!("{} {}", args.id, position_of(&answer)?))
}

/// The path of one entry.
pub fn entry_path<'a>(topic: &'a TopicName, id: &'a EntryId) -> [&'a str; 5] {
    ["v1", "topics", topic.as_str(), "entries", id.as_str()]
}

/// The position in an answer, or `held` for an entry under embargo, which has none yet.
///
/// # Errors
/// When the answer has neither.
pub fn position_of(answer: &Value) -> Result<String, Failure> {
    match answer.get("position") {
        Some(Value::Null) => Ok("held".to_owned()),
        Some(Value::String(text)) => Position::parse(text)
            .map(|position| position.to_string())
            .map_err(|_| strange(&format!("the position {}", clean_line(text)))),
        _ => Err(strange("no position")),
    }
}

/// The failure for an answer that breaks the protocol.
pub fn strange(what: &str) -> Failure {
    Failure::unavailable(format!("the broker's answer has {what}"))
        .advise("is it another version? compare `tenbells --version` on both sides")
}

impl ReviseArgs {
    fn patch(&self) -> Result<Map<String, Value>, Failure> {
        let mut patch = self.fields.given();
        if self.unpin {
            patch.insert("pinned".to_owned(), json!(false));
        }
        if self.no_key_event {
            patch.insert("key_event".to_owned(), json!(false));
        }
        match self.correction.as_deref() {
            None => {}
            Some("") => drop(patch.insert("correction".to_owned(), Value::Null)),
            Some(note) => drop(patch.insert("correction".to_owned(), json!({ "note": note }))),
        }
        if let Some(path) = &self.body_from {
            let body = self.fields.format.body(read_body(Some(path))?);
            // A merge patch goes into the body as well: the other formats have to make way.
            let mut fields = json!({"markdown": null, "html": null, "text": null});
            if let (Some(fields), Value::Object(body)) = (fields.as_object_mut(), json!(body)) {
                fields.extend(body);
            }
            patch.insert("body".to_owned(), fields);
        }
        if patch.is_empty() {
            return Err(Failure::usage("nothing to revise")
                .advise("name what changes: --headline, --body-from, --correction, --pin …"));
        }
        Ok(patch)
    }
}

fn published_line(answer: &Value) -> Result<String, Failure> {
    let id = answer
        .pointer("/entry/id")
        .and_then(Value::as_str)
        .and_then(|id| EntryId::parse(id).ok())
        .ok_or_else(|| strange("no entry id"))?;
    Ok(format!("{id} {}", position_of(answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_printed_as_id_and_position() {
        let line = |answer: Value| published_line(&answer);
        assert_eq!(
            line(json!({"entry": {"id": "e1"}, "position": "k-4"})),
            Ok("e1 k-4".to_owned())
        );
        assert_eq!(
            line(json!({"entry": {"id": "e1"}, "position": null})),
            Ok("e1 held".to_owned())
        );
        for strange in [
            json!({"entry": {"id": "e1"}}),
            json!({"entry": {"id": "e\u{1b}"}, "position": "k-4"}),
            json!({"entry": {"id": "e1"}, "position": "\u{1b}[2J"}),
            json!([]),
        ] {
            assert!(line(strange.clone()).is_err(), "{strange}");
        }
    }
}
