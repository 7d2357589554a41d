//! Transcripts made up here, and the real one where it lies beside the project.

use std::path::PathBuf;

use super::*;
use crate::model::AuthorType;

const SMALL: &str = "This was the Gazette’s live blog on the U.S. mail strike. See here for the latest: https://a.example/day-2.

The strike enters its second day and sorting halls stay shut.
Union leaders called the strike open-ended as talks over pay in sorting halls failed.
The ferry to Ronö sails again after a night of fog.
Fog had kept the ferry in port since Monday, its master Åsa Öhrn said.
— Ana Vella, dpa
“We said: ‘not a day longer,’” the mayor told reporters.
Read more on this here: What the mayor’s ‘no’ means for the port
The lights are back on the east quay.
-- Reuters
The first post of the day.
— I will not leave, she said.
– Sam Sammut
Day one: mail piles up as talks fail
";

fn names(entry: &NewEntry) -> Vec<&str> {
    entry
        .authors
        .iter()
        .map(|author| author.name.as_str())
        .collect()
}

fn body(entry: &NewEntry) -> &str {
    entry.body.as_ref().map_or("", Body::raw)
}

#[test]
fn a_transcript_is_read_oldest_first() {
    let imported = parse(SMALL, &[]).expect("parses");
    let bylines: Vec<Vec<&str>> = imported.entries.iter().map(names).collect();
    assert_eq!(
        bylines,
        [
            vec!["Sam Sammut"],
            vec!["Reuters"],
            vec![],
            vec!["Ana Vella", "dpa"]
        ]
    );
    assert_eq!(
        body(&imported.entries[0]),
        "The first post of the day.\n\n— I will not leave, she said."
    );
    assert!(body(&imported.entries[2]).ends_with("What the mayor’s ‘no’ means for the port"));
    assert!(body(&imported.entries[3]).starts_with("The ferry to Ronö"));
    let topic = &imported.topic;
    assert_eq!(
        topic.title.as_deref(),
        Some("the Gazette’s live blog on the U.S. mail strike")
    );
    let Some(Summary(Body::Text(summary))) = &topic.summary else {
        panic!("no summary");
    };
    assert!(
        summary.starts_with("The strike enters") && summary.ends_with("failed."),
        "{summary}"
    );
    let link = |link: &Option<TopicLink>| link.clone().and_then(|link| link.title);
    assert_eq!(
        link(&topic.predecessor).as_deref(),
        Some("Day one: mail piles up as talks fail")
    );
    let successor = imported.end.expect("ended").successor.expect("named");
    assert_eq!(successor.url.as_deref(), Some("https://a.example/day-2"));
    let guesses = imported.guesses.join("\n");
    assert!(
        guesses.contains("entry 2 of 4 from the top (line 8, \"“We said"),
        "{guesses}"
    );
    assert!(guesses.contains("start on line 5"), "{guesses}");
    assert!(guesses.contains("line 13 starts with a dash"), "{guesses}");
}

#[test]
fn told_starts_replace_the_guesses() {
    let imported = parse(SMALL, &[4, 9]).expect("parses");
    assert!(body(&imported.entries[3]).starts_with("Union leaders"));
    assert_eq!(body(&imported.entries[2]).lines().count(), 1);
    assert!(body(&imported.entries[1]).starts_with("Read more"));
    assert_eq!(parse(SMALL, &[99]).expect_err("beyond").line, Some(99));
    assert_eq!(parse(SMALL, &[2]).expect_err("blank").line, Some(2));
}

#[test]
fn ids_hold_when_the_text_grows_or_is_broken_otherwise() {
    let ids = |text: &str| -> Vec<EntryId> {
        let imported = parse(text, &[]).expect("parses");
        imported
            .entries
            .into_iter()
            .filter_map(|entry| entry.id)
            .collect()
    };
    let text = "Again.\n— A B\nAgain.\n— A B\nOnce.\n— A B\n";
    let before = ids(text);
    assert_eq!(before.len(), 3);
    assert_eq!(before[2].as_str(), format!("{}-2", before[1]));
    let grown = ids(&format!("\u{feff}Again.\r\n\r\n— A B\r\n{text}"));
    assert_eq!(grown[..3], before);
    assert_eq!(grown[3].as_str(), format!("{}-3", before[1]));
}

#[test]
fn headlines_open_entries_and_part_unsigned_ones() {
    let text = "What we know so far\nA sentence.\nSecond entry’s “headline”\nAnother sentence.\n— A B\n\
                Third headline\nThird.\nFourth headline\nFourth.\n— C D\nLoose end.";
    let imported = parse(text, &[]).expect("parses");
    let headlines: Vec<_> = imported
        .entries
        .iter()
        .map(|entry| entry.headline.as_deref())
        .collect();
    assert_eq!(
        headlines,
        [
            None,
            Some("Fourth headline"),
            Some("Third headline"),
            Some("Second entry’s “headline”")
        ]
    );
    assert_eq!(imported.guesses.len(), 3, "{:?}", imported.guesses);
    assert!(imported.topic.summary.is_some() && imported.end.is_none());
}

