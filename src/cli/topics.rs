//! `topic`, `end` and `reopen`: what happens to a topic itself.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, Call};
use super::entries::{Writing, position_of};
use super::entry_args::{parse_topic, text_or_null, without_empty};
use super::exit::Failure;
use super::output;
use crate::model::TopicName;
use crate::protocol::Code;

/// `tenbells topic`.
#[derive(Debug, Clone, Args)]
pub struct TopicArgs {
    /// Name of the topic: a-z, 0-9 and -
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// Title
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Summary, in Markdown
    #[arg(long, value_name = "TEXT")]
    pub summary: Option<String>,
    /// Language, such as en or pt-BR
    #[arg(long, value_name = "TAG")]
    pub language: Option<String>,
    /// A key point; may be repeated
    #[arg(long = "key-point", value_name = "TEXT")]
    pub key_points: Vec<String>,
    /// Who may read
    #[arg(long, value_name = "WHO")]
    pub visibility: Option<Visibility>,
    /// The live blog before: a topic, or a URL
    #[arg(long, value_name = "TOPIC|URL", value_parser = parse_target)]
    pub predecessor: Option<Target>,
    /// What to call the one before
    #[arg(long, value_name = "TEXT")]
    pub predecessor_title: Option<String>,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// `tenbells end`.
#[derive(Debug, Clone, Args)]
pub struct EndArgs {
    /// Name of the topic
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// Where readers go on: a topic, or a URL
    #[arg(long, value_name = "TOPIC|URL", value_parser = parse_target)]
    pub successor: Option<Target>,
    /// What to call it
    #[arg(long, value_name = "TEXT")]
    pub successor_title: Option<String>,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// `tenbells reopen`.
#[derive(Debug, Clone, Args)]
pub struct ReopenArgs {
    /// Name of the topic
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// The broker.
    #[command(flatten)]
    pub writing: Writing,
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Visibility {
    /// Everybody
    Public,
    /// Whoever has a key for the topic
    Private,
}

/// A live blog that another one points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A topic of this broker.
    Topic(TopicName),
    /// A page elsewhere.
    Url(String),
}

fn parse_target(text: &str) -> Result<Target, String> {
    if !text.contains(':') {
        return parse_topic(text).map(Target::Topic);
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Target::Url(text.to_owned())),
        Ok(url) => Err(format!(
            "scheme {}, allowed are http and https",
            url.scheme()
        )),
        Err(error) => Err(format!("not a URL: {error}")),
    }
}

/// Changes a topic, creating it where it isn't there; shows it where nothing is to be changed.
///
/// # Errors
/// When the broker refuses it.
pub async fn topic(args: TopicArgs) -> Result<(), Failure> {
    let api = args.writing.api()?;
    let patch = args.patch();
    if patch.is_empty() {
        let doing = format!("read {}", args.topic);
        let path = topic_path(&args.topic);
        let topic = api.send(Call::new(&doing, Method::GET, &path)).await?;
        return output::line(format_args!("{topic:#}"));
    }
    let answer = change_topic(&api, &args.topic, patch, None).await?;
    output::line(format_args!("{} {}", args.topic, position_of(&answer)?))
}

/// Ends a topic.
///
/// # Errors
/// When the broker refuses it.
pub async fn end(args: EndArgs) -> Result<(), Failure> {
    let doing = format!("end {}", args.topic);
    let path = ["v1", "topics", args.topic.as_str(), "end"];
    let successor = link(args.successor.as_ref(), args.successor_title.as_deref());
    let body = successor.map_or_else(|| json!({}), |link| json!({ "successor": link }));
    let call = Call::new(&doing, Method::POST, &path).body(body);
    let answer = args.writing.api()?.send(call).await?;
    output::line(format_args!("{} {}", args.topic, position_of(&answer)?))
}

/// Takes the end of a topic back.
///
/// # Errors
/// When the broker refuses it.
pub async fn reopen(args: ReopenArgs) -> Result<(), Failure> {
    let doing = format!("reopen {}", args.topic);
    let path = ["v1", "topics", args.topic.as_str(), "reopen"];
    let call = Call::new(&doing, Method::POST, &path).body(json!({}));
    let answer = args.writing.api()?.send(call).await?;
    output::line(format_args!("{} {}", args.topic, position_of(&answer)?))
}

/// Patches the topic's fields, and creates it with them where it isn't there.
///
/// With `key`, a repetition under the same key is answered as the first time.
///
/// # Errors
/// When the broker refuses it.
pub async fn change_topic(
    api: &Api,
    topic: &TopicName,
    patch: Map<String, Value>,
    key: Option<&str>,
) -> Result<Value, Failure> {
    let doing = format!("change {topic}");
    let path = topic_path(topic);
    let call = |method: Method, fields: Map<String, Value>, name: &str| {
        let call = Call::new(&doing, method, &path).body(Value::Object(fields));
        match key {
            Some(key) => call.idempotency_key(format!("{key}-{name}")),
            None => call,
        }
    };
    match api.send(call(Method::PATCH, patch.clone(), "patch")).await {
        Err(refused) if refused.is(Code::TopicNotFound) => {
            let fields = patch.into_iter().filter(|(_, value)| !value.is_null());
            Ok(api.send(call(Method::PUT, fields.collect(), "put")).await?)
        }
        answer => Ok(answer?),
    }
}

fn topic_path(topic: &TopicName) -> [&str; 3] {
    ["v1", "topics", topic.as_str()]
}

fn link(target: Option<&Target>, title: Option<&str>) -> Option<Value> {
    let mut link = match target {
        Some(Target::Topic(topic)) => json!({ "topic": topic }),
        Some(Target::Url(url)) => json!({ "url": url }),
        None => json!({}),
    };
    if let Some(title) = title {
        link["title"] = json!(title);
    }
    (target.is_some() || title.is_some()).then_some(link)
}

impl TopicArgs {
    fn patch(&self) -> Map<String, Value> {
        let mut patch = Map::new();
        let texts = [("title", &self.title), ("language", &self.language)];
        for (name, text) in texts {
            if let Some(text) = text {
                patch.insert(name.to_owned(), text_or_null(text));
            }
        }
        match self.summary.as_deref() {
            None => {}
            Some("") => drop(patch.insert("summary".to_owned(), Value::Null)),
            Some(text) => {
                let summary = json!({"markdown": text, "html": null, "text": null});
                drop(patch.insert("summary".to_owned(), summary));
            }
        }
        if !self.key_points.is_empty() {
            let points = without_empty(&self.key_points);
            patch.insert("key_points".to_owned(), json!(points));
        }
        if let Some(visibility) = self.visibility {
            let name = match visibility {
                Visibility::Public => "public",
                Visibility::Private => "private",
            };
            patch.insert("visibility".to_owned(), json!(name));
        }
        if let Some(mut link) = link(self.predecessor.as_ref(), self.predecessor_title.as_deref()) {
            // A topic takes the place of a URL, and the other way round.
            match &self.predecessor {
                Some(Target::Topic(_)) => link["url"] = Value::Null,
                Some(Target::Url(_)) => link["topic"] = Value::Null,
                None => {}
            }
            patch.insert("predecessor".to_owned(), link);
        }
        patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_topic_or_a_web_address() {
        let topic = TopicName::parse("day-2").expect("name");
        assert_eq!(parse_target("day-2"), Ok(Target::Topic(topic)));
        let url = "https://news.example/2";
        assert_eq!(parse_target(url), Ok(Target::Url(url.to_owned())));
        for bad in ["Day 2", "", "javascript:alert(1)", "https://"] {
            assert!(parse_target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_has_what_was_given() {
        let url = Target::Url("https://a.example/".into());
        assert_eq!(link(None, None), None);
        assert_eq!(link(None, Some("Day 3")), Some(json!({"title": "Day 3"})));
        assert_eq!(
            link(Some(&url), Some("x")),
            Some(json!({"url": "https://a.example/", "title": "x"}))
        );
    }
}
