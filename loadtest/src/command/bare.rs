//! `bare`: the send loop alone, over as many sockets and bytes as a fan-out: what the machine itself asks for.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::args::{self};
use crate::cores::{self, Steering};
use crate::crew::Crew;
use crate::proc::Process;
use crate::publisher::Stretch;
use crate::reader::{Begin, Order, Plan, Wire};
use crate::report::Report;
use crate::scenario::Part;
use crate::sender::Task;

/// `loadtest bare`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct BareArgs {
    /// Sockets; one process of the sender has descriptors for at most 19,000
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
    pub readers: u32,
    /// Bytes of a message, with its frame header
    #[arg(long, default_value_t = 1_100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(130..=1_000_000))]
    pub size: u32,
    /// How many messages
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub messages: u32,
    /// Messages a second
    #[arg(long, default_value_t = 10.0, value_parser = args::rate)]
    pub rate: f64,
    /// Threads of the sender
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Threads of the readers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub reader_threads: u32,
    /// Seconds in which readers must have connected, and must have read all
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    pub patience: Duration,
    /// Core for the receiving half and the readers; the sender gets the others. Takes root and taskset
    #[arg(long, value_name = "CORE")]
    pub receive_core: Option<u32>,
}

struct Sender {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &BareArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("bare", args);
    report.count("readers", "readers", u64::from(args.readers));
    let steering = args.receive_core.map(Steering::to).transpose()?;
    let part = measure(args, steering.as_ref()).await?;
    part.report(&mut report, "");
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Sends and gathers.
///
/// # Errors
/// As [`run`].
pub async fn measure(args: &BareArgs, steering: Option<&Steering>) -> Result<Part> {
    let readers = u64::from(args.readers);
    let run = args::run_name();
    let task = Task {
        readers,
        bytes: u64::from(args.size),
        messages: u64::from(args.messages),
        rate: args.rate,
        threads: args.threads,
        run: run.clone(),
    };
    let mut sender = Sender::start(&task, steering).await?;
    let port = sender.line().await?;
    let port: u16 = port.parse().context("the sender has no port")?;
    let plan = Plan {
        server: ([127, 0, 0, 1], port).into(),
        nodes: Vec::new(),
        authority: String::new(),
        ca: None,
        wire: Wire::Plain,
        topics: vec!["bare".to_owned()],
        run,
        threads: args.reader_threads,
        in_flight: 128,
        first: 0,
        readers,
        peer: None,
    };
    let mut crew = Crew::hire(&plan, 1).await?;
    let connect = Order::Connect {
        from: 0,
        to: readers,
        begin: Begin::Head,
        receive_buffer: None,
    };
    crew.order(&connect).await?;
    sender.all_there(args.patience).await?;
    crew.until(args.patience, |pulse| pulse.live == readers)
        .await?;
    let arrived = crew.tell().await?;
    let process = Process::open(sender.child.id().context("the sender is gone")?)?;
    let before = process.usage()?;
    let start_us = crate::clock::now_micros();
    sender.orders.write_all(b"go\n").await?;
    let expected = Duration::from_secs_f64(f64::from(args.messages) / args.rate) + args.patience;
    tokio::time::timeout(expected, sender.line())
        .await
        .context("the sender did not end in time")??;
    crew.order(&Order::Target(vec![u64::from(args.messages)]))
        .await?;
    crew.until(args.patience, |pulse| pulse.behind == 0).await?;
    let behind = crew.pulse().behind;
    let after = process.usage()?;
    let mut tally = crew.tell().await?;
    tally.violations.behind += behind;
    tally.violations.merge(&arrived.violations);
    Ok(Part {
        tally,
        stretch: Stretch {
            acknowledged: u64::from(args.messages),
            ..Stretch::default()
        },
        usage: Some((before, after)),
        start_us,
        earlier_s: 0.0,
        cost: Vec::new(),
    })
}

impl Sender {
    async fn start(task: &Task, steering: Option<&Steering>) -> Result<Self> {
        let program = std::env::current_exe().context("can't find the harness's own program")?;
        let mut child = cores::command(steering, program)
            .arg("sender")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start the sender")?;
        let mut orders = child.stdin.take().context("a child without stdin")?;
        let lines = BufReader::new(child.stdout.take().context("a child without stdout")?).lines();
        let mut line = serde_json::to_string(task)?;
        line.push('\n');
        orders.write_all(line.as_bytes()).await?;
        Ok(Self {
            child,
            orders,
            lines,
        })
    }

    /// Waits until it has accepted every reader.
    async fn all_there(&mut self, patience: Duration) -> Result<()> {
        let said = tokio::time::timeout(patience, self.line())
            .await
            .context("readers of the bare loop did not connect in time")??;
        if said != "ready" {
            bail!("the sender said {said}");
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String> {
        self.lines
            .next_line()
            .await?
            .context("the sender ended early")
    }
}
