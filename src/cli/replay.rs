//! `replay`: plays a script, or a live blog from a file, into a topic, with its pauses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, Call};
use super::entries::{Writing, entry_path, position_of};
use super::entry_args::parse_topic;
use super::exit::Failure;
use super::import::{FILE_BYTES_MAX, entry_line, format_of, from_text, parse_format, topic_patch};
use super::input::read_text;
use super::output::{self, note};
use super::topics::change_topic;
use crate::import::script::{Action, Step, is_script, parse_script};
use crate::import::{Format, Imported};
use crate::model::TopicName;

/// The pause before an entry of a file that has no times.
const PAUSE: Duration = Duration::from_secs(10);

/// `tenbells replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Script, or a file that `import` reads
    pub file: PathBuf,
    /// Format of a file that `import` reads; told by its content and name where it is left out
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub format: Option<Format>,
    /// Topic to play into; made of the file's name where it is left out
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic)]
    pub topic: Option<TopicName>,
    /// How many times faster than written
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_speed)]
    pub speed: f64,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.001..=1e6).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.001 to 1000000".to_owned()),
    }
}

/// Plays a file.
///
/// # Errors
/// When the file can't be read, or the broker refuses a step.
pub async fn replay(args: ReplayArgs) -> Result<(), Failure> {
    let steps = steps_of(&args.file, args.format)?;
    let topic = match args.topic {
        Some(topic) => topic,
        None => topic_of(&args.file)?,
    };
    let api = args.writing.api()?;
    let total = steps.len();
    let mut position = "none".to_owned();
    for (index, step) in steps.into_iter().enumerate() {
        tokio::time::sleep(step.after.div_f64(args.speed)).await;
        let told = tell(&step.action);
        position = play(&api, &topic, step.action).await?;
        note(format_args!(
            "{} of {total} at {position}: {told}",
            index + 1
        ));
    }
    output::line(format_args!("{topic} {total} steps, position {position}"))
}

/// The topic that a file is named after: `demo-blog` for `examples/Demo blog.jsonl`.
fn topic_of(file: &Path) -> Result<TopicName, Failure> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let words: Vec<_> = stem
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    TopicName::parse(&words.join("-").to_ascii_lowercase()).map_err(|_| {
        Failure::usage(format!("can't make a topic's name of {}", file.display()))
            .advise("name it: --topic TOPIC")
    })
}

fn steps_of(file: &Path, format: Option<Format>) -> Result<Vec<Step>, Failure> {
    let text = read_text(Some(file), "a script", FILE_BYTES_MAX)?;
    // A script goes by its steps, not by its name: those of `.jsonl` files of entries are the same.
    let by_name = || format_of(file).filter(|_| !is_script(&text));
    match format.or_else(by_name) {
        Some(format) => Ok(steps(from_text(file, &text, format)?)),
        None => parse_script(&text)
            .map_err(|error| Failure::data(format!("{}: {error}", file.display()))),
    }
}

/// A whole blog as steps: the pauses are those between the times of its entries.
fn steps(imported: Imported) -> Vec<Step> {
    let mut steps = Vec::new();
    let patch = topic_patch(&imported.topic);
    if !patch.is_empty() {
        steps.push(Step {
            after: Duration::ZERO,
            action: Action::Topic {
                patch: Value::Object(patch),
            },
        });
    }
    let mut last = None;
    for entry in imported.entries {
        let after = match (last, entry.published_at) {
            (Some(last), Some(at)) => {
                Duration::try_from(at.duration_since(last)).unwrap_or_default()
            }
            (None, Some(_)) => Duration::ZERO,
            (_, None) => PAUSE,
        };
        last = entry.published_at.or(last);
        steps.push(Step {
            after,
            action: Action::Publish(Box::new(entry)),
        });
    }
    steps.extend(imported.end.map(|end| Step {
        after: PAUSE,
        action: Action::End(end),
    }));
    steps
}

async fn play(api: &Api, topic: &TopicName, action: Action) -> Result<String, Failure> {
    let answer = match action {
        Action::Publish(entry) => {
            let path = ["v1", "topics", topic.as_str(), "entries"];
            send(api, topic, Method::POST, &path, json!(entry)).await?
        }
        Action::Revise { id, patch } => {
            send(api, topic, Method::PATCH, &entry_path(topic, &id), patch).await?
        }
        Action::Retract { id, reason } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            send(api, topic, Method::DELETE, &entry_path(topic, &id), body).await?
        }
        Action::Topic {
            patch: Value::Object(patch),
        } => change_topic(api, topic, patch, None).await?,
        Action::Topic { .. } => return Err(Failure::data("the patch of a topic is an object")),
        Action::End(end) => {
            let path = ["v1", "topics", topic.as_str(), "end"];
            send(api, topic, Method::POST, &path, json!(end)).await?
        }
    };
    position_of(&answer)
}

async fn send(
    api: &Api,
    topic: &TopicName,
    method: Method,
    path: &[&str],
    body: Value,
) -> Result<Value, Failure> {
    let doing = format!("replay into {topic}");
    let call = Call::new(&doing, method, path).body(body);
    Ok(api.send(call).await?)
}

fn tell(action: &Action) -> String {
    match action {
        Action::Publish(entry) => entry_line(entry),
        Action::Revise { id, .. } => format!("revised {id}"),
        Action::Retract { id, .. } => format!("retracted {id}"),
        Action::Topic { .. } => "topic changed".to_owned(),
        Action::End(_) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{End, NewEntry};

    #[test]
    fn a_speed_is_a_sane_number() {
        assert_eq!(parse_speed("60"), Ok(60.0));
        for bad in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_is_named_after_its_file() {
        let named = |file: &str| topic_of(Path::new(file)).map(|topic| topic.to_string());
        assert_eq!(
            named("examples/Demo_blog 2.jsonl"),
            Ok("demo-blog-2".to_owned())
        );
        assert!(named("-").is_err() && named("…/….json").is_err());
    }

    #[test]
    fn pauses_come_from_the_times_and_never_run_backwards() {
        let entry = |at: Option<&str>| NewEntry {
            published_at: at.map(|at| at.parse().expect("time")),
            ..NewEntry::default()
        };
        let imported = Imported {
            entries: vec![
                entry(Some("2026-11-24T09:00:00Z")),
                entry(Some("2026-11-24T09:05:00Z")),
                entry(None),
                entry(Some("2026-11-24T09:04:00Z")),
            ],
            end: Some(End::default()),
            ..Imported::default()
        };
        let pauses: Vec<_> = steps(imported)
            .iter()
            .map(|step| step.after.as_secs())
            .collect();
        assert_eq!(pauses, [0, 300, 10, 0, 10]);
    }
}
