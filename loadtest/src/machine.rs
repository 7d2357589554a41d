//! Where a run happened: numbers without their machine, kernel and commit are worth nothing a month later.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// The machine and the state of the code.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// How many of them this process may use.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Most descriptors a process may have.
    pub descriptors_max: u64,
    /// Commit of the working folder's repository; `unknown` outside of one, `…-dirty` with changes.
    pub commit: String,
    /// Version of the harness, and whether it was built with optimisations.
    pub harness: String,
}

impl Machine {
    /// Looks around.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            descriptors_max: descriptors_max(),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            harness: format!("{} {build}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// All of it in one line.
    pub fn one_line(&self) -> String {
        format!(
            "{}, {} cores, {} GiB, Linux {}, commit {}, harness {}",
            self.processor,
            self.cores,
            self.memory_bytes >> 30,
            self.kernel,
            self.commit,
            self.harness
        )
    }
}

/// Most descriptors that this process may have open.
pub fn descriptors_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(u64::MAX)
}

/// The value behind `name … :` in a file of `/proc`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let dirty = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if dirty {
        format!("{commit}-dirty")
    } else {
        commit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n";
        assert_eq!(
            field(text, "model name").as_deref(),
            Some("Some CPU @ 3 GHz")
        );
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_memory() {
        let machine = Machine::look();
        assert!(
            !machine.kernel.is_empty() && machine.memory_bytes > 0 && machine.descriptors_max > 0
        );
    }
}
