//! A live blog as it happened: steps with pauses between them, for `tenbells replay` and `serve --demo`.
//!
//! Each line is one JSON object with at most a pause and exactly one action:
//! `{"after":4.5,"publish":{…}}`, `{"revise":{"id":…,"patch":{…}}}`, `{"retract":{"id":…,"reason":…}}`,
//! `{"topic":{…}}` or `{"end":{…}}`. A line that is an entry itself is a publish. Blank lines and lines with `#` in
//! front are skipped. Who carries the steps out is somebody else.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{IMPORT_ENTRIES_MAX, ImportError, check_size, from_line, lines};
use crate::model::limits::NOTE_BYTES_MAX;
use crate::model::{End, EntryId, NewEntry, TopicFields};

/// The sample blog of `serve --demo`: an invented storm in an invented town.
pub const DEMO: &str = include_str!("../../examples/demo-blog.jsonl");
/// The pause before a step that names none.
pub const DEFAULT_PACE: Duration = Duration::from_secs(4);
/// Longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The pause before it. Nothing waits before the first step unless it says so.
    pub after: Duration,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Publish an entry.
    Publish(Box<NewEntry>),
    /// Revise one by a merge patch.
    Revise {
        /// Which.
        id: EntryId,
        /// The JSON merge patch, an object.
        patch: Value,
    },
    /// Take one back.
    Retract {
        /// Which.
        id: EntryId,
        /// Why, for the reader.
        reason: Option<String>,
    },
    /// Change the topic by a merge patch.
    Topic {
        /// The JSON merge patch, an object of [`TopicFields`].
        patch: Value,
    },
    /// End the live blog.
    End(End),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    after: Option<f64>,
    publish: Option<Box<NewEntry>>,
    revise: Option<Revise>,
    retract: Option<Retract>,
    topic: Option<Map<String, Value>>,
    end: Option<End>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revise {
    id: EntryId,
    patch: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retract {
    id: EntryId,
    #[serde(default)]
    reason: Option<String>,
}

/// What a line of a script can have, and an entry can't.
const KEYS: [&str; 6] = ["after", "publish", "revise", "retract", "topic", "end"];

/// Whether any line of `text` is a step, so that the whole is a script and no list of entries or another format.
pub fn is_script(text: &str) -> bool {
    lines(text).any(|(_, line)| {
        serde_json::from_str::<Map<String, Value>>(line).is_ok_and(|object| has_step(&object))
    })
}

fn has_step(object: &Map<String, Value>) -> bool {
    object.keys().any(|key| KEYS.contains(&key.as_str()))
}

/// Reads a script.
///
/// # Errors
/// [`ImportError`] with the line that is not a step, or has a value outside the limits of the model.
pub fn parse_script(text: &str) -> Result<Vec<Step>, ImportError> {
    check_size(text)?;
    let mut steps = Vec::new();
    for (number, line) in lines(text) {
        if steps.len() == IMPORT_ENTRIES_MAX {
            let message = format!("the script has more than {IMPORT_ENTRIES_MAX} steps");
            return Err(ImportError::at(number, message));
        }
        let pause = if steps.is_empty() {
            Duration::ZERO
        } else {
            DEFAULT_PACE
        };
        steps.push(step(number, line, pause)?);
    }
    Ok(steps)
}

fn step(number: usize, line: &str, pause: Duration) -> Result<Step, ImportError> {
    let object: Map<String, Value> = from_line(number, line)?;
    if !has_step(&object) {
        let entry: Box<NewEntry> = from_line(number, line)?;
        let action = checked(Action::Publish(entry)).map_err(|e| ImportError::at(number, e))?;
        return Ok(Step {
            after: pause,
            action,
        });
    }
    let line: Line = from_line(number, line)?;
    let after = line.after.map_or(Ok(pause), |seconds| {
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|after| *after <= PAUSE_MAX)
            .ok_or_else(|| {
                let max = PAUSE_MAX.as_secs();
                let message = format!("after: is {seconds} seconds, allowed are 0 to {max}");
                ImportError::at(number, message)
            })
    })?;
    let actions = [
        line.publish.map(Action::Publish),
        line.revise.map(|revise| Action::Revise {
            id: revise.id,
            patch: Value::Object(revise.patch),
        }),
        line.retract.map(|retract| Action::Retract {
            id: retract.id,
            reason: retract.reason,
        }),
        line.topic.map(|patch| Action::Topic {
            patch: Value::Object(patch),
        }),
        line.end.map(Action::End),
    ];
    let mut actions = actions.into_iter().flatten();
    match (actions.next(), actions.next()) {
        (Some(action), None) => checked(action)
            .map(|action| Step { after, action })
            .map_err(|message| ImportError::at(number, message)),
        (first, _) => {
            let count = if first.is_some() { "several" } else { "none" };
            let message = format!(
                "a step has exactly one of publish, revise, retract, topic and end; this one has {count}"
            );
            Err(ImportError::at(number, message))
        }
    }
}

