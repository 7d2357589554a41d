//! The command line as a person meets it: help that renders, arguments that are refused, and exit codes.

use clap::error::ErrorKind;

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
