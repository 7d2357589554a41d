//! Whose certificate the harness trusts: those of one file, in every process of it alike.
//!
//! Sessions are not resumed: each reader is somebody who comes for the first time, and pays for a whole handshake.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// What connections with TLS are made by.
///
/// # Errors
/// When the file has no certificates of authorities.
pub fn client(ca: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(ca).with_context(|| format!("can't read {}", ca.display()))?
    {
        roots.add(certificate.with_context(|| format!("{} is no PEM", ca.display()))?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The name to be checked, out of `host:port`.
///
/// # Errors
/// When the host is neither a name nor an address.
pub fn server_name(authority: &str) -> Result<ServerName<'static>> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).with_context(|| format!("no name for TLS: {host}"))
}
