//! The broker as a command sees it over HTTP: an address, a key, and requests that are safe to repeat.
//!
//! Every write carries an idempotency key and is repeated with that same key when the outcome is open or the broker
//! asks to wait; so a retry can't publish twice. Knows paths and statuses, not what is in a document.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use reqwest::header::{IF_MATCH, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use serde_json::Value;
use url::Url;

use super::exit::Failure;
use super::output::{clean_line, note};
use super::problem::Problem;
use super::retry::{Retry, parse_retry_after};
use super::trust;
use crate::protocol::Code;

/// Longest answer that is read; an entry's is at most about 1.5 MiB, a full batch's 200 KiB twice over.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the broker is, and what lets us in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Broker")]
pub struct Remote {
    /// Address of the broker
    #[arg(
        long,
        env = "TENBELLS_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7010",
        value_parser = parse_base
    )]
    pub url: Url,
    /// Key to show it; better set in the environment, where `ps` does not see it
    #[arg(long, env = "TENBELLS_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<Key>,
    /// Certificates to trust in place of the system's, PEM: for a broker with a certificate of its own authority
    #[arg(long, env = "TENBELLS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// A key that no debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// The broker over HTTP.
#[derive(Debug)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    key: Option<Key>,
    retry: Retry,
}

/// One request, before it is sent.
#[derive(Debug)]
pub struct Call<'a> {
    /// What it is for, as in "can't …": `publish to elections`.
    pub doing: &'a str,
    method: Method,
    path: &'a [&'a str],
    body: Option<Value>,
    idempotency_key: Option<String>,
    if_match: Option<u64>,
}

/// Why a request was not answered with a success.
#[derive(Debug)]
pub enum Refused {
    /// The broker answered, with a problem.
    Problem {
        /// The HTTP status.
        status: u16,
        /// What it said.
        problem: Problem,
        /// What the command says about it.
        failure: Failure,
    },
    /// There was no answer to read.
    Failure(Failure),
}

/// Reads an address: http or https, nothing behind the path, no user and password in it.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "scheme {}, allowed are http and https",
            url.scheme()
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment; give the address alone".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in it; the key goes into TENBELLS_KEY".to_owned());
    }
    Ok(url)
}

