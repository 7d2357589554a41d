//! Live blogs from elsewhere, read into the model: what `tenbells import` and `tenbells replay` publish.
//!
//! It stands before the data path: a file's text goes in, a topic and its entries come out, oldest first, each within
//! the limits of the model. Ids are stable, so that importing the same file again (or the same one grown longer)
//! publishes nothing twice. It reads no file and no clock, and knows neither broker nor HTTP.

mod jsonl;
mod jsonld;
pub mod script;
pub mod transcript;

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::model::{End, EntryId, NewEntry, TopicFields};

/// Largest file that is read, in bytes.
pub const IMPORT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most entries of one file.
pub const IMPORT_ENTRIES_MAX: usize = 20_000;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A live blog as plain text, newest entry first: see [`transcript`].
    Transcript,
    /// A schema.org `LiveBlogPosting` as JSON-LD, or a page of HTML with one in it.
    Jsonld,
    /// One entry a line, oldest first, in the form that `POST …/entries` takes.
    Jsonl,
}

/// A live blog as it was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The topic: title, summary, predecessor.
    pub topic: TopicFields,
    /// The entries, oldest first, each with an id.
    pub entries: Vec<NewEntry>,
    /// The end, where the file says that the live blog is over.
    pub end: Option<End>,
    /// What the file did not say and was guessed, in words for the one who imports it.
    pub guesses: Vec<String>,
}

/// A file that can't be read, or breaks a limit: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*line))]
pub struct ImportError {
    /// The line, from 1, where one line is to blame.
    pub line: Option<usize>,
    /// What is wrong, with the field and the limit where there is one.
    pub message: String,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Transcript, Self::Jsonld, Self::Jsonl];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::Jsonld => "jsonld",
            Self::Jsonl => "jsonl",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// The format that a file name ends in: `.txt`, `.jsonl` or `.ndjson`, `.jsonld`, `.json` or `.html`.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "txt" | "transcript" => Some(Self::Transcript),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "jsonld" | "json" | "html" | "htm" => Some(Self::Jsonld),
            _ => None,
        }
    }
}

impl ImportError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            line: None,
            message: message.into(),
        }
    }

    fn at(line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            message: message.into(),
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// [`ImportError`] when it is not of that format, or anything in it breaks a limit. Nothing is left out silently.
pub fn parse(format: Format, text: &str) -> Result<Imported, ImportError> {
    match format {
        Format::Transcript => transcript::parse(text, &[]),
        Format::Jsonld => {
            check_size(text)?;
            jsonld::parse(text).and_then(checked)
        }
        Format::Jsonl => {
            check_size(text)?;
            jsonl::parse(text).and_then(checked)
        }
    }
}

/// Refuses a file that is too large to be a live blog.
fn check_size(text: &str) -> Result<(), ImportError> {
    if text.len() > IMPORT_BYTES_MAX {
        let len = text.len();
        return Err(ImportError::new(format!(
            "the file has {len} bytes, the limit is {IMPORT_BYTES_MAX}"
        )));
    }
    Ok(())
}

/// Holds what was read against the limits of the model.
fn checked(imported: Imported) -> Result<Imported, ImportError> {
    let count = imported.entries.len();
    if count > IMPORT_ENTRIES_MAX {
        return Err(ImportError::new(format!(
            "the file has {count} entries, the limit is {IMPORT_ENTRIES_MAX}"
        )));
    }
    let about = |error: crate::model::Invalid| ImportError::new(format!("the topic: {error}"));
    imported.topic.validate().map_err(about)?;
    if let Some(end) = &imported.end {
        end.validate().map_err(about)?;
    }
    for (index, entry) in imported.entries.iter().enumerate() {
        entry
            .validate()
            .map_err(|error| ImportError::new(format!("entry {}: {error}", index + 1)))?;
    }
    Ok(imported)
}

/// Reads one line of JSON; the error names the line, the column and the field.
fn from_line<T: DeserializeOwned>(number: usize, line: &str) -> Result<T, ImportError> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(", {path}"),
        };
        let column = error.inner().column();
        let inner = error.inner().to_string();
        let words = inner.split(" at line ").next().unwrap_or(&inner);
        ImportError::at(number, format!("column {column}{field}: {words}"))
    })?;
    reader.end().map_err(|error| {
        let column = error.column();
        ImportError::at(
            number,
            format!("column {column}: more than one JSON value on the line"),
        )
    })?;
    Ok(value)
}

/// The lines that say something, with their numbers; blank lines and those with `#` in front don't.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// An id made of content: equal parts, equal id. Eighty bits of SHA-256 behind the prefix.
fn id_of(prefix: &str, parts: &[&str]) -> Option<EntryId> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize()[..10]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    EntryId::parse(&format!("{prefix}{hex}")).ok()
}

/// Tells equal entries apart: the second gets `-2` behind its id, and so on. Counted from the oldest, so that the
/// numbers stay as a file grows.
fn numbered(id: Option<EntryId>, seen: &mut HashMap<EntryId, usize>) -> Option<EntryId> {
    let id = id?;
    let count = seen.entry(id.clone()).or_default();
    *count += 1;
    match *count {
        1 => Some(id),
        count => EntryId::parse(&format!("{id}-{count}")).ok(),
    }
}

fn place(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!("line {line}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_and_file_endings() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.as_str()), Some(format));
        }
        assert_eq!(Format::from_name("rtf"), None);
        assert_eq!(
            Format::from_file_name("a.b/Blog.TXT"),
            Some(Format::Transcript)
        );
        assert_eq!(Format::from_file_name("blog.jsonl"), Some(Format::Jsonl));
        assert_eq!(Format::from_file_name("blog.json"), Some(Format::Jsonld));
        assert_eq!(Format::from_file_name("blog"), None);
    }

    #[test]
    fn a_file_beyond_the_limits_is_refused() {
        let large = " ".repeat(IMPORT_BYTES_MAX + 1);
        for format in Format::ALL {
            let error = parse(format, &large).expect_err("too large");
            assert!(
                error.to_string().ends_with("the limit is 33554432"),
                "{error}"
            );
        }
        let many = "{\"headline\":\"a\"}\n".repeat(IMPORT_ENTRIES_MAX + 1);
        let error = parse(Format::Jsonl, &many).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "the file has 20001 entries, the limit is 20000"
        );
    }
}
