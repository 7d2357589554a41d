//! `keys`: who may publish, and who may read what is private.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::output;
use crate::keys::{self, KeyError, KeyFile, KeyRecord};
use crate::model::format_millis;

/// Under the help of `keys`.
pub const EXAMPLES: &str = "\
Examples:
  A key for one tool and its topics, straight into the environment:
    export TENBELLS_KEY=$(tenbells keys create --role publisher --topics 'sport-*' --name 'score feed')
  Who has which, and taking one away:
    tenbells keys list
    tenbells keys revoke 7h2k

A key is printed once; only its hash is kept. It works on the data folder, also while the broker runs: a new or revoked
key takes effect within seconds.";

/// Under the help of `keys create`.
const CREATE_EXAMPLES: &str = "\
Examples:
  tenbells keys create --role desk --topics '*' --name 'night desk'
  tenbells keys create --role publisher --topics 'elections-*' --data-dir /var/lib/tenbells

Prints the key alone on stdout. Topics are a glob: `*` stands for any characters, `?` for one.";

/// `tenbells keys …`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// Makes a key, and prints it: the only time that it is shown
    #[command(after_long_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Lists the keys: id, role, topics, name, never the key itself
    List(ListArgs),
    /// Takes a key away
    Revoke(RevokeArgs),
}

/// `tenbells keys create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// What the key may do
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// On which topics: a name, or a glob such as 'sport-*'
    #[arg(long, value_name = "GLOB", value_parser = parse_glob)]
    pub topics: String,
    /// Who has it, for the list and the audit trail
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where it is kept.
    #[command(flatten)]
    pub store: Store,
}

/// `tenbells keys list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Where it is kept.
    #[command(flatten)]
    pub store: Store,
}

/// `tenbells keys revoke`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    /// Id of the key, as `keys list` shows it: not the key itself
    pub id: String,
    /// Where it is kept.
    #[command(flatten)]
    pub store: Store,
}

/// The data folder that a command works on.
#[derive(Debug, Clone, Args)]
pub struct Store {
    /// The broker's data folder
    #[arg(long, value_name = "FOLDER", default_value = "tenbells-data")]
    pub data_dir: PathBuf,
}

/// What a key may do on its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Publish, revise, retract, change, end and reopen; for newsroom tools
    Publisher,
    /// All that a publisher may, and see held and private entries and the audit trail; for editors
    Desk,
    /// Read private topics; for apps and partners
    Reader,
    /// Everything
    Admin,
}

/// Longest glob: the longest topic name.
const GLOB_BYTES_MAX: usize = crate::model::limits::TOPIC_NAME_BYTES_MAX;

fn parse_glob(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b);
    if text.is_empty() || text.len() > GLOB_BYTES_MAX || !text.bytes().all(allowed) {
        return Err(format!(
            "a glob has 1 to {GLOB_BYTES_MAX} of a-z, 0-9, -, * and ?"
        ));
    }
    Ok(text.to_owned())
}

/// Runs `keys create`, `keys list` or `keys revoke`.
///
/// # Errors
/// When the data folder can't be used, or there is no such key.
pub fn run(command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Create(args) => create(&args),
        KeysCommand::List(args) => list(&args),
        KeysCommand::Revoke(args) => revoke(&args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let token = open(&args.store)?
        .create(
            args.role.into(),
            std::slice::from_ref(&args.topics),
            args.name.as_deref(),
            Timestamp::now(),
        )
        .map_err(failure)?;
    output::line(token.reveal())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let keys = open(&args.store)?.list().map_err(failure)?;
    if args.json {
        let keys: Vec<_> = keys.iter().map(as_json).collect();
        return output::line(serde_json::Value::from(keys));
    }
    if keys.is_empty() {
        output::note("no keys yet; `tenbells keys create` makes one");
    }
    for key in keys {
        output::line(row(&key))?;
    }
    Ok(())
}

/// One line in columns. Only the name is free text; the rest is letters, digits and globs.
fn row(key: &KeyRecord) -> String {
    let name = output::clean_line(key.name.as_deref().unwrap_or("-"));
    let state = key
        .revoked_at
        .map_or_else(String::new, |at| format!("  revoked {at:.0}"));
    format!(
        "{}  {:<9}  {:<24}  {name}{state}",
        key.id,
        key.role.as_str(),
        key.topics.join(" "),
    )
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let revoked = open(&args.store)?
        .revoke(&args.id, Timestamp::now())
        .map_err(failure)?;
    if revoked {
        output::note(format!(
            "{} is revoked; a running broker refuses it within seconds",
            args.id
        ));
        return Ok(());
    }
    Err(
        Failure::no_input(format!("there is no key {} that still stands", args.id))
            .advise("`tenbells keys list` shows the ids"),
    )
}

fn open(store: &Store) -> Result<KeyFile, Failure> {
    KeyFile::open(&store.data_dir).map_err(failure)
}

fn failure(error: KeyError) -> Failure {
    match error {
        KeyError::Invalid(_) | KeyError::Full => Failure::data(error.to_string()),
        _ => Failure::new(Exit::Io, error.to_string()),
    }
}

fn as_json(key: &KeyRecord) -> serde_json::Value {
    serde_json::json!({
        "id": key.id,
        "role": key.role.as_str(),
        "topics": key.topics,
        "name": key.name,
        "created_at": format_millis(key.created_at),
        "revoked_at": key.revoked_at.map(format_millis),
    })
}

impl From<Role> for keys::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Publisher => Self::Publisher,
            Role::Desk => Self::Desk,
            Role::Reader => Self::Reader,
            Role::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_stand_in_columns() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::open(folder.path()).expect("opens");
        for (role, glob, name) in [
            (Role::Desk, "elections-*", "Night desk"),
            (Role::Publisher, "*", "wire"),
        ] {
            file.create(
                role.into(),
                &[glob.to_owned()],
                Some(name),
                Timestamp::UNIX_EPOCH,
            )
            .expect("made");
        }
        let lines: Vec<String> = file.list().expect("list").iter().map(row).collect();
        let column = |line: &str, word: &str| line.find(word).expect("there");
        let desk = lines
            .iter()
            .find(|line| line.contains("desk  "))
            .expect("desk");
        let wire = lines
            .iter()
            .find(|line| line.contains("wire"))
            .expect("wire");
        assert_eq!(column(desk, "desk"), column(wire, "publisher"));
        assert_eq!(column(desk, "elections-*"), column(wire, "* "));
        assert_eq!(column(desk, "Night desk"), column(wire, "wire"));
    }
}
