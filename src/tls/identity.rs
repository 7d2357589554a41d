//! A certificate with its chain and its key, read from two PEM files and checked for what would make every handshake
//! fail: not readable, no pair, not valid now.

use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;

/// Longest PEM file, in bytes: a chain has a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long before its end a certificate is warned about.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Bits of a file's mode that let everybody on the machine read or write it.
#[cfg(unix)]
const OTHERS: u32 = 0o006;

/// A certificate with its key.
pub struct Identity {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
    concerns: Vec<String>,
}

/// Why a pair can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be read.
    #[error("tls.{setting}: {path} can't be read: {source}", path = .path.display())]
    Unreadable {
        /// The setting, without its table.
        setting: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("tls.{setting}: {path} {reason}", path = .path.display())]
    Unfit {
        /// The setting, without its table.
        setting: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is another certificate's.
    #[error(
        "tls.key: {key} is not the key of the first certificate in {certificate}: the two files must be a pair, and \
         the server's own certificate come before its chain",
        key = .key.display(),
        certificate = .certificate.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
}

impl Identity {
    /// Reads and checks a pair.
    ///
    /// # Errors
    /// [`IdentityError`] when clients could not use it at the time `now`.
    pub fn open(certificate: &Path, key: &Path, now: Timestamp) -> Result<Self, IdentityError> {
        let unfit = |setting, path: &Path, reason: String| IdentityError::Unfit {
            setting,
            path: path.to_owned(),
            reason,
        };
        let (pem, _) = read("certificate", certificate)?;
        let chain = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unfit("certificate", certificate, format!("is no PEM: {error}")))?;
        let Some(first) = chain.first() else {
            let reason = "has no certificate in it: PEM begins with -----BEGIN CERTIFICATE-----";
            return Err(unfit("certificate", certificate, reason.to_owned()));
        };
        let validity =
            Validity::of(first).map_err(|reason| unfit("certificate", certificate, reason))?;
        validity
            .check(now)
            .map_err(|reason| unfit("certificate", certificate, reason))?;
        let mut concerns = Vec::new();
        if chain.len() == 1 && !validity.is_self_issued {
            concerns.push(format!(
                "{} has one certificate and not its issuer's: unless clients know that one, give the full chain",
                certificate.display()
            ));
        }
        let (pem, permissions) = read("key", key)?;
        if is_open_to_all(&permissions) {
            concerns.push(format!(
                "everybody on this machine can read the private key {}: chmod o-rw",
                key.display()
            ));
        }
        let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let reason = "has no private key that can be read: PKCS #8, PKCS #1 or SEC1 in PEM, not encrypted";
            unfit("key", key, reason.to_owned())
        })?;
        let provider = aws_lc_rs::default_provider();
        let certified =
            CertifiedKey::from_der(chain, secret, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => IdentityError::Mismatch {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                },
                other => unfit("key", key, format!("can't be used: {other}")),
            })?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after: validity.not_after,
            concerns,
        })
    }

    /// What a handshake signs with.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// The last moment of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What an operator should know of it at the time `now`: sentences, none where all is well.
    pub fn concerns(&self, now: Timestamp) -> Vec<String> {
        let mut concerns = self.concerns.clone();
        if now > self.not_after {
            concerns.push(format!(
                "the certificate expired at {}: clients refuse it",
                self.not_after
            ));
        } else if self.not_after.duration_since(now) <= SOON {
            concerns.push(format!("the certificate expires at {}", self.not_after));
        }
        concerns
    }

    /// Says that in the log.
    pub(super) fn advise(&self, now: Timestamp) {
        for concern in self.concerns(now) {
            tracing::warn!("{concern}");
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// When a certificate is valid, and who says so.
struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
    is_self_issued: bool,
}

impl Validity {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = parse_x509_certificate(certificate)
            .map_err(|error| format!("has no X.509 certificate in front: {error}"))?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp())
                .map_err(|error| format!("has a time of validity that is none: {error}"))
        };
        Ok(Self {
            not_before: time(parsed.validity().not_before)?,
            not_after: time(parsed.validity().not_after)?,
            is_self_issued: parsed.subject() == parsed.issuer(),
        })
    }

    fn check(&self, now: Timestamp) -> Result<(), String> {
        if now > self.not_after {
            return Err(format!(
                "has a certificate that expired at {}: renew it",
                self.not_after
            ));
        }
        if now < self.not_before {
            return Err(format!(
                "has a certificate that is not valid before {}: is the clock right? It says {now:.0}",
                self.not_before
            ));
        }
        Ok(())
    }
}

fn read(setting: &'static str, path: &Path) -> Result<(Vec<u8>, Permissions), IdentityError> {
    let unreadable = |source| IdentityError::Unreadable {
        setting,
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let permissions = file.metadata().map_err(unreadable)?.permissions();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(IdentityError::Unfit {
            setting,
            path: path.to_owned(),
            reason: format!("is longer than {FILE_BYTES_MAX} bytes, the limit"),
        });
    }
    Ok((bytes, permissions))
}

/// Whether others than the owner and the group can read or write it.
#[cfg(unix)]
fn is_open_to_all(permissions: &Permissions) -> bool {
    use std::os::unix::fs::PermissionsExt;
    permissions.mode() & OTHERS != 0
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Permissions) -> bool {
    false
}

#[cfg(test)]
mod tests;
