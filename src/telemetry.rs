//! Log lines on stderr, for people or as JSON. What is logged never has a key, a token or a body in it.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// Parts that log what they are given, bodies among it: never heard, at whatever level.
const SPEAKS_OF_CONTENT: [&str; 3] = ["html5ever", "markup5ever", "tungstenite"];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The level was not understood.
#[derive(Debug, thiserror::Error)]
#[error("log.level {level:?} is not a level or filter such as info or tenbells=debug: {cause}")]
pub struct InvalidLevel {
    level: String,
    cause: String,
}

/// Begins to write log lines, at this level or by this filter. A second call changes nothing.
///
/// # Errors
/// [`InvalidLevel`] when the filter can't be read.
pub fn init(format: LogFormat, level: &str) -> Result<(), InvalidLevel> {
    let mut filter = EnvFilter::try_new(level).map_err(|error| InvalidLevel {
        level: level.to_owned(),
        cause: error.to_string(),
    })?;
    for target in SPEAKS_OF_CONTENT {
        // Directives of ours, which can be read.
        if let Ok(never) = format!("{target}=off").parse() {
            filter = filter.add_directive(never);
        }
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // The one error is that lines are written already, as in a process with several servers.
    let _ = match format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
