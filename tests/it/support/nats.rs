//! NATS servers for the tests of the shared log. Without a `nats-server` they are skipped, and say so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenbells::config::NatsConfig;
use tenbells::store::jetstream::NatsOptions;

use super::PATIENCE;

/// The program, where there is one: `TENBELLS_NATS_SERVER`, what `tests/run` installs, or one on the path.
pub fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/nats-server");
    let named = std::env::var_os("TENBELLS_NATS_SERVER").map(PathBuf::from);
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("nats-server"))
            .find(|program| program.is_file())
    });
    named
        .or_else(|| Some(installed).filter(|program| program.is_file()))
        .or(on_path)
}

/// Whether the tests of the shared log can run; says so once where they can't.
pub fn is_missing() -> bool {
    static SAID: Once = Once::new();
    let missing = program().is_none();
    if missing {
        SAID.call_once(|| {
            // Past the capture of the test runner: who runs it should know.
            let _ = std::io::stderr().write_all(
                b"skipped: the tests of the shared log, because there is no nats-server (tests/run installs one where Go is)\n",
            );
        });
    }
    missing
}

/// One server, which ends with its test, or with this process.
pub struct Nats {
    process: Child,
    _stdin: Option<ChildStdin>,
    pub url: String,
    folder: Option<TempDir>,
}

impl Nats {
    /// A server of its own, with nothing in it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, "-1")
    }

    /// A server with this configuration, to which one connects as `user`: `NAME:PASSWORD`.
    pub fn start_with(folder: TempDir, text: &str, user: Option<&str>) -> Self {
        let mut server = Self::start_by(folder, "-1", text);
        if let Some(user) = user {
            server.url = server.url.replace("nats://", &format!("nats://{user}@"));
        }
        server
    }

    fn start_in(folder: TempDir, port: &str) -> Self {
        let store = folder.path().join("store");
        let text = format!("max_payload: 8MB\njetstream {{ store_dir: {store:?} }}\n");
        Self::start_by(folder, port, &text)
    }

    fn start_by(folder: TempDir, port: &str, text: &str) -> Self {
        let ports = tempfile::tempdir_in(folder.path()).expect("a folder");
        let config = folder.path().join("nats.conf");
        std::fs::write(&config, text).expect("its configuration");
        // The shell ends the server once this process is gone, however that ends.
        let mut process = Command::new("sh")
            .args(["-c", r#""$0" "$@" & pid=$!; read _; kill -9 $pid"#])
            .arg(program().expect("a nats-server"))
            .arg("-c")
            .arg(&config)
            .args(["-a", "127.0.0.1", "-p", port])
            .arg("--ports_file_dir")
            .arg(ports.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        let stdin = process.stdin.take();
        let url = url_in(ports.path());
        Self {
            process,
            _stdin: stdin,
            url,
            folder: Some(folder),
        }
    }

    /// Ends it as a crash would.
    fn kill(&mut self) {
        drop(self._stdin.take());
        let _ = self.process.wait();
    }

    /// Ends it as a crash would; [`Nats::start_again`] brings it back.
    pub fn stop(&mut self) -> TempDir {
        self.kill();
        self.folder.take().expect("its folder")
    }

    /// Starts it again on the same port, with what is in the folder.
    pub fn start_again(&mut self, folder: TempDir) {
        let port = self.url.rsplit(':').next().expect("a port").to_owned();
        *self = Self::start_in(folder, &port);
    }

    /// Where it keeps what it has.
    pub fn store(&self) -> PathBuf {
        self.folder
            .as_ref()
            .expect("its folder")
            .path()
            .join("store")
    }

    /// The configuration of a node of this name, on the log of this prefix.
    pub fn config(&self, prefix: &str, node: &str) -> NatsConfig {
        NatsConfig {
            servers: vec![self.url.clone()],
            credentials: None,
            ca: None,
            prefix: prefix.to_owned(),
            node: node.to_owned(),
            replicas: None,
            connect_timeout: PATIENCE,
            append_timeout: Duration::from_secs(3),
            stale_after: Duration::from_secs(2),
            accept_loss: None,
        }
    }

    /// The options of a node of this name on the log of this prefix.
    pub fn options(&self, prefix: &str, node: &str) -> NatsOptions {
        NatsOptions {
            servers: vec![self.url.clone()],
            credentials: None,
            ca: None,
            prefix: prefix.to_owned(),
            node: node.to_owned(),
            replicas: None,
            connect_timeout: PATIENCE,
            append_timeout: Duration::from_secs(10),
            stale_after: Duration::from_secs(5),
            accept_loss: None,
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server that tests share which only need a log of their own.
pub fn shared() -> &'static Nats {
    static SHARED: OnceLock<Nats> = OnceLock::new();
    SHARED.get_or_init(Nats::start)
}

/// A prefix that no other test has.
pub fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn url_in(folder: &Path) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let file = std::fs::read_dir(folder)
            .expect("the folder")
            .filter_map(Result::ok)
            .find_map(|file| std::fs::read_to_string(file.path()).ok());
        let ports = file.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        if let Some(url) = ports.as_ref().and_then(|ports| ports["nats"][0].as_str()) {
            return url.to_owned();
        }
        assert!(Instant::now() < end, "nats-server says no port");
        std::thread::sleep(Duration::from_millis(5));
    }
}
