//! The faults, one a round.

use std::time::Duration;

use anyhow::Result;

use super::field::{Field, SIZE};

/// How long a fault lasts.
const LASTS: Duration = Duration::from_millis(2_000);
/// How long what was killed stays away.
const AWAY: Duration = Duration::from_millis(700);
/// How long servers may take until nothing is missing anywhere.
const PATIENCE: Duration = Duration::from_secs(90);

/// By how many seconds a clock may be off: a day and two hours is more than anything here waits for.
const SKEWS: [i64; 6] = [-93_600, -7_200, -20, 20, 7_200, 93_600];

/// What can be done here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Packets between processes can be dropped.
    pub(super) partitions: bool,
    /// A process can be given another clock.
    pub(super) clocks: bool,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    /// `kill -9` of a broker.
    KillBroker(usize),
    /// SIGSTOP of a broker for a while.
    StopBroker(usize),
    /// `kill -9` of a broker, and its folder lost.
    EmptyBroker(usize),
    /// `kill -9` of the server that leads the log.
    KillLeader,
    /// SIGSTOP of the server that leads the log.
    StopLeader,
    /// `kill -9` of two of the three servers.
    KillMajority(usize),
    /// SIGSTOP of two of the three servers.
    StopMajority(usize),
    /// A server's disk emptied.
    EmptyServer(usize),
    /// No packets between a broker and the servers.
    CutBroker(usize),
    /// No packets between a server and the others.
    CutServer(usize),
    /// No packets between the leader and the others.
    CutLeader,
    /// A broker is killed, and its clock is off by so many seconds from then on, alone of the three.
    SkewBroker(usize, i64),
}

impl Strike {
    /// The fault of a round: each kind comes once before one comes again.
    pub(super) fn of_round(round: u32, random: &mut fastrand::Rng, means: Means) -> Self {
        let who = random.usize(..SIZE);
        let skew = SKEWS[random.usize(..SKEWS.len())];
        let kinds = [
            Self::KillBroker(who),
            Self::CutBroker(who),
            Self::SkewBroker(who, skew),
            Self::KillLeader,
            Self::CutLeader,
            Self::EmptyServer(who),
            Self::StopBroker(who),
            Self::KillMajority(who),
            Self::CutServer(who),
            Self::StopLeader,
            Self::EmptyBroker(who),
            Self::StopMajority(who),
        ];
        let possible: Vec<Self> = kinds
            .into_iter()
            .filter(|kind| means.partitions || !kind.is_partition())
            .filter(|kind| means.clocks || !matches!(kind, Self::SkewBroker(..)))
            .collect();
        possible[round as usize % possible.len()]
    }

    fn is_partition(self) -> bool {
        matches!(
            self,
            Self::CutBroker(_) | Self::CutServer(_) | Self::CutLeader
        )
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillBroker(_) => "broker killed",
            Self::StopBroker(_) => "broker stopped",
            Self::EmptyBroker(_) => "broker emptied",
            Self::KillLeader => "leader killed",
            Self::StopLeader => "leader stopped",
            Self::KillMajority(_) => "majority killed",
            Self::StopMajority(_) => "majority stopped",
            Self::EmptyServer(_) => "server emptied",
            Self::CutBroker(_) => "broker cut off",
            Self::CutServer(_) => "server cut off",
            Self::CutLeader => "leader cut off",
            Self::SkewBroker(..) => "broker's clock off",
        }
    }
}

impl Field {
    /// Strikes, waits, and heals.
    pub(super) async fn strike(&mut self, strike: Strike) -> Result<()> {
        match strike {
            Strike::KillBroker(who) | Strike::EmptyBroker(who) => {
                self.brokers[who].kill()?;
                tokio::time::sleep(AWAY).await;
                if matches!(strike, Strike::EmptyBroker(_)) {
                    self.brokers[who].empty()?;
                }
                self.brokers[who].start()
            }
            Strike::StopBroker(who) => {
                self.brokers[who].signal("-STOP")?;
                tokio::time::sleep(LASTS).await;
                self.brokers[who].signal("-CONT")
            }
            Strike::KillLeader => {
                let leader = self.leader().await;
                self.restart_servers(&[leader]).await
            }
            Strike::StopLeader => {
                let leader = self.leader().await;
                self.stop_servers(&[leader]).await
            }
            Strike::KillMajority(who) => self.restart_servers(&[who, (who + 1) % SIZE]).await,
            Strike::StopMajority(who) => self.stop_servers(&[who, (who + 1) % SIZE]).await,
            Strike::EmptyServer(who) => {
                // One loss at a time: while another server is not whole yet, this would be two.
                self.until_servers_are_well(PATIENCE).await?;
                self.nats[who].kill()?;
                self.nats[who].empty()?;
                tokio::time::sleep(AWAY).await;
                self.nats[who].start()?;
                self.until_servers_are_well(PATIENCE).await
            }
            Strike::CutBroker(who) => {
                self.cut_broker(who)?;
                tokio::time::sleep(LASTS * 2).await;
                self.heal()
            }
            Strike::CutServer(who) => {
                self.cut_server(who)?;
                tokio::time::sleep(LASTS * 2).await;
                self.heal()
            }
            Strike::SkewBroker(who, skew) => self.skew_broker(who, skew).await,
            Strike::CutLeader => {
                let leader = self.leader().await;
                self.cut_server(leader)?;
                tokio::time::sleep(LASTS * 2).await;
                self.heal()
            }
        }
    }

    async fn skew_broker(&mut self, who: usize, skew: i64) -> Result<()> {
        for index in 0..SIZE {
            let wanted = if index == who { skew } else { 0 };
            if self.brokers[index].skew != wanted {
                self.brokers[index].kill()?;
                self.brokers[index].skew = wanted;
                self.brokers[index].start()?;
            }
        }
        self.until_clock_is_off(who, skew, PATIENCE).await
    }

    async fn restart_servers(&mut self, which: &[usize]) -> Result<()> {
        for server in which {
            self.nats[*server].kill()?;
        }
        tokio::time::sleep(AWAY).await;
        which
            .iter()
            .try_for_each(|server| self.nats[*server].start())
    }

    async fn stop_servers(&mut self, which: &[usize]) -> Result<()> {
        for server in which {
            self.nats[*server].signal("-STOP")?;
        }
        tokio::time::sleep(LASTS).await;
        which
            .iter()
            .try_for_each(|server| self.nats[*server].signal("-CONT"))
    }
}
