//! Why a configuration is refused: always the setting, where it was set, and what it may be.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// By an environment variable.
    Variable(String),
    /// By a flag of the command line.
    Flag(&'static str),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {path} can't be read: {source}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a setting that is unknown or of another type. The cause shows the place.
    #[error("{path}: {cause}", path = .path.display(), cause = .source.to_string().trim_end())]
    File {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A variable looks like a setting, and is none.
    #[error(
        "the environment variable {name} is no setting{hint}: `connections_max` in [http] of a configuration file is \
         TENBELLS_HTTP_CONNECTIONS_MAX, and so on (where Kubernetes sets it for a service, `enableServiceLinks: false` \
         stops that)",
        hint = .nearest.as_ref().map(|near| format!(", {near} is")).unwrap_or_default()
    )]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The name of the variable that was meant, most likely.
        nearest: Option<String>,
    },
    /// A variable or a flag can't be read as what the setting takes.
    #[error("{key} is {value:?} ({origin}), which is no value for it: {reason}")]
    Malformed {
        /// The setting.
        key: String,
        /// What was given.
        value: String,
        /// Where.
        origin: Origin,
        /// What it must be.
        reason: String,
    },
    /// A number is too small or too large.
    #[error("{key} is {value} ({origin}); it can be from {min} to {max} {unit}")]
    OutOfBounds {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: i64,
        /// Where.
        origin: Origin,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// What it counts.
        unit: &'static str,
    },
    /// A setting is unsafe, impossible, or does not go with another.
    #[error("{key} is {value} ({origin}), {reason}")]
    Refused {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// Why that can't be, and what to do.
        reason: String,
    },
}

impl ConfigError {
    /// Where the mistake is, as far as it is one setting's.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Malformed { origin, .. }
            | Self::OutOfBounds { origin, .. }
            | Self::Refused { origin, .. } => Some(origin),
            Self::Unreadable { .. } | Self::File { .. } | Self::UnknownVariable { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
