//! The real program in a process of its own, that can be killed and started again on the same folder and address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tenbells");
/// How often a process is asked whether it has come up, or ended.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A running `tenbells serve`.
pub struct Process {
    pub base: String,
    pub admin: String,
    address: SocketAddr,
    admin_address: SocketAddr,
    folder: PathBuf,
    /// Arguments beside the usual.
    more: Vec<String>,
    log: NamedTempFile,
    child: Child,
}

impl Process {
    /// Starts it on this data folder, and waits until it is ready.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, free_address(), Vec::new()).await
    }

    /// As [`Process::start`], on this address, with more arguments.
    pub async fn start_with(folder: &Path, address: SocketAddr, more: Vec<String>) -> Self {
        let admin_address = free_address();
        let log = NamedTempFile::new().expect("a file for the log");
        let child = spawn(folder, address, admin_address, &more, &log).expect("the program starts");
        let mut process = Self {
            base: format!("http://{address}"),
            admin: format!("http://{admin_address}"),
            address,
            admin_address,
            folder: folder.to_owned(),
            more,
            log,
            child,
        };
        process.ready().await;
        process
    }

    /// Starts it again, on the same folder and addresses, once it has ended.
    pub async fn start_again(&mut self) {
        self.child = spawn(
            &self.folder,
            self.address,
            self.admin_address,
            &self.more,
            &self.log,
        )
        .expect("the program starts");
        self.ready().await;
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("is gone");
    }

    /// `kill -TERM`.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// What it has logged so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Where publishers and readers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it ended, once it has.
    pub async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("is asked") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn ready(&mut self) {
        let began = Instant::now();
        let url = format!("{}/readyz", self.admin);
        loop {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.status() == 200
            {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("is asked") {
                panic!("it ended before it was ready: {status}");
            }
            assert!(began.elapsed() < PATIENCE, "it does not become ready");
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "a test that failed shows what the program said"
    )]
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log.path()).unwrap_or_default();
            eprintln!("the program said:\n{log}");
        }
    }
}

fn spawn(
    folder: &Path,
    address: SocketAddr,
    admin: SocketAddr,
    more: &[String],
    log: &NamedTempFile,
) -> io::Result<Child> {
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(folder)
        .args(["--listen", &address.to_string()])
        .args(["--admin-listen", &admin.to_string()])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::OpenOptions::new().append(true).open(log.path())?);
    without_settings(&mut command);
    command.spawn()
}

/// Runs a command of the program to its end; gives what it said on stdout and stderr.
pub async fn run(args: &[&str], environment: &[(&str, &str)]) -> (ExitStatus, String, String) {
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command);
    command.args(args).envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("is waited for")
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status, text(output.stdout), text(output.stderr))
}

/// What whoever runs the tests has set is not meant for this program.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TENBELLS_") {
            command.env_remove(name);
        }
    }
}

/// An address that stays free while a process restarts: where the system has all of 127/8 as loopback, on a host
/// address that no other test uses.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = std::process::id()
        .wrapping_mul(64)
        .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let [_, _, high, low] = number.to_be_bytes();
    let own = Ipv4Addr::new(127, 77, high, low.clamp(1, 254));
    [own, Ipv4Addr::LOCALHOST]
        .into_iter()
        .find_map(|ip| TcpListener::bind((IpAddr::V4(ip), 0)).ok())
        .and_then(|listener| listener.local_addr().ok())
        .expect("a free address")
}