#[test]
fn texts_that_are_no_transcripts_say_why() {
    assert!(
        parse("", &[])
            .expect_err("empty")
            .to_string()
            .contains("no line is a byline")
    );
    assert_eq!(
        parse("A.\n— A B\n— C D\n", &[])
            .expect_err("bare")
            .to_string(),
        "line 3: this byline has no entry above it"
    );
    let long = format!("{}\n— A B", "a".repeat(200_000));
    assert!(
        parse(&long, &[])
            .expect_err("long")
            .to_string()
            .contains("limit is 196608")
    );
    assert_eq!(parse("A.\n— A B", &[]).expect("one entry").entries.len(), 1);
}

/// The folder with the day's real live blog, where there is one.
fn corpus() -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus");
    let folder =
        std::env::var_os("TENBELLS_CORPUS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let mut files = std::fs::read_dir(folder).ok()?;
    let file = files.find_map(|file| {
        let path = file.ok()?.path();
        (path.extension()? == "txt").then_some(path)
    })?;
    std::fs::read_to_string(file).ok()
}

#[test]
fn the_real_live_blog_is_read_whole() {
    let Some(text) = corpus() else {
        // Past the capture of the test runner: who runs it should know.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: no corpus in TENBELLS_CORPUS or ../shared/corpus\n",
        );
        return;
    };
    let imported = parse(&text, &[]).expect("parses");
    let entries = &imported.entries;
    assert_eq!(entries.len(), 19);
    signed_as_the_text_says(entries, &text);
    the_unsigned_one_is_guessed(&imported);
    no_line_is_lost(&imported, &text);
    let sizes: Vec<usize> = entries.iter().map(|entry| body(entry).len()).collect();
    assert!(
        sizes.iter().all(|size| (150..=2_300).contains(size)),
        "{sizes:?}"
    );
}

fn signed_as_the_text_says(entries: &[NewEntry], text: &str) {
    let signed: Vec<Vec<&str>> = entries
        .iter()
        .map(names)
        .filter(|names| !names.is_empty())
        .collect();
    // The bylines in the text itself, from the bottom up, are the oracle.
    let bylines: Vec<Vec<&str>> = text
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix("— "))
        .map(|line| line.split(", ").collect())
        .collect();
    assert_eq!(signed, bylines);
    assert_eq!(signed.len(), 18);
    assert_eq!(signed.iter().filter(|names| names.len() == 2).count(), 1);
    let agency = |entry: &&NewEntry| {
        entry
            .authors
            .iter()
            .any(|author| author.kind == AuthorType::Organization)
    };
    let agencies: Vec<_> = entries.iter().filter(agency).map(names).collect();
    assert_eq!(agencies, [["Reuters"], ["Reuters"]]);
}

fn the_unsigned_one_is_guessed(imported: &Imported) {
    let entries = &imported.entries;
    let unsigned = entries
        .iter()
        .find(|entry| entry.authors.is_empty())
        .expect("one");
    assert!(is_read_more(
        body(unsigned).lines().last().expect("its last line")
    ));
    let place = format!(
        "entry {} of 19",
        19 - entries.iter().position(|e| e == unsigned).expect("there")
    );
    assert!(
        imported
            .guesses
            .iter()
            .any(|guess| guess.starts_with(&place)),
        "{:?}",
        imported.guesses
    );
}

/// All lines are in the summary, an entry, a byline or a pointer, in their order.
fn no_line_is_lost(imported: &Imported, text: &str) {
    let entries = &imported.entries;
    let Some(Summary(Body::Text(summary))) = &imported.topic.summary else {
        panic!("no summary");
    };
    let mut back: Vec<String> = summary.split("\n\n").map(str::to_owned).collect();
    for entry in entries.iter().rev() {
        back.extend(body(entry).split("\n\n").map(str::to_owned));
        if !entry.authors.is_empty() {
            back.push(format!("— {}", names(entry).join(", ")));
        }
    }
    let predecessor = imported
        .topic
        .predecessor
        .clone()
        .and_then(|link| link.title);
    back.push(predecessor.expect("a predecessor"));
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(back, lines[1..]);
    let successor = imported
        .end
        .clone()
        .and_then(|end| end.successor)
        .and_then(|link| link.title);
    assert!(lines[0].contains(&successor.expect("a successor")));
    assert!(lines[0].contains(imported.topic.title.as_deref().expect("a title")));
    assert_eq!(summary.lines().count(), 11, "six paragraphs of summary");
}
