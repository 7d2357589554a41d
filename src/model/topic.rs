//! One live blog: title, summary, key points, who may read it, whether it is live, and its neighbours in time.

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::entry::{check_list, check_note, check_text_opt, check_url_opt};
use super::limits::{HEADLINE_BYTES_MAX, LANGUAGE_BYTES_MAX, SUMMARY_BYTES_MAX};
use super::time::rfc3339;
use super::{Body, Invalid, TopicName};

/// Whether entries still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicStatus {
    /// Entries come.
    #[default]
    Live,
    /// Ended; revisions and retractions still come, new entries don't.
    Ended,
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Whoever has a key for the topic; for everybody else it is as if it did not exist.
    Private,
}

/// The live blog before or after this one: a topic here, a page elsewhere, or a title alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicLink {
    /// A topic of this broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// A page elsewhere. Not together with `topic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The summary as the desk wrote it: a body, or a bare string (plain text).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Summary(pub Body);

/// What `PUT` and `PATCH` of a topic may set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicFields {
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// The language, a BCP 47 tag such as `en-GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The key points, in order.
    #[serde(default)]
    pub key_points: Vec<String>,
    /// Who may read.
    #[serde(default)]
    pub visibility: Visibility,
    /// The live blog before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<TopicLink>,
}

/// What `POST …/end` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Where readers go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<TopicLink>,
}

/// A topic as readers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub topic: TopicName,
    /// 1, 2, 3 …: counts the updates of this document, not the changes of the topic.
    pub revision: u64,
    /// Live or ended.
    pub status: TopicStatus,
    /// Who may read.
    pub visibility: Visibility,
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The summary, sanitised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_html: Option<String>,
    /// The summary as plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The key points.
    pub key_points: Vec<String>,
    /// The live blog before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<TopicLink>,
    /// The live blog after, once this one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<TopicLink>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
    /// When this document last changed.
    #[serde(with = "rfc3339")]
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub ended_at: Option<Timestamp>,
}

impl Topic {
    /// A topic as the first publish makes it: live, public, with nothing but its name.
    pub fn new(topic: TopicName, now: Timestamp) -> Self {
        Self {
            topic,
            revision: 1,
            status: TopicStatus::Live,
            visibility: Visibility::Public,
            title: None,
            summary_html: None,
            summary: None,
            language: None,
            key_points: Vec::new(),
            predecessor: None,
            successor: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
        }
    }
}

impl TopicFields {
    /// Checks every field against the limits of the model.
    ///
    /// # Errors
    /// [`Invalid`] for the first field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_text_opt("title", self.title.as_deref(), HEADLINE_BYTES_MAX)?;
        check_text_opt(
            "summary",
            self.summary.as_ref().map(|summary| summary.0.raw()),
            SUMMARY_BYTES_MAX,
        )?;
        check_list("key_points", &self.key_points, |field, point| {
            check_note(field, point)
        })?;
        if let Some(language) = &self.language {
            let plain = language
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if language.is_empty() || language.len() > LANGUAGE_BYTES_MAX || !plain {
                return Err(Invalid::new(
                    "language",
                    "is not a BCP 47 language tag such as en or pt-BR",
                ));
            }
        }
        self.predecessor
            .as_ref()
            .map_or(Ok(()), |link| link.validate("predecessor"))
    }
}

impl End {
    /// Checks the successor.
    ///
    /// # Errors
    /// [`Invalid`] when it breaks a rule of [`TopicLink`].
    pub fn validate(&self) -> Result<(), Invalid> {
        self.successor
            .as_ref()
            .map_or(Ok(()), |link| link.validate("successor"))
    }
}

impl TopicLink {
    fn validate(&self, field: &str) -> Result<(), Invalid> {
        if self.topic.is_some() && self.url.is_some() {
            return Err(Invalid::new(field, "has a topic or a url, not both"));
        }
        let titled = self
            .title
            .as_deref()
            .is_some_and(|title| !title.trim().is_empty());
        if self.topic.is_none() && self.url.is_none() && !titled {
            return Err(Invalid::new(field, "has neither topic, url nor title"));
        }
        check_text_opt(
            &format!("{field}.title"),
            self.title.as_deref(),
            HEADLINE_BYTES_MAX,
        )?;
        check_url_opt(&format!("{field}.url"), self.url.as_deref())
    }
}

impl<'de> Deserialize<'de> for Summary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Summary;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string, or an object with one of markdown, html and text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Summary, E> {
                Ok(Summary(Body::Text(text.to_owned())))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Summary, A::Error> {
                Body::deserialize(MapAccessDeserializer::new(map)).map(Summary)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_a_string_or_a_body() {
        let plain: TopicFields = serde_json::from_str(r#"{"summary":"a"}"#).expect("plain");
        assert_eq!(plain.summary, Some(Summary(Body::Text("a".into()))));
        let marked: TopicFields =
            serde_json::from_str(r#"{"summary":{"markdown":"*a*"}}"#).expect("marked");
        assert_eq!(marked.summary, Some(Summary(Body::Markdown("*a*".into()))));
        assert!(serde_json::from_str::<TopicFields>(r#"{"summary":4}"#).is_err());
    }

    #[test]
    fn a_link_points_one_way() {
        let link = |json: &str| serde_json::from_str::<End>(json).map(|end| end.validate());
        assert_eq!(
            link(r#"{"successor":{"topic":"b"}}"#).expect("parses"),
            Ok(())
        );
        assert_eq!(
            link(r#"{"successor":{"title":"Day 3"}}"#).expect("parses"),
            Ok(())
        );
        assert!(
            link(r#"{"successor":{"topic":"b","url":"https://a.example/"}}"#)
                .expect("parses")
                .is_err()
        );
        assert!(link(r#"{"successor":{}}"#).expect("parses").is_err());
        assert!(
            link(r#"{"successor":{"url":"ftp://a.example/"}}"#)
                .expect("parses")
                .is_err()
        );
    }
}
