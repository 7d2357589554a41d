//! The messages of a WebSocket: what a reader may say, and the server's answers beside the changes.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Code;
use crate::model::{After, Offset, Position, TopicName};

/// What a reader says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOp {
    /// Follow a topic.
    Subscribe {
        /// Which.
        topic: TopicName,
        /// From where.
        after: After,
    },
    /// Stop following it.
    Unsubscribe {
        /// Which.
        topic: TopicName,
    },
    /// Show a key for private topics.
    Auth {
        /// The key.
        token: String,
    },
    /// Say something: browsers can't send a ping frame of their own.
    Ping,
}

/// A message outside the protocol: what to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidOp {
    /// The code of the answer.
    pub code: Code,
    /// What is wrong.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    op: String,
    topic: Option<String>,
    after: Option<String>,
    token: Option<String>,
}

impl ClientOp {
    /// Reads one text message.
    ///
    /// # Errors
    /// [`InvalidOp`] with the answer for the reader.
    pub fn parse(text: &str) -> Result<Self, InvalidOp> {
        let fields: Fields = serde_json::from_str(text)
            .map_err(|error| InvalidOp::new(Code::InvalidMessage, error.to_string()))?;
        match (fields.op.as_str(), fields.topic, fields.after, fields.token) {
            ("subscribe", Some(topic), after, None) => Ok(Self::Subscribe {
                topic: parse_topic(&topic)?,
                after: parse_after(after.as_deref())?,
            }),
            ("unsubscribe", Some(topic), None, None) => Ok(Self::Unsubscribe {
                topic: parse_topic(&topic)?,
            }),
            ("auth", None, None, Some(token)) => Ok(Self::Auth { token }),
            ("ping", None, None, None) => Ok(Self::Ping),
            ("subscribe" | "unsubscribe" | "auth" | "ping", ..) => Err(InvalidOp::new(
                Code::InvalidMessage,
                "subscribe has topic and after?, unsubscribe has topic, auth has token, ping has nothing",
            )),
            _ => Err(InvalidOp::new(
                Code::InvalidMessage,
                "op is one of subscribe, unsubscribe, auth, ping",
            )),
        }
    }
}

impl InvalidOp {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

fn parse_topic(text: &str) -> Result<TopicName, InvalidOp> {
    TopicName::parse(text).map_err(|error| InvalidOp::new(Code::InvalidTopic, error.to_string()))
}

fn parse_after(text: Option<&str>) -> Result<After, InvalidOp> {
    text.map_or(Ok(After::Head), |text| {
        After::parse(text).map_err(|error| InvalidOp::new(Code::InvalidPosition, error.to_string()))
    })
}

/// `{"op":"subscribed",…}`: the changes behind `position` follow.
pub fn subscribed(topic: &TopicName, position: &Position, head: Offset) -> String {
    format!(r#"{{"op":"subscribed","topic":"{topic}","position":"{position}","head":{head}}}"#)
}

/// `{"op":"unsubscribed",…}`: nothing of the topic follows.
pub fn unsubscribed(topic: &TopicName) -> String {
    format!(r#"{{"op":"unsubscribed","topic":"{topic}"}}"#)
}

/// `{"op":"pong"}`: the answer to a ping.
pub fn pong() -> &'static str {
    r#"{"op":"pong"}"#
}

/// `{"op":"reset",…}`: take a fresh snapshot, go on from `position`.
pub fn reset(topic: &TopicName, position: &Position, reason: &str) -> String {
    // Reasons are words of ours: nothing in them needs escaping.
    format!(r#"{{"op":"reset","topic":"{topic}","position":"{position}","reason":"{reason}"}}"#)
}

/// `{"op":"presence",…}`.
pub fn presence(topic: &TopicName, readers: u64) -> String {
    format!(r#"{{"op":"presence","topic":"{topic}","readers":{readers}}}"#)
}

/// `{"op":"error",…}`.
pub fn error(code: Code, message: &str, topic: Option<&TopicName>) -> String {
    error_json(code, message, topic).to_string()
}

/// `{"op":"error",…}` of a limit: worth asking again after so many seconds.
pub fn rate_limited(message: &str, topic: Option<&TopicName>, retry_after_s: u64) -> String {
    let mut value = error_json(Code::RateLimited, message, topic);
    value["retry_after"] = retry_after_s.into();
    value.to_string()
}

fn error_json(code: Code, message: &str, topic: Option<&TopicName>) -> Value {
    let mut value = json!({"op": "error", "code": code.as_str(), "message": message});
    if let Some(topic) = topic {
        value["topic"] = topic.as_str().into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_documented_messages() {
        let topic = TopicName::parse("t").expect("name");
        assert_eq!(
            ClientOp::parse(r#"{"op":"subscribe","topic":"t","after":"k3v9q2-42"}"#),
            Ok(ClientOp::Subscribe {
                topic: topic.clone(),
                after: After::parse("k3v9q2-42").expect("position")
            })
        );
        assert_eq!(
            ClientOp::parse(r#"{"op":"subscribe","topic":"t"}"#),
            Ok(ClientOp::Subscribe {
                topic: topic.clone(),
                after: After::Head
            })
        );
        assert_eq!(
            ClientOp::parse(r#"{"op":"unsubscribe","topic":"t"}"#),
            Ok(ClientOp::Unsubscribe { topic })
        );
        assert_eq!(
            ClientOp::parse(r#"{"op":"auth","token":"x"}"#),
            Ok(ClientOp::Auth { token: "x".into() })
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, code) in [
            ("", Code::InvalidMessage),
            ("[]", Code::InvalidMessage),
            (r#"{"op":"shout"}"#, Code::InvalidMessage),
            (r#"{"op":"subscribe"}"#, Code::InvalidMessage),
            (
                r#"{"op":"subscribe","topic":"t","x":1}"#,
                Code::InvalidMessage,
            ),
            (r#"{"op":"subscribe","topic":"T"}"#, Code::InvalidTopic),
            (
                r#"{"op":"subscribe","topic":"t","after":"soon"}"#,
                Code::InvalidPosition,
            ),
        ] {
            assert_eq!(ClientOp::parse(text).expect_err(text).code, code, "{text}");
        }
    }

    #[test]
    fn answers_are_json() {
        let topic = TopicName::parse("t").expect("name");
        let position = Position::parse("abc-4").expect("position");
        for text in [
            subscribed(&topic, &position, 9),
            unsubscribed(&topic),
            reset(&topic, &position, "epoch_changed"),
            presence(&topic, 3),
            error(Code::Internal, "a \"b\"\n", Some(&topic)),
            rate_limited("later", Some(&topic), 3),
        ] {
            let value: Value = serde_json::from_str(&text).expect(&text);
            assert_eq!(value["topic"], "t", "{text}");
        }
    }
}
