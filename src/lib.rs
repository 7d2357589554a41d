//! Tenbells: a self-hosted live-blog push service.

pub mod cli;
pub mod clock;
pub mod content;
pub mod import;
pub mod model;
pub mod store;