/// `base` with `path` behind it, each segment escaped.
pub fn join(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// A fresh idempotency key.
pub fn fresh_key() -> String {
    ulid::Ulid::generate().to_string()
}

impl Key {
    /// The value of the `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = text.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "a key is one word of ASCII, as `tenbells keys create` prints it".to_owned(),
            );
        }
        Ok(Self(key.to_owned()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl<'a> Call<'a> {
    /// A call of `method` on `path`.
    pub fn new(doing: &'a str, method: Method, path: &'a [&'a str]) -> Self {
        Self {
            doing,
            method,
            path,
            body: None,
            idempotency_key: None,
            if_match: None,
        }
    }

    /// With a JSON body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With this idempotency key in the place of a fresh one.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Only if the entry still has this revision.
    #[must_use]
    pub fn if_match(mut self, revision: Option<u64>) -> Self {
        self.if_match = revision;
        self
    }
}

impl Refused {
    /// Whether the broker said `code`.
    pub fn is(&self, code: Code) -> bool {
        matches!(self, Self::Problem { problem, .. } if problem.code() == Some(code))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Problem { failure, .. } | Refused::Failure(failure) => failure,
        }
    }
}

impl Api {
    /// The broker at `remote`.
    ///
    /// # Errors
    /// When this machine's TLS can't be set up, or the certificates to trust can't be read.
    pub fn new(remote: &Remote, retry: Retry) -> Result<Self, Failure> {
        if remote.key.is_some() && remote.url.scheme() == "http" && !is_loopback(&remote.url) {
            note("warning: the key travels unencrypted over http; use an https address");
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("tenbells/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT);
        if is_loopback(&remote.url) {
            http = http.no_proxy();
        }
        if let Some(ca) = &remote.ca {
            let roots = trust::authorities(ca)?
                .iter()
                .map(|certificate| reqwest::Certificate::from_der(certificate))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| trust::unfit(ca, &causes(&error)))?;
            http = http.tls_certs_only(roots);
        }
        let http = http.build().map_err(|error| {
            Failure::unavailable(format!("can't set up HTTP: {}", causes(&error)))
        })?;
        Ok(Self {
            http,
            base: remote.url.clone(),
            key: remote.key.clone(),
            retry,
        })
    }

    /// Sends `call`, again and again with the same idempotency key while the outcome is open or the broker asks to
    /// wait, and gives the JSON of the answer (null for an empty one).
    ///
    /// # Errors
    /// [`Refused`] when the broker refuses it, or the retries are used up.
    pub async fn send(&self, call: Call<'_>) -> Result<Value, Refused> {
        let key = match &call.idempotency_key {
            Some(key) => key.clone(),
            None => fresh_key(),
        };
        let mut retry = 0;
        loop {
            let (refused, asked) = match self.attempt(&call, &key).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let Some(asked) = asked.filter(|_| retry < self.retry.retries) else {
                return Err(refused);
            };
            let pause = self.retry.pause(retry, asked.at_least);
            retry += 1;
            note(format_args!(
                "{}; retry {retry} of {} in {:.1} s",
                Failure::from(refused),
                self.retry.retries,
                pause.as_secs_f64()
            ));
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>, key: &str) -> Result<Value, (Refused, Option<Again>)> {
        let answer = match self.request(call, key).send().await {
            Ok(answer) => answer,
            Err(error) => return Err((self.no_answer(call, &error), Some(Again::default()))),
        };
        let status = answer.status();
        let at_least = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| parse_retry_after(value.to_str().ok()?, Timestamp::now()));
        let body = match read(answer).await {
            Ok(body) => body,
            // The write may have been stored; its idempotency key makes asking again harmless.
            Err(failure) => return Err((Refused::Failure(failure), Some(Again::default()))),
        };
        if !status.is_success() {
            let problem = Problem::read(&body);
            let again = problem
                .is_worth_repeating(status.as_u16())
                .then_some(Again { at_least });
            return Err((refused(status, problem, call), again));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            let said = format!("can't {}: the answer is not JSON: {error}", call.doing);
            let failure = Failure::unavailable(said)
                .advise("is TENBELLS_URL the address of a Tenbells broker?");
            (Refused::Failure(failure), None)
        })
    }

    fn request(&self, call: &Call<'_>, key: &str) -> RequestBuilder {
        let url = join(&self.base, call.path);
        let mut request = self.http.request(call.method.clone(), url);
        if call.method != Method::GET {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.bearer());
        }
        if let Some(revision) = call.if_match {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    fn no_answer(&self, call: &Call<'_>, error: &reqwest::Error) -> Refused {
        let said = format!(
            "can't {}: no answer from {}: {}",
            call.doing,
            self.base,
            causes(error)
        );
        Refused::Failure(
            Failure::unavailable(said)
                .advise("is the broker running (`tenbells serve`), and TENBELLS_URL its address?"),
        )
    }
}

/// That a request may be sent again, and what the broker asked for.
#[derive(Debug, Default)]
struct Again {
    at_least: Option<Duration>,
}

fn refused(status: StatusCode, problem: Problem, call: &Call<'_>) -> Refused {
    let failure = problem.failure(status.as_u16(), call.doing);
    Refused::Problem {
        status: status.as_u16(),
        problem,
        failure,
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(Failure::unavailable(format!(
                    "the answer has more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                let said = format!("the answer broke off: {}", causes(&error));
                return Err(Failure::unavailable(said));
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The innermost cause: "connection refused" rather than "error sending request".
fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    clean_line(&innermost.to_string())
}

#[cfg(test)]
mod tests;
