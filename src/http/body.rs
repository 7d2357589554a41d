//! Request bodies: bounded in bytes and time, JSON, every error naming the field.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Http;
use super::problem::Problem;
use crate::model::Invalid;
use crate::protocol::Code;

/// Two readers of a JSON object may each take another one of two equal names (RFC 8259, section 4).
const TWICE: &str = "is there twice";

/// A JSON value whose objects have no name twice: what a merge patch is read as.
#[derive(Debug)]
pub(super) struct Unambiguous(pub Value);

struct UnambiguousVisitor;

/// Fails where it is read: so the error has the path of a value that must not be there.
struct Twice;

impl Http {
    /// The JSON of a write's body, at most `bytes_max` long.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<T, Problem> {
        check_media_type(headers)?;
        parse(&self.bytes(headers, body, bytes_max).await?)
    }

    /// As [`Http::json`], with a default for an empty body.
    pub(super) async fn json_or_default<T: DeserializeOwned + Default>(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<T, Problem> {
        let bytes = self
            .bytes(headers, body, self.options.body_bytes_max)
            .await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        check_media_type(headers)?;
        parse(&bytes)
    }

    async fn bytes(
        &self,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Bytes, Problem> {
        let too_large = || {
            Problem::new(
                Code::TooLarge,
                format!("the body is longer than the limit of {bytes_max} bytes"),
            )
        };
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse::<usize>().ok());
        if declared.is_some_and(|declared| declared > bytes_max) {
            return Err(too_large());
        }
        let collected = tokio::time::timeout(
            self.options.body_timeout,
            Limited::new(body, bytes_max).collect(),
        )
        .await
        .map_err(|_| {
            let within = self.options.body_timeout;
            Problem::new(
                Code::Timeout,
                format!("the body did not arrive within {within:?}"),
            )
        })?;
        match collected {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(Problem::new(Code::InvalidJson, "the body broke off")),
        }
    }
}

/// Reads JSON, naming the field that does not fit.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            let field = if path == "." { String::new() } else { path };
            invalid(field, &inner.to_string()).into()
        } else {
            Problem::new(Code::InvalidJson, format!("the body is not JSON: {inner}"))
        }
    })?;
    json.end()
        .map_err(|error| Problem::new(Code::InvalidJson, format!("after the JSON: {error}")))?;
    Ok(value)
}

/// The error of a field. Of a field that is there twice serde knows the name, and only the path of what it is in.
fn invalid(path: String, message: &str) -> Invalid {
    let twice = message
        .strip_prefix("duplicate field `")
        .and_then(|rest| rest.split_once('`'));
    match twice {
        Some((name, _)) if path.is_empty() => Invalid::new(name, TWICE),
        Some((name, _)) => Invalid::new(format!("{path}.{name}"), TWICE),
        None => Invalid::new(path, message),
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(header::CONTENT_ENCODING);
    if codings.iter().any(|coding| coding != "identity") {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "the body is sent as it is, without a Content-Encoding",
        ));
    }
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if json {
        return Ok(());
    }
    Err(Problem::new(
        Code::UnsupportedMediaType,
        "the body is JSON: send Content-Type: application/json",
    ))
}

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor)
    }
}

impl<'de> Deserialize<'de> for Twice {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(TWICE))
    }
}

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unambiguous, A::Error> {
        let mut items = Vec::new();
        while let Some(Unambiguous(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Unambiguous(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unambiguous, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                map.next_value::<Twice>()?;
            }
            let Unambiguous(value) = map.next_value()?;
            fields.insert(name, value);
        }
        Ok(Unambiguous(fields.into()))
    }
}
