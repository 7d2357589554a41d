//! What this machine allows: how many threads run at once, and how many files a process may have open.
//!
//! Read from `/proc`, since asking the kernel itself takes `unsafe`. Where there is no `/proc` no bound is known, and a
//! server that runs out of descriptors finds out when it accepts.

use std::thread;

/// Descriptors that are not for connections of the public listener: the store and its readers, keys, logs, the admin
/// listener, the fan-out's pollers.
pub(super) const FILES_RESERVED: u64 = 256;

/// What the machine that a configuration is for allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Threads that run at once, at least 1.
    pub cores: usize,
    /// The soft limit of open files, where it is known.
    pub open_files_max: Option<u64>,
}

impl Machine {
    /// This one, and this process.
    pub fn this() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits");
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            open_files_max: limits.ok().and_then(|limits| open_files_max(&limits)),
        }
    }

    /// Most connections that leave descriptors for everything else, where a bound is known.
    pub(super) fn connections_max(self) -> Option<u64> {
        self.open_files_max
            .map(|files| files.saturating_sub(FILES_RESERVED))
    }
}

/// The soft limit in the text of proc(5)'s `/proc/[pid]/limits`.
fn open_files_max(limits: &str) -> Option<u64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|columns| columns.split_whitespace().next())
        // "unlimited" is no number, and no bound.
        .and_then(|soft| soft.parse().ok())
}

/// The name of a node where none is given: this machine's, with the port, so that two on one machine have two names.
pub(super) fn node_name(port: u16) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .take(24)
        .collect();
    format!("{host}-{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             63432                63432                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_max(limits), Some(1024));
        assert_eq!(
            open_files_max("Max open files unlimited unlimited files"),
            None
        );
        assert_eq!(open_files_max(""), None);
    }

    #[test]
    fn descriptors_are_kept_for_everything_else() {
        let machine = |open_files_max| Machine {
            cores: 1,
            open_files_max,
        };
        assert_eq!(machine(Some(1024)).connections_max(), Some(768));
        assert_eq!(machine(Some(200)).connections_max(), Some(0));
        assert_eq!(machine(None).connections_max(), None);
    }
}
