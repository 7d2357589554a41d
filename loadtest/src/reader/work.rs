//! A process of readers: takes its plan and its orders from stdin, a line each, and says on stdout how they stand.
//!
//! It ends when stdin does, so that it never outlives whoever started it.

use std::io::{BufRead, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::Waker;

use super::room::Room;
use super::{Order, Plan, Pulse, Said, Tally};

const PULSE_EVERY: Duration = Duration::from_millis(100);

struct Thread {
    orders: Sender<Order>,
    waker: Waker,
}

/// Works until stdin ends.
///
/// # Errors
/// When the plan can't be read, or epoll fails.
pub fn work() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let plan = lines.next().context("no plan on stdin")??;
    let plan: Arc<Plan> = Arc::new(serde_json::from_str(&plan).context("not a plan")?);
    let (tallies, told) = mpsc::channel();
    let mut threads = Vec::new();
    let mut shown = Vec::new();
    for thread in 0..u64::from(plan.threads.max(1)) {
        let (orders, inbox) = mpsc::channel();
        let pulse = Arc::new(Mutex::new(Pulse::default()));
        shown.push(Arc::clone(&pulse));
        let (room, waker) = Room::new(Arc::clone(&plan), thread, inbox, tallies.clone(), pulse)?;
        std::thread::Builder::new()
            .name(format!("readers-{thread}"))
            .spawn(move || {
                if let Err(error) = room.run() {
                    // The coordinator sees readers that never arrive; the reason is for people.
                    let _ = writeln!(std::io::stderr(), "loadtest: epoll: {error}");
                }
            })?;
        threads.push(Thread { orders, waker });
    }
    let count = threads.len();
    std::thread::spawn(move || say(&told, &shown, count));
    for line in lines {
        let order: Order = serde_json::from_str(&line?).context("not an order")?;
        for thread in &threads {
            thread
                .orders
                .send(order.clone())
                .context("a thread of readers is gone")?;
            thread.waker.wake()?;
        }
    }
    Ok(())
}

fn say(told: &mpsc::Receiver<Tally>, shown: &[Arc<Mutex<Pulse>>], threads: usize) {
    let mut gathered: Vec<Tally> = Vec::new();
    let mut next = Instant::now();
    loop {
        match told.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(tally) => gathered.push(tally),
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + PULSE_EVERY;
                let mut all = Pulse::none();
                for pulse in shown {
                    all.merge(&pulse.lock().unwrap_or_else(PoisonError::into_inner));
                }
                if line(&Said::Pulse(all)).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if gathered.len() == threads {
            let mut all = Tally::default();
            for tally in gathered.drain(..) {
                all.merge(&tally);
            }
            if line(&Said::Tally(Box::new(all))).is_err() {
                return;
            }
        }
    }
}

fn line(said: &Said) -> std::io::Result<()> {
    let mut text = serde_json::to_string(said)?;
    text.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
