//! A server in a process of its own, on loopback, in a temporary folder: started, waited for, ended with all its
//! children.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::{Found, Kind, Place, Way, centrifugo, mercure};
use crate::http::{Connection, Target};
use crate::own_broker::{create_key, last_words, without_settings};
use crate::proc::Process;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const LOG: &str = "server.log";
/// What is published to see whether the server answers; nobody reads it.
const FIRST: &str = r#"{"id":"first","body":{"text":"first"}}"#;
const FIRST_CHANNEL: &str = "lt-start";

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Which, and how it is spoken to.
    pub way: Way,
    /// Its processes, to measure them.
    pub process: Process,
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts `found`, apart from the core that receives where there is one, and waits until it takes a change.
    ///
    /// # Errors
    /// When it can't be started or does not answer; with the last line that it wrote.
    pub async fn start(found: &Found, place: &Place) -> Result<Self> {
        let name = found.kind.name();
        std::fs::create_dir_all(&place.folder)
            .with_context(|| format!("can't make {}", place.folder.display()))?;
        let launch = found.launch(place);
        for (file, text) in &launch.files {
            std::fs::write(file, text)
                .with_context(|| format!("can't write {}", file.display()))?;
        }
        let key = match found.kind {
            Kind::Tenbells => Some(create_key(&found.program, &place.folder).await?),
            _ => None,
        };
        let log = File::create(place.folder.join(LOG)).context("no log")?;
        let mut command = tokio::process::Command::new(program(&found.program)?);
        without_settings(&mut command);
        let child = command
            .args(&launch.args)
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&place.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {name} ({})", found.program.display()))?;
        let url = format!("http://127.0.0.1:{}", place.port);
        let target = Target::parse(&url, key.as_deref(), None)?;
        let target = Arc::new(match found.kind {
            Kind::Centrifugo => target.authorized(format!("apikey {}", centrifugo::KEY)),
            Kind::Mercure => target.authorized(format!("Bearer {}", mercure::TOKEN)),
            Kind::Tenbells | Kind::Nchan | Kind::UWebSockets => target,
        });
        let mut server = Self {
            way: Way {
                kind: found.kind,
                target,
            },
            process: Process::open(child.id().context("it ended at once")?)?,
            child,
            folder: place.folder.clone(),
        };
        server
            .answers()
            .await
            .with_context(|| format!("{name} does not work: {}", server.last_words()))?;
        // Children are there only now.
        server.process = Process::open_tree(server.pid()?)?;
        Ok(server)
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// When it can't be ended.
    pub async fn stop(mut self) -> Result<()> {
        self.kill();
        self.child.wait().await.context("a server did not end")?;
        Ok(())
    }

    /// Its own process; children have others.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server is gone")
    }

    /// What it wrote last.
    pub fn last_words(&self) -> String {
        last_words(&self.folder, LOG)
    }

    /// Waits until it takes a change.
    async fn answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended at once, {status}");
            }
            let mut connection = Connection::new(Arc::clone(&self.way.target));
            let post = self.way.post(FIRST_CHANNEL, FIRST);
            let taken = connection.post(&post.path, post.kind, post.body).await;
            match taken.map(|answer| self.way.taken(&answer)) {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(said)) => bail!("it does not take a change: {said}"),
                Err(refused) if Instant::now() > deadline => bail!("no answer: {refused}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// nginx's workers outlive a master that is killed, so all are told.
    fn kill(&mut self) {
        let Ok(pid) = self.pid() else {
            return;
        };
        let pids = Process::open_tree(pid).map_or_else(|_| vec![pid], |all| all.pids().to_vec());
        for pid in pids {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // One that has ended meanwhile can't be ended again.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program from any folder; one that is on `PATH` by its name alone.
fn program(path: &Path) -> Result<PathBuf> {
    if path.components().count() == 1 {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).context("no working folder")
}
