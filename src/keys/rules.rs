//! What a new key may be: the bounds of its globs and its name. Knows no file.

use super::KeyError;
use crate::model::limits::TOPIC_NAME_BYTES_MAX;

/// Most globs of a key.
pub const GLOBS_MAX: usize = 32;
/// Longest glob, in bytes: as long as a topic name.
pub const GLOB_BYTES_MAX: usize = TOPIC_NAME_BYTES_MAX;
/// Longest name of a key, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// Checks the globs of a new key.
pub(super) fn check_globs(globs: &[String]) -> Result<(), KeyError> {
    let invalid = |message: String| Err(KeyError::Invalid(message));
    if globs.is_empty() {
        return invalid("a key needs at least one glob of topics, such as 'sport-*'".to_owned());
    }
    if globs.len() > GLOBS_MAX {
        let len = globs.len();
        return invalid(format!("the key has {len} globs, the limit is {GLOBS_MAX}"));
    }
    for glob in globs {
        if glob.is_empty() {
            return invalid("a glob is empty; '*' stands for every topic".to_owned());
        }
        if glob.len() > GLOB_BYTES_MAX {
            let len = glob.len();
            return invalid(format!(
                "a glob has {len} bytes, the limit is {GLOB_BYTES_MAX}"
            ));
        }
        if !is_glob(glob) {
            return invalid(format!("glob {glob:?} may have a-z, 0-9, -, * and ?"));
        }
    }
    Ok(())
}

/// Whether the text is a topic name, or a glob of topic names.
pub fn is_glob(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b);
    (1..=GLOB_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Checks the name of a new key.
pub(super) fn check_name(name: &str) -> Result<(), KeyError> {
    let len = name.len();
    if len > NAME_BYTES_MAX {
        let message = format!("the name of the key has {len} bytes, the limit is {NAME_BYTES_MAX}");
        return Err(KeyError::Invalid(message));
    }
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let message = "the name of the key is empty or has control characters".to_owned();
        return Err(KeyError::Invalid(message));
    }
    Ok(())
}
