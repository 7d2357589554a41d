//! The fields of an entry on the command line, shared by `publish` and `revise`.
//!
//! Turns flags and a body into a [`NewEntry`] or a merge patch (RFC 7396). Knows no network.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use crate::model::{Author, AuthorType, Body, EntryId, NewEntry, TopicName};

/// The fields that a publish and a revision have in common.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Entry")]
pub struct EntryFields {
    /// Headline
    #[arg(long, value_name = "TEXT")]
    pub headline: Option<String>,
    /// The byline.
    #[command(flatten)]
    pub byline: Byline,
    /// Marks it as a key event of the blog
    #[arg(long)]
    pub key_event: bool,
    /// Pins it to the top
    #[arg(long)]
    pub pin: bool,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Where the news comes from; may be repeated
    #[arg(long = "source", value_name = "NAME")]
    pub sources: Vec<String>,
    /// How sure the newsroom is
    #[arg(long, value_name = "HOW")]
    pub verification: Option<Verification>,
    /// Time to show, in place of the moment of publishing: 2026-11-24T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub published_at: Option<Timestamp>,
    /// Embargo: held back, seen nowhere, until this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub release_at: Option<Timestamp>,
    /// What the body is written in
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    pub format: BodyFormat,
}

/// The names of a byline, people and agencies in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Byline(pub Vec<Author>);

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BodyFormat {
    /// CommonMark
    Markdown,
    /// HTML; the broker sanitises it
    Html,
    /// Plain text, blank lines between paragraphs
    Text,
}

/// How sure the newsroom is, or `none` to take the mark away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verification {
    /// Confirmed
    Confirmed,
    /// Not confirmed
    Unconfirmed,
    /// Disputed
    Disputed,
    /// Still developing
    Developing,
    /// No mark
    None,
}

/// Reads a topic name argument.
///
/// # Errors
/// The rule it breaks.
pub fn parse_topic(text: &str) -> Result<TopicName, String> {
    TopicName::parse(text).map_err(|error| error.to_string())
}

/// Reads an entry id argument.
///
/// # Errors
/// The rule it breaks.
pub fn parse_id(text: &str) -> Result<EntryId, String> {
    EntryId::parse(text).map_err(|error| error.to_string())
}

/// Reads a time argument.
///
/// # Errors
/// How a time is written.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "a time is written as RFC 3339, such as 2026-11-24T09:00:00Z or 2026-11-24T10:00:00+01:00"
            .to_owned()
    })
}

impl EntryFields {
    /// The entry with the body `raw` (none where it is blank), checked against the limits of the model.
    ///
    /// # Errors
    /// 65 for a field that breaks a limit.
    pub fn entry(&self, id: Option<EntryId>, raw: String) -> Result<NewEntry, Failure> {
        let mut fields = self.given();
        fields.retain(|_, value| !value.is_null());
        if let Some(id) = id {
            fields.insert("id".to_owned(), json!(id));
        }
        if !raw.trim().is_empty() {
            fields.insert("body".to_owned(), json!(self.format.body(raw)));
        }
        let entry: NewEntry = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Failure::data(error.to_string()))?;
        entry
            .validate()
            .map_err(|invalid| Failure::data(invalid.to_string()))?;
        Ok(entry)
    }

    /// The fields that were given, as a merge patch: an empty text takes a field away, lists are replaced whole.
    pub fn given(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(headline) = &self.headline {
            set("headline", text_or_null(headline));
        }
        if !self.byline.0.is_empty() {
            let named = self
                .byline
                .0
                .iter()
                .filter(|author| !author.name.is_empty());
            set("authors", json!(named.collect::<Vec<_>>()));
        }
        if !self.tags.is_empty() {
            set("tags", json!(without_empty(&self.tags)));
        }
        if !self.sources.is_empty() {
            let sources = without_empty(&self.sources);
            let sources: Vec<_> = sources.iter().map(|name| json!({"name": name})).collect();
            set("sources", json!(sources));
        }
        if self.key_event {
            set("key_event", json!(true));
        }
        if self.pin {
            set("pinned", json!(true));
        }
        if let Some(verification) = self.verification {
            set("verification", verification.json());
        }
        if let Some(at) = self.published_at {
            set("published_at", json!(crate::model::format_millis(at)));
        }
        if let Some(at) = self.release_at {
            set("released_at", json!(crate::model::format_millis(at)));
        }
        fields
    }
}

