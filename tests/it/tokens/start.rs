//! Insecure starts that are refused: each with its exit code, and words that say what to do.

use std::path::Path;

use crate::support::process::run;

/// What an issuer needs beside its keys.
const ISSUER: &str =
    "[[tokens.issuers]]\nissuer = 'https://id.example'\naudience = 'tenbells'\ntopics = ['*']\n";

/// Checks a configuration, and starts a server with it: both refuse it with this code and these words.
async fn refused(folder: &Path, text: &str, code: i32, words: &str) {
    let path = folder.join("tenbells.toml");
    let folder = folder.join("data").display().to_string();
    std::fs::write(&path, text).expect("is written");
    let path = path.display().to_string();
    let check: &[&str] = &["check-config", "--config", &path];
    let serve: &[&str] = &["serve", "--config", &path, "--data-dir", &folder];
    for args in [check, serve] {
        let (status, out, err) = run(args, &[]).await;
        assert_eq!(status.code(), Some(code), "{args:?} {text}: {out}{err}");
        assert!(err.contains(words), "{args:?} {text}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_can_be_guessed_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let secret = folder.path().join("secret");
    let text = format!(
        "{ISSUER}hs256_secret_file = {:?}\n",
        secret.display().to_string()
    );
    for (secret_text, words) in [
        ("", "a secret of 0 bytes"),
        ("0123456789abcdef0123456789abcde", "a secret of 31 bytes"),
        ("0123456789abcdef0123456789abcde\n", "a secret of 31 bytes"),
        ("your-256-bit-secret-your-256-bit-secret", "a sample"),
        ("a-string-secret-at-least-256-bits-long", "a sample"),
        ("ChangeMe-ChangeMe-ChangeMe-ChangeMe-ChangeMe", "a sample"),
        ("this-is-an-example-secret-for-the-docs-only", "a sample"),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "1 different bytes",
        ),
        (
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabcab",
            "3 different bytes",
        ),
    ] {
        std::fs::write(&secret, secret_text).expect("is written");
        refused(folder.path(), &text, 78, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_tokens_that_would_not_be_safe_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let keys = "jwks_url = 'https://id.example/jwks'\n";
    let topics =
        "[[tokens.issuers]]\nissuer = 'i'\naudience = 'a'\njwks_url = 'https://id.example/jwks'\n";
    for (text, words) in [
        (
            format!("{ISSUER}jwks_url = 'http://id.example/jwks'\n"),
            "it must be https",
        ),
        (
            format!("{ISSUER}jwks_url = 'http://localhost.evil.example/jwks'\n"),
            "it must be https",
        ),
        (
            format!("{ISSUER}jwks_url = 'file:///etc/passwd'\n"),
            "it must be https",
        ),
        (
            format!("{ISSUER}jwks_url = 'https://a:b@id.example/'\n"),
            "a name or a password",
        ),
        (format!("{ISSUER}jwks_url = 'x'\n"), "no URL"),
        (ISSUER.to_owned(), "needs one of"),
        (format!("{ISSUER}{keys}jwks_file = 'x'\n"), "needs one of"),
        (format!("{ISSUER}{keys}{ISSUER}{keys}"), "there twice"),
        (topics.to_owned(), "missing field `topics`"),
        (format!("{topics}topics = []\n"), "whose topics are 0"),
        (
            format!("{topics}topics = ['a/b']\n"),
            "no topic name or glob",
        ),
        (
            format!("{topics}topics = ['*']\ntopics_claim = 'aud'\n"),
            "a meaning of its own",
        ),
        (
            format!("{topics}topics = ['*']\nalgorithms = ['none']\n"),
            "unknown field",
        ),
        ("[tokens]\nleeway_s = 121\n".to_owned(), "from 0 to 120 s"),
        ("[tokens]\nrevocations = ''\n".to_owned(), "names no file"),
        (
            "[tokens]\nrevocations = '/nonexistent/revoked'\n".to_owned(),
            "/nonexistent/revoked",
        ),
    ] {
        refused(folder.path(), &text, 78, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_in_the_open_without_tls_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    for (text, words) in [
        ("listen = '0.0.0.0:7010'\n", "without TLS"),
        ("listen = '[::]:7010'\n", "without TLS"),
        ("listen = '192.0.2.1:7010'\n", "without TLS"),
        ("admin_listen = '0.0.0.0:7011'\n", "admin_public"),
        ("[tls]\ncertificate = 'a.pem'\n", "tls.key"),
        ("origins = ['*']\n", "no exact origin"),
    ] {
        refused(folder.path(), text, 78, words).await;
    }
}
