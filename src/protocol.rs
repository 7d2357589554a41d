//! The wire, version 1: what stands in frames, events and errors. A pure codec, normative text in docs/protocol.md.
//!
//! Shared by HTTP, the fan-out and the broker's frames. It does no I/O, knows no sockets and reads no clock.

mod close;
mod code;
mod deflate;
mod ops;
mod sse;
mod ws;

pub use close::CloseCode;
pub use code::Code;
pub use deflate::{DEFLATE_RESPONSE, InflateError, deflate_frame, inflate, takes_deflate};
pub use ops::{
    ClientOp, InvalidOp, error, pong, presence, rate_limited, reset, subscribed, unsubscribed,
};
pub use sse::{sse_change, sse_presence, sse_reset, sse_start};
pub use ws::{
    Wire, change_frame, close_frame, deflated_change_frame, ping_frame, pong_frame, text_frame,
};

/// The WebSocket subprotocol; a bare reader may leave it out.
pub const SUBPROTOCOL: &str = "tenbells.v1";
