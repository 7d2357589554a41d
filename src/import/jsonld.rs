//! A schema.org `LiveBlogPosting`: the JSON-LD that newsrooms put into their live blog pages for search engines.
//!
//! Bare, in an array, in an `@graph`, or in the `<script type="application/ld+json">` of a whole page of HTML.
//! In the wild every property may be one value or a list of them, and an object or a string; what has no place in
//! the model (images, videos) is left out and told.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;
use url::Url;

use super::{ImportError, Imported, id_of};
use crate::model::{
    Author, AuthorType, Body, End, EntryId, NewEntry, RelatedLink, Summary, TopicFields,
};

/// How deep arrays and graphs are searched for the posting.
const DEPTH_MAX: usize = 8;

/// Reads the first `LiveBlogPosting` of the text.
pub(super) fn parse(text: &str) -> Result<Imported, ImportError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let blocks = if text.starts_with('<') {
        scripts(text)
    } else {
        vec![text]
    };
    let mut broken = None;
    for block in blocks {
        match serde_json::from_str::<Value>(block) {
            Ok(value) => {
                if let Some(posting) = find_posting(&value, DEPTH_MAX) {
                    return Ok(read(posting));
                }
            }
            Err(error) => broken = Some(ImportError::new(format!("is not JSON: {error}"))),
        }
    }
    Err(broken.unwrap_or_else(|| ImportError::new("there is no LiveBlogPosting in it")))
}

/// What stands in the JSON-LD scripts of a page.
fn scripts(html: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find("<script") {
        rest = &rest[at..];
        let Some((head, after)) = rest.split_once('>') else {
            break;
        };
        let (content, after) = after.split_once("</script").unwrap_or((after, ""));
        if head.contains("application/ld+json") {
            found.push(content.trim());
        }
        rest = after;
    }
    found
}

fn find_posting(value: &Value, depth: usize) -> Option<&Value> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Array(items) => items.iter().find_map(|item| find_posting(item, depth)),
        Value::Object(_) if has_type(value, "LiveBlogPosting") => Some(value),
        Value::Object(fields) => ["@graph", "mainEntity", "mainEntityOfPage"]
            .iter()
            .find_map(|key| find_posting(fields.get(*key)?, depth)),
        _ => None,
    }
}

fn read(posting: &Value) -> Imported {
    let mut guesses = Vec::new();
    let updates = each(&posting["liveBlogUpdate"]);
    let mut entries = Vec::new();
    let mut pictures = 0;
    for (index, update) in updates.iter().enumerate() {
        let place = format!("update {}", index + 1);
        pictures += usize::from(!update["image"].is_null() || !update["video"].is_null());
        match entry(update, &place, &mut guesses) {
            Some(entry) => entries.push(entry),
            None => guesses.push(format!(
                "{place} has neither a headline nor a body, and is left out"
            )),
        }
    }
    if pictures > 0 {
        guesses.push(format!(
            "{pictures} updates have images or videos, which are not taken over"
        ));
    }
    let end = posting["coverageEndTime"].as_str().map(|time| {
        guesses.push(format!(
            "coverageEndTime is {time}: the live blog is taken to be over"
        ));
        End::default()
    });
    Imported {
        topic: TopicFields {
            title: string(&posting["headline"]).or_else(|| string(&posting["name"])),
            summary: string(&posting["description"]).map(|text| Summary(body(text))),
            language: string(&posting["inLanguage"]),
            ..TopicFields::default()
        },
        entries: oldest_first(entries, &mut guesses),
        end,
        guesses,
    }
}

/// By their times, where all have one; else by the custom of such lists, newest first.
fn oldest_first(mut entries: Vec<NewEntry>, guesses: &mut Vec<String>) -> Vec<NewEntry> {
    let times: Vec<Option<Timestamp>> = entries.iter().map(|entry| entry.published_at).collect();
    let rising = matches!((times.first(), times.last()), (Some(Some(a)), Some(Some(b))) if a < b);
    if !rising {
        entries.reverse();
    }
    if times.iter().all(Option::is_some) {
        entries.sort_by_key(|entry| entry.published_at);
    } else {
        guesses.push(format!(
            "not every update has a time; they are taken to stand {} first",
            if rising { "oldest" } else { "newest" }
        ));
    }
    let mut seen: HashSet<EntryId> = HashSet::new();
    for entry in &mut entries {
        let taken = entry.id.clone().filter(|id| !seen.insert(id.clone()));
        if let Some(id) = taken {
            // One id for two updates: the later one gets an id of its words.
            entry.id = content_id(entry);
            guesses.push(format!(
                "the id {id} is used by two updates; one gets another"
            ));
        }
    }
    entries
}

