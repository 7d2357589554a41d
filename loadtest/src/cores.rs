//! Which core does what: the receiving half of loopback on a core of its own, as a network card would have it.
//!
//! On loopback the kernel runs TCP's receiving half inside the sender's own `write`. Receive packet steering (the
//! kernel's `Documentation/networking/scaling.rst`) moves it to another core, so that what is left is what a server pays
//! behind a real card. It is a setting of the machine: root writes it, and it is put back at the end.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use tokio::process::Command;

/// The core that receives, once one does.
static RECEIVER: OnceLock<u32> = OnceLock::new();

/// Receiving on a core of its own, for as long as it lives.
#[derive(Debug)]
pub struct Steering {
    core: u32,
    /// Each queue of the loopback device, and what stood there before.
    queues: Vec<(PathBuf, String)>,
}

impl Steering {
    /// Has `core` do the receiving half of loopback, and this process, with the readers that it starts, run there.
    ///
    /// # Errors
    /// When there is no such core, no other one, or the setting can't be written (it takes root).
    pub fn to(core: u32) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        if core >= u32::try_from(cores)? || core >= 32 || cores < 2 {
            bail!("there is no core {core} beside another one: the machine has {cores}");
        }
        let mut steering = Self {
            core,
            queues: Vec::new(),
        };
        for queue in fs::read_dir("/sys/class/net/lo/queues")? {
            let path = queue?.path().join("rps_cpus");
            let Ok(before) = fs::read_to_string(&path) else {
                continue;
            };
            fs::write(&path, format!("{:x}", 1_u32 << core)).with_context(|| {
                format!("can't steer packets by {}: this takes root", path.display())
            })?;
            steering.queues.push((path, before));
        }
        if steering.queues.is_empty() {
            bail!("this kernel has no receive packet steering for the loopback device");
        }
        pin_self(core)?;
        // The first one stays: a process has one run.
        let _ = RECEIVER.set(core);
        Ok(steering)
    }

    /// `program` on the cores that don't receive.
    pub fn elsewhere(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let others: Vec<String> = (0..u32::try_from(cores).unwrap_or(2))
            .filter(|core| *core != self.core)
            .map(|core| core.to_string())
            .collect();
        // From util-linux, because a child can't be pinned before it runs without unsafe code.
        let mut command = Command::new("taskset");
        command.args(["-c", &others.join(",")]).arg(program);
        command
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        for (path, before) in &self.queues {
            // It could be written before; and there is nobody to tell in the middle of a fall.
            let _ = fs::write(path, before.trim());
        }
    }
}

/// `program`, apart from the core that receives where there is one.
pub fn command(steering: Option<&Steering>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    match steering {
        Some(steering) => steering.elsewhere(program),
        None => Command::new(program),
    }
}

/// Whether the soft interrupts of `core` are the receiver's, and no cost of a sender.
pub fn receives(core: u32) -> bool {
    RECEIVER.get() == Some(&core)
}

/// Pins every thread of this process; what they start later is pinned as well.
fn pin_self(core: u32) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core as usize);
    for thread in fs::read_dir("/proc/self/task")? {
        let id: i32 = thread?
            .file_name()
            .to_string_lossy()
            .parse()
            .context("a thread without a number")?;
        sched_setaffinity(Pid::from_raw(id), &set).context("can't pin a thread")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let error = Steering::to(31).expect_err("no such core");
        assert!(error.to_string().contains("no core 31"), "{error}");
        assert!(!receives(31));
    }
}
