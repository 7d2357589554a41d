//! What a process costs, from `/proc`: its CPU, its memory, and the kernel's soft-interrupt threads beside it.
//!
//! On loopback most of TCP's receiving runs inside the sender's own `write`; what overflows runs in `ksoftirqd`, on
//! nobody's account. Both are read, so that a server can't look cheap by pushing work there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cores;

/// A process whose cost is measured, or one with its children: the cost is the sum.
#[derive(Debug, Clone)]
pub struct Process {
    pids: Vec<u32>,
    ksoftirqd: Vec<u32>,
}

/// A reading of the counters; two of them make a cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU of the process in user space since it started.
    pub user: Duration,
    /// CPU of the process in the kernel since it started.
    pub system: Duration,
    /// CPU of all `ksoftirqd` threads since the machine started.
    pub ksoftirqd: Duration,
    /// Resident memory of the process, in bytes.
    pub rss_bytes: u64,
    /// Memory of the machine's TCP buffers, in bytes.
    pub tcp_bytes: u64,
}

impl Process {
    /// The process `pid`.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub fn open(pid: u32) -> Result<Self> {
        Self::of(vec![pid])
    }

    /// The process `pid` and all that descend from it now. Pages that they share count for each of them.
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn open_tree(pid: u32) -> Result<Self> {
        Self::of(tree(pid))
    }

    /// Several processes as one.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn of(pids: Vec<u32>) -> Result<Self> {
        let process = Self {
            pids,
            ksoftirqd: ksoftirqd(),
        };
        process.usage()?;
        Ok(process)
    }

    /// The processes.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// The process that listens on `port` of this machine; none when it is elsewhere, or another user's.
    pub fn listening_on(port: u16) -> Option<Self> {
        let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
        let wanted = format!("socket:[{inode}]");
        processes().find_map(|pid| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
            descriptors
                .flatten()
                .any(|entry| {
                    fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(&wanted))
                })
                .then(|| Self::open(pid).ok())?
        })
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn usage(&self) -> Result<Usage> {
        let (mut user, mut system) = (Duration::ZERO, Duration::ZERO);
        let mut resident = 0;
        for pid in &self.pids {
            let of = cpu(*pid).with_context(|| format!("process {pid} is gone"))?;
            user += of.0;
            system += of.1;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            resident += rss_bytes(&status).unwrap_or(0);
        }
        let ksoftirqd = self
            .ksoftirqd
            .iter()
            .filter_map(|pid| cpu(*pid))
            .map(|(user, system)| user + system)
            .sum();
        Ok(Usage {
            user,
            system,
            ksoftirqd,
            rss_bytes: resident,
            tcp_bytes: tcp_bytes(&fs::read_to_string("/proc/net/sockstat").unwrap_or_default())
                .unwrap_or(0),
        })
    }
}

/// Bytes that the kernel holds for readers of this machine's `port`, because their receive buffers are full: sent by
/// the server, and not taken.
pub fn untaken_bytes(port: u16) -> u64 {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .map(|table| send_queues(&table, port))
        .sum()
}

/// How often this machine's kernel has asked since its start whether a full socket has room again (RFC 9293, zero-window
/// probes).
pub fn window_probes() -> u64 {
    let table = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    tcp_counter(&table, "TCPWinProbe").unwrap_or_default()
}

/// A counter in the table of `/proc/net/netstat`: a line of names, and one of numbers.
fn tcp_counter(table: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| line.starts_with("TcpExt:"));
    let at = lines.next()?.split(' ').position(|known| known == name)?;
    lines.next()?.split(' ').nth(at)?.parse().ok()
}

impl Usage {
    /// CPU of the process and of `ksoftirqd` between `earlier` and this reading.
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        (self.user + self.system + self.ksoftirqd)
            .saturating_sub(earlier.user + earlier.system + earlier.ksoftirqd)
    }

    /// This reading, had the counters gone on by what passed between `from` and `to`; memory is that of `to`.
    pub fn continued(&self, from: &Self, to: &Self) -> Self {
        Self {
            user: self.user + to.user.saturating_sub(from.user),
            system: self.system + to.system.saturating_sub(from.system),
            ksoftirqd: self.ksoftirqd + to.ksoftirqd.saturating_sub(from.ksoftirqd),
            rss_bytes: to.rss_bytes,
            tcp_bytes: to.tcp_bytes,
        }
    }

    /// The part of it that was `ksoftirqd`'s.
    pub fn ksoftirqd_since(&self, earlier: &Self) -> Duration {
        self.ksoftirqd.saturating_sub(earlier.ksoftirqd)
    }
}

