//! Text from a file or stdin: never more of it than may be, and always UTF-8.
//!
//! The first step of every command that sends something; it knows nothing of what the text means.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use super::exit::Failure;
use super::output::note;
use crate::model::limits::BODY_BYTES_MAX;

/// Reads text from `path` (`-` or none: stdin): at most `bytes_max` bytes of UTF-8.
///
/// # Errors
/// 66 where there is no such file, 74 when it can't be read, 65 when it is too long or not UTF-8.
pub fn read_text(path: Option<&Path>, what: &str, bytes_max: usize) -> Result<String, Failure> {
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    let (name, read) = match path.filter(|path| *path != Path::new("-")) {
        None => {
            if std::io::stdin().is_terminal() {
                note(format_args!(
                    "reading {what} from the keyboard; Ctrl-D ends it"
                ));
            }
            let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
            ("stdin".to_owned(), read)
        }
        Some(path) => {
            let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
            (path.display().to_string(), read)
        }
    };
    read.map_err(|error| Failure::io(&name, &error))?;
    if bytes.len() > bytes_max {
        return Err(Failure::data(format!(
            "{name} has more bytes than {what} may have; the limit is {bytes_max}"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::data(format!("{name} is not UTF-8: {}", error.utf8_error()))
            .advise("convert it first: iconv -f WINDOWS-1252 -t UTF-8")
    })
}

/// Reads the body of an entry; see [`read_text`].
///
/// # Errors
/// As [`read_text`].
pub fn read_body(path: Option<&Path>) -> Result<String, Failure> {
    read_text(path, "the body", BODY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use std::io::Write;

    #[test]
    fn a_file_is_read_up_to_the_limit_and_has_to_be_utf_8() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all("größe".as_bytes()).expect("write");
        let read = |max| read_text(Some(file.path()), "the body", max);
        assert_eq!(read(7).expect("fits"), "größe");
        assert!(
            read(6)
                .expect_err("long")
                .to_string()
                .contains("limit is 6")
        );
        file.as_file()
            .set_len(3)
            .expect("cut in the middle of a character");
        let failure = read_text(Some(file.path()), "the body", 100).expect_err("not UTF-8");
        assert_eq!(failure.exit(), Exit::Data);
        let missing = read_body(Some(Path::new("/nonexistent/tenbells"))).expect_err("missing");
        assert_eq!(missing.exit(), Exit::NoInput);
    }
}
