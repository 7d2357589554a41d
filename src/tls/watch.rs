//! Watching the files of the pair: at an interval, since renewals come by rename, by symbolic link and over network
//! mounts, and no one event is sent for all of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

use super::{Reload, Tls};
use crate::clock::Clock;
use crate::config::TlsConfig;

/// How often the log is told again of a certificate that ends soon.
const ADVISE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What two files look like from outside: their lengths, times and, where they have them, inode numbers. A link counts
/// as what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([Option<(u64, SystemTime, u64)>; 2]);

impl Stamp {
    pub(super) fn of(files: &TlsConfig) -> Self {
        Self([&files.certificate, &files.key].map(|path| look_of(path)))
    }
}

#[cfg(unix)]
fn look_of(path: &Path) -> Option<(u64, SystemTime, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?, metadata.ino()))
}

#[cfg(not(unix))]
fn look_of(path: &Path) -> Option<(u64, SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?, 0))
}

impl Tls {
    /// Looks at the files at the interval of the configuration, for ever.
    ///
    /// # Cancel safety
    /// Dropping it ends the watching, and nothing else.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut looks = tokio::time::interval(self.files.reload_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.tick().await;
        let mut advised = Instant::now();
        loop {
            looks.tick().await;
            let (tls, now) = (Arc::clone(&self), clock.now());
            let looked = tokio::task::spawn_blocking(move || tls.look(now)).await;
            if matches!(looked, Ok(Reload::Taken)) {
                advised = Instant::now();
            } else if advised.elapsed() >= ADVISE_EVERY {
                advised = Instant::now();
                self.advise(now);
            }
        }
    }
}
