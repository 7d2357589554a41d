//! How much memory there is and how much is used, as `/proc` and the control groups (version 2) say.
//!
//! Where there is neither, nothing is known, and nobody gives way.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";
/// What a control group counts that is not given back under pressure, in `memory.stat`: page cache is.
const HELD: [&str; 4] = ["anon", "sock", "kernel_stack", "slab_unreclaimable"];

/// This machine, or the container that it is.
#[derive(Debug)]
pub(super) struct Machine {
    /// The least limit, in bytes.
    pub limit_bytes: Option<u64>,
    /// The own control group, where that limit is its own: what it counts is ours then.
    group: Option<PathBuf>,
}

impl Machine {
    /// This one.
    pub(super) fn this() -> Self {
        let total = read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| kib(&text, "MemTotal:"));
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let tightest = group.and_then(|group| tightest(Path::new(CGROUPS), Path::new(group)));
        match (tightest, total) {
            (Some((limit, folder)), total) if total.is_none_or(|total| limit <= total) => {
                let is_own = group.is_some_and(|own| folder == Path::new(CGROUPS).join(own));
                Self {
                    limit_bytes: Some(limit),
                    group: is_own.then_some(folder),
                }
            }
            (_, limit_bytes) => Self {
                limit_bytes,
                group: None,
            },
        }
    }

    /// What is in use, in bytes.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        let own = read_to_string("/proc/self/status")
            .ok()
            .and_then(|text| kib(&text, "VmRSS:"));
        let stat = self
            .group
            .as_ref()
            .and_then(|group| read_to_string(group.join("memory.stat")).ok());
        own.max(stat.map(|text| held(&text)))
    }
}

/// The least limit of a group and those around it, and whose it is.
fn tightest(root: &Path, group: &Path) -> Option<(u64, PathBuf)> {
    group
        .ancestors()
        .map(|part| root.join(part))
        .filter_map(|folder| {
            // "max" is no number, and no limit.
            let limit = read_to_string(folder.join("memory.max")).ok()?;
            Some((limit.trim().parse().ok()?, folder))
        })
        .min()
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1_024)
}

/// The sum of what a control group holds.
fn held(stat: &str) -> u64 {
    stat.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| HELD.contains(name))
        .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_out_of_their_lines() {
        let status = "Name:\ttenbells\nVmHWM:\t    99 kB\nVmRSS:\t   1234 kB\n";
        assert_eq!(kib(status, "VmRSS:"), Some(1_234 * 1_024));
        assert_eq!(kib(status, "VmSwap:"), None);
        let stat = "anon 100\nfile 5000\nkernel 50\nkernel_stack 7\nsock 20\nslab_unreclaimable 3\nanon_thp 9\n";
        assert_eq!(held(stat), 130);
    }

    #[test]
    fn the_tightest_limit_counts_wherever_it_is_set() {
        let root = tempfile::tempdir().expect("folder");
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("folders");
        let write = |folder: &Path, text: &str| {
            std::fs::write(folder.join("memory.max"), text).expect("write");
        };
        assert_eq!(tightest(root.path(), Path::new("a/b")), None);
        write(&inner, "max\n");
        assert_eq!(tightest(root.path(), Path::new("a/b")), None);
        write(&root.path().join("a"), "1000\n");
        write(&inner, "5000\n");
        let expected = Some((1_000, root.path().join("a")));
        assert_eq!(tightest(root.path(), Path::new("a/b")), expected);
    }
}
