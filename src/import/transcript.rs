//! A live blog as plain text, the way it is left when a page is copied: one paragraph a line, newest entry first.
//!
//! First line: what this live blog was, and where to go on. Then the summary, then the entries, each closed by a
//! byline (`— A. Name, B. Name`). Last line, after the last byline: the headline of the live blog before.
//! Two things such a text doesn't say: where the summary ends, and where an entry without a byline ends. Both are
//! guessed by rules that stand beside the code ([`split_run`], [`cohesion`]), and every guess is told.

mod byline;
mod cohesion;

use std::collections::{HashMap, HashSet};

use super::{ImportError, Imported, check_size, checked, id_of, numbered};
use crate::model::{Author, Body, End, EntryId, NewEntry, Summary, TopicFields, TopicLink};

/// Longest line that can be an entry's headline, in characters.
const HEADLINE_CHARS_MAX: usize = 120;
/// Longest last line that can be the headline of the live blog before, in characters.
const PREDECESSOR_CHARS_MAX: usize = 300;

/// A line that is not blank.
#[derive(Clone, Copy)]
struct Line<'t> {
    number: usize,
    text: &'t str,
}

/// The lines up to a byline: one entry, or more where some are not signed.
struct Run<'t> {
    lines: Vec<Line<'t>>,
    authors: Vec<Author>,
}

/// Why an entry starts at a line inside a run.
#[derive(Clone, Copy)]
enum Reason {
    Told,
    AfterReadMore,
    Headline,
    Unsigned,
}

/// Reads a transcript. `starts` are numbers of lines that are known to start an entry; in the stretch between two
/// bylines that holds one of them, nothing is guessed.
///
/// # Errors
/// [`ImportError`] when no line is a byline, a start is not a line of the text, or a limit of the model is broken.
pub fn parse(text: &str, starts: &[usize]) -> Result<Imported, ImportError> {
    check_size(text)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<Line<'_>> = text
        .lines()
        .enumerate()
        .map(|(index, line)| Line {
            number: index + 1,
            text: line.trim(),
        })
        .filter(|line| !line.text.is_empty())
        .collect();
    if let Some(start) = starts
        .iter()
        .find(|start| !lines.iter().any(|line| line.number == **start))
    {
        return Err(ImportError::at(
            *start,
            "is blank or beyond the end, so no entry starts here",
        ));
    }
    let mut imported = Imported::default();
    if let Some(first) = lines.first().copied()
        && read_preface(first, &mut imported)
    {
        lines.remove(0);
    }
    let runs = read_runs(&lines, &mut imported)?;
    read_entries(runs, starts, &mut imported);
    checked(imported)
}

/// Parts the text at its bylines. What stands after the last one is the predecessor's headline, and possibly one
/// more entry.
fn read_runs<'t>(lines: &[Line<'t>], imported: &mut Imported) -> Result<Vec<Run<'t>>, ImportError> {
    let mut runs = Vec::new();
    let mut open: Vec<Line<'t>> = Vec::new();
    for line in lines {
        match byline::read(line.text) {
            Some(authors) if !open.is_empty() => runs.push(Run {
                lines: std::mem::take(&mut open),
                authors,
            }),
            Some(_) => {
                let message = "this byline has no entry above it";
                return Err(ImportError::at(line.number, message));
            }
            None => {
                if byline::starts_like_one(line.text) {
                    imported.guesses.push(format!(
                        "line {} starts with a dash, but \"{}\" is not read as a byline: it stays in the entry",
                        line.number,
                        opening(line.text)
                    ));
                }
                open.push(*line);
            }
        }
    }
    if runs.is_empty() {
        return Err(ImportError::new(
            "no line is a byline (such as \"— A. Name\"), so there is no telling where entries end",
        ));
    }
    if let Some(last) = open.last().copied()
        && has_no_stop(last.text, PREDECESSOR_CHARS_MAX)
    {
        open.pop();
        imported.topic.predecessor = Some(TopicLink {
            topic: None,
            url: None,
            title: Some(last.text.to_owned()),
        });
    }
    if !open.is_empty() {
        runs.push(Run {
            lines: open,
            authors: Vec::new(),
        });
    }
    Ok(runs)
}

