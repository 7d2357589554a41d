//! How a command ends: the exit codes, and the failure that carries one.
//!
//! The codes are those of BSD's sysexits.h, so that a script can tell "try later" from "mend the input". Nothing
//! else in the crate names a number. A failure is shown as two lines on stderr: what went wrong, and what to do.

use std::fmt;
use std::process::ExitCode;

use super::output;

/// What stands under "Exit codes" in every long help text.
pub const HELP: &str = "\
Exit codes:
  0   done
  1   failed for another reason than those below
  2   the command line is wrong
  65  bad data: the input, or what the broker refused as it stands (stale revision, reused key)
  66  no input: there is no such file, topic or entry
  69  unavailable: no broker could be reached, or it failed
  74  I/O error on a file, on stdin or on stdout
  75  temporary failure that outlasted the retries: the same command may work later
  77  permission denied: a key is missing, wrong, or not for this topic
  78  the configuration is wrong: its file, or a TENBELLS_ variable";

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done.
    Ok,
    /// Failed for a reason without a code of its own.
    Other,
    /// The command line is wrong.
    Usage,
    /// The input is wrong, or was refused as it stands.
    Data,
    /// There is no such file, topic or entry.
    NoInput,
    /// The broker can't be reached, or failed.
    Unavailable,
    /// A file, stdin or stdout failed.
    Io,
    /// The same may work later.
    Temporary,
    /// A key is missing, wrong, or not for this.
    Denied,
    /// The configuration's file or variables are wrong.
    Config,
}

/// Why a command failed: the exit code, one sentence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
    advice: Option<String>,
}

impl Exit {
    /// Every exit code, in the order of the numbers.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Other,
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Io,
        Self::Temporary,
        Self::Denied,
        Self::Config,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }
}

impl Failure {
    /// A failure with the exit code `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            advice: None,
        }
    }

    /// The command line is wrong: 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The input is wrong: 65.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Data, message)
    }

    /// Something that was named does not exist: 66.
    pub fn no_input(message: impl Into<String>) -> Self {
        Self::new(Exit::NoInput, message)
    }

    /// The broker can't be reached: 69.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// `what` failed with an I/O error: 74, or 66 where it is not there, or 77 where it may not be touched.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NoInput,
            std::io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::Io,
        };
        Self::new(exit, format!("{what}: {error}"))
    }

    /// The same may work later: 75.
    pub fn temporary(message: impl Into<String>) -> Self {
        Self::new(Exit::Temporary, message)
    }

    /// A key is missing, wrong, or not for this: 77.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Exit::Denied, message)
    }

    /// Whoever read our stdout has gone away (`tenbells tail t | head -1`): the command stops, silently and with 0.
    pub fn reader_gone() -> Self {
        Self::new(Exit::Ok, "")
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about it, where something can be done.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Says it on stderr and gives the code to end the process with.
    pub fn report(&self) -> ExitCode {
        if self.exit != Exit::Ok {
            output::note(format_args!("tenbells: {}", self.message));
            if let Some(advice) = &self.advice {
                output::note(format_args!("  {advice}"));
            }
        }
        ExitCode::from(self.exit.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    /// With the whole chain of causes; a failure inside the chain keeps its own code.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new(Exit::Other, format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code_once_and_no_other() {
        let listed: Vec<u8> = HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        let all: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(listed, all);
    }

    #[test]
    fn io_errors_are_told_apart() {
        let code = |kind: std::io::ErrorKind| Failure::io("x", &kind.into()).exit();
        assert_eq!(code(std::io::ErrorKind::NotFound), Exit::NoInput);
        assert_eq!(code(std::io::ErrorKind::PermissionDenied), Exit::Denied);
        assert_eq!(code(std::io::ErrorKind::StorageFull), Exit::Io);
    }

    #[test]
    fn a_failure_survives_the_way_through_anyhow() {
        let failure = Failure::denied("no").advise("ask");
        let error = anyhow::Error::new(failure.clone()).context("while publishing");
        assert_eq!(Failure::from(error), failure);
        let error = anyhow::anyhow!("inner").context("outer");
        assert_eq!(Failure::from(error).to_string(), "outer: inner");
    }
}
