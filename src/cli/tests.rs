//! The command line as a person meets it: help that renders, arguments that are refused, and exit codes.

use clap::error::ErrorKind;
use serde_json::json;

use super::fake::{Answer, Asked, Fake};
use super::*;

/// Every command and subcommand, as the words that name it.
fn paths(command: &clap::Command, prefix: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![prefix.to_vec()];
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        let mut path = prefix.to_vec();
        path.push(sub.get_name().to_owned());
        all.extend(paths(sub, &path));
    }
    all
}

fn refused(args: &[&str]) -> clap::Error {
    let args = std::iter::once("tenbells").chain(args.iter().copied());
    parse(args).expect_err("refused")
}

fn accepted(args: &[&str]) -> Command {
    let args = std::iter::once("tenbells").chain(args.iter().copied());
    parse(args).expect("accepted").command
}

#[test]
fn the_command_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_has_a_help_with_examples() {
    for path in paths(&command(), &[]) {
        let mut args: Vec<_> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let error = refused(&args);
        assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{path:?}");
        assert_eq!(exit_of(&error), Exit::Ok);
        let help = error.to_string();
        let leaf_of_keys = path.len() == 2 && path[1] != "create";
        assert!(
            leaf_of_keys || help.contains("Examples:"),
            "{path:?}: {help}"
        );
        assert!(leaf_of_keys || help.contains("tenbells "), "{path:?}");
    }
}

#[test]
fn the_help_groups_every_command_once() {
    let mut grouped: Vec<_> = GROUPS
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    grouped.sort_unstable();
    let command = command();
    let mut all: Vec<_> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    all.retain(|name| *name != "help");
    all.sort_unstable();
    assert_eq!(grouped, all);
    let help = refused(&["--help"]).to_string();
    for (group, names) in GROUPS {
        assert!(help.contains(&format!("{group}:")));
        assert!(
            names
                .iter()
                .all(|name| help.contains(&format!("  {name} ")))
        );
    }
    assert!(help.contains("TENBELLS_URL") && help.contains("Exit codes:"));
}

#[test]
fn examples_in_the_help_parse() {
    let mut seen = 0;
    for path in paths(&command(), &[]) {
        let mut args: Vec<_> = path.iter().map(String::as_str).collect();
        args.push("--help");
        for line in refused(&args).to_string().lines() {
            let Some(example) = line.trim_start().strip_prefix("tenbells ") else {
                continue;
            };
            let end = [" | ", " < ", " && ", " &"]
                .iter()
                .filter_map(|stop| example.find(stop))
                .min();
            let words = words(&example[..end.unwrap_or(example.len())]);
            let args = std::iter::once("tenbells".to_owned()).chain(words);
            parse(args).unwrap_or_else(|error| panic!("{line}: {error}"));
            seen += 1;
        }
    }
    assert!(seen > 25, "only {seen} examples were found");
}

/// Parts a line as a shell would, as far as single quotes go.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn bad_input_is_a_usage_error() {
    for args in [
        &[][..],
        &["nonsense"],
        &["publish"],
        &["publish", "Not A Topic"],
        &["publish", "t", "--id", "a/b"],
        &["publish", "t", "--published-at", "yesterday"],
        &["publish", "t", "--verification", "perhaps"],
        &["publish", "t", "--url", "ftp://a/"],
        &["publish", "t", "--retries", "-1"],
        &["revise", "t", "e", "--pin", "--unpin"],
        &["revise", "t", "e", "--key-event", "--no-key-event"],
        &["revise", "t", "e", "--if-match", "x"],
        &["end", "t", "--successor", "javascript:x"],
        &["tail", "t", "--after", "K-1"],
        &["import", "f", "--topic", "t", "--format", "docx"],
        &["import", "f"],
        &["replay", "f", "--topic", "t", "--speed", "0"],
        &["keys"],
        &["keys", "create", "--role", "king", "--topics", "*"],
        &["keys", "create", "--role", "desk", "--topics", "A*"],
        &["serve", "--listen", "7010"],
        &["serve", "--shards", "0"],
        &["restore", "f"],
    ] {
        let error = refused(args);
        assert_eq!(exit_of(&error), Exit::Usage, "{args:?}");
        let exit = run(std::iter::once("tenbells").chain(args.iter().copied()));
        assert_eq!(exit, ExitCode::from(2), "{args:?}");
    }
}

