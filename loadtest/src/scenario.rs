//! What most commands have in common: topics, a crew of readers on them, a publisher, and the server's cost beside.

mod part;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::crew::Crew;
use crate::http::Target;
use crate::proc::{Process, Usage};
use crate::progress::Progress;
use crate::publisher::{Publisher, Stretch};
use crate::reader::{Begin, Order, Plan, Pulse, Wire};
use crate::report::{Report, as_f64};

pub use part::{Part, Rest, memory};

/// The readers.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Readers")]
pub struct Readers {
    /// How many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub readers: u32,
    /// Topics; reader i reads topic i modulo this
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Threads of each process of readers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Processes of readers; there are more where descriptors ask for it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub processes: u32,
    /// How they read
    #[arg(long, value_enum, default_value_t = Transport::Ws)]
    pub transport: Transport,
    /// Handshakes at once
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub in_flight: u32,
    /// Seconds in which readers must have connected, and must have reached the head
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    pub patience: Duration,
}

/// How readers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket
    Ws,
    /// WebSocket with permessage-deflate
    Deflate,
    /// Event stream (server-sent events)
    Sse,
    /// Long poll
    Poll,
}

impl Transport {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ws => "WebSocket",
            Self::Deflate => "WebSocket, compressed",
            Self::Sse => "event stream",
            Self::Poll => "long poll",
        }
    }

    fn wire(self) -> Wire {
        match self {
            Self::Ws => Wire::WebSocket,
            Self::Deflate => Wire::Deflated,
            Self::Sse => Wire::EventStream,
            Self::Poll => Wire::LongPoll,
        }
    }
}

/// A run under way.
#[derive(Debug)]
pub struct Scenario {
    /// The readers.
    pub crew: Crew,
    /// The publisher.
    pub publisher: Publisher,
    /// The server's process, where it is on this machine.
    pub process: Option<Process>,
    readers: Readers,
}

impl Scenario {
    /// Makes the topics and hires readers; nobody is connected yet.
    ///
    /// # Errors
    /// When the broker can't be reached, or refuses the key.
    pub async fn open(broker: &Broker, content: &Content, readers: &Readers) -> Result<Self> {
        let process = broker.process(&*broker.target()?)?;
        Self::open_on(broker, content, readers, Vec::new(), process).await
    }

    /// As [`Scenario::open`], on the nodes of a cluster: `broker` is the one that is published at, or the others while it
    /// can't; readers spread over all.
    ///
    /// # Errors
    /// As there.
    pub async fn open_on(
        broker: &Broker,
        content: &Content,
        readers: &Readers,
        nodes: Vec<SocketAddr>,
        process: Option<Process>,
    ) -> Result<Self> {
        let target = broker.target()?;
        let run = args::run_name();
        let topics: Vec<String> = (0..readers.topics)
            .map(|index| format!("lt-{run}-{index}"))
            .collect();
        let mut publisher = Publisher::new(
            Arc::new((*target).clone().or_at(&nodes)),
            topics.clone(),
            run.clone(),
            content.writer(0),
        );
        publisher.open_topics().await?;
        let plan = Plan {
            nodes,
            ..plan(&target, topics, run, readers)
        };
        Ok(Self {
            crew: Crew::hire(&plan, readers.processes).await?,
            publisher,
            process,
            readers: readers.clone(),
        })
    }

