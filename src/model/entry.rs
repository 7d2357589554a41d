//! One post of a live blog: as a publisher sends it, and as readers get it.
//!
//! [`NewEntry`] is the input form (also the form a merge patch is applied to), [`Entry`] the output form.
//! The rule between them is the broker's: it renders the body, numbers the revision and sets the times.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{
    BODY_BYTES_MAX, HEADLINE_BYTES_MAX, LABEL_BYTES_MAX, LIST_LEN_MAX, NOTE_BYTES_MAX,
    URL_BYTES_MAX,
};
use super::time::rfc3339;
use super::{EntryId, Invalid};

/// The body as the publisher wrote it: exactly one of `{"markdown": …}`, `{"html": …}`, `{"text": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BodyFields", into = "BodyFields")]
pub enum Body {
    /// CommonMark with tables and strikethrough; raw HTML in it is sanitised like [`Body::Html`].
    Markdown(String),
    /// HTML, sanitised on the way in.
    Html(String),
    /// Plain text: blank lines part paragraphs, line breaks are kept.
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Whether a byline names a person or an agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorType {
    /// A person.
    #[default]
    Person,
    /// An agency, a desk, a newsroom.
    Organization,
}

/// One name of the byline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// The name as it is shown.
    pub name: String,
    /// Person or organization.
    #[serde(default, rename = "type")]
    pub kind: AuthorType,
    /// Page of the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Where the news of an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name as it is shown.
    pub name: String,
    /// Page of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the source did: "translation", "photo", free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A "read more" link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelatedLink {
    /// Text of the link.
    pub title: String,
    /// Its target: http or https.
    pub url: String,
}

/// How sure the newsroom is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Confirmed.
    Confirmed,
    /// Not confirmed.
    Unconfirmed,
    /// Disputed.
    Disputed,
    /// Still developing.
    Developing,
}

/// The note of a correction; stays with the entry until a revision takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What was wrong, for the reader.
    pub note: String,
}

/// An entry as a publisher sends it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// The caller's own id: publishing it again with equal content gives the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntryId>,
    /// The headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The body. An entry has a headline, a body, or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The byline, in its order; may be empty.
    #[serde(default)]
    pub authors: Vec<Author>,
    /// The sources.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// The "read more" links.
    #[serde(default)]
    pub related_links: Vec<RelatedLink>,
    /// The tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it is one of the topic's key events.
    #[serde(default)]
    pub key_event: bool,
    /// Whether it is pinned to the top.
    #[serde(default)]
    pub pinned: bool,
    /// How sure the newsroom is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The note of a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// The shown time; the moment of publishing where the publisher sets none.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub published_at: Option<Timestamp>,
    /// The end of the embargo: until then the entry is on no path.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub released_at: Option<Timestamp>,
}

/// An entry as readers get it, without `body_text` (that one is made from `body_html` for HTTP answers).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Kept through all revisions.
    pub id: EntryId,
    /// 1, 2, 3 …
    pub revision: u64,
    /// The headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The sanitised body; empty where the entry is a headline alone.
    pub body_html: String,
    /// The byline, in its order.
    pub authors: Vec<Author>,
    /// The sources.
    pub sources: Vec<Source>,
    /// The "read more" links.
    pub related_links: Vec<RelatedLink>,
    /// The tags.
    pub tags: Vec<String>,
    /// Whether it is a key event.
    pub key_event: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// How sure the newsroom is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The note of a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// The shown time.
    #[serde(with = "rfc3339")]
    pub published_at: Timestamp,
    /// When the embargo ended, where there was one.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub released_at: Option<Timestamp>,
    /// When the broker took it.
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
    /// When its last revision was taken.
    #[serde(with = "rfc3339")]
    pub updated_at: Timestamp,
}

/// What stays in the place of a retracted entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Id of the entry that was here.
    pub id: EntryId,
    /// Always true; lets a reader tell a tombstone from an entry.
    pub retracted: bool,
    /// Why, for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[serde(with = "rfc3339")]
    pub retracted_at: Timestamp,
}

impl Body {
    /// The text as written, whatever its format.
    pub fn raw(&self) -> &str {
        match self {
            Self::Markdown(raw) | Self::Html(raw) | Self::Text(raw) => raw,
        }
    }
}

impl TryFrom<BodyFields> for Body {
    type Error = &'static str;

    fn try_from(fields: BodyFields) -> Result<Self, Self::Error> {
        match (fields.markdown, fields.html, fields.text) {
            (Some(raw), None, None) => Ok(Self::Markdown(raw)),
            (None, Some(raw), None) => Ok(Self::Html(raw)),
            (None, None, Some(raw)) => Ok(Self::Text(raw)),
            _ => Err("a body has exactly one of markdown, html and text"),
        }
    }
}

impl From<Body> for BodyFields {
    fn from(body: Body) -> Self {
        let (mut markdown, mut html, mut text) = (None, None, None);
        match body {
            Body::Markdown(raw) => markdown = Some(raw),
            Body::Html(raw) => html = Some(raw),
            Body::Text(raw) => text = Some(raw),
        }
        Self {
            markdown,
            html,
            text,
        }
    }
}

