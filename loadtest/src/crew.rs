//! The processes of readers, seen from the one that runs the scenario: it hires them, gives orders and adds up what
//! they say.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::machine::descriptors_max;
use crate::reader::{Order, Plan, Pulse, Said, Tally};

/// Descriptors of a process that are no reader's.
const DESCRIPTORS_SPARE: u64 = 256;
const TELL_TIMEOUT: Duration = Duration::from_secs(60);

/// All processes of readers of a run.
#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    orders: u64,
}

#[derive(Debug)]
struct Member {
    /// Ends the process when it is dropped.
    _child: Child,
    orders: ChildStdin,
    pulse: watch::Receiver<Pulse>,
    tallies: mpsc::Receiver<Tally>,
}

impl Crew {
    /// Starts as many processes as the readers of `plan` need, at least `processes`.
    ///
    /// # Errors
    /// When one can't be started.
    pub async fn hire(plan: &Plan, processes: u32) -> Result<Self> {
        let most = descriptors_max()
            .saturating_sub(DESCRIPTORS_SPARE)
            .clamp(1, 19_000);
        let processes = plan.readers.div_ceil(most).max(u64::from(processes)).max(1);
        let share = plan.readers.div_ceil(processes);
        let mut members = Vec::new();
        for index in 0..processes {
            let from = (index * share).min(plan.readers);
            let part = Plan {
                first: plan.first + from,
                readers: share.min(plan.readers - from),
                in_flight: (u64::from(plan.in_flight) / processes)
                    .max(1)
                    .try_into()
                    .unwrap_or(1),
                ..plan.clone()
            };
            members.push(Member::hire(&part).await?);
        }
        Ok(Self { members, orders: 0 })
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.members.len()
    }

    /// Gives an order to all, and waits until it is carried out.
    ///
    /// # Errors
    /// When a process is gone.
    pub async fn order(&mut self, order: &Order) -> Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        for member in &mut self.members {
            member
                .orders
                .write_all(line.as_bytes())
                .await
                .context("a process of readers is gone")?;
        }
        self.orders += 1;
        let orders = self.orders;
        self.until(Duration::from_secs(60), |pulse| pulse.orders >= orders)
            .await?
            .then_some(())
            .context("readers did not carry out an order within 60 s")
    }

    /// How all stand.
    pub fn pulse(&self) -> Pulse {
        pulse_of(
            &self
                .members
                .iter()
                .map(|member| member.pulse.clone())
                .collect::<Vec<_>>(),
        )
    }

    /// A view of how all stand, for the progress line.
    pub fn view(&self) -> impl Fn() -> Pulse + use<> {
        let pulses: Vec<_> = self
            .members
            .iter()
            .map(|member| member.pulse.clone())
            .collect();
        move || pulse_of(&pulses)
    }

    /// Waits until `reached`, at most `patience`; whether it was.
    ///
    /// # Errors
    /// When a process is gone.
    pub async fn until(
        &self,
        patience: Duration,
        reached: impl Fn(&Pulse) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + patience;
        let mut pulses: Vec<_> = self
            .members
            .iter()
            .map(|member| member.pulse.clone())
            .collect();
        loop {
            if reached(&self.pulse()) {
                return Ok(true);
            }
            for pulse in &mut pulses {
                match tokio::time::timeout_at(deadline, pulse.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => bail!("a process of readers ended early"),
                    Err(_) => return Ok(reached(&self.pulse())),
                }
            }
        }
    }

    /// What all gathered since the last time.
    ///
    /// # Errors
    /// When a process is gone or says nothing.
    pub async fn tell(&mut self) -> Result<Tally> {
        self.order(&Order::Tell).await?;
        let mut all = Tally::default();
        for member in &mut self.members {
            let tally = tokio::time::timeout(TELL_TIMEOUT, member.tallies.recv())
                .await
                .context("a process of readers says nothing")?
                .context("a process of readers is gone")?;
            all.merge(&tally);
        }
        Ok(all)
    }
}

impl Member {
    async fn hire(plan: &Plan) -> Result<Self> {
        let program = std::env::current_exe().context("can't find the harness's own program")?;
        let mut child = Command::new(program)
            .arg("readers")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start a process of readers")?;
        let mut orders = child.stdin.take().context("a child without stdin")?;
        let lines = BufReader::new(child.stdout.take().context("a child without stdout")?).lines();
        let mut line = serde_json::to_string(plan)?;
        line.push('\n');
        orders.write_all(line.as_bytes()).await?;
        let (pulse_sender, pulse) = watch::channel(Pulse::default());
        let (tally_sender, tallies) = mpsc::channel(1);
        tokio::spawn(listen(lines, pulse_sender, tally_sender));
        Ok(Self {
            _child: child,
            orders,
            pulse,
            tallies,
        })
    }
}

async fn listen(
    mut lines: Lines<BufReader<ChildStdout>>,
    pulse: watch::Sender<Pulse>,
    tallies: mpsc::Sender<Tally>,
) {
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Said::Pulse(said)) => {
                pulse.send_replace(said);
            }
            Ok(Said::Tally(said)) => {
                if tallies.send(*said).await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn pulse_of(pulses: &[watch::Receiver<Pulse>]) -> Pulse {
    let mut all = Pulse::none();
    for pulse in pulses {
        all.merge(&pulse.borrow());
    }
    all
}
