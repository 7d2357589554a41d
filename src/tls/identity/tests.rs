//! Pairs as an ACME tool leaves them, and pairs that an operator gets wrong. Certificates are made as they are needed.

use std::path::PathBuf;

use rcgen::{CertificateParams, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// A folder with `chain.pem` and `key.pem`.
struct Files(TempDir);

impl Files {
    fn new(chain: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let files = Self(folder);
        std::fs::write(files.chain(), chain).expect("is written");
        std::fs::write(files.key(), key).expect("is written");
        files.permit(0o600);
        files
    }

    fn chain(&self) -> PathBuf {
        self.0.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn permit(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.key(), Permissions::from_mode(mode)).expect("is permitted");
    }

    fn open(&self, now: &str) -> Result<Identity, IdentityError> {
        Identity::open(&self.chain(), &self.key(), at(now))
    }

    /// What the refusal says.
    fn refusal(&self, now: &str) -> String {
        self.open(now).expect_err("refused").to_string()
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// Valid for the year 2026.
fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["live.example".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn pair() -> (String, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let certificate = params().self_signed(&key).expect("a certificate");
    (certificate.pem(), key)
}

#[test]
fn a_good_pair_is_taken_and_its_end_is_known() {
    let (chain, key) = pair();
    let identity = Files::new(&chain, &key.serialize_pem())
        .open("2026-06-01T00:00:00Z")
        .expect("a good pair");
    assert_eq!(identity.not_after(), at("2027-01-01T00:00:00Z"));
    let concerns = |now| identity.concerns(at(now));
    assert!(concerns("2026-12-17T23:59:59Z").is_empty());
    assert!(concerns("2026-12-18T00:00:00Z")[0].contains("expires at 2027-01-01"));
    assert!(concerns("2027-01-01T00:00:01Z")[0].contains("expired at 2027-01-01"));
}

#[test]
fn a_pair_that_no_client_would_take_now_is_refused() {
    let (chain, key) = pair();
    let files = Files::new(&chain, &key.serialize_pem());
    let said = files.refusal("2027-01-01T00:00:01Z");
    assert!(said.starts_with("tls.certificate: "), "{said}");
    assert!(
        said.contains("chain.pem has a certificate that expired at 2027-01-01"),
        "{said}"
    );
    let said = files.refusal("2025-12-31T23:59:59Z");
    assert!(
        said.contains("not valid before 2026-01-01T00:00:00Z"),
        "{said}"
    );
}

#[test]
fn files_that_are_no_pair_are_refused() {
    let now = "2026-06-01T00:00:00Z";
    let ((chain, key), (_, other)) = (pair(), pair());
    let files = Files::new(&chain, &other.serialize_pem());
    let said = files.refusal(now);
    assert!(
        said.contains("is not the key of the first certificate"),
        "{said}"
    );
    assert!(matches!(
        files.open(now),
        Err(IdentityError::Mismatch { .. })
    ));
    for (chain, key, says) in [
        ("", key.serialize_pem(), "has no certificate in it"),
        ("no PEM", key.serialize_pem(), "has no certificate in it"),
        (&chain, String::new(), "has no private key that can be read"),
        (&chain, chain.clone(), "has no private key that can be read"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            key.serialize_pem(),
            "has no X.509 certificate in front",
        ),
    ] {
        let said = Files::new(chain, &key).refusal(now);
        assert!(said.contains(says), "{said} lacks {says}");
    }
    let files = Files::new(&" ".repeat(1 << 21), &key.serialize_pem());
    assert!(files.refusal(now).contains("longer than 1048576 bytes"));
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_setting() {
    let (chain, key) = pair();
    let files = Files::new(&chain, &key.serialize_pem());
    std::fs::remove_file(files.key()).expect("is removed");
    let said = files.refusal("2026-06-01T00:00:00Z");
    assert!(said.starts_with("tls.key: "), "{said}");
    assert!(
        said.contains("key.pem can't be read: No such file"),
        "{said}"
    );
}

#[test]
fn a_key_that_everybody_can_read_and_a_chain_that_is_short_are_concerns() {
    let now = "2026-06-01T00:00:00Z";
    let (chain, key) = pair();
    let files = Files::new(&chain, &key.serialize_pem());
    let concerns = || files.open(now).expect("a pair").concerns(at(now));
    files.permit(0o640);
    assert!(concerns().is_empty());
    files.permit(0o644);
    assert!(concerns()[0].contains("key.pem: chmod o-rw"));

    let (ca_key, key) = (
        KeyPair::generate().expect("a key"),
        KeyPair::generate().expect("a key"),
    );
    let mut ca = params();
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "A root");
    let issuer = Issuer::from_params(&ca, &ca_key);
    let leaf = params()
        .signed_by(&key, &issuer)
        .expect("a certificate")
        .pem();
    let ca = ca.self_signed(&ca_key).expect("a certificate").pem();
    let short = Files::new(&leaf, &key.serialize_pem());
    let concerns = short.open(now).expect("a pair").concerns(at(now));
    assert!(concerns[0].contains("give the full chain"), "{concerns:?}");
    let full = Files::new(&format!("{leaf}{ca}"), &key.serialize_pem());
    assert!(full.open(now).expect("a pair").concerns(at(now)).is_empty());
}
