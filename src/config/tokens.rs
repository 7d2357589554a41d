//! `[tokens]`: whose reader tokens are believed. Its form, its defaults and its checks, in one place: the other tables have
//! no lists of tables in them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::check::refused;
use super::form::{duration, number};
use super::settings::Layers;
use super::{ConfigError, IssuerConfig, KeySource, TokensConfig};
use crate::keys::{GLOBS_MAX, is_glob};
use crate::tokens::REGISTERED_CLAIMS;

/// Most issuers.
const ISSUERS_MAX: usize = 16;
/// Longest issuer, audience and name of a claim, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Shortest time between two fetches of an issuer's keys.
const JWKS_GAP: Duration = Duration::from_secs(60);
const KEY: &str = "tokens.issuers";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokensForm {
    pub leeway_s: i64,
    pub lifetime_max_s: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocations: Option<String>,
    pub jwks_refresh_s: i64,
    pub jwks_timeout_ms: i64,
    pub tickets_max: i64,
    pub issuers: Vec<IssuerForm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerForm {
    pub issuer: String,
    pub audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hs256_secret_file: Option<String>,
    pub topics: Vec<String>,
    #[serde(default = "topics_claim")]
    pub topics_claim: String,
}

fn topics_claim() -> String {
    "topics".to_owned()
}

impl Default for TokensForm {
    fn default() -> Self {
        Self {
            leeway_s: 30,
            lifetime_max_s: 86_400,
            revocations: None,
            jwks_refresh_s: 600,
            jwks_timeout_ms: 5_000,
            tickets_max: 50_000,
            issuers: Vec::new(),
        }
    }
}

impl TokensForm {
    /// The configuration that a checked form stands for.
    pub(super) fn config(&self) -> TokensConfig {
        let seconds = |checked: i64| Duration::from_secs(checked.unsigned_abs());
        TokensConfig {
            issuers: self.issuers.iter().filter_map(IssuerForm::config).collect(),
            leeway: seconds(self.leeway_s),
            lifetime_max: seconds(self.lifetime_max_s),
            revocations: self.revocations.as_ref().map(PathBuf::from),
            jwks_refresh: seconds(self.jwks_refresh_s),
            jwks_timeout: duration(self.jwks_timeout_ms),
            jwks_gap: JWKS_GAP,
            tickets_max: number(self.tickets_max),
        }
    }
}

impl IssuerForm {
    fn config(&self) -> Option<IssuerConfig> {
        Some(IssuerConfig {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            keys: self.keys()?,
            topics: self.topics.clone(),
            topics_claim: self.topics_claim.clone(),
        })
    }

    /// Where its keys are, if that is said once.
    fn keys(&self) -> Option<KeySource> {
        match (&self.jwks_url, &self.jwks_file, &self.hs256_secret_file) {
            (Some(url), None, None) => Some(KeySource::Url(url.clone())),
            (None, Some(path), None) => Some(KeySource::File(path.into())),
            (None, None, Some(path)) => Some(KeySource::Secret(path.into())),
            _ => None,
        }
    }
}

/// Checks what no type says; what is in the files is seen when they are opened.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    let form = &layers.form.tokens;
    if form.revocations.as_deref().is_some_and(str::is_empty) {
        return Err(refused(
            layers,
            "tokens.revocations",
            "\"\"",
            "which names no file",
        ));
    }
    if form.issuers.len() > ISSUERS_MAX {
        let value = format!("{} issuers long", form.issuers.len());
        return Err(refused(
            layers,
            KEY,
            value,
            format!("the limit is {ISSUERS_MAX}"),
        ));
    }
    for (index, issuer) in form.issuers.iter().enumerate() {
        let value = format!("a list with the issuer {:?}", issuer.issuer);
        let same = |other: &IssuerForm| other.issuer == issuer.issuer;
        let wrong = if form.issuers[..index].iter().any(same) {
            Err("which is there twice".to_owned())
        } else {
            check_issuer(issuer)
        };
        wrong.map_err(|reason| refused(layers, KEY, value, reason))?;
    }
    Ok(())
}

fn check_issuer(form: &IssuerForm) -> Result<(), String> {
    for (name, text) in [
        ("issuer", &form.issuer),
        ("audience", &form.audience),
        ("topics_claim", &form.topics_claim),
    ] {
        let len = text.len();
        if !(1..=NAME_BYTES_MAX).contains(&len) {
            return Err(format!(
                "whose {name} has {len} bytes; it can have 1 to {NAME_BYTES_MAX}"
            ));
        }
    }
    if REGISTERED_CLAIMS.contains(&form.topics_claim.as_str()) {
        let claim = &form.topics_claim;
        return Err(format!(
            "whose topics_claim is {claim:?}, a claim with a meaning of its own"
        ));
    }
    if form.topics.is_empty() || form.topics.len() > GLOBS_MAX {
        return Err(format!(
            "whose topics are {}: say by 1 to {GLOBS_MAX} names or globs what its tokens can grant at the most",
            form.topics.len()
        ));
    }
    if let Some(topic) = form.topics.iter().find(|topic| !is_glob(topic)) {
        return Err(format!(
            "whose topics have {topic:?}, which is no topic name or glob (a-z, 0-9, -, * and ?)"
        ));
    }
    match form.keys() {
        None => Err(
            "which needs one of jwks_url, jwks_file and hs256_secret_file, and no more".to_owned(),
        ),
        Some(KeySource::Url(url)) => check_url(&url),
        Some(KeySource::File(path) | KeySource::Secret(path)) if path.as_os_str().is_empty() => {
            Err("whose file of keys has no name".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// Whoever can change keys on their way can sign tokens.
fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("whose jwks_url is no URL: {error}"))?;
    let is_local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err(format!(
            "whose jwks_url is {text:?}: it must be https (http is for 127.0.0.1 and [::1] alone), or anybody on the way \
             could put in keys of their own"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("whose jwks_url has a name or a password in it: keys are public".to_owned());
    }
    Ok(())
}