/// `root` and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent(&stat)?))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(of) = found.get(at).copied() {
        at += 1;
        let children = parents.iter().filter(|(_, parent)| *parent == of);
        let new: Vec<u32> = children
            .map(|(pid, _)| *pid)
            .filter(|pid| !found.contains(pid))
            .collect();
        found.extend(new);
    }
    found
}

/// The parent in a `stat` line.
fn parent(line: &str) -> Option<u32> {
    let (_, fields) = line.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn ksoftirqd() -> Vec<u32> {
    processes()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .ok()
                .and_then(|name| name.trim().strip_prefix("ksoftirqd/")?.parse().ok())
                .is_some_and(|core| !cores::receives(core))
        })
        .collect()
}

fn cpu(pid: u32) -> Option<(Duration, Duration)> {
    let ticks = rustix::param::clock_ticks_per_second();
    let (user, system) = stat_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let time = |count: u64| Duration::from_micros(count * 1_000_000 / ticks);
    Some((time(user), time(system)))
}

/// `utime` and `stime` of a `stat` line. The name before them may have spaces and brackets.
fn stat_ticks(line: &str) -> Option<(u64, u64)> {
    let (_, fields) = line.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The most memory that a process had, in bytes.
///
/// # Errors
/// When it is gone.
pub fn peak_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kib.context("no VmHWM")? << 10)
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn tcp_bytes(sockstat: &str) -> Option<u64> {
    let line = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = line
        .split_ascii_whitespace()
        .skip_while(|word| *word != "mem")
        .nth(1)?
        .parse()
        .ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == "0A";
        (listens && u16::from_str_radix(local_port, 16) == Ok(port))
            .then(|| fields.get(9)?.parse().ok())?
    })
}

/// Bytes in the send queues of all connections of a local port.
fn send_queues(table: &str, port: u16) -> u64 {
    const ESTABLISHED: &str = "01";
    let queue = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (_, local_port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let (sent, _) = fields.next()?.split_once(':')?;
        (state == ESTABLISHED && u16::from_str_radix(local_port, 16) == Ok(port))
            .then(|| u64::from_str_radix(sent, 16).ok())?
    };
    table.lines().skip(1).filter_map(queue).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stat_line_is_read_behind_any_name() {
        let line = "42 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 170 30 0 0 20 0 9 0 100 5 6";
        assert_eq!(stat_ticks(line), Some((170, 30)));
    }

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1B62 0100007F:A000 01 0:0 0:0 0 0 0 111 1\n\
             1: 0100007F:1B62 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n";
        assert_eq!(listening_inode(table, 0x1b62), Some(4242));
        assert_eq!(listening_inode(table, 80), None);
        let queues = table.replace("01 0:0", "01 000001F4:00000007");
        assert_eq!(
            (send_queues(&queues, 0x1b62), send_queues(&queues, 80)),
            (500, 0)
        );
        assert_eq!(
            tcp_bytes("sockets: used 9\nTCP: inuse 1 orphan 0 tw 0 alloc 2 mem 3\n"),
            Some(3 * rustix::param::page_size() as u64)
        );
        let netstat =
            "TcpExt: SyncookiesSent TCPWinProbe Last\nTcpExt: 1 22 3\nIpExt: A\nIpExt: 4\n";
        assert_eq!(tcp_counter(netstat, "TCPWinProbe"), Some(22));
        assert_eq!(rss_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn a_tree_has_the_children() {
        assert_eq!(parent("7 (a) b) S 41 1 1 0"), Some(41));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a child");
        let found = tree(std::process::id());
        child.kill().expect("a child");
        child.wait().expect("a child");
        assert_eq!(found.first(), Some(&std::process::id()));
        assert!(found.contains(&child.id()), "{found:?}");
    }

    #[test]
    fn finds_the_process_behind_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let found = Process::listening_on(port).expect("this process");
        assert_eq!(found.pids, [std::process::id()]);
        assert!(found.usage().expect("usage").rss_bytes > 0);
    }
}
