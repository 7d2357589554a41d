//! The claims of a token: read by their types, then judged against what the issuer's configuration says. Pure: who asks
//! brings the time.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Times;
use crate::keys::{Denied, GLOBS_MAX, is_glob};

/// Longest `sub` and `jti`, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Claims that the configuration can't take for topics: each has a meaning of its own.
pub const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The claims of a token. One that is there twice is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    #[serde(default, deserialize_with = "given")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    iat: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "given")]
    jti: Option<String>,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What claims have to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    /// The name of the claim with the topics.
    pub topics_claim: &'a str,
}

/// What is left of good claims.
#[derive(Debug)]
pub(super) struct Judged {
    pub topics: Vec<String>,
    pub sub: Option<String>,
    pub jti: Option<String>,
    /// The end with the leeway.
    pub ends_at: Timestamp,
}

impl Claims {
    /// Judges them as of `now`.
    ///
    /// # Errors
    /// [`Denied::Token`] with the first thing that is wrong.
    pub(super) fn judge(
        self,
        expected: &Expected<'_>,
        times: Times,
        now: Timestamp,
    ) -> Result<Judged, Denied> {
        if self.iss != expected.issuer {
            return Err(Denied::Token("its issuer is not one of ours"));
        }
        let is_ours = match &self.aud {
            Audience::One(one) => one == expected.audience,
            Audience::Many(many) => many.iter().any(|one| one == expected.audience),
        };
        if !is_ours {
            return Err(Denied::Token("its audience is another"));
        }
        let ends_at = self.check_times(times, now)?;
        for name in [&self.sub, &self.jti].into_iter().flatten() {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(Denied::Token(
                    "its sub or jti is empty or has more than 255 bytes",
                ));
            }
        }
        Ok(Judged {
            topics: topics(self.others.get(expected.topics_claim))?,
            sub: self.sub,
            jti: self.jti,
            ends_at,
        })
    }

    fn check_times(&self, times: Times, now: Timestamp) -> Result<Timestamp, Denied> {
        let now_s = now.as_duration().as_secs_f64();
        let (leeway_s, lifetime_s) = (times.leeway.as_secs_f64(), times.lifetime_max.as_secs_f64());
        let left_s = self.exp + leeway_s - now_s;
        if left_s <= 0.0 {
            return Err(Denied::Token("it has expired"));
        }
        if left_s > lifetime_s + 2.0 * leeway_s {
            return Err(Denied::Token(
                "it is good for longer than the configuration allows",
            ));
        }
        if self.nbf.is_some_and(|nbf| nbf > now_s + leeway_s) {
            return Err(Denied::Token("it is not good yet"));
        }
        if self.iat.is_some_and(|iat| iat > now_s + leeway_s) {
            return Err(Denied::Token("it was issued in the future"));
        }
        // Within the bound of lifetimes, so this can't fail.
        now.checked_add(Duration::from_secs_f64(left_s))
            .map_err(|_| Denied::Token("its exp is out of bounds"))
    }
}

/// Topic names and globs, in an array: nothing else grants anything.
fn topics(claim: Option<&Value>) -> Result<Vec<String>, Denied> {
    let topics = claim
        .and_then(Value::as_array)
        .ok_or(Denied::Token("it has no array of topics"))?;
    if topics.len() > GLOBS_MAX {
        return Err(Denied::Token("it has more than 32 topics"));
    }
    let glob = |topic: &Value| {
        topic
            .as_str()
            .filter(|text| is_glob(text))
            .map(str::to_owned)
    };
    topics
        .iter()
        .map(glob)
        .collect::<Option<_>>()
        .ok_or(Denied::Token("one of its topics is no topic name or glob"))
}

/// A claim that may be left out, but is of its type where it is there: null is not.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