    /// The server's counters; none where it is elsewhere.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn usage(&self) -> Result<Option<Usage>> {
        self.process.as_ref().map(Process::usage).transpose()
    }

    /// Connects readers `from..to`, and waits until all live readers are `live`.
    ///
    /// # Errors
    /// When they are not within the patience.
    pub async fn connect(&mut self, from: u64, to: u64, begin: Begin, live: u64) -> Result<()> {
        let order = Order::Connect {
            from,
            to,
            begin,
            receive_buffer: None,
        };
        self.crew.order(&order).await?;
        self.wait_live(live).await
    }

    /// Connects all readers at the head, lets the server rest, and says what they cost.
    ///
    /// # Errors
    /// As [`Scenario::connect`], or when the server is gone.
    pub async fn connect_all(&mut self, settle: Duration, report: &mut Report) -> Result<()> {
        let readers = u64::from(self.readers.readers);
        let before = self.usage()?;
        let connecting = Instant::now();
        self.connect(0, readers, Begin::Head, readers).await?;
        let connected = connecting.elapsed().as_secs_f64();
        tokio::time::sleep(settle).await;
        let after = self.usage()?;
        report.count("readers", "readers", readers);
        report.count(
            "reader_processes",
            "processes of readers",
            self.crew.processes() as u64,
        );
        report.figure(
            "connects_per_second",
            "connects a second",
            as_f64(readers) / connected,
            "1/s",
        );
        memory(report, before, after, readers)
    }

    /// Waits until `live` readers have their subscription.
    ///
    /// # Errors
    /// When they have not within the patience.
    pub async fn wait_live(&mut self, live: u64) -> Result<()> {
        let progress = Progress::new(self.readers.patience);
        let view = self.crew.view();
        let connected = tokio::select! {
            connected = self.crew.until(self.readers.patience, |pulse| pulse.live >= live) => connected?,
            never = progress.watch(|_| format!("{} of {live} readers are there", view().live)) => match never {},
        };
        drop(progress);
        if connected {
            return Ok(());
        }
        let pulse = self.crew.pulse();
        let told = self.crew.tell().await?;
        bail!(
            "{} of {live} readers are there after {:?}: {:?}",
            pulse.live,
            self.readers.patience,
            told.violations.examples
        )
    }

    /// Publishes at a pace while readers read, waits until all are at the head, and gathers.
    ///
    /// # Errors
    /// When a process of ours is gone.
    pub async fn publish(&mut self, rate: f64, duration: Duration) -> Result<Part> {
        let usage = self.usage()?;
        let start_us = crate::clock::now_micros();
        let progress = Progress::new(duration);
        let (view, counter) = (self.crew.view(), self.publisher.counter());
        let mut cost = Vec::new();
        let stretch = tokio::select! {
            stretch = self.publisher.pace(rate, duration) => stretch?,
            never = progress.watch(|_| line(&view(), counter.load(Ordering::Relaxed))) => match never {},
            never = sample(self.process.as_ref(), duration, &mut cost) => match never {},
        };
        drop(progress);
        let mut part = self.gather(stretch, usage, start_us).await?;
        part.cost = cost;
        Ok(part)
    }

    /// Lets the readers be for `duration`.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn rest(&self, duration: Duration) -> Result<Rest> {
        let (before, start) = (self.usage()?, Instant::now());
        let progress = Progress::new(duration);
        let view = self.crew.view();
        let mut cost = Vec::new();
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            never = progress.watch(|_| idle_line(&view())) => match never {},
            never = sample(self.process.as_ref(), duration, &mut cost) => match never {},
        };
        drop(progress);
        Ok(Rest {
            usage: before.zip(self.usage()?),
            seconds: start.elapsed().as_secs_f64(),
            cost,
        })
    }

    /// Waits until all readers are at the head, and gathers; who is not in time is counted as behind.
    ///
    /// # Errors
    /// When a process of ours is gone.
    pub async fn gather(
        &mut self,
        stretch: Stretch,
        usage: Option<Usage>,
        start_us: u64,
    ) -> Result<Part> {
        let heads = self.publisher.heads();
        self.crew.order(&Order::Target(heads)).await?;
        self.crew
            .until(self.readers.patience, |pulse| pulse.behind == 0)
            .await?;
        let behind = self.crew.pulse().behind;
        let usage = match (usage, self.usage()?) {
            (Some(before), Some(after)) => Some((before, after)),
            _ => None,
        };
        let mut tally = self.crew.tell().await?;
        tally.violations.behind += behind;
        Ok(Part {
            tally,
            stretch,
            usage,
            start_us,
            earlier_s: 0.0,
            cost: Vec::new(),
        })
    }
}

/// Reads the server's counters again and again, at most some 600 times over `duration`.
async fn sample(
    process: Option<&Process>,
    duration: Duration,
    cost: &mut Vec<(f64, f64, f64)>,
) -> Infallible {
    let every = (duration / 600).max(Duration::from_millis(500));
    let start = Instant::now();
    let (mut last_at, mut last) = (start, process.and_then(|process| process.usage().ok()));
    loop {
        tokio::time::sleep(every).await;
        let (at, now) = (
            Instant::now(),
            process.and_then(|process| process.usage().ok()),
        );
        if let (Some(before), Some(after)) = (last, now) {
            let busy = after.cpu_since(&before).as_secs_f64() / (at - last_at).as_secs_f64();
            let memory = as_f64(after.rss_bytes) / 1_048_576.0;
            cost.push(((at - start).as_secs_f64(), busy * 100.0, memory));
        }
        (last_at, last) = (at, now);
    }
}

/// The plan of all readers on the broker.
fn plan(target: &Target, topics: Vec<String>, run: String, readers: &Readers) -> Plan {
    Plan {
        server: target.address,
        nodes: Vec::new(),
        authority: target.authority.clone(),
        ca: target.ca.clone(),
        wire: readers.transport.wire(),
        topics,
        run,
        threads: readers.threads,
        in_flight: readers.in_flight,
        first: 0,
        readers: u64::from(readers.readers),
        peer: None,
    }
}

fn idle_line(pulse: &Pulse) -> String {
    format!(
        "{} readers, {} heartbeats, {} violations",
        pulse.live, pulse.heartbeats, pulse.violations
    )
}

fn line(pulse: &Pulse, published: u64) -> String {
    format!(
        "{published} published, {} readers, {} deliveries, {} violations, slowest lately {}",
        pulse.live,
        pulse.deliveries,
        pulse.violations,
        crate::report::duration(pulse.slowest_us)
    )
}
