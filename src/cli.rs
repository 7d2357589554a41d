//! The command line: what can be asked for, in help texts that teach, and how each command ends.
//!
//! `serve`, `keys` and `backup` work on a data folder on this machine; all other commands speak to a broker over HTTP
//! and WebSocket as any newsroom tool could. Results go to stdout, everything else to stderr.

mod api;
mod backup;
mod entries;
mod entry_args;
pub mod exit;
mod import;
mod input;
mod keys;
mod migrate;
pub mod output;
mod problem;
mod replay;
mod retry;
mod serve;
mod tail;
mod topics;
mod trust;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::{Exit, Failure};

/// A self-hosted live-blog push service: durable, ordered, resumable
///
/// Newsroom tools publish entries over HTTP. Tenbells makes each change durable, numbers it (1, 2, 3 …) and pushes it
/// to every reader over WebSocket, server-sent events or long poll. A reader resumes from its last position, and gets
/// everything that it missed, once and in order.
#[derive(Debug, Parser)]
#[command(
    name = "tenbells",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the broker
    #[command(after_long_help = examples(serve::EXAMPLES))]
    Serve(serve::ServeArgs),
    /// Checks a configuration without starting anything
    #[command(after_long_help = examples(serve::CHECK_EXAMPLES))]
    CheckConfig(serve::CheckConfigArgs),
    /// Makes, lists and revokes the keys that publishers and private readers show
    #[command(subcommand, after_long_help = examples(keys::EXAMPLES))]
    Keys(keys::KeysCommand),
    /// Writes a consistent copy of everything to a file, while the broker runs
    #[command(after_long_help = examples(backup::EXAMPLES))]
    Backup(backup::BackupArgs),
    /// Makes a data folder out of a backup
    #[command(after_long_help = examples(backup::RESTORE_EXAMPLES))]
    Restore(backup::RestoreArgs),
    /// Brings topics from a single node to a cluster, or back
    #[command(subcommand, after_long_help = examples(migrate::EXAMPLES))]
    Migrate(migrate::MigrateCommand),
    /// Publishes an entry; the body comes from a file or stdin
    #[command(after_long_help = examples(PUBLISH_EXAMPLES))]
    Publish(entries::PublishArgs),
    /// Changes an entry: its words, byline, pin, key event, or a correction
    #[command(after_long_help = examples(REVISE_EXAMPLES))]
    Revise(entries::ReviseArgs),
    /// Takes an entry back, out of every page, replay and feed
    #[command(after_long_help = examples(RETRACT_EXAMPLES))]
    Retract(entries::RetractArgs),
    /// Creates or changes a topic; shows it when nothing is to be changed
    #[command(after_long_help = examples(TOPIC_EXAMPLES))]
    Topic(topics::TopicArgs),
    /// Ends a topic and sends its readers on
    #[command(after_long_help = examples(END_EXAMPLES))]
    End(topics::EndArgs),
    /// Takes the end of a topic back
    #[command(after_long_help = examples(REOPEN_EXAMPLES))]
    Reopen(topics::ReopenArgs),
    /// Brings a whole live blog in from a file
    #[command(after_long_help = examples(IMPORT_EXAMPLES))]
    Import(import::ImportArgs),
    /// Plays a live blog into a topic, with its pauses
    #[command(after_long_help = examples(REPLAY_EXAMPLES))]
    Replay(replay::ReplayArgs),
    /// Follows a topic, and checks that no change is missing
    #[command(after_long_help = examples(TAIL_EXAMPLES))]
    Tail(tail::TailArgs),
}

/// The commands as the help lists them: each in one group.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Run a broker",
        &[
            "serve",
            "check-config",
            "keys",
            "backup",
            "restore",
            "migrate",
        ],
    ),
    (
        "Write a live blog",
        &[
            "publish", "revise", "retract", "topic", "end", "reopen", "import", "replay",
        ],
    ),
    ("Follow a live blog", &["tail"]),
];

const FIRST_MINUTE: &str = "\
Examples:
  A broker with a sample blog, and the address to open in a browser:
    tenbells serve --demo
  A broker, a key, a first entry:
    tenbells serve &
    export TENBELLS_KEY=$(tenbells keys create --role publisher --topics '*')
    echo 'Polls have *closed*.' | tenbells publish elections --author 'Ada Lee'
  What readers see, from the first change on:
    tenbells tail elections --after start

Environment:
  TENBELLS_URL  address of the broker, http://127.0.0.1:7010 where it isn't set
  TENBELLS_KEY  key to show it; reading public topics needs none
  TENBELLS_CA   certificates to trust in place of the system's, for https and wss";

const PUBLISH_EXAMPLES: &str = "\
Examples:
  tenbells publish elections --headline 'It is on' --author 'Ada Lee' < body.md
  tenbells publish elections --agency Reuters --source Reuters --format text wire.txt
  Under embargo: stored now, seen nowhere before its time
    tenbells publish budget --release-at 2026-11-24T12:30:00Z speech.md
  From a tool that retries blindly: the same key is published once, for the life of the topic
    tenbells publish elections --idempotency-key wire-4711 wire.md

