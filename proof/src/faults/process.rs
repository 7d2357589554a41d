//! The broker in a process of its own: started behind a wrapper (strace, a namespace), killed, signalled, started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tenbells::keys::{KeyFile, Role};

/// How long a process may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(5);

/// The broker's program, with its first arguments.
pub(super) struct Program(Vec<OsString>);

/// A broker, running or not.
pub(super) struct Process {
    pub(super) base: String,
    pub(super) admin: String,
    pub(super) address: SocketAddr,
    admin_address: SocketAddr,
    folder: PathBuf,
    log: PathBuf,
    program: Vec<OsString>,
    child: Child,
}

impl Program {
    pub(super) fn new(words: &[OsString]) -> Self {
        Self(words.to_vec())
    }

    /// Starts a broker on this folder, behind a wrapper, and waits until it is ready.
    pub(super) async fn start(&self, folder: &Path, wrapper: &[&str]) -> Result<Process> {
        let mut process = self.spawn(folder, wrapper)?;
        process.ready().await?;
        Ok(process)
    }

    /// Starts a broker that may end before it is ready.
    pub(super) fn spawn(&self, folder: &Path, wrapper: &[&str]) -> Result<Process> {
        let (address, admin_address) = (free_address()?, free_address()?);
        let log = folder.with_extension("log");
        let child = spawn(&self.0, wrapper, folder, address, admin_address, &log)?;
        Ok(Process {
            base: format!("http://{address}"),
            admin: format!("http://{admin_address}"),
            address,
            admin_address,
            folder: folder.to_owned(),
            log,
            program: self.0.clone(),
            child,
        })
    }
}

impl Process {
    /// Waits until it is ready.
    pub(super) async fn ready(&mut self) -> Result<()> {
        if self.ready_or_ended().await? {
            return Ok(());
        }
        bail!("it ended before it was ready:\n{}", self.said())
    }

    /// Waits until it is ready, or has ended: whether it is ready.
    pub(super) async fn ready_or_ended(&mut self) -> Result<bool> {
        let began = Instant::now();
        let url = format!("{}/readyz", self.admin);
        loop {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.status() == 200
            {
                return Ok(true);
            }
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            if began.elapsed() > PATIENCE {
                bail!("it does not become ready:\n{}", self.said());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Starts it again, on the same folder and addresses, without a wrapper.
    pub(super) async fn start_again(&mut self) -> Result<()> {
        self.child = spawn(
            &self.program,
            &[],
            &self.folder,
            self.address,
            self.admin_address,
            &self.log,
        )?;
        self.ready().await
    }

    /// `kill -9` of it and its wrapper, and waits until they are gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal("-KILL")?;
        self.child.wait()?;
        Ok(())
    }

    /// Signals it, and its wrapper.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args([signal, "--", &group]).status();
        if !status.context("kill")?.success() {
            bail!("kill {signal} {group} failed");
        }
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// How it ended, once it has.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > PATIENCE {
                bail!("it does not end:\n{}", self.said());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// What it has logged so far.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself at this moment.
            let _ = self.kill();
        }
    }
}

fn spawn(
    program: &[OsString],
    wrapper: &[&str],
    folder: &Path,
    address: SocketAddr,
    admin: SocketAddr,
    log: &Path,
) -> Result<Child> {
    let mut words = wrapper
        .iter()
        .map(OsString::from)
        .chain(program.iter().cloned());
    let mut command = Command::new(words.next().context("no program")?);
    command
        .args(words)
        .arg("serve")
        .arg("--data-dir")
        .arg(folder)
        .args(["--listen", &address.to_string()])
        .args(["--admin-listen", &admin.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(OpenOptions::new().append(true).create(true).open(log)?)
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TENBELLS_") {
            command.env_remove(name);
        }
    }
    command.spawn().context("the broker does not start")
}

/// A key for everything, in the folder of a broker.
pub(super) fn make_key(folder: &Path) -> Result<String> {
    let file = KeyFile::open(folder)?;
    let key = file.create(Role::Admin, &["*".to_owned()], None, jiff::Timestamp::now())?;
    Ok(key.reveal().to_owned())
}

/// An address that stays free while a process restarts: a host address of the loopback that nobody else uses.
fn free_address() -> io::Result<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = std::process::id()
        .wrapping_mul(64)
        .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let [_, second, high, low] = number.to_be_bytes();
    let own = Ipv4Addr::new(127, 80 + second % 16, high, low.clamp(1, 254));
    let listener =
        TcpListener::bind((own, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    listener.local_addr()
}
