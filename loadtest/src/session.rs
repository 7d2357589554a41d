//! Readers and publishers of one channel of a running server, whichever it is: connected, published to at a pace, and
//! gathered.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::args;
use crate::clock::now_micros;
use crate::corpus::Corpus;
use crate::crew::Crew;
use crate::lanes::Lanes;
use crate::latency::Latency;
use crate::peer::Server;
use crate::publisher::Stretch;
use crate::reader::{Begin, Order, Peer, Plan};
use crate::report::as_f64;
use crate::scenario::{Part, Readers};

/// A channel with its readers and publishers.
#[derive(Debug)]
pub struct Session {
    crew: Crew,
    lanes: Lanes,
    readers: u64,
    patience: Duration,
}

/// How the readers arrived.
#[derive(Debug)]
pub struct Arrival {
    /// From the first connection's start until all subscriptions stood, in seconds.
    pub all_s: f64,
    /// From each connection's start to its subscription.
    pub connect: Latency,
}

impl Session {
    /// Hires readers and opens a channel that nobody used before.
    ///
    /// # Errors
    /// When either can't be done.
    pub async fn open(
        server: &Server,
        corpus: &Arc<Corpus>,
        readers: &Readers,
        publishers: u32,
    ) -> Result<Self> {
        let run = args::run_name();
        let channel = format!("lt-{run}");
        let lanes = Lanes::open(&server.way, &channel, &run, corpus, publishers).await?;
        let plan = Plan {
            server: server.way.target.address,
            nodes: Vec::new(),
            authority: server.way.target.authority.clone(),
            ca: None,
            wire: server.way.wire(),
            peer: server.way.opening(&channel).map(|opening| Peer {
                opening,
                lanes: publishers,
            }),
            topics: vec![channel],
            run,
            threads: readers.threads,
            in_flight: readers.in_flight,
            first: 0,
            readers: u64::from(readers.readers),
        };
        Ok(Self {
            crew: Crew::hire(&plan, readers.processes).await?,
            lanes,
            readers: u64::from(readers.readers),
            patience: readers.patience,
        })
    }

    /// Connects all readers.
    ///
    /// # Errors
    /// When they are not there within the patience.
    pub async fn connect(&mut self) -> Result<Arrival> {
        let connect = Order::Connect {
            from: 0,
            to: self.readers,
            begin: Begin::Head,
            receive_buffer: None,
        };
        let start = now_micros();
        self.crew.order(&connect).await?;
        let readers = self.readers;
        let there = self
            .crew
            .until(self.patience, |pulse| pulse.live >= readers)
            .await?;
        let live = self.crew.pulse().live;
        let arrived = self.crew.tell().await?;
        if !there {
            bail!(
                "{live} of {readers} readers are there after {:?}: {:?}",
                self.patience,
                arrived.violations.examples
            );
        }
        Ok(Arrival {
            all_s: as_f64(arrived.stood_us.saturating_sub(start)) / 1e6,
            connect: arrived.connect,
        })
    }

    /// Publishes at a pace while readers read, waits until all have it, and gathers.
    ///
    /// # Errors
    /// When the server or a process of ours is gone.
    pub async fn publish(
        &mut self,
        server: &Server,
        rate: f64,
        duration: Duration,
        patience: Duration,
    ) -> Result<Part> {
        let before = server.process.usage()?;
        let start_us = now_micros();
        let stretch: Stretch = self.lanes.pace(rate, duration, patience).await?;
        let target = Order::Target(vec![self.lanes.head()]);
        self.crew.order(&target).await?;
        self.crew.until(patience, |pulse| pulse.behind == 0).await?;
        let behind = self.crew.pulse().behind;
        let after = server.process.usage()?;
        let mut tally = self.crew.tell().await?;
        tally.violations.behind += behind;
        Ok(Part {
            tally,
            stretch,
            usage: Some((before, after)),
            start_us,
            cost: Vec::new(),
            earlier_s: 0.0,
        })
    }
}
