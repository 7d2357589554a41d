//! A process of the field, under a user of its own: started, killed, stopped, started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// A process of the field.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) folder: PathBuf,
    command: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
    /// By how many seconds its clock is off from its next start on; only where that can be done.
    pub(super) skew: i64,
}

/// What makes a process see another time, as Debian's package libfaketime has it: in the folder of each architecture.
const FAKETIME: &str = "faketime/libfaketime.so.1";
/// What it leaves behind where a process is killed.
const SHARED_MEMORY: &str = "/dev/shm";

/// The library that gives a process a clock that is off; none where it is not installed.
pub(super) fn faketime() -> Option<PathBuf> {
    let architectures = std::fs::read_dir("/usr/lib").ok()?;
    architectures
        .filter_map(Result::ok)
        .map(|folder| folder.path().join(FAKETIME))
        .find(|library| library.is_file())
}

impl Member {
    pub(super) fn new(name: &str, uid: u32, folder: PathBuf, command: Vec<OsString>) -> Self {
        Self {
            name: name.to_owned(),
            uid,
            log: folder.with_extension("log"),
            folder,
            command,
            child: None,
            skew: 0,
        }
    }

    /// Starts it on its folder, which is made where it is missing.
    pub(super) fn start(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        own(&self.folder, self.uid)?;
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)?;
        let uid = self.uid.to_string();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--"])
            .args(self.other_clock())
            .args(&self.command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TENBELLS_") {
                command.env_remove(name);
            }
        }
        self.child = Some(command.spawn().with_context(|| self.name.clone())?);
        Ok(())
    }

    /// What runs the program with a clock that is off. Its time of day alone: no machine's monotonic clock jumps.
    fn other_clock(&self) -> Vec<String> {
        let Some(library) = faketime().filter(|_| self.skew != 0) else {
            return Vec::new();
        };
        vec![
            "env".into(),
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME={:+}s", self.skew),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        ]
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            signal(&child, "-KILL")?;
            child.wait()?;
            if self.skew != 0 {
                sweep(child.id());
            }
        }
        Ok(())
    }

    pub(super) fn signal(&self, which: &str) -> Result<()> {
        match &self.child {
            Some(child) => signal(child, which),
            None => Ok(()),
        }
    }

    /// Loses all that it keeps.
    pub(super) fn empty(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }

    pub(super) fn check_runs(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            bail!(
                "{} has ended by itself ({status}):\n{}",
                self.name,
                self.said()
            );
        }
        Ok(())
    }

    /// The end of what it has logged.
    pub(super) fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may end by itself at this moment.
        let _ = self.kill();
    }
}

/// Removes what a killed process with another clock has left.
fn sweep(pid: u32) {
    for name in [
        format!("faketime_shm_{pid}"),
        format!("sem.faketime_sem_{pid}"),
    ] {
        // It is not there where the process made none.
        let _ = std::fs::remove_file(Path::new(SHARED_MEMORY).join(name));
    }
}

fn signal(child: &Child, which: &str) -> Result<()> {
    let group = format!("-{}", child.id());
    let status = Command::new("kill").args([which, "--", &group]).status();
    if !status.context("kill")?.success() {
        bail!("kill {which} {group} failed");
    }
    Ok(())
}

fn own(folder: &Path, uid: u32) -> Result<()> {
    let owner = format!("{uid}:{uid}");
    let status = Command::new("chown")
        .args(["-R", &owner])
        .arg(folder)
        .status()?;
    if !status.success() {
        bail!("{} can't be given to user {uid}", folder.display());
    }
    Ok(())
}
