//! What the broker refused, made into a failure: exit code, its own words, and what to do about them.
//!
//! Reads `application/problem+json` (RFC 9457) and falls back to the status where a proxy answered instead.
//! Exit and advice go by the stable [`Code`] where there is one: each has its exit chosen here, and the compiler asks for
//! that of a new one.

use serde::Deserialize;

use super::exit::{Exit, Failure};
use super::output::clean_line;
use crate::protocol::Code;

/// The members of a problem document that a command acts on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The stable code in snake_case; empty where it isn't the broker that answered.
    #[serde(default)]
    pub code: String,
    /// What happened, for a person.
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    title: String,
}

impl Problem {
    /// Reads the body of an error answer; never fails, an unreadable body is an empty problem.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The failure that this is, answered with `status` to an attempt to `doing` ("publish to elections").
    pub fn failure(&self, status: u16, doing: &str) -> Failure {
        let said = [&self.detail, &self.title]
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(|| format!("HTTP status {status}"), |text| clean_line(text));
        let failure = Failure::new(
            exit_of(&self.code, status),
            format!("can't {doing}: {said}"),
        );
        match advice_for(&self.code, status) {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }

    /// The failure of a WebSocket `error` message, which has a code and no status.
    pub fn failure_by_code(code: &str, message: &str, doing: &str) -> Failure {
        let problem = Self {
            code: code.to_owned(),
            detail: format!("{message} ({code})"),
            title: String::new(),
        };
        problem.failure(0, doing)
    }

    /// The code, where the broker answered and this program knows it.
    pub fn code(&self) -> Option<Code> {
        code_of(&self.code)
    }

    /// Whether the same request, answered so with `status`, may end otherwise a moment later.
    pub fn is_worth_repeating(&self, status: u16) -> bool {
        match self.code() {
            // Under its idempotency key the repetition tells whether the first one was stored.
            Some(Code::OutcomeUnknown) => true,
            Some(code) => is_temporary(code),
            None => is_temporary_status(status),
        }
    }
}

/// The code that a word of the wire stands for.
fn code_of(word: &str) -> Option<Code> {
    Code::ALL.into_iter().find(|code| code.as_str() == word)
}

/// Whether a code names a state that passes.
fn is_temporary(code: Code) -> bool {
    exit_of_code(code) == Exit::Temporary
}

/// Whether a WebSocket error code names a state that passes.
pub fn is_temporary_word(word: &str) -> bool {
    code_of(word).is_some_and(is_temporary)
}

/// Whether a status without a code of ours, a proxy's, may be different a moment later.
fn is_temporary_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 502..=504)
}

fn exit_of(code: &str, status: u16) -> Exit {
    match (code_of(code), status) {
        (Some(code), _) => exit_of_code(code),
        (None, status) if is_temporary_status(status) => Exit::Temporary,
        (None, 401 | 403 | 407) => Exit::Denied,
        (None, 404) => Exit::NoInput,
        (None, 400..=499) => Exit::Data,
        (None, 500..=599) => Exit::Unavailable,
        (None, _) => Exit::Other,
    }
}

fn exit_of_code(code: Code) -> Exit {
    match code {
        Code::Unauthorized | Code::Forbidden | Code::OriginRefused => Exit::Denied,
        Code::TopicNotFound | Code::EntryNotFound | Code::NotFound => Exit::NoInput,
        // A full disk is emptied by somebody; the same command works then.
        Code::Unavailable | Code::Timeout | Code::StorageFull | Code::RateLimited => {
            Exit::Temporary
        }
        Code::InvalidJson
        | Code::InvalidField
        | Code::InvalidTopic
        | Code::InvalidId
        | Code::InvalidPosition
        | Code::InvalidParameter
        | Code::InvalidMessage
        | Code::MethodNotAllowed
        | Code::EntryRetracted
        | Code::EntryExists
        | Code::AlreadyReleased
        | Code::TopicEnded
        | Code::RevisionStale
        | Code::IdempotencyKeyReused
        | Code::TooLarge
        | Code::UnsupportedMediaType
        // Topics and their changes never become fewer: waiting does not help.
        | Code::LimitReached => Exit::Data,
        Code::OutcomeUnknown | Code::Internal => Exit::Unavailable,
    }
}

