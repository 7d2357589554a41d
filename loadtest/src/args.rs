//! Arguments that several commands share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::http::Target;
use crate::proc::Process;
use crate::text::{Sizes, Writer};

/// Where the broker is.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Broker")]
pub struct Broker {
    /// Address of the broker
    #[arg(long, env = "TENBELLS_URL", default_value = "http://127.0.0.1:7010")]
    pub url: String,
    /// Key of a publisher; better set in the environment, where `ps` does not see it
    #[arg(long, env = "TENBELLS_KEY", hide_env_values = true)]
    #[serde(skip)]
    pub key: Option<String>,
    /// Certificates to trust where the address is https, PEM; readers are sealed then as well
    #[arg(long, env = "TENBELLS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Process of the broker, to measure its CPU and memory [default: the one that listens on the port]
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
}

/// What is published.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Entries")]
pub struct Content {
    /// Size of every body in bytes [default: the sizes of a real live blog, 180 to 2,210, median about 690]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub size: Option<u32>,
    /// Seed of the text and its sizes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Where the report goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Report")]
pub struct Output {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE", global = true)]
    pub json: Option<PathBuf>,
    /// Write the report as one self-contained HTML file
    #[arg(long, value_name = "FILE", global = true)]
    pub html: Option<PathBuf>,
}

impl Broker {
    /// The address, resolved.
    ///
    /// # Errors
    /// When it is not an http or https URL that resolves, or the certificates to trust can't be read.
    pub fn target(&self) -> Result<Arc<Target>> {
        Target::parse(&self.url, self.key.as_deref(), self.ca.as_deref()).map(Arc::new)
    }

    /// The broker's process, where it is on this machine.
    ///
    /// # Errors
    /// When a process was named that can't be read.
    pub fn process(&self, target: &Target) -> Result<Option<Process>> {
        match self.server_pid {
            Some(pid) => Process::open(pid).map(Some),
            None if target.address.ip().is_loopback() => {
                Ok(Process::listening_on(target.address.port()))
            }
            None => Ok(None),
        }
    }
}

impl Content {
    /// How long bodies are.
    pub fn sizes(&self) -> Sizes {
        self.size
            .map_or(Sizes::Real, |bytes| Sizes::Fixed(bytes as usize))
    }

    /// The writer number `index`: each has text of its own.
    pub fn writer(&self, index: u64) -> Writer {
        Writer::new(
            self.seed.wrapping_add(index.wrapping_mul(0x1000_0001)),
            self.sizes(),
        )
    }
}

/// A number of seconds on the command line.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("{text} is not a number of seconds"))?;
    if !(0.1..=604_800.0).contains(&seconds) {
        return Err("allowed are 0.1 to 604800 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A rate on the command line, a second.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| format!("{text} is not a number"))?;
    if !(0.01..=100_000.0).contains(&rate) {
        return Err("allowed are 0.01 to 100000 a second".to_owned());
    }
    Ok(rate)
}

/// A name for this run that no earlier one had: topics and ids carry it.
pub fn run_name() -> String {
    let millis = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    format!("{:x}{:x}", millis, std::process::id() & 0xfff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for bad in ["", "x", "0", "-1", "inf", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
