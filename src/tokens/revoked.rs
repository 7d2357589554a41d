//! Tokens that were taken back before their end: a file of rules, followed while the server runs.
//!
//! A line is `ISSUER WHAT VALUE`: the issuer or `*` for all, then `jti`, `sub` or `kid`, then the value up to the end of
//! the line. `#` begins a line of comment. A file that can't be read or has a wrong line leaves the rules as they were.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;

use super::TokensError;
use crate::keys::TokenClaims;

/// How often the file is looked at: how long a revoked token may still work, at the longest, give or take a read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest file, in bytes.
const BYTES_MAX: u64 = 16 << 20;
/// Most rules.
const RULES_MAX: usize = 100_000;
const ANY_ISSUER: &str = "*";

/// The file, and the rules that were last read of it.
pub(super) struct Revocations {
    path: PathBuf,
    rules: RwLock<Arc<Rules>>,
    read: RwLock<Option<Stamp>>,
}

/// What tells one version of a file from the next.
type Stamp = (u64, Option<SystemTime>, u64);

/// By issuer.
type Rules = HashMap<String, IssuerRules>;

#[derive(Debug, Default, PartialEq, Eq)]
struct IssuerRules {
    jti: HashSet<String>,
    sub: HashSet<String>,
    kid: HashSet<String>,
}

impl Revocations {
    /// Reads the file.
    pub(super) fn open(path: &Path) -> Result<Self, TokensError> {
        let revocations = Self {
            path: path.to_owned(),
            rules: RwLock::default(),
            read: RwLock::default(),
        };
        revocations.look().map_err(|reason| TokensError::File {
            path: path.to_owned(),
            reason,
        })?;
        Ok(revocations)
    }

    /// Whether a rule is about this token.
    pub(super) fn has(&self, token: &TokenClaims) -> bool {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let holds = |set: &HashSet<String>, value: &Option<String>| {
            value.as_ref().is_some_and(|value| set.contains(value))
        };
        [&*token.issuer, ANY_ISSUER]
            .into_iter()
            .filter_map(|issuer| rules.get(issuer))
            .any(|rules| {
                holds(&rules.jti, &token.jti)
                    || holds(&rules.sub, &token.sub)
                    || holds(&rules.kid, &token.kid)
            })
    }

    /// Follows the file. Never ends.
    pub(super) async fn follow(&self) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tick.tick().await;
            // A few milliseconds at its longest, and only where the file has changed.
            match self.look() {
                Ok(()) => is_failing = false,
                Err(reason) if !is_failing => {
                    is_failing = true;
                    let path = self.path.display();
                    tracing::error!(%path, reason, "revocations can't be read: those read before stay in force");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads the file where it is another than the one that was read.
    fn look(&self) -> Result<(), String> {
        let stamp = self.stamp()?;
        if *self.read.read().unwrap_or_else(PoisonError::into_inner) == Some(stamp) {
            return Ok(());
        }
        if stamp.0 > BYTES_MAX {
            return Err(format!("it is longer than {BYTES_MAX} bytes, the limit"));
        }
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| format!("it can't be read: {error}"))?;
        let rules = parse(&text)?;
        tracing::info!(path = %self.path.display(), rules = count(&rules), "read the revocations");
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some(stamp);
        Ok(())
    }

    fn stamp(&self) -> Result<Stamp, String> {
        use std::os::unix::fs::MetadataExt;
        let metadata =
            std::fs::metadata(&self.path).map_err(|error| format!("it can't be read: {error}"))?;
        Ok((metadata.len(), metadata.modified().ok(), metadata.ino()))
    }
}

fn count(rules: &Rules) -> usize {
    let of_one = |rules: &IssuerRules| rules.jti.len() + rules.sub.len() + rules.kid.len();
    rules.values().map(of_one).sum()
}

fn parse(text: &str) -> Result<Rules, String> {
    let mut rules = Rules::new();
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    let mut seen = 0;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong =
            || format!("line {number} is not ISSUER WHAT VALUE, with jti, sub or kid for WHAT");
        let (issuer, rest) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
        let (what, value) = rest
            .trim_start()
            .split_once(char::is_whitespace)
            .ok_or_else(wrong)?;
        let of_issuer = rules.entry(issuer.to_owned()).or_default();
        let set = match what {
            "jti" => &mut of_issuer.jti,
            "sub" => &mut of_issuer.sub,
            "kid" => &mut of_issuer.kid,
            _ => return Err(wrong()),
        };
        set.insert(value.trim_start().to_owned());
        seen += 1;
        if seen > RULES_MAX {
            return Err(format!("it has more than {RULES_MAX} rules, the limit"));
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rules_and_wrong_ones_are_named() {
        let text = "# taken back\n\nhttps://id.example jti 4711\n* sub  Ada Lee \nhttps://id.example kid k1\n";
        let rules = parse(text).expect("rules");
        assert!(rules["https://id.example"].jti.contains("4711"));
        assert!(rules["https://id.example"].kid.contains("k1"));
        assert!(rules["*"].sub.contains("Ada Lee"));
        assert_eq!(count(&rules), 3);
        for wrong in ["x", "* jti", "* aud x", "jti 4711"] {
            let refused = parse(&format!("* jti a\n{wrong}")).expect_err(wrong);
            assert!(refused.contains("line 2"), "{refused}");
        }
        let many: String = (0..=RULES_MAX).map(|n| format!("* jti {n}\n")).collect();
        assert!(parse(&many).expect_err("too many").contains("100000"));
    }

    #[test]
    fn a_changed_file_is_read_and_a_wrong_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let path = file.path();
        std::fs::write(path, "* jti a\n").expect("write");
        let revocations = Revocations::open(path).expect("opens");
        let revoked = |jti: &str| {
            let claims = TokenClaims {
                issuer: "https://id.example".into(),
                kid: None,
                sub: None,
                jti: Some(jti.to_owned()),
                ends_at: jiff::Timestamp::MAX,
                digest: crate::keys::TokenHash::of(""),
            };
            revocations.has(&claims)
        };
        assert!(revoked("a") && !revoked("b"));
        std::fs::write(
            path,
            "* jti a\nhttps://id.example jti b\nhttps://other.example jti c\n",
        )
        .expect("write");
        revocations.look().expect("reads");
        assert!(revoked("a") && revoked("b") && !revoked("c"));
        std::fs::write(path, "nonsense\n").expect("write");
        assert!(revocations.look().is_err());
        assert!(revoked("a") && revoked("b"));
        std::fs::remove_file(path).expect("remove");
        assert!(revocations.look().is_err());
        assert!(revoked("b"));
    }
}
