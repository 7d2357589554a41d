//! The door to the reader of frames, in builds for fuzzing alone.

use super::inbound::{Accepts, Assembly, Received};
use crate::protocol::Wire;

/// One whole message, as the reader of frames gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// A close frame, with its code.
    Close(Option<u16>),
}

/// What became of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRead {
    /// The messages that are whole.
    pub messages: Vec<Message>,
    /// The code to close with, where the bytes break a rule.
    pub refused: Option<u16>,
}

/// Reads bytes that arrive in these pieces.
pub fn read_frames<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    message_bytes_max: usize,
    wire: Wire,
) -> FrameRead {
    let accepts = Accepts {
        message_bytes_max,
        wire,
    };
    let mut assembly = Assembly::default();
    let mut received = Vec::new();
    let refused = pieces
        .into_iter()
        .find_map(|piece| assembly.read(piece, accepts, &mut received).err());
    FrameRead {
        messages: received.into_iter().filter_map(message).collect(),
        refused: refused.map(crate::protocol::CloseCode::as_u16),
    }
}

/// A fragment that completes nothing is no message.
fn message(received: Received) -> Option<Message> {
    Some(match received {
        Received::Fragment => return None,
        Received::Text(text) => Message::Text(text),
        Received::Ping(payload) => Message::Ping(payload.to_vec()),
        Received::Pong => Message::Pong,
        Received::Close(code) => Message::Close(code),
    })
}
