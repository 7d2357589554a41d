//! Keys that all nodes of a cluster know: what one node's command made or revoked reaches the others' key files.
//!
//! The shared value is the list that all have in common; each node takes it in, and adds what only it has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::keys::{KeyError, KeyFile, SharedKey};
use crate::store::jetstream::{JetStreamStore, Shared};

/// How often the file and the shared value are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The name of the shared value.
const NAME: &str = "keys";

/// Why keys could not be shared.
#[derive(Debug, thiserror::Error)]
enum SharingError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the shared log: {0}")]
    Log(String),
    #[error("the shared keys can't be read: {0}")]
    Form(#[from] serde_json::Error),
}

/// Keeps the keys of this folder and the shared ones together. Never ends.
pub(super) async fn run(store: Arc<JetStreamStore>, folder: PathBuf) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    let mut known = None;
    loop {
        tick.tick().await;
        match share(&store, &folder, &mut known).await {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("keys are shared again");
            }
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "keys are not shared: a key that is made or revoked now is known to this node alone");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Brings both together once.
async fn share(
    store: &Arc<JetStreamStore>,
    folder: &Path,
    known: &mut Option<(u64, Vec<SharedKey>)>,
) -> Result<(), SharingError> {
    let version = store.shared_version(NAME);
    let is_new = known.as_ref().is_none_or(|(at, _)| *at < version);
    let fetched = match is_new {
        true => store.shared(NAME).await.map_err(SharingError::Log)?,
        false => None,
    };
    if let Some(Shared { version, value }) = fetched {
        let keys: Vec<SharedKey> = serde_json::from_slice(&value)?;
        *known = Some((version, keys));
    }
    let (at, theirs) = known.clone().unwrap_or_default();
    let folder = folder.to_owned();
    let ours = tokio::task::spawn_blocking(move || {
        let file = KeyFile::open(&folder)?;
        if is_new {
            file.take_in(&theirs)?;
        }
        file.shared()
    })
    .await
    .map_err(|error| SharingError::Log(error.to_string()))??;
    if known.as_ref().is_some_and(|(_, theirs)| *theirs == ours)
        || (known.is_none() && ours.is_empty())
    {
        return Ok(());
    }
    let value = serde_json::to_vec(&ours)?;
    // Where another node was faster, its list is taken in at the next look.
    if let Some(version) = store
        .share(NAME, at, value)
        .await
        .map_err(SharingError::Log)?
    {
        *known = Some((version, ours));
    }
    Ok(())
}
