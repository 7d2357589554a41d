//! TLS of the public listener: the pair of certificate and key in use, and how a renewed pair takes its place.
//!
//! Every handshake asks a resolver for the pair, so a new one is served to whoever connects from then on, and
//! connections that stand are left alone. A pair that can't be used changes nothing but a counter and a log line. It
//! knows no HTTP and no sockets.

mod identity;
mod watch;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use identity::{Identity, IdentityError};

use self::watch::Stamp;
use crate::config::TlsConfig;

/// Protocols that are offered inside, best first (RFC 7301).
const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// TLS as the listener and the operator see it.
pub struct Tls {
    files: TlsConfig,
    server: Arc<ServerConfig>,
    current: Arc<Current>,
    /// What the files looked like when they were read last, well or not.
    stamp: Mutex<Stamp>,
    handshakes_failed: AtomicU64,
    reloads: AtomicU64,
    reloads_failed: AtomicU64,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The pair can't be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The provider of cryptography has no randomness, or none of the versions.
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// What a look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are as they were.
    Unchanged,
    /// A new pair is in use.
    Taken,
    /// They can't be used; the pair before is kept.
    Kept,
}

/// The pair in use: what every handshake asks for.
struct Current(RwLock<Identity>);

impl Tls {
    /// Opens the pair.
    ///
    /// # Errors
    /// [`TlsError`] when it can't be used at the time `now`.
    pub fn open(config: &TlsConfig, now: Timestamp) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Taken before the files are read: what is written meanwhile is seen as a change.
        let stamp = Stamp::of(config);
        let identity = Identity::open(&config.certificate, &config.key, now)?;
        identity.advise(now);
        let current = Arc::new(Current(RwLock::new(identity)));
        Ok(Arc::new(Self {
            files: config.clone(),
            server: server_config(provider, Arc::clone(&current))?,
            current,
            stamp: Mutex::new(stamp),
            handshakes_failed: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
        }))
    }

    /// What a listener shakes hands by.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// How long a handshake may take.
    pub fn handshake_timeout(&self) -> Duration {
        self.files.handshake_timeout
    }

    /// How long browsers are told to use nothing but https for this host; zero says nothing.
    pub fn hsts(&self) -> Duration {
        self.files.hsts
    }

    /// When the certificate in use ends, in seconds since 1970.
    pub fn expires_s(&self) -> i64 {
        self.current.read(Identity::not_after).as_second()
    }

    /// Handshakes that failed or took too long.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Ordering::Relaxed)
    }

    /// One handshake failed or took too long.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// New pairs that were taken into use.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// New pairs that could not be used.
    pub fn reloads_failed(&self) -> u64 {
        self.reloads_failed.load(Ordering::Relaxed)
    }

    /// Reads the files anew and takes the pair in them into use, if it is good; blocks on the disk.
    pub fn reload(&self, now: Timestamp) -> Reload {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *stamp = Stamp::of(&self.files);
        self.read_again(now)
    }

    /// Reads the files anew if they look other than the last time; blocks on the disk.
    pub fn look(&self, now: Timestamp) -> Reload {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Stamp::of(&self.files);
        if seen == *stamp {
            return Reload::Unchanged;
        }
        *stamp = seen;
        self.read_again(now)
    }

    fn read_again(&self, now: Timestamp) -> Reload {
        match Identity::open(&self.files.certificate, &self.files.key, now) {
            Ok(identity) => {
                identity.advise(now);
                tracing::info!(
                    expires = %identity.not_after(),
                    "a new certificate is in use for connections from now on"
                );
                self.current.replace(identity);
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Reload::Taken
            }
            Err(error) => {
                tracing::error!(%error, "the new certificate can't be used; the one before is kept");
                self.reloads_failed.fetch_add(1, Ordering::Relaxed);
                Reload::Kept
            }
        }
    }

    /// Says in the log when the certificate in use ends soon, or has ended.
    pub fn advise(&self, now: Timestamp) {
        self.current.read(|identity| identity.advise(now));
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Current {
    fn read<T>(&self, look: impl FnOnce(&Identity) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(…)")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read(Identity::certified))
    }
}

fn server_config(
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    // Resumption without a memory of sessions: tickets under keys that rustls changes every six hours. No early data: a
    // publish in it could be played again by whoever recorded it.
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}