fn advice_for(code: &str, status: u16) -> Option<&'static str> {
    let advice = match (code, status) {
        ("unauthorized", _) | (_, 401) => {
            "set TENBELLS_KEY to a key of this broker; `tenbells keys create --role publisher --topics '*'` makes one"
        }
        ("forbidden", _) => {
            "this key's role or topics don't cover it; `tenbells keys list` shows what keys may do"
        }
        ("topic_not_found", _) => {
            "check the topic's name; `tenbells publish` and `tenbells topic` create one; a private one needs a key in TENBELLS_KEY"
        }
        ("entry_not_found", _) => {
            "check the id: `tenbells publish` printed it, `tenbells tail --json` shows it"
        }
        ("revision_stale", _) | (_, 412) => {
            "somebody revised it since: read the entry again, and repeat with its present revision in --if-match"
        }
        ("idempotency_key_reused", _) => {
            "this key was used for other content; leave --idempotency-key out to get a fresh one"
        }
        ("topic_ended", _) => {
            "take the end back with `tenbells reopen TOPIC`, or publish to the successor"
        }
        ("entry_exists", _) => {
            "the id is taken by other content; change that with `tenbells revise TOPIC ID`"
        }
        ("entry_retracted", _) => {
            "a retracted entry keeps its id for ever; publish under another id"
        }
        (_, 413) => "split it: an entry's body has at most 192 KiB, a request 256 KiB",
        ("limit_reached", _) => "this limit does not pass by waiting; the operator may raise it",
        ("storage_full", _) => "nothing was stored; repeat it once the broker's disk has room",
        ("outcome_unknown", _) => {
            "it may be stored: look with `tenbells tail TOPIC --after start` before you repeat it, or repeat it under the same --idempotency-key"
        }
        (_, 429) => "slow down, or raise --retries",
        ("timeout", _) | (_, 408 | 502..=504) => {
            "the broker is restarting or overloaded; the same command may work in a moment"
        }
        (_, 500) => "the broker's log says more",
        (_, 300..=399) => {
            "set TENBELLS_URL to the address that it redirects to; keys aren't sent after a redirect"
        }
        ("", 404) => "is TENBELLS_URL the address of a Tenbells broker?",
        _ => return None,
    };
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, code: &str) -> Failure {
        let body = format!(
            r#"{{"type":"about:blank","title":"T","status":{status},"detail":"the \u001bdetail","code":"{code}","extra":1}}"#
        );
        Problem::read(body.as_bytes()).failure(status, "publish to t")
    }

    #[test]
    fn each_code_has_its_exit_and_its_advice() {
        for (status, code, exit, advice) in [
            (401, "unauthorized", Exit::Denied, "TENBELLS_KEY"),
            (403, "forbidden", Exit::Denied, "keys list"),
            (404, "topic_not_found", Exit::NoInput, "topic's name"),
            (404, "entry_not_found", Exit::NoInput, "id"),
            (412, "revision_stale", Exit::Data, "--if-match"),
            (
                409,
                "idempotency_key_reused",
                Exit::Data,
                "--idempotency-key",
            ),
            (409, "topic_ended", Exit::Data, "reopen"),
            (409, "entry_exists", Exit::Data, "revise"),
            (413, "too_large", Exit::Data, "192 KiB"),
            (429, "limit_reached", Exit::Data, "waiting"),
            (429, "", Exit::Temporary, "--retries"),
            (507, "storage_full", Exit::Temporary, "room"),
            (500, "outcome_unknown", Exit::Unavailable, "same"),
            (408, "timeout", Exit::Temporary, "moment"),
            (503, "unavailable", Exit::Temporary, "restarting"),
            (500, "internal", Exit::Unavailable, "log"),
        ] {
            let failure = failure(status, code);
            assert_eq!(failure.exit(), exit, "{code}");
            assert!(failure.advice().expect(code).contains(advice), "{code}");
        }
    }

    #[test]
    fn every_code_of_the_wire_has_its_exit_with_and_without_its_status() {
        for code in Code::ALL {
            let expected = match code.as_str() {
                "unauthorized" | "forbidden" | "origin_refused" => Exit::Denied,
                "topic_not_found" | "entry_not_found" | "not_found" => Exit::NoInput,
                "unavailable" | "timeout" | "storage_full" | "rate_limited" => Exit::Temporary,
                "outcome_unknown" | "internal" => Exit::Unavailable,
                _ => Exit::Data,
            };
            let word = code.as_str();
            assert_eq!(failure(code.status(), word).exit(), expected, "{word}");
            let on_socket = Problem::failure_by_code(word, "m", "read t");
            assert_eq!(on_socket.exit(), expected, "{word}");
            assert_eq!(
                is_temporary_word(word),
                expected == Exit::Temporary,
                "{word}"
            );
        }
        for word in ["too_many", "overloaded", "draining", ""] {
            assert!(!is_temporary_word(word), "{word}");
        }
    }

    #[test]
    fn what_may_end_otherwise_is_repeated() {
        let repeated = |word: &str, status| {
            let problem = Problem {
                code: word.to_owned(),
                ..Problem::default()
            };
            problem.is_worth_repeating(status)
        };
        for code in Code::ALL {
            let expected = matches!(
                code,
                Code::Unavailable
                    | Code::Timeout
                    | Code::StorageFull
                    | Code::RateLimited
                    | Code::OutcomeUnknown
            );
            assert_eq!(repeated(code.as_str(), code.status()), expected, "{code:?}");
        }
        assert!(repeated("", 429) && repeated("", 502) && !repeated("", 500));
    }

    #[test]
    fn the_brokers_words_are_shown_without_control_characters() {
        assert_eq!(
            failure(400, "invalid_field").to_string(),
            "can't publish to t: the \u{fffd}detail"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_told_by_its_status() {
        let failure = Problem::read(b"<html>Bad gateway").failure(502, "read t");
        assert_eq!(failure.to_string(), "can't read t: HTTP status 502");
        assert_eq!(failure.exit(), Exit::Temporary);
    }
}