Prints the entry's id and the position of the change (`held` for an entry under embargo). It retries with one and the
same idempotency key when the outcome is open, so an entry is never published twice.";

const REVISE_EXAMPLES: &str = "\
Examples:
  tenbells revise elections 01J9Z3 --correction 'An earlier version named the wrong town.' --body-from new.md
  tenbells revise elections 01J9Z3 --pin --key-event
  Only if nobody was faster, and a headline taken away:
    tenbells revise elections 01J9Z3 --headline '' --if-match 2

What isn't named stays. Lists (authors, tags, sources) are replaced whole; an empty text empties them.";

const RETRACT_EXAMPLES: &str = "\
Examples:
  tenbells retract elections 01J9Z3 --reason 'The figures were last year’s.'

Once it is acknowledged the body is in no page, replay, snapshot or feed. The id stays, as a tombstone.";

const TOPIC_EXAMPLES: &str = "\
Examples:
  tenbells topic elections --title 'Election night' --language en --key-point 'Polls close at 22:00'
  tenbells topic elections-2 --predecessor elections --predecessor-title 'The first night'
  What it is now, as JSON:
    tenbells topic elections

Key points are replaced whole; an empty text takes a field away.";

const END_EXAMPLES: &str = "\
Examples:
  tenbells end elections --successor elections-2 --successor-title 'The morning after'
  tenbells end elections --successor https://news.example/results
  tenbells end elections

Open pages are told. Corrections and retractions still work; new entries are refused until `tenbells reopen`.";

const REOPEN_EXAMPLES: &str = "\
Examples:
  tenbells reopen elections";

const IMPORT_EXAMPLES: &str = "\
Examples:
  tenbells import yesterday.txt --format transcript --topic elections --dry-run
  tenbells import yesterday.txt --format transcript --topic elections
  tenbells import blog.jsonld --topic elections

Formats:
  transcript  plain text, newest entry first, each closed by its byline (“— Ada Lee, Reuters”), the summary on top
  jsonld      schema.org LiveBlogPosting
  jsonl       one entry a line, as `POST …/entries` takes it, oldest first

Entries go in oldest first. What had to be guessed is said on stderr. Importing the same file again changes nothing.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  tenbells replay yesterday.jsonl --topic rehearsal --speed 60
  tenbells replay examples/demo-blog.jsonl --speed 10

A script holds one step a line, with pauses: publish, revise, retract, topic, end. A file that `import` reads plays as well: by
the times of its entries, or with 10 s between them where it has none. --speed 60 makes a minute a second.";

const TAIL_EXAMPLES: &str = "\
Examples:
  tenbells tail elections
  Everything so far, then stop:
    tenbells tail elections --once
  Go on from a position, as JSON for another program:
    tenbells tail elections --after k3v9q2-42 --json | jq .entry.headline

It reconnects and resumes by itself, and stops with 65 if a change were ever missing or came twice.";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the command line `args`, the first of which is the name of the program.
pub fn run<I>(args: I) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    match parse(args) {
        Ok(cli) => match dispatch(cli.command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        },
        Err(error) => {
            // A help text goes to stdout and is a success; clap knows which it is.
            let _ = error.print();
            ExitCode::from(exit_of(&error).code())
        }
    }
}

fn parse<I>(args: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let matches = command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

fn exit_of(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::CheckConfig(args) => serve::check_config(args),
        Command::Keys(command) => keys::run(command),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => backup::restore(args),
        Command::Migrate(command) => migrate::run(command),
        Command::Publish(args) => block_on(entries::publish(args)),
        Command::Revise(args) => block_on(entries::revise(args)),
        Command::Retract(args) => block_on(entries::retract(args)),
        Command::Topic(args) => block_on(topics::topic(args)),
        Command::End(args) => block_on(topics::end(args)),
        Command::Reopen(args) => block_on(topics::reopen(args)),
        Command::Import(args) => block_on(import::import(args)),
        Command::Replay(args) => block_on(replay::replay(args)),
        Command::Tail(args) => block_on(tail::tail(args)),
    }
}

/// Runs the future of one command; a single thread is enough for one connection.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("can't start the runtime", &error))?
        .block_on(command)
}

/// The command with its grouped list of subcommands.
fn command() -> clap::Command {
    let command = Cli::command();
    let mut list = String::new();
    for (group, names) in GROUPS {
        list.push_str(&format!("{group}:\n"));
        for name in names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            list.push_str(&format!("  {name:<13} {about}\n"));
        }
        list.push('\n');
    }
    command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}{{after-help}}"
        ))
        .after_help("`tenbells help COMMAND` explains a command, with examples.")
        .after_long_help(examples(FIRST_MINUTE))
}

fn examples(text: &str) -> String {
    format!("{text}\n\n{}", exit::HELP)
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
