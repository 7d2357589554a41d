//! Values that all nodes share beside the log: the last one of each name counts.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::link::{LinkError, Sent};
use super::{Inner, JetStreamStore, lock};

/// How often a list is changed anew while other nodes write it.
const RACES_MAX: usize = 64;

/// A shared value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Grows with each new value.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// The newest versions that were heard of. A message about one can be lost; every beat of a node has them again.
#[derive(Default)]
pub(super) struct Versions(Mutex<HashMap<String, u64>>);

/// What a node says when it has shared a value.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewVersion {
    pub name: String,
    pub version: u64,
}

impl Versions {
    pub(super) fn heard(&self, new: NewVersion) {
        let mut versions = lock(&self.0);
        // Few names exist; a flood of others would be another program's.
        if versions.len() < 16 || versions.contains_key(&new.name) {
            let newest = versions.entry(new.name).or_default();
            *newest = new.version.max(*newest);
        }
    }

    pub(super) fn all(&self) -> Vec<(String, u64)> {
        let versions = lock(&self.0);
        versions
            .iter()
            .map(|(name, version)| (name.clone(), *version))
            .collect()
    }

    fn of(&self, name: &str) -> u64 {
        lock(&self.0).get(name).copied().unwrap_or(0)
    }
}

impl JetStreamStore {
    /// The newest version of a value that this node has heard of.
    pub fn shared_version(&self, name: &str) -> u64 {
        self.inner.versions.of(name)
    }

    /// The value of this name; none where there is none yet.
    ///
    /// # Errors
    /// When the servers don't answer.
    pub async fn shared(&self, name: &str) -> Result<Option<Shared>, String> {
        let found = self
            .inner
            .link
            .shared(name)
            .await
            .map_err(|error| error.to_string())?;
        Ok(found.map(|(version, value)| Shared {
            version,
            value: value.to_vec(),
        }))
    }

    /// Shares a value in the place of the one with the version `expected` (0: of none). None where another node was
    /// faster, else the new version.
    ///
    /// # Errors
    /// When the servers don't answer; whether it is shared is open then.
    pub async fn share(
        &self,
        name: &str,
        expected: u64,
        value: Vec<u8>,
    ) -> Result<Option<u64>, String> {
        match self.inner.link.share(name, expected, value.into()).await {
            Sent::Stored(version) => {
                self.inner.versions.heard(NewVersion {
                    name: name.to_owned(),
                    version,
                });
                let new = NewVersion {
                    name: name.to_owned(),
                    version,
                };
                let subject = format!("{}.version", self.inner.link.prefix());
                self.inner.tell(subject, &new).await;
                Ok(Some(version))
            }
            Sent::Overtaken => {
                // So that the next look takes what is there.
                let shared = self.inner.link.shared(name).await;
                if let Ok(Some((version, _))) = shared {
                    let name = name.to_owned();
                    self.inner.versions.heard(NewVersion { name, version });
                }
                Ok(None)
            }
            Sent::Refused(cause) | Sent::Open(cause) => Err(cause),
        }
    }
}

impl Inner {
    /// A list beside the log, with its version; an empty one where there is none yet.
    pub(super) async fn list<L: Default + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<(u64, L), LinkError> {
        Ok(match self.link.shared(name).await? {
            Some((version, value)) => (version, serde_json::from_slice(&value).unwrap_or_default()),
            None => (0, L::default()),
        })
    }

    /// Changes a list beside the log, however many nodes do so at once.
    pub(super) async fn rewrite<L: Default + Serialize + DeserializeOwned>(
        &self,
        name: &str,
        change: impl Fn(&mut L),
    ) -> Result<L, LinkError> {
        for _ in 0..RACES_MAX {
            let (version, mut list) = self.list(name).await?;
            change(&mut list);
            let value = serde_json::to_vec(&list).unwrap_or_default();
            match self.link.share(name, version, value.into()).await {
                Sent::Stored(_) => return Ok(list),
                Sent::Overtaken => {}
                Sent::Refused(cause) | Sent::Open(cause) => {
                    return Err(LinkError::JetStream(cause));
                }
            }
        }
        let cause = format!("the list of {name} was written by others {RACES_MAX} times");
        Err(LinkError::JetStream(cause))
    }
}
