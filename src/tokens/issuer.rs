//! An issuer: what the configuration says of it, and the keys that it has now.
//!
//! Keys behind a URL are fetched at the start, each so often, and when a token names a key that is not known, but never
//! more often than once a minute, whoever asks. Keys that were there stay when a fetch fails.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::claims::Expected;
use super::jwks::{self, JWKS_BYTES_MAX, Origin, VerifyKey};
use super::{TokensError, fetch};
use crate::config::{IssuerConfig, KeySource, TokensConfig};
use crate::keys::Denied;

/// One issuer.
pub(super) struct Issuer {
    pub name: Arc<str>,
    /// Globs of what its tokens can grant at the most.
    pub topics: Vec<String>,
    audience: String,
    topics_claim: String,
    source: Source,
    refresh: Duration,
    keys: RwLock<Arc<Vec<Arc<VerifyKey>>>>,
    fetches: Mutex<Fetches>,
    wanted: Notify,
}

enum Source {
    /// A secret: read once.
    Secret,
    File(PathBuf),
    Url {
        url: String,
        client: reqwest::Client,
    },
}

/// When keys were fetched, and whether they may be fetched again.
#[derive(Debug)]
struct Fetches {
    gap: Duration,
    last_began: Option<Instant>,
    is_under_way: bool,
}

impl Issuer {
    /// Reads what is in files.
    pub(super) fn open(
        config: &IssuerConfig,
        tokens: &TokensConfig,
        client: reqwest::Client,
    ) -> Result<Self, TokensError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |reason| TokensError::File { path, reason }
        };
        let (source, keys) = match &config.keys {
            KeySource::Url(url) => {
                let url = url.clone();
                (Source::Url { url, client }, Vec::new())
            }
            KeySource::File(path) => {
                let keys = read(path).and_then(|bytes| jwks::parse(&bytes, Origin::File));
                (Source::File(path.clone()), keys.map_err(at(path))?)
            }
            KeySource::Secret(path) => {
                let key = read(path).and_then(|bytes| jwks::secret(bytes.trim_ascii_end()));
                (Source::Secret, vec![Arc::new(key.map_err(at(path))?)])
            }
        };
        Ok(Self {
            name: config.issuer.as_str().into(),
            topics: config.topics.clone(),
            audience: config.audience.clone(),
            topics_claim: config.topics_claim.clone(),
            source,
            refresh: tokens.jwks_refresh,
            keys: RwLock::new(Arc::new(keys)),
            fetches: Mutex::new(Fetches::new(tokens.jwks_gap)),
            wanted: Notify::new(),
        })
    }

    /// What a token of this issuer has to say.
    pub(super) fn expects(&self) -> Expected<'_> {
        Expected {
            issuer: &self.name,
            audience: &self.audience,
            topics_claim: &self.topics_claim,
        }
    }

    /// The key of this name; without one, the only key.
    pub(super) fn key(&self, kid: Option<&str>) -> Result<Arc<VerifyKey>, Denied> {
        let keys = self.keys();
        if let Some(key) = find(&keys, kid) {
            return Ok(key);
        }
        if kid.is_none() && !keys.is_empty() {
            return Err(Denied::Token(
                "it has no kid, and its issuer has several keys",
            ));
        }
        if self.wants_keys() || keys.is_empty() {
            return Err(Denied::NotNow);
        }
        Err(Denied::Token("its kid names no key of its issuer"))
    }

    /// Whether a token that was signed by the key of this name would still be believed.
    pub(super) fn has_key(&self, kid: Option<&str>) -> bool {
        find(&self.keys(), kid).is_some()
    }

    /// Fetches keys, or reads their file, for as long as it is polled.
    pub(super) async fn follow(&self) {
        if matches!(self.source, Source::Secret) {
            return std::future::pending().await;
        }
        if matches!(self.source, Source::File(_)) {
            // It was read when it was opened.
            tokio::time::sleep(self.refresh).await;
        }
        loop {
            self.lock().begin(Instant::now());
            match self.load().await {
                Ok(keys) => {
                    tracing::debug!(issuer = %self.name, keys = keys.len(), "has its keys");
                    let mut own = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                    *own = Arc::new(keys);
                }
                Err(reason) => {
                    let kept = self.keys().len();
                    tracing::error!(issuer = %self.name, reason, kept, "the issuer's keys can't be had");
                }
            }
            self.lock().is_under_way = false;
            tokio::select! {
                () = tokio::time::sleep(self.refresh) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    async fn load(&self) -> Result<Vec<Arc<VerifyKey>>, String> {
        match &self.source {
            Source::Secret => Err("a secret is read at the start alone".to_owned()),
            Source::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                let bytes = read.map_err(|error| error.to_string())??;
                jwks::parse(&bytes, Origin::File)
            }
            Source::Url { url, client } => {
                jwks::parse(&fetch::fetch(client, url).await?, Origin::Network)
            }
        }
    }

    /// Asks for a fetch; whether there is one under way now.
    fn wants_keys(&self) -> bool {
        if !matches!(self.source, Source::Url { .. }) {
            return false;
        }
        let (is_under_way, is_new) = self.lock().ask(Instant::now());
        if is_new {
            self.wanted.notify_one();
        }
        is_under_way
    }

    fn keys(&self) -> Arc<Vec<Arc<VerifyKey>>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetches {
    fn new(gap: Duration) -> Self {
        Self {
            gap,
            last_began: None,
            is_under_way: true,
        }
    }

    fn begin(&mut self, now: Instant) {
        self.last_began = Some(now);
        self.is_under_way = true;
    }

    /// Whether a fetch is under way now, and whether it is one that this question began.
    fn ask(&mut self, now: Instant) -> (bool, bool) {
        let is_early = self
            .last_began
            .is_some_and(|began| now.duration_since(began) < self.gap);
        let is_new = !self.is_under_way && !is_early;
        self.is_under_way |= is_new;
        (self.is_under_way, is_new)
    }
}

fn find(keys: &[Arc<VerifyKey>], kid: Option<&str>) -> Option<Arc<VerifyKey>> {
    let key = match (keys, kid) {
        // The only key, which has no name or is not asked for by one.
        ([only], kid) if kid.is_none() || only.kid.is_none() => Some(only),
        (_, None) => None,
        (keys, kid) => keys.iter().find(|key| key.kid.as_deref() == kid),
    };
    key.map(Arc::clone)
}

/// A file of at most as many bytes as a key set can have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let limit = JWKS_BYTES_MAX as u64;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("it can't be read: {error}"))?;
    if bytes.len() > JWKS_BYTES_MAX {
        return Err(format!(
            "it is longer than {JWKS_BYTES_MAX} bytes, the limit"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_once_a_minute_at_the_most_whoever_asks() {
        let start = Instant::now();
        let after = |s: u64| start + Duration::from_secs(s);
        let mut fetches = Fetches::new(Duration::from_secs(60));
        assert_eq!(fetches.ask(start), (true, false), "the first is on its way");
        fetches.begin(start);
        fetches.is_under_way = false;
        for second in 0..60 {
            assert_eq!(fetches.ask(after(second)), (false, false), "{second}");
        }
        assert_eq!(fetches.ask(after(60)), (true, true));
        assert_eq!(fetches.ask(after(60)), (true, false), "one is enough");
        fetches.begin(after(61));
        fetches.is_under_way = false;
        assert_eq!(fetches.ask(after(120)), (false, false));
        assert_eq!(fetches.ask(after(121)), (true, true));
    }
}
