//! Certificates of a test: one authority for the whole run, which every reader of the tests trusts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tenbells::config::TlsConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::Connector;

/// Who signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    Authority {
        pem: certificate.pem(),
        der: certificate.der().clone(),
        issuer: Issuer::new(params, key),
    }
});

/// A pair for this machine, that ends with this year: chain and key, PEM.
pub fn pair(last_year: i32) -> (String, String) {
    pair_for("127.0.0.1", last_year)
}

/// As [`pair`], for this address as well.
pub fn pair_for(address: &str, last_year: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let names = ["localhost", address].map(str::to_owned);
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
    let certificate = params
        .signed_by(&key, &AUTHORITY.issuer)
        .expect("a certificate");
    let chain = format!("{}{}", certificate.pem(), AUTHORITY.pem);
    (chain, key.serialize_pem())
}

/// The files of a pair in a folder, and what an operator would write about them.
pub fn write(folder: &Path, chain: &str, key: &str) -> TlsConfig {
    let config = TlsConfig {
        certificate: folder.join("chain.pem"),
        key: folder.join("key.pem"),
        handshake_timeout: Duration::from_secs(5),
        reload_every: Duration::from_millis(20),
        hsts: Duration::from_secs(60),
    };
    std::fs::write(&config.certificate, chain).expect("is written");
    std::fs::write(&config.key, key).expect("is written");
    config
}

/// The authority's certificate as a file in the folder.
pub fn write_ca(folder: &Path) -> PathBuf {
    let path = folder.join("ca.pem");
    std::fs::write(&path, &AUTHORITY.pem).expect("is written");
    path
}

/// A client for HTTP that trusts the authority.
pub fn http() -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(AUTHORITY.pem.as_bytes()).expect("a certificate");
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .build()
        .expect("a client")
}

/// What WebSockets connect through.
pub fn connector() -> Connector {
    Connector::Rustls(client(rustls::ALL_VERSIONS))
}

/// A client that trusts the authority.
fn client(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.der.clone()).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Shakes hands in one of these versions.
pub async fn shake(
    address: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("connects");
    TlsConnector::from(client(versions))
        .connect(ServerName::try_from("localhost").expect("a name"), stream)
        .await
        .expect("shakes hands")
}

/// The certificate that whoever connects now is shown.
pub async fn shown(address: &str) -> CertificateDer<'static> {
    let stream = shake(address, rustls::ALL_VERSIONS).await;
    let certificates = stream.get_ref().1.peer_certificates();
    certificates.expect("certificates")[0].clone().into_owned()
}
