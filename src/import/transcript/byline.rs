//! The line that closes an entry: a dash and names.
//!
//! The danger is a line of dialogue or a list that starts with a dash too, so every part has to look like a name.

use crate::model::{Author, AuthorType};

/// Longest byline, in bytes.
const BYLINE_BYTES_MAX: usize = 300;
/// Most words of one name.
const NAME_WORDS_MAX: usize = 7;

/// Agencies and newsrooms that don't give themselves away by their last word. Lower case.
const AGENCIES: [&str; 58] = [
    "aap",
    "afp",
    "agence france-presse",
    "agerpres",
    "al jazeera",
    "anadolu",
    "ani",
    "anp",
    "ansa",
    "ap",
    "apa",
    "associated press",
    "bbc",
    "belga",
    "bloomberg",
    "bta",
    "canadian press",
    "cbc",
    "cnbc",
    "cnn",
    "ctk",
    "čtk",
    "dow jones",
    "dpa",
    "efe",
    "epa",
    "euronews",
    "hina",
    "ians",
    "interfax",
    "interfax-ukraine",
    "jiji",
    "keystone-sda",
    "kyodo",
    "lusa",
    "mti",
    "nbc",
    "npr",
    "ntb",
    "pa",
    "pap",
    "press trust of india",
    "pti",
    "reuters",
    "ria novosti",
    "ritzau",
    "sda",
    "sid",
    "stt",
    "tanjug",
    "tass",
    "tt",
    "ukrinform",
    "unian",
    "upi",
    "xinhua",
    "yle",
    "yonhap",
];

/// Last words of what is not a person. Lower case.
const COLLECTIVE: [&str; 16] = [
    "agency",
    "agentur",
    "bureau",
    "correspondents",
    "desk",
    "editors",
    "international",
    "media",
    "news",
    "newsroom",
    "press",
    "radio",
    "reporters",
    "staff",
    "team",
    "wire",
];

/// Words of a name that are written small. Lower case.
const PARTICLES: [&str; 36] = [
    "af", "al", "and", "av", "bin", "bint", "da", "das", "de", "degli", "dei", "del", "den", "der",
    "des", "di", "do", "dos", "du", "e", "el", "for", "ibn", "la", "le", "of", "our", "ten", "ter",
    "the", "van", "von", "y", "zu", "zum", "’t",
];

/// The authors of a byline, in their order; none where the line is no byline.
pub(super) fn read(line: &str) -> Option<Vec<Author>> {
    let names = after_dash(line)?;
    if names.len() > BYLINE_BYTES_MAX {
        return None;
    }
    let names = names.strip_prefix("By ").unwrap_or(names);
    let names = names
        .replace(" and ", ", ")
        .replace(" with ", ", ")
        .replace(" & ", ", ");
    let mut authors = Vec::new();
    for name in names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        authors.push(author(name)?);
    }
    (!authors.is_empty()).then_some(authors)
}

/// Whether the line starts with the dash of a byline.
pub(super) fn starts_like_one(line: &str) -> bool {
    after_dash(line).is_some()
}

fn after_dash(line: &str) -> Option<&str> {
    ["—", "–", "―", "-- "]
        .iter()
        .find_map(|dash| line.strip_prefix(dash))
        .map(str::trim)
        .filter(|rest| !rest.is_empty())
}

fn author(name: &str) -> Option<Author> {
    let lower = name.to_lowercase();
    let bare = lower.strip_prefix("the ").unwrap_or(&lower);
    let last = bare.split_whitespace().last()?;
    let kind = if AGENCIES.contains(&bare) || COLLECTIVE.contains(&last) {
        AuthorType::Organization
    } else {
        AuthorType::Person
    };
    if !AGENCIES.contains(&bare) && !is_name(name) {
        return None;
    }
    Some(Author {
        name: name.to_owned(),
        kind,
        url: None,
    })
}

/// Whether every word is written large or is a particle, and none ends a sentence.
fn is_name(name: &str) -> bool {
    let words: Vec<&str> = name.split_whitespace().collect();
    let large = |word: &str| {
        word.chars()
            .find(|c| c.is_alphabetic())
            .is_some_and(|c| !c.is_lowercase())
            || word.chars().all(|c| c.is_ascii_digit())
    };
    let plain = words.iter().all(|word| {
        let particle = PARTICLES.contains(&word.to_lowercase().as_str())
            || word.starts_with("d’")
            || word.starts_with("d'");
        // "J." and "Jr." are abbreviations, "leave." is the end of a sentence.
        let stops = word.ends_with('.') && word.chars().count() > 4;
        (large(word) || particle) && !stops && !word.ends_with(['!', '?', ':', ';', '”', '"'])
    });
    words.len() <= NAME_WORDS_MAX && plain && words.iter().any(|word| large(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Option<Vec<(String, bool)>> {
        let authors = read(line)?;
        let organization = |author: &Author| author.kind == AuthorType::Organization;
        Some(
            authors
                .iter()
                .map(|author| (author.name.clone(), organization(author)))
                .collect(),
        )
    }

    #[test]
    fn persons_and_agencies_are_told_apart() {
        let person = |name: &str| (name.to_owned(), false);
        let agency = |name: &str| (name.to_owned(), true);
        assert_eq!(names("— Åsa Öhrn-Łuk"), Some(vec![person("Åsa Öhrn-Łuk")]));
        assert_eq!(
            names("– J. van der Meer, Reuters"),
            Some(vec![person("J. van der Meer"), agency("Reuters")])
        );
        assert_eq!(
            names("-- Ana d’Souza and The Associated Press"),
            Some(vec![person("Ana d’Souza"), agency("The Associated Press")])
        );
        assert_eq!(names("—dpa"), Some(vec![agency("dpa")]));
        assert_eq!(
            names("— Harbour News Desk"),
            Some(vec![agency("Harbour News Desk")])
        );
        assert_eq!(
            names("— 王小明 with AFP"),
            Some(vec![person("王小明"), agency("AFP")])
        );
        assert_eq!(
            names("— Sam Sammut Jr., Lea Vella"),
            Some(vec![person("Sam Sammut Jr."), person("Lea Vella")])
        );
    }

    #[test]
    fn other_lines_with_a_dash_are_no_bylines() {
        for line in [
            "— I will not leave.",
            "— Nobody knows what comes next",
            "— “Enough!”",
            "- Ana Vella",
            "Ana Vella — Reuters",
            "—",
            "-- ",
            "— ,",
        ] {
            assert_eq!(names(line), None, "{line}");
        }
        assert_eq!(read(&format!("— {}", "A".repeat(301))), None);
    }
}
