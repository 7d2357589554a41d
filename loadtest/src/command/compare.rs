//! `compare`: the same load on Tenbells and on its peers, one after the other on one machine, in rounds that take turns
//! at being first. Peers are started where they are installed, and named as absent where they are not.

mod gathered;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use gathered::{Gathered, NOTES, rows};

use crate::args::{self, Content};
use crate::corpus::Corpus;
use crate::peer::{Found, Kind, Place, Server, Shelves};
use crate::report::{Comparison, Report, Subject};
use crate::scenario::Readers;
use crate::text::Chance;
use crate::turn::{self, Load};

/// `loadtest compare`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct CompareArgs {
    /// Program of the broker [default: `tenbells` beside the harness, then on PATH]
    #[arg(long, value_name = "PATH")]
    server_bin: Option<PathBuf>,
    /// Folder that `loadtest/peers` filled; PATH is looked at after it
    #[arg(
        long,
        value_name = "FOLDER",
        env = "LOADTEST_PEERS",
        default_value = "target/peers"
    )]
    peers: PathBuf,
    /// Only these peers beside Tenbells
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Kind>,
    /// Port of the servers, and the next one; 0 for any that are free
    #[arg(long, default_value_t = 7590, value_parser = clap::value_parser!(u16).range(0..=65_000))]
    port: u16,
    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Threads or processes of each server that serve readers: shards, GOMAXPROCS, workers of nginx
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    server_threads: u32,
    /// Publishers, each waiting for its answer before the next change
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    publishers: u32,
    /// Changes a second
    #[arg(long, default_value_t = 4.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing in each round
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    /// Seconds of each probe in the search for the largest rate that is kept; 0 for no search
    #[arg(long, default_value = "3", value_parser = probe_seconds)]
    probe_seconds: Duration,
    /// Seconds in which a server rests before its memory is read
    #[arg(long, default_value = "2", value_parser = args::seconds)]
    settle: Duration,
    /// Different texts, that publishers go around in
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    texts: u32,
    #[command(flatten)]
    readers: Readers,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When Tenbells is not there or does not work; a peer that does not is said in the report.
pub async fn run(args: &CompareArgs) -> Result<Report> {
    if args.readers.topics != 1 {
        bail!("compare has one topic");
    }
    if args.readers.readers > 19_000 {
        bail!("one server process has descriptors for at most 19000 readers");
    }
    let start = Instant::now();
    let mut report = Report::new("compare", args);
    // Servers end when they are dropped, and a signal alone drops nothing.
    tokio::select! {
        outcome = compare(args, &mut report) => outcome?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        () = terminated() => bail!("told to end"),
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without it, the signal ends the process as it always did.
        Err(_) => std::future::pending().await,
    }
}

async fn compare(args: &CompareArgs, report: &mut Report) -> Result<()> {
    let shelves = Shelves::new(args.peers.clone(), args.server_bin.clone());
    let (found, mut comparison) = look(args, &shelves)?;
    let load = Load {
        readers: args.readers.clone(),
        publishers: args.publishers,
        rate: args.rate,
        duration: args.seconds,
        settle: args.settle,
        probe: (!args.probe_seconds.is_zero()).then_some(args.probe_seconds),
    };
    let corpus = {
        let broker = found.first().context("Tenbells was looked for first")?;
        let folder = Folder::new(0, broker.kind)?;
        let server = Server::start(broker, &place(args, &folder)?).await?;
        let corpus = Corpus::record(&server, &args.content, args.texts as usize).await;
        server.stop().await?;
        Arc::new(corpus?)
    };
    let mut all: Vec<Gathered> = found.into_iter().map(Gathered::new).collect();
    for round in 1..=args.rounds {
        let first = (round as usize - 1) % all.len();
        for step in 0..all.len() {
            let at = (first + step) % all.len();
            let one = &mut all[at];
            say(&format!(
                "round {round} of {}: {}",
                args.rounds, one.found.version
            ));
            let folder = Folder::new(round, one.found.kind)?;
            match turn::take(&one.found, &place(args, &folder)?, &load, &corpus).await {
                Ok(turn) => one.take(turn, round, report, &mut comparison),
                Err(error) if one.found.kind == Kind::Tenbells => return Err(error),
                Err(error) => comparison
                    .notes
                    .push(format!("Round {round} has no figures of {error:#}.")),
            }
        }
    }
    report.count("readers", "readers", u64::from(args.readers.readers));
    report.count("rounds", "rounds", u64::from(args.rounds));
    for one in &all {
        one.distributions(report);
    }
    comparison.rows = rows(&all);
    report.comparison = Some(comparison);
    Ok(())
}

/// Looks for Tenbells and its peers; the absent are noted.
fn look(args: &CompareArgs, shelves: &Shelves) -> Result<(Vec<Found>, Comparison)> {
    let mut comparison = Comparison {
        notes: NOTES.iter().map(|note| (*note).to_owned()).collect(),
        ..Comparison::default()
    };
    let mut all = Vec::new();
    let wanted =
        |kind: &Kind| *kind == Kind::Tenbells || args.only.is_empty() || args.only.contains(kind);
    for kind in Kind::ALL.into_iter().filter(wanted) {
        match kind.find(shelves) {
            Ok(found) => {
                comparison.subjects.push(Subject {
                    key: kind.key(),
                    name: kind.name(),
                    version: found.version.clone(),
                    settings: kind.settings(args.server_threads),
                    keeps: kind.keeps(),
                });
                all.push(found);
            }
            Err(absent) if kind == Kind::Tenbells => bail!("{absent}"),
            Err(absent) => {
                say(&absent);
                comparison.absent.push(absent);
            }
        }
    }
    Ok((all, comparison))
}

fn place(args: &CompareArgs, folder: &Folder) -> Result<Place> {
    Ok(Place {
        folder: folder.0.clone(),
        port: match args.port {
            0 => free_port()?,
            port => port,
        },
        threads: args.server_threads,
        readers: args.readers.readers,
    })
}

/// A port that nobody listens on, and the next one neither; below those that the kernel gives to connections.
fn free_port() -> Result<u16> {
    let mut chance = Chance::new(crate::clock::now_micros() ^ u64::from(std::process::id()));
    for _ in 0..200 {
        let port = 20_000 + u16::try_from(chance.below(12_000))?;
        if [port, port + 1].map(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) == [true; 2]
        {
            return Ok(port);
        }
    }
    bail!("no two ports beside each other are free")
}

/// A temporary folder of one turn.
struct Folder(PathBuf);

impl Folder {
    fn new(round: u32, kind: Kind) -> Result<Self> {
        let name = format!("loadtest-{}-{round}-{}", std::process::id(), kind.key());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn say(what: &str) {
    use std::io::Write;
    // Progress on a closed stderr is not worth ending a run for.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Seconds of a probe; 0 for none.
fn probe_seconds(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        text => args::seconds(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_beside_each_other_are_free() {
        let port = free_port().expect("ports");
        for port in [port, port + 1] {
            TcpListener::bind(("127.0.0.1", port)).expect("free");
        }
    }

    #[test]
    fn no_probe_is_asked_for_with_zero() {
        assert_eq!(probe_seconds("0"), Ok(Duration::ZERO));
        assert_eq!(probe_seconds("2.5"), Ok(Duration::from_millis(2_500)));
        assert!(probe_seconds("-1").is_err());
    }
}