/// Holds an action against the limits of the model, as far as that goes without the entry that it changes.
fn checked(action: Action) -> Result<Action, String> {
    match &action {
        Action::Publish(entry) => entry.validate().map_err(|error| error.to_string())?,
        Action::Revise { patch, .. } => {
            serde_json::from_value::<NewEntry>(without_nulls(patch))
                .map_err(|error| format!("revise.patch: {error}"))?;
        }
        Action::Retract { reason, .. } => {
            let len = reason.as_ref().map_or(0, String::len);
            if len > NOTE_BYTES_MAX {
                return Err(format!(
                    "retract.reason: has {len} bytes, the limit is {NOTE_BYTES_MAX}"
                ));
            }
        }
        Action::Topic { patch } => serde_json::from_value::<TopicFields>(without_nulls(patch))
            .map_err(|error| format!("topic: {error}"))?
            .validate()
            .map_err(|error| format!("topic: {error}"))?,
        Action::End(end) => end.validate().map_err(|error| error.to_string())?,
    }
    Ok(action)
}

/// The fields that a merge patch sets. A null takes one away, so it has no value to check.
fn without_nulls(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn error(text: &str) -> String {
        parse_script(text).expect_err(text).to_string()
    }

    #[test]
    fn the_sample_blog_holds_together() {
        let steps = parse_script(DEMO).expect("the sample parses");
        assert_eq!(steps[0].after, Duration::ZERO);
        let length: Duration = steps.iter().map(|step| step.after).sum();
        assert!((60..=120).contains(&length.as_secs()), "{length:?}");
        let mut live = HashSet::new();
        let mut gone = HashSet::new();
        let mut kinds = HashSet::new();
        for step in &steps {
            kinds.insert(std::mem::discriminant(&step.action));
            match &step.action {
                Action::Publish(entry) => {
                    let id = entry
                        .id
                        .clone()
                        .expect("every entry of the sample has an id");
                    assert!(
                        live.insert(id.clone()) && !gone.contains(&id),
                        "{id} is there twice"
                    );
                }
                Action::Revise { id, .. } => assert!(live.contains(id), "{id} is not there"),
                Action::Retract { id, reason } => {
                    assert!(reason.is_some());
                    assert!(
                        live.remove(id) && gone.insert(id.clone()),
                        "{id} is not there"
                    );
                }
                Action::Topic { .. } | Action::End(_) => {}
            }
        }
        assert_eq!(kinds.len(), 5, "every kind of step is shown");
        assert!(matches!(
            steps.last().map(|step| &step.action),
            Some(Action::End(_))
        ));
    }

    #[test]
    fn a_script_is_told_by_its_steps() {
        assert!(is_script(DEMO));
        assert!(is_script(
            "{\"headline\":\"A\"}\nnot JSON\n{\"after\":1,\"end\":{}}"
        ));
        for other in [
            "",
            "# {\"end\":{}}",
            "{\"headline\":\"A\"}\n{\"headline\":\"B\"}",
            "{\"@context\":\"https://schema.org\",\"@type\":\"LiveBlogPosting\",\"publisher\":{}}",
            "{\n  \"topic\": {}\n}",
            "The end\n\n— Ada Lee",
        ] {
            assert!(!is_script(other), "{other}");
        }
    }

    #[test]
    fn plain_entries_are_published_at_the_default_pace() {
        let steps =
            parse_script("{\"headline\":\"A\"}\n# x\n{\"headline\":\"B\"}").expect("parses");
        assert_eq!(steps[0].after, Duration::ZERO);
        assert_eq!(steps[1].after, DEFAULT_PACE);
        assert!(
            matches!(&steps[1].action, Action::Publish(entry) if entry.headline.as_deref() == Some("B"))
        );
    }

    #[test]
    fn errors_name_the_line_and_what_is_wrong() {
        assert!(error("{\"after\":1}").ends_with("this one has none"));
        assert!(
            error(r#"{"publish":{"headline":"A"},"end":{}}"#).ends_with("this one has several")
        );
        for pause in ["-1", "3601", "1e300"] {
            let message = error(&format!(r#"{{"after":{pause},"end":{{}}}}"#));
            assert!(message.contains("allowed are 0 to 3600"), "{message}");
        }
        assert_eq!(
            error("\n{\"end\":{\"successor\":{}}}"),
            "line 2: successor: has neither topic, url nor title"
        );
        assert!(error(r#"{"revise":{"id":"a","patch":{"hedline":"x"}}}"#).contains("hedline"));
        assert!(error(r#"{"topic":{"titel":"x"}}"#).contains("titel"));
        assert!(error(r#"{"publish":{"headline":"A","x":1}}"#).contains("publish.x"));
        let reason = "x".repeat(NOTE_BYTES_MAX + 1);
        assert!(
            error(&format!(
                r#"{{"retract":{{"id":"a","reason":"{reason}"}}}}"#
            ))
            .ends_with("has 2001 bytes, the limit is 2000")
        );
        assert!(parse_script(r#"{"revise":{"id":"a","patch":{"headline":null}}}"#).is_ok());
    }
}
