//! A cluster under a nemesis: three brokers on three NATS servers, publishers and readers that keep a history, and one fault
//! a round. What they saw is judged by the same rules as everything else.
//!
//! It runs in a network namespace of its own, each process under a user of its own: a partition is a rule of the packet
//! filter for the connections of one user to another's ports. Without that, the rounds with partitions are left out.

mod callers;
mod field;
mod member;
mod publishing;
mod reading;
mod recorder;
mod report;
mod strikes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::task::JoinHandle;

use self::field::{Field, SIZE};
use self::publishing::publish_until;
use self::reading::{look_until, poll_until, stream_until};
use self::recorder::Recorder;
use self::report::Done;
use self::strikes::Strike;
use crate::history::{self, What};
use crate::judge::{Options, judge};
use crate::namespace;

/// How long after an acknowledgement a live reader may still take what was sent before it: this machine is crowded.
const GRACE: Duration = Duration::from_millis(1_000);
/// How long after its time an embargo may last, once all is well.
const RELEASE: Duration = Duration::from_secs(5);
/// The last embargo ends within this.
const LAST_EMBARGO: Duration = Duration::from_secs(7);
/// Of so many rounds one begins before what the last one did is healed.
const HASTE_ONE_IN: u32 = 3;
/// How long after the last fault everything has to be well.
const CALM: Duration = Duration::from_secs(60);
/// Between two rounds.
const REST: Duration = Duration::from_millis(600);

/// A run.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Rounds, each with one fault
    #[arg(long, default_value_t = 12)]
    rounds: u32,
    /// Which faults come when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The broker's program; without it, the one beside this program
    #[arg(long)]
    program: Option<OsString>,
    /// The NATS server's program
    #[arg(long, default_value = "target/tools/nats-server")]
    nats_server: PathBuf,
    /// Where a history that breaks a rule is left
    #[arg(long)]
    history: Option<PathBuf>,
}

/// How a run ended.
pub enum Ended {
    /// All promises were kept. Says what was done.
    Kept(String),
    /// It could not be done here, and why.
    Skipped(String),
}

/// Runs it.
///
/// # Errors
/// When a promise was broken, or the run could not be carried through.
pub fn run(args: &ClusterArgs) -> Result<Ended> {
    if !args.nats_server.is_file() {
        let missing = format!("there is no {}", args.nats_server.display());
        return Ok(Ended::Skipped(missing));
    }
    if !namespace::is_inside() {
        let said = namespace::again_inside()?;
        return Ok(said.map_or_else(|| Ended::Skipped(namespace::NONE.into()), Ended::Kept));
    }
    let beside = std::env::current_exe()?.with_file_name("tenbells");
    let program = args.program.clone().unwrap_or_else(|| beside.into());
    ensure!(
        PathBuf::from(&program).is_file(),
        "there is no {}: build the broker first, or name its --program",
        program.display()
    );
    let program = vec![program];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(rounds(args, program))
}

async fn rounds(args: &ClusterArgs, program: Vec<OsString>) -> Result<Ended> {
    let mut field = Field::start(&args.nats_server, program).await?;
    let recorder = Recorder::new();
    let crowd = Crowd::gather(&field, &recorder);
    let mut done = Done::default();
    let mut random = fastrand::Rng::with_seed(args.seed);
    for round in 0..args.rounds {
        let strike = Strike::of_round(round, &mut random, field.means());
        recorder.fault(&format!("round {round}: {strike:?}"));
        let told = |error: anyhow::Error, field: &Field| {
            error.context(format!("round {round}, {strike:?}\n{}", field.said()))
        };
        if let Err(error) = field.strike(strike).await {
            return Err(told(error, &field));
        }
        recorder.fault("healed");
        let healed = Instant::now();
        tokio::time::sleep(REST).await;
        if random.u32(..HASTE_ONE_IN) == 0 {
            field.check_all_run()?;
            done.count(strike.name(), None);
        } else if let Err(error) = field.until_healthy(CALM).await {
            return Err(told(error, &field));
        } else {
            done.count(strike.name(), Some(healed.elapsed()));
        }
    }
    let healed = Instant::now();
    field.until_healthy(CALM).await?;
    done.waited(healed.elapsed());
    recorder.say("", What::Calm);
    crowd.finish(&field, &recorder).await?;
    judged(args, &field, &recorder, done)
}

/// All who call the brokers.
struct Crowd {
    stop: Arc<AtomicBool>,
    publishing: Vec<JoinHandle<Result<()>>>,
    others: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Of each kind one at each broker, to begin with.
    fn gather(field: &Field, recorder: &Recorder) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut crowd = Self {
            stop: Arc::clone(&stop),
            publishing: Vec::new(),
            others: Vec::new(),
        };
        for index in 0..SIZE {
            let caller = || field.caller(recorder, index);
            let publishing = publish_until(caller(), Arc::clone(&stop));
            crowd.publishing.push(tokio::spawn(publishing));
            let polling = poll_until(caller(), format!("poll{index}"));
            let streaming = stream_until(caller(), format!("stream{index}"));
            crowd.others.push(tokio::spawn(polling));
            crowd.others.push(tokio::spawn(streaming));
            crowd.others.push(tokio::spawn(look_until(caller())));
        }
        crowd
    }

    /// Everything that was begun is finished, and every reader reads to the end.
    async fn finish(self, field: &Field, recorder: &Recorder) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        for publisher in self.publishing {
            publisher.await??;
        }
        tokio::time::sleep(LAST_EMBARGO + RELEASE).await;
        let last = field.caller(recorder, 0).last_word().await?;
        for other in self.others {
            other.abort();
            // It is cut off between two pages: what it has recorded is whole.
            let _ = other.await;
        }
        for index in 0..SIZE {
            let caller = field.caller(recorder, index);
            for kind in ["poll", "stream", "late"] {
                // The late ones read everything now, one from each broker.
                caller.finish(&format!("{kind}{index}"), &last).await?;
            }
        }
        Ok(())
    }
}

fn judged(args: &ClusterArgs, field: &Field, recorder: &Recorder, done: Done) -> Result<Ended> {
    let events = recorder.events();
    let micros = |of: Duration| u64::try_from(of.as_micros());
    let options = Options {
        calm_us: micros(CALM)?,
        release_us: micros(RELEASE)?,
        grace_us: micros(GRACE)?,
    };
    let verdict = judge(&events, options);
    if verdict.is_clean() {
        let told = done.tell(&events, recorder.repeats());
        return Ok(Ended::Kept(format!("{told}: {verdict}")));
    }
    let path = args.history.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("proof-cluster-{}.jsonl", std::process::id()))
    });
    history::write(&events, &mut std::fs::File::create(&path)?)?;
    bail!(
        "{verdict}\nthe history is in {}\n{}",
        path.display(),
        field.said()
    )
}