fn entry(update: &Value, place: &str, guesses: &mut Vec<String>) -> Option<NewEntry> {
    let headline = string(&update["headline"]).or_else(|| string(&update["name"]));
    let text = ["articleBody", "text", "description"]
        .iter()
        .find_map(|key| string(&update[*key]));
    if headline.is_none() && text.is_none() {
        return None;
    }
    let mut entry = NewEntry {
        headline,
        body: text.map(body),
        authors: each(&update["author"])
            .into_iter()
            .filter_map(author)
            .collect(),
        related_links: each(&update["citation"])
            .into_iter()
            .filter_map(citation)
            .collect(),
        tags: tags(&update["keywords"]),
        published_at: time(update, place, guesses),
        ..NewEntry::default()
    };
    entry.id = foreign_id(update).or_else(|| content_id(&entry));
    Some(entry)
}

/// An id of theirs where it fits the rule, else one made of it.
fn foreign_id(update: &Value) -> Option<EntryId> {
    let identifier = &update["identifier"];
    let id = string(&update["@id"])
        .or_else(|| string(identifier))
        .or_else(|| string(&identifier["value"]))
        .or_else(|| string(&update["url"]))?;
    EntryId::parse(&id).ok().or_else(|| id_of("j-", &[&id]))
}

fn content_id(entry: &NewEntry) -> Option<EntryId> {
    let at = entry.published_at.map(|at| at.to_string());
    id_of(
        "j-",
        &[
            entry.headline.as_deref().unwrap_or(""),
            entry.body.as_ref().map_or("", Body::raw),
            at.as_deref().unwrap_or(""),
        ],
    )
}

fn time(update: &Value, place: &str, guesses: &mut Vec<String>) -> Option<Timestamp> {
    let text = string(&update["datePublished"]).or_else(|| string(&update["dateModified"]))?;
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let local: Option<DateTime> = text.parse().ok();
    let at = local.and_then(|local| jiff::tz::TimeZone::UTC.to_timestamp(local).ok());
    guesses.push(match at {
        Some(_) => format!("{place} has the time {text} without a zone, taken as UTC"),
        None => format!("{place} has the time \"{text}\", which is none, and is left without"),
    });
    at
}

/// A text with end tags or line break tags in it is HTML; the sanitiser sees to it later.
fn body(text: String) -> Body {
    if text.contains("</") || text.contains("<br") || text.contains("<p>") {
        Body::Html(text)
    } else {
        Body::Text(text)
    }
}

fn author(value: &Value) -> Option<Author> {
    let name = string(value).or_else(|| string(&value["name"]))?;
    let organization = each(&value["@type"]).iter().any(|kind| {
        kind.as_str()
            .is_some_and(|kind| kind.ends_with("Organization"))
    });
    Some(Author {
        name,
        kind: if organization {
            AuthorType::Organization
        } else {
            AuthorType::Person
        },
        url: web(&value["url"]),
    })
}

fn citation(value: &Value) -> Option<RelatedLink> {
    let url = web(&value["url"]).or_else(|| web(value))?;
    let title = string(&value["headline"]).or_else(|| string(&value["name"]));
    Some(RelatedLink {
        title: title.unwrap_or_else(|| url.clone()),
        url,
    })
}

fn tags(value: &Value) -> Vec<String> {
    each(value)
        .iter()
        .filter_map(|value| string(value))
        .flat_map(|words| {
            let words: Vec<String> = words
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect();
            words
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// The values of a property: none, one, or the items of a list.
fn each(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    each(&value["@type"])
        .iter()
        .any(|kind| kind.as_str() == Some(name))
}

/// The first string of a property that is not blank.
fn string(value: &Value) -> Option<String> {
    each(value)
        .iter()
        .find_map(|value| value.as_str())
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn web(value: &Value) -> Option<String> {
    string(value)
        .filter(|text| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")))
}

#[cfg(test)]
mod tests;
