//! Errors as problem documents (RFC 9457), with the stable codes of [`crate::protocol::Code`].
//!
//! The one place where errors of the broker and the store become HTTP. What the caller can't use (paths, SQL, causes)
//! goes to the log, not into the answer.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::broker::WriteError;
use crate::keys::Denied;
use crate::limits::Exceeded;
use crate::model::Invalid;
use crate::protocol::Code;
use crate::store::{AppendError, ReadError, Refused};

/// What is left of a limit, and which it is.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    status: StatusCode,
    detail: String,
    field: Option<String>,
    current_revision: Option<u64>,
    retry_after_s: Option<u64>,
    exceeded: Option<Box<Exceeded>>,
}

impl Problem {
    /// An error of this kind; the detail is for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::from_u16(code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: detail.into(),
            field: None,
            current_revision: None,
            retry_after_s: None,
            exceeded: None,
        }
    }

    /// The same, under another status than the one that goes with its code.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Not available now: come back in 1 to 5 s, spread so that not all come at once.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(jitter_s().into()),
            ..Self::new(Code::Unavailable, detail)
        }
    }

    /// The answer for a topic that isn't there, and for one that the caller may not know of: equal, byte for byte.
    pub fn topic_not_found() -> Self {
        Self::new(Code::TopicNotFound, "there is no such topic")
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }
}

/// Seconds until a refused caller should come back.
pub(super) fn jitter_s() -> u32 {
    let mut byte = [0_u8];
    // Without randomness everyone waits one second.
    let _ = getrandom::fill(&mut byte);
    1 + u32::from(byte[0] % 5)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:tenbells:problem:{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code.as_str(),
        });
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        if let Some(revision) = self.current_revision {
            body["current_revision"] = revision.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::Unauthorized {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tenbells\""),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(exceeded) = self.exceeded {
            rate_limit_fields(headers, &exceeded);
        }
        response
    }
}

/// RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).
fn rate_limit_fields(headers: &mut HeaderMap, exceeded: &Exceeded) {
    let (name, seconds) = (exceeded.policy, exceeded.retry_after_s());
    let (quota, window_s) = (exceeded.burst, exceeded.window.as_secs().max(1));
    for (field, value) in [
        (
            RATE_LIMIT_POLICY,
            format!("\"{name}\";q={quota};w={window_s}"),
        ),
        (RATE_LIMIT, format!("\"{name}\";r=0;t={seconds}")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(field, value);
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let seconds = exceeded.retry_after_s();
        let (name, quota) = (exceeded.policy, exceeded.burst);
        Self {
            retry_after_s: Some(seconds),
            exceeded: Some(Box::new(exceeded)),
            ..Self::new(
                Code::RateLimited,
                format!("the {name} limit is {quota} at once; come back in {seconds} s"),
            )
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotNow => Self::unavailable(denied.to_string()),
            Denied::Unknown | Denied::Token(_) => Self::new(Code::Unauthorized, denied.to_string()),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = if invalid.field.is_empty() {
            invalid.message.clone()
        } else {
            invalid.to_string()
        };
        Self {
            field: Some(invalid.field).filter(|field| !field.is_empty()),
            ..Self::new(Code::InvalidField, detail)
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "the store can't be read");
        Self::new(
            Code::Internal,
            "the store can't be read; the server's log says why",
        )
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Invalid(invalid) => invalid.into(),
            WriteError::AlreadyReleased(_) => Self::new(Code::AlreadyReleased, error.to_string()),
            WriteError::Read(error) => error.into(),
            WriteError::Append(AppendError::NotStored(refused)) => refused.into(),
            WriteError::Append(AppendError::OutcomeUnknown(cause)) => {
                tracing::error!(%cause, "the outcome of an append is unknown");
                Self::new(
                    Code::OutcomeUnknown,
                    "it may be stored or not; repeat the request with the same idempotency key",
                )
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::NoTopic => Self::topic_not_found(),
            Refused::TooManyTopics(_) | Refused::TopicFull(_) => {
                Self::new(Code::LimitReached, detail)
            }
            Refused::TopicEnded => Self::new(
                Code::TopicEnded,
                "the topic has ended; POST …/reopen takes that back",
            ),
            Refused::EntryExists(id) => Self::new(
                Code::EntryExists,
                format!("entry {id} exists with other content; PATCH revises it"),
            ),
            Refused::NoEntry(_) => Self::new(Code::EntryNotFound, detail),
            Refused::EntryRetracted(_) => Self::new(Code::EntryRetracted, detail),
            Refused::Stale { current } => Self {
                current_revision: Some(current),
                ..Self::new(
                    Code::RevisionStale,
                    format!("the revision is {current} by now; fetch it and decide anew"),
                )
            },
            Refused::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "this idempotency key was used with another request; use a new key for new content",
            ),
            Refused::Busy(_) => Self::unavailable(detail),
            Refused::Full => Self::new(
                Code::StorageFull,
                "the disk is full: nothing was stored; repeat the request once there is room",
            ),
            Refused::CutOff(cause) => {
                tracing::warn!(%cause, "a write was refused: the shared log can't be reached");
                Self::unavailable(
                    "this node is cut off from the shared log; nothing was stored, try again or another node",
                )
            }
            Refused::TooLarge { .. } => Self::new(Code::TooLarge, detail),
            Refused::Failed(cause) => {
                tracing::error!(%cause, "the store takes no more appends");
                Self::unavailable("the store takes no more writes; the server's log says why")
            }
        }
    }
}
