//! Who calls, and whether they may: bearer keys, reader tokens, tickets; deny by default, hidden equal to absent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};

use super::Http;
use super::problem::Problem;
use super::read::Query;
use crate::broker::{Channel, WriteRequest};
use crate::keys::{Denied, Grant, Right};
use crate::model::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::model::{EntryId, TopicName};
use crate::protocol::Code;

/// How often it is looked whether the key or token of an open connection still stands.
const STANDS_EVERY: Duration = Duration::from_secs(1);

impl Http {
    /// The grant of the request's bearer key; none where it has no key.
    ///
    /// # Errors
    /// `unauthorized` for a key that is not known: a wrong key never reads as no key.
    pub(super) fn grant(&self, headers: &HeaderMap) -> Result<Option<Arc<Grant>>, Problem> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let token = bearer(headers).ok_or_else(|| {
            Problem::new(Code::Unauthorized, "the Authorization header is Bearer KEY")
        })?;
        self.keys.authenticate(token).map(Some).map_err(|denied| {
            if denied != Denied::NotNow {
                self.metrics.auth_failures.inc();
            }
            denied.into()
        })
    }

    /// The grant of whoever opens a connection by a URL: out of a ticket, or as of any request.
    ///
    /// # Errors
    /// As [`Http::grant`]; `invalid_parameter` for a token in the URL, or both a ticket and a key.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Option<Arc<Grant>>, Problem> {
        if ["token", "access_token"]
            .iter()
            .any(|name| query.get(name).is_some())
        {
            return Err(Problem::new(
                Code::InvalidParameter,
                "a token is not for URLs, which logs keep: POST /v1/tickets gives a ticket for it",
            ));
        }
        let Some(ticket) = query.get("ticket") else {
            return self.grant(headers);
        };
        if headers.contains_key(header::AUTHORIZATION) {
            return Err(Problem::new(
                Code::InvalidParameter,
                "a ticket goes without an Authorization header",
            ));
        }
        let grant = self.tickets.take(ticket, Instant::now());
        match grant.filter(|grant| self.keys.stands(grant)) {
            Some(grant) => Ok(Some(grant)),
            None => {
                self.metrics.auth_failures.inc();
                Err(Problem::new(
                    Code::Unauthorized,
                    "the ticket is not known, was used, or is older than 60 s",
                ))
            }
        }
    }

    /// The grant of a caller who has a key, whatever it is for.
    ///
    /// # Errors
    /// `unauthorized` without one.
    pub(super) fn signed_in(&self, headers: &HeaderMap) -> Result<Arc<Grant>, Problem> {
        self.grant(headers)?.ok_or_else(|| {
            Problem::new(
                Code::Unauthorized,
                "this needs a key: Authorization: Bearer KEY",
            )
        })
    }

    /// The grant of a caller who has this right on this topic.
    ///
    /// # Errors
    /// `unauthorized` without a key, `forbidden` with one that may not. Neither tells whether the topic exists.
    pub(super) fn require(
        &self,
        headers: &HeaderMap,
        right: Right,
        topic: &TopicName,
    ) -> Result<Arc<Grant>, Problem> {
        let grant = self.signed_in(headers)?;
        if grant.may(right, topic) {
            return Ok(grant);
        }
        let role = grant.role.as_str();
        Err(Problem::new(
            Code::Forbidden,
            format!("a {role} key for other topics, or of too small a role, may not do this"),
        ))
    }

    /// The topic, for a caller who may read it.
    ///
    /// # Errors
    /// `topic_not_found` where it is not there, or private and not the caller's to know.
    pub(super) async fn readable(
        &self,
        headers: &HeaderMap,
        topic: &TopicName,
    ) -> Result<(Arc<Channel>, Access), Problem> {
        self.readable_as(self.grant(headers)?, topic).await
    }

    /// As [`Http::readable`], for a caller who is known already.
    pub(super) async fn readable_as(
        &self,
        grant: Option<Arc<Grant>>,
        topic: &TopicName,
    ) -> Result<(Arc<Channel>, Access), Problem> {
        let in_use = self.broker.channel_in_use(topic);
        let is_in_use = in_use.is_some();
        let channel = match in_use {
            Some(channel) => channel,
            None => self
                .broker
                .channel(topic)
                .await?
                .ok_or_else(Problem::topic_not_found)?,
        };
        let access = Access(grant);
        if access.may_read(self, &channel) {
            return Ok((channel, access));
        }
        if is_in_use {
            // What is absent is looked for in the store: what is hidden must not be refused sooner.
            self.broker.topic(topic).await?;
        }
        Err(Problem::topic_not_found())
    }

    /// What a write says of itself: who, and its idempotency key.
    pub(super) fn write_request(
        &self,
        headers: &HeaderMap,
        grant: &Grant,
    ) -> Result<WriteRequest, Problem> {
        Ok(WriteRequest {
            actor: Arc::clone(&grant.id),
            key: idempotency_key(headers)?,
            may_create: self.options.auto_create,
        })
    }

    /// Whether a page of this origin may read: the broker's own pages, those on the list, and callers that are no page.
    pub(super) fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let authority = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"))
            .filter(|authority| !authority.is_empty());
        let own = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .is_some_and(|host| {
                authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
            });
        own || self.options.origins.iter().any(|allowed| allowed == origin)
    }
}

/// What a reader may see, asked again whenever a topic can have become private.
#[derive(Debug, Clone)]
pub(super) struct Access(pub Option<Arc<Grant>>);

impl Access {
    /// Whether the topic is public, or the reader's key is good for it and still stands.
    pub(super) fn may_read(&self, http: &Http, channel: &Channel) -> bool {
        !channel.is_private()
            || self.0.as_ref().is_some_and(|grant| {
                grant.may(Right::Read, channel.name()) && http.keys.stands(grant)
            })
    }

    /// Whether what the reader has shown, if anything, still stands.
    pub(super) fn stands(&self, http: &Http) -> bool {
        self.0.as_ref().is_none_or(|grant| http.keys.stands(grant))
    }

    /// Ends when what the reader has shown does not stand any more: looked at once a second, and at once.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub(super) async fn ended(&self, http: &Http) {
        if self.0.is_none() {
            return std::future::pending().await;
        }
        while self.stands(http) {
            tokio::time::sleep(STANDS_EVERY).await;
        }
    }
}

/// What stands behind `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let bad = |detail: String| Problem::new(Code::InvalidParameter, detail);
    let text = value
        .to_str()
        .map_err(|_| bad("the Idempotency-Key header has more than visible ASCII in it".into()))?;
    if text.is_empty() || text.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(bad(format!(
            "the Idempotency-Key header has {} bytes, allowed are 1 to {IDEMPOTENCY_KEY_BYTES_MAX}",
            text.len()
        )));
    }
    Ok(Some(text.to_owned()))
}

/// The revision in `If-Match: "REVISION"`; `*` is any.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|number| number.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::new(
                Code::InvalidParameter,
                "If-Match is a revision in quotes, such as \"3\"",
            )
        })
}

pub(super) fn topic_name(text: &str) -> Result<TopicName, Problem> {
    TopicName::parse(text).map_err(|error| Problem::new(Code::InvalidTopic, error.to_string()))
}

pub(super) fn entry_id(text: &str) -> Result<EntryId, Problem> {
    EntryId::parse(text).map_err(|error| Problem::new(Code::InvalidId, error.to_string()))
}
