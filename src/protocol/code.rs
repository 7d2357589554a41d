//! The stable error codes: the same word in a problem document, in a WebSocket `error` and in docs/protocol.md.

/// A stable error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request's JSON can't be read.
    InvalidJson,
    /// A field is unknown, has the wrong type, or breaks a rule.
    InvalidField,
    /// A topic name outside its rule.
    InvalidTopic,
    /// An entry id outside its rule.
    InvalidId,
    /// A position that can't be read.
    InvalidPosition,
    /// A query parameter or header that can't be read.
    InvalidParameter,
    /// A message that is not one of the protocol's.
    InvalidMessage,
    /// No key, or one that is not known.
    Unauthorized,
    /// A key that may not do this here.
    Forbidden,
    /// The page's origin is not on the list.
    OriginRefused,
    /// There is no such topic (or none that the caller may see).
    TopicNotFound,
    /// There is no such entry.
    EntryNotFound,
    /// There is no such path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The entry was retracted.
    EntryRetracted,
    /// The id is another entry's.
    EntryExists,
    /// The entry is released already, its embargo can't change.
    AlreadyReleased,
    /// The topic has ended.
    TopicEnded,
    /// The revision is another by now.
    RevisionStale,
    /// The idempotency key was used with another request.
    IdempotencyKeyReused,
    /// The request is beyond a limit of size.
    TooLarge,
    /// The body is not JSON by its Content-Type.
    UnsupportedMediaType,
    /// Too many of something: topics, subscriptions.
    LimitReached,
    /// Too much was asked for within a time.
    RateLimited,
    /// The request took too long to arrive.
    Timeout,
    /// The server is busy, draining or full; try again.
    Unavailable,
    /// The disk is full.
    StorageFull,
    /// It may be stored or not: ask again with the same idempotency key.
    OutcomeUnknown,
    /// Something that should not happen.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 29] = [
        Self::InvalidJson,
        Self::InvalidField,
        Self::InvalidTopic,
        Self::InvalidId,
        Self::InvalidPosition,
        Self::InvalidParameter,
        Self::InvalidMessage,
        Self::Unauthorized,
        Self::Forbidden,
        Self::OriginRefused,
        Self::TopicNotFound,
        Self::EntryNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::EntryRetracted,
        Self::EntryExists,
        Self::AlreadyReleased,
        Self::TopicEnded,
        Self::RevisionStale,
        Self::IdempotencyKeyReused,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::LimitReached,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::StorageFull,
        Self::OutcomeUnknown,
        Self::Internal,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        self.entry().1
    }

    /// A short title for people, the same for every occurrence (RFC 9457, section 3.1.3).
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::InvalidJson => ("invalid_json", 400, "The request is not JSON"),
            Self::InvalidField => ("invalid_field", 422, "A field is not valid"),
            Self::InvalidTopic => ("invalid_topic", 400, "Not a topic name"),
            Self::InvalidId => ("invalid_id", 400, "Not an entry id"),
            Self::InvalidPosition => ("invalid_position", 400, "Not a position"),
            Self::InvalidParameter => ("invalid_parameter", 400, "A parameter is not valid"),
            Self::InvalidMessage => ("invalid_message", 400, "Not a message of the protocol"),
            Self::Unauthorized => ("unauthorized", 401, "A key is needed"),
            Self::Forbidden => ("forbidden", 403, "The key may not do this"),
            Self::OriginRefused => ("origin_refused", 403, "The origin is not allowed"),
            Self::TopicNotFound => ("topic_not_found", 404, "No such topic"),
            Self::EntryNotFound => ("entry_not_found", 404, "No such entry"),
            Self::NotFound => ("not_found", 404, "No such path"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "Method not allowed"),
            Self::EntryRetracted => ("entry_retracted", 410, "The entry was retracted"),
            Self::EntryExists => ("entry_exists", 409, "The id is in use"),
            Self::AlreadyReleased => ("already_released", 409, "The entry is released"),
            Self::TopicEnded => ("topic_ended", 409, "The topic has ended"),
            Self::RevisionStale => ("revision_stale", 412, "The revision is another by now"),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                409,
                "The idempotency key was used with another request",
            ),
            Self::TooLarge => ("too_large", 413, "Too large"),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415, "Not JSON"),
            Self::LimitReached => ("limit_reached", 429, "A limit is reached"),
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            Self::Timeout => ("timeout", 408, "The request took too long"),
            Self::Unavailable => ("unavailable", 503, "Not available now"),
            Self::StorageFull => ("storage_full", 507, "The disk is full"),
            Self::OutcomeUnknown => ("outcome_unknown", 500, "Stored or not, it is not known"),
            Self::Internal => ("internal", 500, "An error of the server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_snake_case_words() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(
            words
                .iter()
                .all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
        assert!(Code::ALL.iter().all(|c| (400..=599).contains(&c.status())));
    }
}
