//! Request bodies: bounded in bytes and time, JSON, every error naming the field.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::Http;
use super::problem::Problem;
use crate::model::Invalid;
use crate::protocol::Code;

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
            let seconds = self.options.body_timeout.as_secs();
            Problem::new(
                Code::Timeout,
                format!("the body did not arrive within {seconds} s"),
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
            Problem::from(Invalid::new(field, inner.to_string()))
        } else {
            Problem::new(Code::InvalidJson, format!("the body is not JSON: {inner}"))
        }
    })?;
    json.end()
        .map_err(|error| Problem::new(Code::InvalidJson, format!("after the JSON: {error}")))?;
    Ok(value)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
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
