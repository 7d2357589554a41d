//! A broker that a command starts for itself, on a fresh folder: in the clear, or with a certificate made for the run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::process::{Child, Command};

use crate::args::Broker;
use crate::cores::{self, Steering};
use crate::http::{Connection, Target};

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What the broker says, in its folder.
const LOG: &str = "broker.log";

/// How a broker is started.
#[derive(Debug)]
pub struct OwnBroker<'a> {
    /// Its program.
    pub program: &'a Path,
    /// Its port; the next one is its admin listener's.
    pub port: u16,
    /// Its shards.
    pub shards: u32,
    /// Where it may run.
    pub steering: Option<&'a Steering>,
    /// Whether it speaks TLS.
    pub wire: Privacy,
}

/// Whether a connection is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// It is not.
    Plain,
    /// By TLS.
    Tls,
}

impl OwnBroker<'_> {
    /// Starts it on `folder`, which is made, and waits until it takes an entry.
    ///
    /// # Errors
    /// When it does not start, or does not answer in time.
    pub async fn start(&self, folder: &Path) -> Result<(Child, Broker)> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        let key = create_key(self.program, folder).await?;
        self.run(folder, key).await
    }

    /// Starts it once more, on the folder that it had, for the key that it knows.
    ///
    /// # Errors
    /// As [`OwnBroker::start`].
    pub async fn start_again(&self, folder: &Path, key: String) -> Result<(Child, Broker)> {
        self.run(folder, key).await
    }

    async fn run(&self, folder: &Path, key: String) -> Result<(Child, Broker)> {
        let mut command = cores::command(self.steering, self.program);
        without_settings(&mut command);
        command
            .arg("serve")
            .args(["--shards", &self.shards.to_string()])
            .arg("--data-dir")
            .arg(folder)
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--admin-listen", &format!("127.0.0.1:{}", self.port + 1)])
            .stdout(Stdio::null())
            .stderr(File::create(folder.join(LOG)).context("no log")?)
            .kill_on_drop(true);
        let (scheme, ca) = match self.wire {
            Privacy::Plain => ("http", None),
            Privacy::Tls => {
                let pair = Pair::write(folder)?;
                command.arg("--tls-certificate").arg(&pair.certificate);
                command.arg("--tls-key").arg(&pair.key);
                ("https", Some(pair.ca))
            }
        };
        let child = command.spawn()?;
        let broker = Broker {
            url: format!("{scheme}://127.0.0.1:{}", self.port),
            key: Some(key),
            ca,
            server_pid: child.id(),
        };
        answers(broker.target()?, "first", START_TIMEOUT)
            .await
            .with_context(|| format!("the broker's last words: {}", last_words(folder, LOG)))?;
        Ok((child, broker))
    }
}

/// A broker that is measured has the settings that it is given here: what is set for others in this program's environment
/// is not meant for it.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TENBELLS_") {
            command.env_remove(name);
        }
    }
}

/// What a server wrote last into its log `name` in `folder`.
pub fn last_words(folder: &Path, name: &str) -> String {
    let log = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or("it wrote nothing").to_owned()
}

/// A key for publishing to any topic of the broker on `folder`.
///
/// # Errors
/// When `program` gives none.
pub async fn create_key(program: &Path, folder: &Path) -> Result<String> {
    let create = Command::new(program)
        .args(["keys", "create", "--role", "publisher", "--topics", "*"])
        .arg("--data-dir")
        .arg(folder)
        .output()
        .await
        .with_context(|| format!("can't run {}", program.display()))?;
    if !create.status.success() {
        bail!("no key: {}", String::from_utf8_lossy(&create.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&create.stdout).trim().to_owned())
}

/// Waits until a broker takes an entry of this id.
///
/// # Errors
/// When it does not within `timeout`.
pub async fn answers(target: Arc<Target>, id: &str, timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let mut connection = Connection::new(Arc::clone(&target));
        let entry = format!(r#"{{"id":"{id}","body":{{"text":"first"}}}}"#);
        match connection.publish("lt-start", id, entry.into()).await {
            Ok(_) => return Ok(()),
            Err(refused) if Instant::now() > deadline => {
                bail!("the broker does not answer: {refused}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The files of a certificate for this machine, and of who signed it.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Pair {
    /// Elliptic keys, as certificate authorities give them out today.
    fn write(folder: &Path) -> Result<Self> {
        let pair = Self {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
            ca: folder.join("ca.pem"),
        };
        let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        std::fs::write(
            &pair.certificate,
            format!("{}{}", certificate.pem(), ca.pem()),
        )?;
        std::fs::write(&pair.key, key.serialize_pem())?;
        std::fs::write(&pair.ca, ca.pem())?;
        Ok(pair)
    }
}
