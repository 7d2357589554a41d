//! Stand-in for the importer with its signatures; the real one replaces it at the merge.

use crate::model;

pub mod script;

/// Input format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Transcript,
    /// JSON-LD.
    Jsonld,
    /// JSON lines.
    Jsonl,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Topic fields.
    pub topic: model::TopicFields,
    /// Entries, oldest first.
    pub entries: Vec<model::NewEntry>,
    /// The end.
    pub end: Option<model::End>,
    /// What had to be guessed.
    pub guesses: Vec<String>,
}

/// Input that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Transcript, Self::Jsonld, Self::Jsonl];

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// By file name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "txt" => Some(Self::Transcript),
            "jsonld" => Some(Self::Jsonld),
            "jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::Jsonld => "jsonld",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Reads `text`.
///
/// # Errors
/// When it can't be read.
pub fn parse(_format: Format, text: &str) -> Result<Imported, ImportError> {
    let entries = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| ImportError(error.to_string())))
        .collect::<Result<_, _>>()?;
    Ok(Imported {
        entries,
        ..Imported::default()
    })
}
