//! What a command says: results on stdout, everything else on stderr, and nothing that could steer a terminal.
//!
//! Text that came over the wire is somebody else's. Before it reaches a terminal every control character in it is
//! replaced, so that an entry can't move the cursor, set the window's title or turn the text around.

use std::fmt::Display;
use std::io::{self, Write};

use super::exit::Failure;

/// Writes one line of result to stdout, as it is: pass other people's text through [`clean`] first.
///
/// # Errors
/// [`Failure::reader_gone`] when the pipe is closed, else an I/O failure (a full disk behind `>`).
pub fn line(text: impl Display) -> Result<(), Failure> {
    written(write_line(&mut io::stdout().lock(), text))
}

/// Writes one line of progress or explanation to stderr, with control characters replaced.
///
/// A closed stderr is no reason to stop: the line is lost, the work goes on.
pub fn note(text: impl Display) {
    let _ = write_line(&mut io::stderr().lock(), clean(&text.to_string()));
}

/// `text` with every control character but line feed and tab replaced by `U+FFFD`, line ends made `\n`.
///
/// Replaced are C0, DEL and C1 (ECMA-48: the start of every escape sequence) and the bidirectional overrides and
/// isolates (Unicode UAX #9), which can make a line read as something else than it says.
pub fn clean(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\u{2028}' | '\u{2029}' => '\n',
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// [`clean`], and on one line: for headlines, names and reasons.
pub fn clean_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_line(out: &mut impl Write, text: impl Display) -> io::Result<()> {
    writeln!(out, "{text}")?;
    out.flush()
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::reader_gone()),
        Err(error) => Err(Failure::io("stdout", &error)),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        let hostile = "a\x1b[2J\x1b]0;title\x07b\r\u{9b}31m\u{7f}\u{202e}c\u{2066}d\0";
        let cleaned = clean(hostile);
        assert!(!cleaned.chars().any(char::is_control), "{cleaned:?}");
        assert!(!cleaned.contains(['\u{202e}', '\u{2066}']));
        assert_eq!(cleaned.chars().count(), hostile.chars().count());
    }

    #[test]
    fn words_of_any_script_and_line_ends_stay() {
        assert_eq!(clean("“Ägypten” שלום\r\n\tx"), "“Ägypten” שלום\n\tx");
        assert_eq!(clean_line(" a\n b\u{2028}c "), "a b c");
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let gone = written(Err(io::ErrorKind::BrokenPipe.into())).expect_err("gone");
        assert_eq!(gone.exit(), Exit::Ok);
        let full = written(Err(io::ErrorKind::StorageFull.into())).expect_err("full");
        assert_eq!(full.exit(), Exit::Io);
    }
}
