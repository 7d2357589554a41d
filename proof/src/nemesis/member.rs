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

    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            signal(&child, "-KILL")?;
            child.wait()?;
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
