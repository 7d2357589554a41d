//! Somebody who calls brokers and goes to another one when one fails: what is common to publishers and readers.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;

use super::recorder::Recorder;
use crate::history::{Place, Try, What};

pub(super) const TOPIC: &str = "t";
/// Between two publishes of one publisher, and two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(25);
/// How long a write, or reading to the end, is insisted on.
pub(super) const INSIST: Duration = Duration::from_secs(150);

/// Somebody who calls brokers.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) recorder: Recorder,
    pub(super) bases: Vec<String>,
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) http: reqwest::Client,
}

/// How a try of a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Acked,
    /// Nothing was stored, by this code.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

impl Caller {
    pub(super) fn base(&self) -> &str {
        &self.bases[self.at]
    }

    pub(super) fn node(&self) -> String {
        self.at.to_string()
    }

    pub(super) fn say(&self, what: What) {
        self.recorder.say(&self.node(), what);
    }

    pub(super) fn go_on(&mut self) {
        self.at = (self.at + 1) % self.bases.len();
    }

    /// The same one, at the next broker.
    pub(super) fn elsewhere(&self) -> Self {
        let mut other = self.clone();
        other.go_on();
        other
    }

    /// One try of a write.
    pub(super) async fn attempt(&self, write: Try, call: RequestBuilder) -> End {
        let op = write.op;
        self.say(What::Try(write));
        let outcome = match call.bearer_auth(&self.key).send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let answer = answer.json::<Value>().await;
                answer.ok().map(|answer| (status, answer))
            }
            Err(_) => None,
        };
        let (what, end) = match outcome {
            // Taken back, but a node may still show it: whoever asked goes on asking.
            Some((200..=299, answer)) if answer["retracted_everywhere"] == false => {
                (What::Unknown { op }, End::Unknown)
            }
            Some((200..=299, answer)) => {
                let place = answer["position"].as_str().and_then(Place::parse);
                (What::Ack { op, place }, End::Acked)
            }
            Some((_, answer)) if answer["code"] == "outcome_unknown" => {
                (What::Unknown { op }, End::Unknown)
            }
            Some((_, answer)) => {
                let code = answer["code"].as_str().unwrap_or_default().to_owned();
                let end = End::Refused(code.clone());
                (What::Refused { op, code }, end)
            }
            None => (What::Unknown { op }, End::Unknown),
        };
        self.say(what);
        end
    }
}
