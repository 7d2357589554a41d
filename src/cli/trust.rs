//! Whose certificates a command trusts, where `--ca` says so: those of a file, in place of the system's.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;

use super::exit::{Exit, Failure};

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// When the file can't be read, or has none in it.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = |error| match error {
        pem::Error::Io(error) => Failure::io(format_args!("--ca {}", path.display()), &error),
        other => unfit(path, &other.to_string()),
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(read)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    if certificates.is_empty() {
        return Err(unfit(path, "no certificate in PEM is in it"));
    }
    Ok(certificates)
}

/// What a WebSocket connects through, trusting the certificates of a file alone.
///
/// # Errors
/// When the file can't be read, or one of them is no authority's.
pub fn connector(path: &Path) -> Result<Connector, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(path)? {
        roots
            .add(certificate)
            .map_err(|error| unfit(path, &error.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Exit::Other, format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

/// Says that the file can't be trusted by.
pub fn unfit(path: &Path, why: &str) -> Failure {
    Failure::data(format!("--ca {}: {why}", path.display()))
}