#[test]
fn a_failing_command_ends_with_its_code() {
    let exit = run(["tenbells", "publish", "t", "/nonexistent/tenbells-body"]);
    assert_eq!(exit, ExitCode::from(66));
    let exit = run(["tenbells", "revise", "t", "e"]);
    assert_eq!(exit, ExitCode::from(2));
    let exit = run(["tenbells", "import", "/nonexistent/x.jsonl", "--topic", "t"]);
    assert_eq!(exit, ExitCode::from(66));
    let exit = run([
        "tenbells",
        "import",
        "/nonexistent/x.unknown",
        "--topic",
        "t",
    ]);
    assert_eq!(exit, ExitCode::from(2));
}

#[test]
fn the_broker_is_on_this_machine_unless_told() {
    let Command::Reopen(args) = accepted(&["reopen", "t", "--url", "https://a.example/x"]) else {
        panic!("reopen");
    };
    assert_eq!(args.writing.remote.url.as_str(), "https://a.example/x");
    let command = command();
    let publish = command.find_subcommand("publish").expect("publish");
    let url = publish
        .get_arguments()
        .find(|arg| arg.get_id() == "url")
        .expect("url");
    assert_eq!(url.get_default_values(), ["http://127.0.0.1:7010"]);
    assert_eq!(url.get_env(), Some("TENBELLS_URL".as_ref()));
}

/// Runs `args` against a fake that gives one answer after the other, and gives what it was asked.
async fn asked(args: &[&str], answers: Vec<Answer>) -> Vec<Asked> {
    let fake = Fake::http(answers).await;
    let mut args = args.to_vec();
    args.extend(["--url", fake.remote.url.as_str()]);
    let done = match accepted(&args) {
        Command::Publish(args) => entries::publish(args).await,
        Command::Revise(args) => entries::revise(args).await,
        Command::Retract(args) => entries::retract(args).await,
        Command::Topic(args) => topics::topic(args).await,
        Command::End(args) => topics::end(args).await,
        other => panic!("{other:?} is not tried here"),
    };
    done.expect("done");
    fake.asked()
}

fn entry_answer() -> Vec<Answer> {
    let answer = json!({"entry": {"id": "e1"}, "position": "k-1"});
    vec![Answer::Json(200, answer.to_string())]
}

#[tokio::test]
async fn writing_commands_send_what_they_were_told() {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), "*Größe*").expect("write");
    let path = file.path().to_str().expect("a path in UTF-8");

    let flags = [
        "--headline",
        "h",
        "--agency",
        "W",
        "--id",
        "e1",
        "--idempotency-key",
        "mine",
    ];
    let args = [&["publish", "t", path, "--pin"][..], &flags].concat();
    let sent = asked(&args, entry_answer()).await.remove(0);
    assert_eq!(sent.key.as_deref(), Some("mine"));
    assert_eq!(sent.body["body"], json!({"markdown": "*Größe*"}));
    assert_eq!(
        sent.body["authors"],
        json!([{"name": "W", "type": "organization"}])
    );
    assert_eq!(
        (&sent.body["id"], &sent.body["pinned"]),
        (&json!("e1"), &json!(true))
    );

    let flags = [
        "--correction",
        "c",
        "--unpin",
        "--if-match",
        "2",
        "--format",
        "text",
    ];
    let args = [&["revise", "t", "e1", "--body-from", path][..], &flags].concat();
    let sent = asked(&args, entry_answer()).await.remove(0);
    assert_eq!(
        (sent.method.as_str(), sent.if_match.as_deref()),
        ("PATCH", Some("\"2\""))
    );
    assert_eq!(
        sent.body,
        json!({"pinned": false, "correction": {"note": "c"},
            "body": {"text": "*Größe*", "markdown": null, "html": null}})
    );

    let args = ["retract", "t", "e1", "--reason", "wrong"];
    let sent = asked(&args, entry_answer()).await.remove(0);
    assert_eq!(sent.method, "DELETE");
    assert_eq!(sent.path, "/base/v1/topics/t/entries/e1");
    assert_eq!(sent.body, json!({"reason": "wrong"}));

    let args = ["end", "t", "--successor", "t-2", "--successor-title", "Two"];
    let sent = asked(&args, entry_answer()).await.remove(0);
    assert_eq!(
        sent.body,
        json!({"successor": {"topic": "t-2", "title": "Two"}})
    );
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_created_without_the_empty_fields() {
    let mut answers = vec![Answer::problem(404, "topic_not_found")];
    answers.extend(entry_answer());
    let args = ["topic", "t", "--title", "T", "--language", ""];
    let sent = asked(&args, answers).await;
    assert_eq!(sent[0].body, json!({"title": "T", "language": null}));
    assert_eq!(
        (sent[1].method.as_str(), &sent[1].body),
        ("PUT", &json!({"title": "T"}))
    );
    assert_ne!(sent[0].key, sent[1].key);
}
