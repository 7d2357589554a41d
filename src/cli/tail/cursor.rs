//! The rules of a reader: where it stands, what may come next, and what is a gap.
//!
//! Pure: frames in, [`Heard`] out. The same rules as in docs/protocol.md: offsets rise by one, a `reset` is the only
//! way to another place, and a resumed subscription goes on exactly where it was asked to.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::exit::Failure;
use crate::cli::output::clean_line;
use crate::cli::problem::Problem;
use crate::model::{After, Offset, Position, TopicName};

/// Where a reader stands in one topic.
#[derive(Debug)]
pub struct Cursor {
    topic: TopicName,
    after: After,
    /// The head at the time of the last `subscribed`, until that has been reached.
    head: Option<Offset>,
    /// Whether this connection has said where it goes on from.
    placed: bool,
    progress: bool,
}

/// One message of the server, checked.
#[derive(Debug)]
pub enum Heard {
    /// The subscription stands.
    Subscribed,
    /// The next change.
    Change(Box<Change>),
    /// The numbering broke: go on from this position.
    Reset {
        /// Where to go on.
        position: String,
        /// Why.
        reason: String,
    },
    /// The server refused something.
    Error {
        /// Its stable code.
        code: String,
        /// The failure that it is, if nothing else can be done.
        failure: Failure,
    },
    /// Presence, another topic, or something newer than this reader.
    Other,
}

