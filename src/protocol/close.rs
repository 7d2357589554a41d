//! WebSocket close codes: 4000–4499 ask the reader to reconnect and resume, 4500–4999 tell it not to.

/// Why the server closes a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1002: the peer broke RFC 6455.
    Protocol,
    /// 1003: a binary message; the protocol is JSON text.
    Unsupported,
    /// 1007: text that is not UTF-8.
    InvalidText,
    /// 1009: a message beyond the limit.
    TooLarge,
    /// 4001: the server drains; the reason has the reconnect delay in milliseconds.
    Draining,
    /// 4002: no progress for longer than the limit.
    Lagged,
    /// 4003: no subscribe in time, or no pong.
    Idle,
    /// 4501: the token does not do.
    Unauthorised,
    /// 4502: a message outside the protocol, once too often.
    Misuse,
    /// 4503: the page's origin is not on the list.
    Origin,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Protocol,
        Self::Unsupported,
        Self::InvalidText,
        Self::TooLarge,
        Self::Draining,
        Self::Lagged,
        Self::Idle,
        Self::Unauthorised,
        Self::Misuse,
        Self::Origin,
    ];

    /// The number on the wire.
    pub fn as_u16(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::InvalidText => 1007,
            Self::TooLarge => 1009,
            Self::Draining => 4001,
            Self::Lagged => 4002,
            Self::Idle => 4003,
            Self::Unauthorised => 4501,
            Self::Misuse => 4502,
            Self::Origin => 4503,
        }
    }

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
            Self::InvalidText => "invalid_text",
            Self::TooLarge => "too_large",
            Self::Draining => "draining",
            Self::Lagged => "lagged",
            Self::Idle => "idle",
            Self::Unauthorised => "unauthorised",
            Self::Misuse => "misuse",
            Self::Origin => "origin",
        }
    }
}
