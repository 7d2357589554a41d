//! Times on the wire: RFC 3339 in UTC with milliseconds; in the store: milliseconds since 1970.

use jiff::Timestamp;

/// `2026-11-24T09:00:00.000Z`: always milliseconds, always UTC, so that equal times give equal bytes.
pub fn format_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Milliseconds since 1970, rounded down.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// Serde form of a [`Timestamp`]: see [`format_millis`].
pub(super) mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{at:.3}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom("a time is written as RFC 3339, such as 2026-11-24T09:00:00Z")
        })
    }

    pub mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp};

        pub fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            #[derive(Deserialize)]
            struct Wrapped(#[serde(with = "super")] Timestamp);
            Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_decimals_and_z() {
        let at: Timestamp = "2026-11-24T09:00:00.1234567+02:00".parse().expect("a time");
        assert_eq!(format_millis(at), "2026-11-24T07:00:00.123Z");
        assert_eq!(millis(at), 1_795_503_600_123);
        assert_eq!(
            format_millis(Timestamp::from_second(0).expect("in range")),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