/// A change, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// Its number.
    pub offset: Offset,
    /// When it was stored.
    #[serde(default)]
    pub at: String,
    /// What it did.
    pub kind: String,
    /// The entry, where there is one.
    #[serde(default)]
    pub entry: Value,
    /// The topic, where it is what changed.
    #[serde(default)]
    pub state: Value,
    /// The entry that was retracted.
    #[serde(default)]
    pub id: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    op: String,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    position: Option<String>,
    #[serde(default)]
    head: Option<Offset>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Cursor {
    /// A reader of `topic` that goes on behind `after`.
    pub fn new(topic: TopicName, after: After) -> Self {
        Self {
            topic,
            after,
            head: None,
            placed: false,
            progress: false,
        }
    }

    /// The message that subscribes from here.
    pub fn subscribe(&self) -> String {
        let mut message = json!({"op": "subscribe", "topic": self.topic});
        match &self.after {
            After::Head => {}
            After::Start => message["after"] = json!("start"),
            After::Position(position) => message["after"] = json!(position),
        }
        message.to_string()
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// 65 where a change is missing or came twice, 69 where the frame breaks the protocol.
    pub fn hear(&mut self, frame: &str) -> Result<Heard, Failure> {
        let head: Head = read(frame)?;
        if head
            .topic
            .as_deref()
            .is_some_and(|topic| topic != self.topic.as_str())
        {
            return Ok(Heard::Other);
        }
        match head.op.as_str() {
            "subscribed" => self.subscribed(&head),
            "change" => self.change(read(frame)?),
            "reset" => self.reset(&head),
            "error" => Ok(Heard::Error {
                failure: Problem::failure_by_code(
                    &head.code,
                    &head.message,
                    &format!("follow {}", self.topic),
                ),
                code: head.code,
            }),
            _ => Ok(Heard::Other),
        }
    }

    /// Whether everything up to the head at the time of subscribing has come.
    pub fn is_at_head(&self) -> bool {
        match (&self.after, self.head) {
            (After::Position(position), Some(head)) => position.offset >= head,
            _ => false,
        }
    }

    /// Whether the subscription stood, or anything came, since this was last asked.
    pub fn take_progress(&mut self) -> bool {
        // The next connection has to be told its own place and head.
        self.head = None;
        self.placed = false;
        std::mem::take(&mut self.progress)
    }

    fn subscribed(&mut self, head: &Head) -> Result<Heard, Failure> {
        let position = position(head)?;
        let as_asked = match &self.after {
            After::Head => true,
            After::Start => position.offset == 0,
            After::Position(asked) => position == *asked,
        };
        if !as_asked {
            let asked = match &self.after {
                After::Position(asked) => asked.to_string(),
                After::Head | After::Start => "the start".to_owned(),
            };
            return Err(gap(format!(
                "{}: asked to go on from {asked}, the broker goes on from {position} without a reset",
                self.topic
            )));
        }
        self.head = Some(head.head.unwrap_or(position.offset));
        self.after = After::Position(position);
        self.placed = true;
        self.progress = true;
        Ok(Heard::Subscribed)
    }

    fn change(&mut self, change: Change) -> Result<Heard, Failure> {
        let position = match &mut self.after {
            After::Position(position) if self.placed => position,
            _ => return Err(broken("a change before the subscription")),
        };
        let expected = position.offset.saturating_add(1);
        if change.offset != expected {
            let what = if change.offset > expected {
                "missing"
            } else {
                "sent twice"
            };
            return Err(gap(format!(
                "{}: change {} came where {expected} was due: {what}",
                self.topic, change.offset
            )));
        }
        position.offset = expected;
        self.progress = true;
        Ok(Heard::Change(Box::new(change)))
    }

    fn reset(&mut self, head: &Head) -> Result<Heard, Failure> {
        let position = position(head)?;
        let heard = Heard::Reset {
            position: position.to_string(),
            reason: head.reason.clone(),
        };
        self.after = After::Position(position);
        self.placed = true;
        self.progress = true;
        Ok(heard)
    }
}

fn read<'a, T: Deserialize<'a>>(frame: &'a str) -> Result<T, Failure> {
    serde_json::from_str(frame).map_err(|error| broken(&error.to_string()))
}

fn position(head: &Head) -> Result<Position, Failure> {
    let text = head.position.as_deref().unwrap_or_default();
    Position::parse(text).map_err(|_| broken(&format!("the position “{}”", clean_line(text))))
}

fn broken(what: &str) -> Failure {
    Failure::unavailable(format!(
        "the broker sent a frame that can't be read: {what}"
    ))
    .advise("is it another version? compare `tenbells --version` on both sides")
}

fn gap(what: String) -> Failure {
    Failure::data(what).advise("this breaks the broker's promise: please report it, with its log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn cursor(after: &str) -> Cursor {
        let topic = TopicName::parse("t").expect("name");
        Cursor::new(topic, After::parse(after).expect("after"))
    }

    fn change(offset: u64) -> String {
        format!(
            r#"{{"op":"change","topic":"t","offset":{offset},"at":"2026-11-24T09:00:00.000Z","kind":"entry.redacted","id":"e"}}"#
        )
    }

    fn subscribed(position: &str, head: u64) -> String {
        format!(r#"{{"op":"subscribed","topic":"t","position":"{position}","head":{head}}}"#)
    }

    #[test]
    fn a_change_has_the_next_number_or_it_is_an_error() {
        for (offset, what) in [
            (6, "missing"),
            (4, "sent twice"),
            (3, "sent twice"),
            (0, "twice"),
        ] {
            let mut cursor = cursor("k-4");
            cursor.hear(&subscribed("k-4", 9)).expect("subscribed");
            let failure = cursor.hear(&change(offset)).expect_err("gap");
            assert_eq!(failure.exit(), Exit::Data);
            assert!(failure.to_string().contains(what), "{failure}");
        }
    }

    #[test]
    fn it_resumes_behind_the_last_change() {
        let mut cursor = cursor("start");
        assert!(cursor.subscribe().contains(r#""after":"start""#));
        cursor.hear(&subscribed("k-0", 2)).expect("subscribed");
        assert!(!cursor.is_at_head());
        cursor.hear(&change(1)).expect("first");
        cursor.hear(&change(2)).expect("second");
        assert!(cursor.is_at_head());
        assert!(cursor.subscribe().contains(r#""after":"k-2""#));
        assert!(cursor.take_progress());
        assert!(!cursor.is_at_head(), "the next connection has its own head");
    }

    #[test]
    fn a_subscription_elsewhere_without_a_reset_is_a_gap() {
        for elsewhere in ["k-5", "k-3", "z-4"] {
            let failure = cursor("k-4")
                .hear(&subscribed(elsewhere, 9))
                .expect_err(elsewhere);
            assert_eq!(failure.exit(), Exit::Data);
        }
        assert!(cursor("start").hear(&subscribed("k-5", 9)).is_err());
    }

    #[test]
    fn a_reset_may_stand_before_or_in_place_of_subscribed() {
        let reset = r#"{"op":"reset","topic":"t","position":"z-7","reason":"epoch"}"#;
        let mut before = cursor("k-4");
        before.hear(reset).expect("reset");
        before.hear(&subscribed("z-7", 7)).expect("subscribed");
        before.hear(&change(8)).expect("goes on");
        let mut in_place = cursor("k-4");
        assert!(matches!(in_place.hear(reset), Ok(Heard::Reset { .. })));
        in_place.hear(&change(8)).expect("goes on");
        assert!(in_place.subscribe().contains("z-8"));
    }

    #[test]
    fn other_topics_and_newer_messages_are_passed_over_and_rubbish_is_not() {
        let mut cursor = cursor("k-4");
        for other in [
            r#"{"op":"change","topic":"u","offset":99,"kind":"x"}"#,
            r#"{"op":"presence","topic":"t","readers":3}"#,
            r#"{"op":"invented-later"}"#,
        ] {
            assert!(matches!(cursor.hear(other), Ok(Heard::Other)), "{other}");
        }
        for rubbish in [
            "",
            "[]",
            "{}",
            r#"{"op":"subscribed","topic":"t","position":"K"}"#,
        ] {
            let failure = cursor.hear(rubbish).expect_err(rubbish);
            assert_eq!(failure.exit(), Exit::Unavailable);
        }
        assert!(
            cursor.hear(&change(5)).is_err(),
            "a change before the subscription"
        );
    }

    #[test]
    fn an_error_message_is_mapped_by_its_code() {
        let error = r#"{"op":"error","code":"topic_not_found","message":"no topic t","topic":"t"}"#;
        let Ok(Heard::Error { code, failure }) = cursor("start").hear(error) else {
            panic!("an error message");
        };
        assert_eq!(
            (code.as_str(), failure.exit()),
            ("topic_not_found", Exit::NoInput)
        );
    }
}
