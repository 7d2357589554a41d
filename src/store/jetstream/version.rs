//! Which NATS servers can be used: those whose compare-and-set and secure deletes do what the log needs.

use std::fmt;

/// A version of a NATS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// The oldest server that can be used.
pub const OLDEST: Version = Version {
    major: 2,
    minor: 12,
    patch: 0,
};

/// A server that is too old, or does not say how old it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the NATS server has version {found:?}, Tenbells needs {OLDEST} or newer: older ones can lose the last records of a stream when a server restarts, and check an expected sequence against a state that is not replicated yet"
)]
pub struct VersionError {
    /// What it says.
    found: String,
}

impl Version {
    /// Whether a server of this version can be used.
    ///
    /// # Errors
    /// [`VersionError`].
    pub fn check(text: &str) -> Result<(), VersionError> {
        match Self::parse(text) {
            Some(version) if version >= OLDEST => Ok(()),
            _ => Err(VersionError {
                found: text.to_owned(),
            }),
        }
    }

    /// `2.14.7`, `2.12.0-RC.3`: a candidate counts as what it is a candidate for.
    fn parse(text: &str) -> Option<Self> {
        let core = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(str::parse);
        let version = Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
            patch: numbers.next()?.ok()?,
        };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_from_2_12_on_are_taken_and_others_are_told_why_not() {
        for taken in ["2.12.0", "2.12.0-RC.3", "2.14.7", "3.0.0", "v2.12.1"] {
            assert_eq!(Version::check(taken), Ok(()), "{taken}");
        }
        for refused in [
            "2.11.99", "2.9.21", "1.99.99", "", "2.12", "2.12.x", "2.12.0.1",
        ] {
            let error = Version::check(refused).expect_err(refused).to_string();
            assert!(error.contains(&format!("{refused:?}")), "{error}");
            assert!(error.contains("needs 2.12.0 or newer"), "{error}");
        }
    }
}
