//! The four layers put on top of each other: default, file, environment, command line.
//!
//! Each layer is read against the same form, so that a mistake is told with the file's line, the variable's name or the
//! flag it stands in. Nothing is looked up here beside the file that was named: the environment comes as an argument.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::bounds::{Kind, SETTINGS, Setting};
use super::form::Form;
use super::{Config, ConfigError, Machine, Origin, check};

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// What all our variables begin with.
const PREFIX: &str = "TENBELLS_";
/// The variable that names the file.
const FILE_VARIABLE: &str = "TENBELLS_CONFIG";
/// Variables that are ours and no settings: of the commands that speak to a broker, and of the tests.
const OTHER_VARIABLES: [&str; 6] = [
    FILE_VARIABLE,
    "TENBELLS_URL",
    "TENBELLS_KEY",
    "TENBELLS_CA",
    "TENBELLS_CORPUS",
    "TENBELLS_NATS_SERVER",
];

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, as it is written: `--listen`.
    pub name: &'static str,
    /// The setting: `listen`.
    pub key: &'static str,
    /// Its value.
    pub value: OsString,
}

/// Where settings come from, beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file; where there is none, the one that `TENBELLS_CONFIG` names.
    pub file: Option<PathBuf>,
    /// Environment variables; those that are not ours are left alone.
    pub environment: Vec<(OsString, OsString)>,
    /// The command line.
    pub flags: Vec<Flag>,
}

/// Settings that go together, and that this machine can keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(Form);

/// What was set so far.
#[derive(Debug, Default)]
pub(super) struct Layers {
    table: Table,
    pub form: Form,
    origins: BTreeMap<&'static str, Origin>,
}

impl Settings {
    /// What holds where nothing is said.
    pub fn defaults(machine: Machine) -> Self {
        let mut form = Form::default();
        form.settle(machine);
        Self(form)
    }

    /// Reads every layer, and checks what comes out for `machine`. A default is overridden by the file, that by a
    /// variable, that by a flag.
    ///
    /// # Errors
    /// [`ConfigError`] for the first mistake that is found.
    pub fn load(sources: &Sources, machine: Machine) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = file_of(sources) {
            layers.read_file(path)?;
        }
        for (name, value) in &sources.environment {
            layers.read_variable(name, value)?;
        }
        for flag in &sources.flags {
            layers.set(flag.key, &flag.value, Origin::Flag(flag.name))?;
        }
        layers.check_bounds()?;
        layers.form.settle(machine);
        check::check(&layers, machine)?;
        Ok(Self(layers.form))
    }

    /// The configuration that they stand for.
    pub fn config(&self) -> Config {
        self.0.config()
    }

    /// All of them, as a configuration file.
    ///
    /// # Errors
    /// When TOML can't say one of them.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.0)
    }
}

impl Sources {
    /// Those of this process, with what its command line said.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        Self {
            file,
            environment: std::env::vars_os().collect(),
            flags,
        }
    }
}

impl Layers {
    /// Where a setting was set.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |source| ConfigError::File {
            path: path.to_owned(),
            source: Box::new(source),
        };
        self.form = toml::from_str(&text).map_err(wrong)?;
        self.table = toml::from_str(&text).map_err(wrong)?;
        let spans = DeTable::parse(&text).map_err(wrong)?;
        for setting in SETTINGS {
            if let Some(start) = start_of(spans.get_ref(), setting) {
                let line = text[..start].matches('\n').count() + 1;
                let path = path.to_owned();
                self.origins
                    .insert(setting.key, Origin::File { path, line });
            }
        }
        Ok(())
    }

    fn read_variable(&mut self, name: &OsStr, value: &OsStr) -> Result<(), ConfigError> {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_ref()) {
            return Ok(());
        }
        let variable = |setting: &&Setting| setting.variable() == name;
        let Some(setting) = SETTINGS.iter().find(variable) else {
            return Err(ConfigError::UnknownVariable {
                nearest: nearest(&name),
                name: name.into_owned(),
            });
        };
        self.set(setting.key, value, Origin::Variable(name.into_owned()))
    }

    /// Sets `key` to what `text` says.
    fn set(&mut self, key: &str, text: &OsStr, origin: Origin) -> Result<(), ConfigError> {
        let malformed = |reason: String| ConfigError::Malformed {
            key: key.to_owned(),
            value: text.to_string_lossy().into_owned(),
            origin: origin.clone(),
            reason,
        };
        let setting = Setting::of(key).ok_or_else(|| malformed("no such setting".to_owned()))?;
        let utf8 = text
            .to_str()
            .ok_or_else(|| malformed("it is not UTF-8".to_owned()))?;
        let value = value_of(setting.kind, utf8).map_err(|reason| malformed(reason.to_owned()))?;
        let table = match setting.path() {
            (None, _) => Some(&mut self.table),
            (Some(name), _) => self
                .table
                .entry(name)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut(),
        };
        if let Some(table) = table {
            table.insert(setting.path().1.to_owned(), value);
        }
        // Read whole after every setting: a value of the wrong shape is then the fault of the one just set.
        self.form = self
            .table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| malformed(error.message().to_owned()))?;
        self.origins.insert(setting.key, origin);
        Ok(())
    }

    /// Whether every number that was set is within the bounds of its setting.
    fn check_bounds(&self) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            let Kind::Integer { min, max, unit } = setting.kind else {
                continue;
            };
            let value = match setting.path() {
                (None, name) => self.table.get(name),
                (Some(table), name) => self.table.get(table).and_then(|table| table.get(name)),
            };
            let Some(value) = value.and_then(Value::as_integer) else {
                continue;
            };
            if !(min..=max).contains(&value) {
                return Err(ConfigError::OutOfBounds {
                    key: setting.key,
                    value,
                    origin: self.origin(setting.key),
                    min,
                    max,
                    unit,
                });
            }
        }
        Ok(())
    }
}

fn file_of(sources: &Sources) -> Option<&Path> {
    let named = || {
        sources
            .environment
            .iter()
            .find(|(name, value)| name == FILE_VARIABLE && !value.is_empty())
            .map(|(_, value)| Path::new(value))
    };
    sources.file.as_deref().or_else(named)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("it is longer than {FILE_BYTES_MAX} bytes, the limit");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(text)
}

/// Where in the file the value of a setting begins, in bytes.
fn start_of(file: &DeTable<'_>, setting: &Setting) -> Option<usize> {
    let (table, name) = setting.path();
    let value = match table {
        None => file.get(name)?,
        Some(table) => file.get(table)?.get_ref().get(name)?,
    };
    Some(value.span().start)
}

fn value_of(kind: Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Integer { .. } => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| "it must be a whole number"),
        Kind::Switch => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "it must be true or false"),
        Kind::Tables => Err("it is a list of tables, which only a configuration file can have"),
        Kind::List => Ok(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        )),
    }
}

/// The variable that somebody meant who left the table out, or the unit.
fn nearest(name: &str) -> Option<String> {
    let words = name.strip_prefix(PREFIX).filter(|words| words.len() > 2)?;
    SETTINGS
        .iter()
        .map(Setting::variable)
        .find(|variable| variable.contains(words))
}
