//! Key sets from the network: bounded in time and size, no redirects, nothing but what the configuration names.

use std::time::Duration;

use reqwest::redirect::Policy;

use super::jwks::JWKS_BYTES_MAX;

/// What fetches.
pub(super) fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(timeout)
        // Where keys come from is decided here, not by whoever answers.
        .redirect(Policy::none())
        .user_agent(concat!("tenbells/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What is at this URL.
///
/// # Errors
/// A reason for people. The URL is not in it.
pub(super) async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| error.without_url().to_string();
    let mut response = client.get(url).send().await.map_err(failed)?;
    if response.status() != 200 {
        return Err(format!("the answer is {}, not 200", response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > JWKS_BYTES_MAX {
            return Err(format!(
                "the answer has more than {JWKS_BYTES_MAX} bytes, the limit"
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