impl BodyFormat {
    /// `raw` as a body of this format.
    pub fn body(self, raw: String) -> Body {
        match self {
            Self::Markdown => Body::Markdown(raw),
            Self::Html => Body::Html(raw),
            Self::Text => Body::Text(raw),
        }
    }
}

impl Verification {
    fn json(self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Confirmed => json!("confirmed"),
            Self::Unconfirmed => json!("unconfirmed"),
            Self::Disputed => json!("disputed"),
            Self::Developing => json!("developing"),
        }
    }
}

/// The text, or null for an empty one: how a merge patch takes a field away.
pub fn text_or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

/// The texts that are not empty: `--tag ''` alone makes the list empty.
pub fn without_empty(texts: &[String]) -> Vec<&str> {
    texts
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect()
}

/// By hand, because a derived pair of lists would lose the order between `--author` and `--agency`.
impl Args for Byline {
    fn augment_args(command: Command) -> Command {
        let name = |id: &'static str, help: &'static str| {
            Arg::new(id)
                .long(id)
                .value_name("NAME")
                .action(ArgAction::Append)
                .help(help)
        };
        command
            .arg(name(
                "author",
                "A person of the byline; may be repeated, the order is kept",
            ))
            .arg(name(
                "agency",
                "An agency of the byline; may be repeated, the order is kept",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Byline {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut names: Vec<(usize, Author)> = Vec::new();
        for (id, kind) in [
            ("author", AuthorType::Person),
            ("agency", AuthorType::Organization),
        ] {
            let values = matches.get_many::<String>(id).into_iter().flatten();
            let indices = matches.indices_of(id).into_iter().flatten();
            names.extend(indices.zip(values).map(|(index, name)| {
                let name = name.clone();
                (
                    index,
                    Author {
                        name,
                        kind,
                        url: None,
                    },
                )
            }));
        }
        names.sort_by_key(|(index, _)| *index);
        Ok(Self(names.into_iter().map(|(_, author)| author).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        fields: EntryFields,
    }

    fn fields(args: &[&str]) -> EntryFields {
        let args = std::iter::once("x").chain(args.iter().copied());
        Line::try_parse_from(args).expect("parses").fields
    }

    #[test]
    fn people_and_agencies_keep_the_order_they_were_given_in() {
        let entry = fields(&[
            "--agency",
            "Wire",
            "--author",
            "Zoë",
            "--agency=B",
            "--headline",
            "h",
        ])
        .entry(None, String::new())
        .expect("valid");
        let byline: Vec<_> = entry
            .authors
            .iter()
            .map(|a| (a.name.as_str(), a.kind))
            .collect();
        assert_eq!(
            byline,
            [
                ("Wire", AuthorType::Organization),
                ("Zoë", AuthorType::Person),
                ("B", AuthorType::Organization)
            ]
        );
        assert_eq!(entry.body, None);
    }

    #[test]
    fn an_empty_text_takes_a_field_away() {
        let patch = fields(&[
            "--headline",
            "",
            "--author",
            "",
            "--tag",
            "",
            "--verification",
            "none",
        ]);
        assert_eq!(
            Value::Object(patch.given()),
            json!({"headline": null, "authors": [], "tags": [], "verification": null})
        );
        assert_eq!(Value::Object(fields(&[]).given()), json!({}));
    }

    #[test]
    fn an_entry_is_checked_before_it_is_sent() {
        let failure = fields(&[])
            .entry(None, " \n".to_owned())
            .expect_err("empty");
        assert_eq!(failure.exit(), Exit::Data);
        let failure = fields(&["--headline", &"a".repeat(1_001)])
            .entry(None, String::new())
            .expect_err("long");
        assert!(
            failure.to_string().contains("the limit is 1000"),
            "{failure}"
        );
    }
}