impl NewEntry {
    /// Checks every field against the limits of the model.
    ///
    /// # Errors
    /// [`Invalid`] for the first field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let has_headline = self
            .headline
            .as_deref()
            .is_some_and(|text| !text.trim().is_empty());
        let has_body = self
            .body
            .as_ref()
            .is_some_and(|body| !body.raw().trim().is_empty());
        if !has_headline && !has_body {
            return Err(Invalid::new(
                "body",
                "an entry has a headline, a body or both; here both are empty",
            ));
        }
        check_text_opt("headline", self.headline.as_deref(), HEADLINE_BYTES_MAX)?;
        if let Some(body) = &self.body {
            check_len("body", body.raw(), BODY_BYTES_MAX)?;
        }
        check_list("authors", &self.authors, |field, author| {
            check_label(&format!("{field}.name"), &author.name)?;
            check_url_opt(&format!("{field}.url"), author.url.as_deref())
        })?;
        check_list("sources", &self.sources, |field, source| {
            check_label(&format!("{field}.name"), &source.name)?;
            check_text_opt(
                &format!("{field}.role"),
                source.role.as_deref(),
                LABEL_BYTES_MAX,
            )?;
            check_url_opt(&format!("{field}.url"), source.url.as_deref())
        })?;
        check_list("related_links", &self.related_links, |field, link| {
            check_label(&format!("{field}.title"), &link.title)?;
            check_url_opt(&format!("{field}.url"), Some(&link.url))
        })?;
        check_list("tags", &self.tags, |field, tag| check_label(field, tag))?;
        if let Some(correction) = &self.correction {
            check_note("correction.note", &correction.note)?;
        }
        check_time("published_at", self.published_at)?;
        check_time("released_at", self.released_at)
    }
}

pub(super) fn check_list<T>(
    field: &str,
    list: &[T],
    check: impl Fn(&str, &T) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if list.len() > LIST_LEN_MAX {
        return Err(Invalid::new(
            field,
            format!("has {} items, the limit is {LIST_LEN_MAX}", list.len()),
        ));
    }
    list.iter()
        .enumerate()
        .try_for_each(|(index, item)| check(&format!("{field}[{index}]"), item))
}

pub(super) fn check_len(field: &str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.len() > max {
        return Err(Invalid::new(
            field,
            format!("has {} bytes, the limit is {max}", text.len()),
        ));
    }
    Ok(())
}

pub(super) fn check_text_opt(field: &str, text: Option<&str>, max: usize) -> Result<(), Invalid> {
    text.map_or(Ok(()), |text| check_len(field, text, max))
}

/// A text that has to be there.
pub(super) fn check_label(field: &str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    check_len(field, text, LABEL_BYTES_MAX)
}

/// A sentence or two that have to be there.
pub(super) fn check_note(field: &str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    check_len(field, text, NOTE_BYTES_MAX)
}

pub(super) fn check_url_opt(field: &str, text: Option<&str>) -> Result<(), Invalid> {
    let Some(text) = text else { return Ok(()) };
    check_len(field, text, URL_BYTES_MAX)?;
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        Ok(url) => Err(Invalid::new(
            field,
            format!(
                "has the scheme {}, allowed are http and https",
                url.scheme()
            ),
        )),
        Err(error) => Err(Invalid::new(field, format!("is not a URL: {error}"))),
    }
}

/// Times from 1970 to 9999 (RFC 3339 has four digits for the year).
fn check_time(field: &str, at: Option<Timestamp>) -> Result<(), Invalid> {
    const LAST_MS: i64 = 253_402_207_200_000;
    match at {
        Some(at) if !(0..=LAST_MS).contains(&at.as_millisecond()) => {
            Err(Invalid::new(field, "is outside the years 1970 to 9999"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<NewEntry, String> {
        let entry: NewEntry = serde_json::from_str(json).map_err(|error| error.to_string())?;
        entry.validate().map_err(|error| error.to_string())?;
        Ok(entry)
    }

    #[test]
    fn a_body_has_exactly_one_format() {
        assert!(parse(r#"{"body":{"text":"x"}}"#).is_ok());
        for bad in [
            r#"{"body":{}}"#,
            r#"{"body":{"text":"x","html":"x"}}"#,
            r#"{"body":"x"}"#,
            r#"{"body":{"rtf":"x"}}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_without_words_is_refused() {
        for bad in [r"{}", r#"{"headline":" "}"#, r#"{"body":{"text":"\n"}}"#] {
            assert!(parse(bad).expect_err(bad).contains("both are empty"));
        }
    }

    #[test]
    fn errors_name_the_field_and_the_limit() {
        let unknown = parse(r#"{"headline":"x","author":"y"}"#).expect_err("unknown");
        assert!(unknown.contains("author"), "{unknown}");
        let long = parse(&format!(
            r#"{{"headline":"x","tags":["{}"]}}"#,
            "a".repeat(501)
        ))
        .expect_err("long");
        assert_eq!(long, "tags[0]: has 501 bytes, the limit is 500");
        let scheme = parse(
            r#"{"headline":"x","related_links":[{"title":"t","url":"javascript:alert(1)"}]}"#,
        );
        assert_eq!(
            scheme.expect_err("scheme"),
            "related_links[0].url: has the scheme javascript, allowed are http and https"
        );
        let time = parse(r#"{"headline":"x","published_at":"yesterday"}"#).expect_err("time");
        assert!(time.contains("RFC 3339"), "{time}");
    }

    #[test]
    fn the_input_form_survives_a_round_trip() {
        let json = r#"{"headline":"Ä","body":{"markdown":"*x*"},"authors":[{"name":"R","type":"organization"}],"published_at":"2026-11-24T09:00:00Z"}"#;
        let entry = parse(json).expect("valid");
        let again = parse(&serde_json::to_string(&entry).expect("serialises")).expect("valid");
        assert_eq!(entry, again);
    }
}