/// Makes the entries, oldest first, and the summary.
fn read_entries(runs: Vec<Run<'_>>, starts: &[usize], imported: &mut Imported) {
    let mut found: Vec<(Vec<Line<'_>>, Vec<Author>, Option<Reason>)> = Vec::new();
    for (index, mut run) in runs.into_iter().enumerate() {
        if index == 0 {
            let rest = take_summary(&run.lines, starts, imported);
            run.lines.drain(..rest);
        }
        let points = split_run(&run.lines, starts);
        let mut rest = run.lines.as_slice();
        let mut taken = 0;
        for (at, reason) in points {
            let (head, tail) = rest.split_at(at - taken);
            found.push((head.to_vec(), Vec::new(), Some(reason)));
            rest = tail;
            taken = at;
        }
        let unsigned = run.authors.is_empty().then_some(Reason::Unsigned);
        found.push((rest.to_vec(), run.authors, unsigned));
    }
    let count = found.len();
    for (index, (lines, _, reason)) in found.iter().enumerate() {
        if let Some(reason) = reason {
            let (number, words) = (lines[0].number, opening(lines[0].text));
            let place = format!(
                "entry {} of {count} from the top (line {number}, \"{words}\")",
                index + 1
            );
            imported
                .guesses
                .push(format!("{place} has no byline; {}", reason.words()));
        }
    }
    let mut seen: HashMap<EntryId, usize> = HashMap::new();
    imported.entries = found
        .into_iter()
        .rev()
        .map(|(lines, authors, _)| entry(&lines, authors, &mut seen))
        .collect();
}

/// Takes the summary off the first run; gives the number of its lines.
fn take_summary(lines: &[Line<'_>], starts: &[usize], imported: &mut Imported) -> usize {
    let told = lines.iter().position(|line| starts.contains(&line.number));
    let block = lines
        .iter()
        .position(|line| is_read_more(line.text))
        .map_or(lines.len(), |at| at + 1);
    let headline = (1..block.saturating_sub(1)).find(|at| is_headline(lines[*at].text));
    let (at, why) = if let Some(at) = told {
        (at, None)
    } else if let Some(at) = headline {
        (at, Some("it looks like a headline"))
    } else if block > 1 {
        let paragraphs: Vec<&str> = lines[..block].iter().map(|line| line.text).collect();
        (
            cohesion::widest_gap(&paragraphs),
            Some("the words change most there"),
        )
    } else {
        (0, None)
    };
    if at == 0 {
        return 0;
    }
    if let Some(why) = why {
        imported.guesses.push(format!(
            "the first entry is taken to start on line {} (\"{}\"), and what stands above it is the summary: {why}",
            lines[at].number,
            opening(lines[at].text)
        ));
    }
    imported.topic.summary = Some(Summary(Body::Text(paragraphs(&lines[..at]))));
    at
}

/// Where further entries start inside a run, as indexes into its lines.
///
/// Told starts count alone. Else an entry ends with its "read more" line, so what follows is another entry; and
/// where a run opens with a headline, each further headline opens another entry.
fn split_run(lines: &[Line<'_>], starts: &[usize]) -> Vec<(usize, Reason)> {
    if lines.iter().any(|line| starts.contains(&line.number)) {
        return (1..lines.len())
            .filter(|at| starts.contains(&lines[*at].number))
            .map(|at| (at, Reason::Told))
            .collect();
    }
    let headed = lines.len() > 1 && is_headline(lines[0].text);
    (1..lines.len())
        .filter_map(|at| {
            let (before, line) = (lines[at - 1].text, lines[at].text);
            let another = headed && at + 1 < lines.len() && is_headline(line);
            if is_read_more(before) && !is_read_more(line) {
                Some((at, Reason::AfterReadMore))
            } else if another && !is_headline(before) {
                Some((at, Reason::Headline))
            } else {
                None
            }
        })
        .collect()
}

impl Reason {
    /// The words that follow "entry N has no byline;".
    fn words(self) -> &'static str {
        match self {
            Self::Told => "it ends where the next one was told to start",
            Self::AfterReadMore => {
                "it is taken to end with its \"read more\" line, because such a line is the last of an entry"
            }
            Self::Headline => "it is taken to end where another headline follows",
            Self::Unsigned => "it is the last one, with nothing but the end of the text below it",
        }
    }
}

fn entry(lines: &[Line<'_>], authors: Vec<Author>, seen: &mut HashMap<EntryId, usize>) -> NewEntry {
    let headed = lines.len() > 1 && is_headline(lines[0].text);
    let headline = headed.then(|| lines[0].text.to_owned());
    let body = paragraphs(&lines[usize::from(headed)..]);
    let names: Vec<&str> = authors.iter().map(|author| author.name.as_str()).collect();
    let names = names.join(", ");
    let id = id_of("t-", &[headline.as_deref().unwrap_or(""), &body, &names]);
    NewEntry {
        id: numbered(id, seen),
        headline,
        body: Some(Body::Text(body)),
        authors,
        ..NewEntry::default()
    }
}

fn paragraphs(lines: &[Line<'_>]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.text).collect();
    lines.join("\n\n")
}

/// Reads the first line where it speaks about the live blog itself: its title, whether it is over, where to go on.
fn read_preface(line: Line<'_>, imported: &mut Imported) -> bool {
    let lower = line.text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    let speaks = ["this ", "these ", "our "]
        .iter()
        .any(|word| lower.starts_with(word));
    if !speaks || !has(&["live blog", "liveblog", "live updates", "live coverage"]) {
        return false;
    }
    let (first, pointer) = match pointer_at(line.text) {
        Some(at) => (&line.text[..at], Some(line.text[at..].trim())),
        None => (line.text, None),
    };
    let first = first.trim().trim_end_matches('.');
    imported.topic = TopicFields {
        title: ["This was ", "This is "]
            .iter()
            .find_map(|lead| first.strip_prefix(lead))
            .map(str::to_owned),
        ..TopicFields::default()
    };
    let over = [
        "has ended",
        "is over",
        "closed",
        "has concluded",
        "has finished",
    ];
    if !lower.starts_with("this was ") && !lower.starts_with("these were ") && !has(&over) {
        return true;
    }
    let successor = pointer.map(|pointer| {
        let url = pointer
            .split_whitespace()
            .map(|word| word.trim_end_matches(['.', ',', ')']))
            .find(|word| word.starts_with("https://") || word.starts_with("http://"));
        let title = pointer.trim_end_matches('.');
        imported.guesses.push(format!(
            "line {} points to a successor without naming it; its title is \"{title}\"",
            line.number
        ));
        TopicLink {
            topic: None,
            url: url.map(str::to_owned),
            title: Some(title.to_owned()),
        }
    });
    imported.end = Some(End { successor });
    true
}

/// Where the sentence starts that sends readers on. A stop alone doesn't part sentences ("the U.S. election").
fn pointer_at(text: &str) -> Option<usize> {
    const VERBS: [&str; 9] = [
        "See ",
        "Read ",
        "Follow ",
        "Click ",
        "Go ",
        "For ",
        "Find ",
        "Our latest",
        "You can ",
    ];
    text.match_indices(". ")
        .map(|(at, stop)| at + stop.len())
        .find(|at| VERBS.iter().any(|verb| text[*at..].starts_with(verb)))
}

/// "Read more on this here: Title": a lead that points, a colon, and a title without a final stop.
fn is_read_more(text: &str) -> bool {
    let Some((lead, title)) = text.split_once(": ") else {
        return false;
    };
    let lead = lead.to_lowercase();
    let words: HashSet<&str> = lead.split_whitespace().collect();
    let points = words.contains("here")
        || lead.starts_with("read ")
        || lead.starts_with("more ")
        || lead == "see also"
        || lead == "related"
        || lead == "go deeper";
    points && lead.chars().count() <= 80 && has_no_stop(title, PREDECESSOR_CHARS_MAX)
}

fn is_headline(text: &str) -> bool {
    has_no_stop(text, HEADLINE_CHARS_MAX)
        && text.split_whitespace().nth(1).is_some()
        && !is_read_more(text)
        && !byline::starts_like_one(text)
}

/// Whether it is short and doesn't end like a sentence of a text.
fn has_no_stop(text: &str, chars_max: usize) -> bool {
    let bare = text.trim_end_matches(['”', '’', '"', '\'', '»', '«', '“', ')']);
    let stopped = bare.ends_with(['.', ':', ';', ',', '…', '!', '-', '—']);
    !bare.is_empty() && !stopped && text.chars().count() <= chars_max
}

fn opening(text: &str) -> String {
    match text.char_indices().nth(48) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
