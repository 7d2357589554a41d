//! Live progress on stderr: a moving line on a terminal, a line every few seconds in a log.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(250);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The progress of one part of a run.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    expected: Duration,
}

impl Progress {
    /// Progress of something that takes about `expected`.
    pub fn new(expected: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(u64::try_from(expected.as_millis()).unwrap_or(u64::MAX));
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} [{bar:30}] {elapsed_precise} {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self {
            bar,
            start: Instant::now(),
            expected,
        }
    }

    /// Shows `line(seconds since the start)` again and again, for as long as it is polled.
    pub async fn watch(&self, line: impl Fn(f64) -> String) -> Infallible {
        let mut said = Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let elapsed = self.start.elapsed();
            match &self.bar {
                Some(bar) => {
                    let done = elapsed.min(self.expected).as_millis();
                    bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
                    bar.set_message(line(elapsed.as_secs_f64()));
                }
                None if said.elapsed() >= LOG_EVERY => {
                    said = Instant::now();
                    // Progress on a closed stderr is not worth ending a run for.
                    let _ = writeln!(
                        std::io::stderr(),
                        "[{:6.1} s] {}",
                        elapsed.as_secs_f64(),
                        line(elapsed.as_secs_f64())
                    );
                }
                None => {}
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
