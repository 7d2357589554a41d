//! What the fuzz targets (`fuzz/`) need of rooms that are closed to everybody else.
//!
//! It is there only in builds for fuzzing (`cfg(fuzzing)`) and in tests, is no part of the library, and promises nothing.
//! Each room has a small door of its own; the targets, and what has to hold, are outside.

#[cfg(test)]
mod short;
#[cfg(test)]
pub(crate) use short::libfuzzer::fuzz_target;

pub use crate::broker::fuzzing::{Rendered, render_entry};
pub use crate::fanout::fuzzing::{FrameRead, Message, read_frames};
pub use crate::http::fuzzing::{Handshake, first_subscribe, handshake, new_entry};
pub use crate::tokens::fuzzing::key_set;
