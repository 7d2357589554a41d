//! The keys that stand, in memory: what a running server asks about every token.
//!
//! It follows the key file, which commands change while the server runs: each second, and at once when somebody shows
//! an id that it has not seen, though only a few times a second, so that a flood of made-up ids costs no disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::token::{TokenHash, id_of};
use super::{Denied, Grant, KeyError, KeyFile, Keys};

/// How often the file is looked at: how long a revoked key may still work, at the longest, give or take a read.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often within [`LOOKS_PER`] callers may look at the file for ids that nobody knows.
const LOOKS_MAX: u32 = 8;
const LOOKS_PER: Duration = Duration::from_secs(1);
/// How long a look may wait for another process. Readers of a write-ahead log hardly ever have to.
const PATIENCE: Duration = Duration::from_millis(50);

/// The keys of a data folder that stand.
#[derive(Debug)]
pub struct KeyRing {
    folder: PathBuf,
    keys: RwLock<Arc<KeyMap>>,
    source: Mutex<Source>,
    looks: Mutex<Looks>,
    changes: watch::Sender<u64>,
}

type KeyMap = HashMap<Arc<str>, (TokenHash, Arc<Grant>)>;

/// The file, and what was last read of it.
#[derive(Debug)]
struct Source {
    file: KeyFile,
    version: Option<i64>,
    is_failing: bool,
}

/// A budget of looks at the file, filled anew each [`LOOKS_PER`].
#[derive(Debug)]
struct Looks {
    since: Instant,
    used: u32,
}

impl KeyRing {
    /// Opens the key file of a data folder, making it where it is missing, and reads it.
    ///
    /// # Errors
    /// [`KeyError`] when it can't be opened or read.
    pub fn open(folder: &Path) -> Result<Arc<Self>, KeyError> {
        let ring = Self {
            folder: folder.to_owned(),
            keys: RwLock::default(),
            source: Mutex::new(Source::open(folder)?),
            looks: Mutex::new(Looks {
                since: Instant::now(),
                used: 0,
            }),
            changes: watch::Sender::new(0),
        };
        ring.reload(&mut lock(&ring.source))?;
        Ok(Arc::new(ring))
    }

    /// Follows the file. Never ends; without it, a revoked key works for as long as nobody shows an unknown one.
    ///
    /// # Cancel safety
    /// Dropping it stops the following, at most after the read that is under way.
    pub async fn run(self: Arc<Self>) {
        let mut tick = tokio::time::interval(POLL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let ring = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || ring.refresh()).await {
                tracing::error!(%error, "reading the keys was cut off");
            }
        }
    }

    /// Moves when keys were made or revoked: who holds a grant for long then asks [`Keys::stands`] again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn keys(&self) -> Arc<KeyMap> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what changed, and says once when it can't: what was read last stays in force meanwhile.
    fn refresh(&self) {
        let mut source = lock(&self.source);
        match self.reload(&mut source) {
            Ok(()) if source.is_failing => {
                source.is_failing = false;
                tracing::info!("the keys can be read again");
            }
            Err(error) if !source.is_failing => {
                source.is_failing = true;
                tracing::error!(%error, "the keys can't be read: changes to them have no effect");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn reload(&self, source: &mut Source) -> Result<(), KeyError> {
        if source.file.is_replaced() {
            *source = Source {
                is_failing: source.is_failing,
                ..Source::open(&self.folder)?
            };
        }
        // Asked before the read: what changes during it is read again.
        let version = source.file.version()?;
        if source.version == Some(version) {
            return Ok(());
        }
        let keys: KeyMap = source
            .file
            .standing()?
            .into_iter()
            .map(|(hash, grant)| (Arc::clone(&grant.id), (hash, Arc::new(grant))))
            .collect();
        tracing::debug!(keys = keys.len(), "read the keys");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        source.version = Some(version);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

impl Keys for KeyRing {
    fn authenticate(&self, token: &str) -> Result<Arc<Grant>, Denied> {
        let id = id_of(token).ok_or(Denied::Unknown)?;
        if !self.keys().contains_key(id) && lock(&self.looks).take(Instant::now()) {
            self.refresh();
        }
        let keys = self.keys();
        keys.get(id)
            .filter(|(hash, _)| hash.matches(&TokenHash::of(token)))
            .map(|(_, grant)| Arc::clone(grant))
            .ok_or(Denied::Unknown)
    }

    fn stands(&self, grant: &Grant) -> bool {
        // Ids are never used twice, and what a key may do never changes.
        self.keys().contains_key(&grant.id)
    }
}

impl Source {
    fn open(folder: &Path) -> Result<Self, KeyError> {
        let file = KeyFile::open(folder)?;
        file.set_patience(PATIENCE)?;
        Ok(Self {
            file,
            version: None,
            is_failing: false,
        })
    }
}

impl Looks {
    /// Whether there is a look left, which is then used.
    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= LOOKS_PER {
            self.since = now;
            self.used = 0;
        }
        let left = self.used < LOOKS_MAX;
        self.used += u32::from(left);
        left
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is replaced whole, never left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::keys::{KEYS_FILE, Right, Role, Token};
    use crate::model::TopicName;

    fn make(folder: &Path, role: Role) -> Token {
        let file = KeyFile::open(folder).expect("open");
        let topics = ["sport-*".to_owned()];
        file.create(role, &topics, None, Timestamp::UNIX_EPOCH)
            .expect("create")
    }

    fn revoke(folder: &Path, token: &Token) {
        let file = KeyFile::open(folder).expect("open");
        assert!(
            file.revoke(token.id(), Timestamp::UNIX_EPOCH)
                .expect("revoke")
        );
    }

    #[test]
    fn a_key_is_good_with_its_own_secret_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let token = make(folder.path(), Role::Publisher);
        let other = make(folder.path(), Role::Admin);
        let ring = KeyRing::open(folder.path()).expect("open");
        let grant = ring.authenticate(token.reveal()).expect("a grant");
        assert_eq!((&*grant.id, grant.role), (token.id(), Role::Publisher));
        let topic = TopicName::parse("sport-tennis").expect("a name");
        assert!(grant.may(Right::Publish, &topic));
        let mixed = format!("tb_{}_{}", token.id(), &other.reveal()[12..]);
        assert!(ring.authenticate(&mixed).is_err());
        assert!(ring.authenticate("").is_err());
        assert!(ring.authenticate(token.id()).is_err());
    }

    #[test]
    fn a_key_made_while_the_ring_is_in_use_works_at_once() {
        let folder = tempfile::tempdir().expect("folder");
        let ring = KeyRing::open(folder.path()).expect("open");
        let token = make(folder.path(), Role::Desk);
        let grant = ring.authenticate(token.reveal()).expect("a grant");
        assert!(ring.stands(&grant));
    }

    #[test]
    fn a_key_revoked_before_the_start_is_unknown() {
        let folder = tempfile::tempdir().expect("folder");
        let token = make(folder.path(), Role::Desk);
        revoke(folder.path(), &token);
        let ring = KeyRing::open(folder.path()).expect("open");
        assert!(ring.authenticate(token.reveal()).is_err());
    }

    #[tokio::test]
    async fn a_key_revoked_elsewhere_stops_working_and_its_grants_fall() {
        let folder = tempfile::tempdir().expect("folder");
        let token = make(folder.path(), Role::Desk);
        let kept = make(folder.path(), Role::Desk);
        let ring = KeyRing::open(folder.path()).expect("open");
        let grant = ring.authenticate(token.reveal()).expect("a grant");
        let kept = ring.authenticate(kept.reveal()).expect("a grant");
        let mut changes = ring.changes();
        let following = tokio::spawn(Arc::clone(&ring).run());
        revoke(folder.path(), &token);
        changes.changed().await.expect("the ring lives");
        assert!(!ring.stands(&grant));
        assert!(ring.authenticate(token.reveal()).is_err());
        assert!(ring.stands(&kept));
        following.abort();
    }

    #[test]
    fn a_file_put_in_the_place_of_the_old_one_counts() {
        let folder = tempfile::tempdir().expect("folder");
        let token = make(folder.path(), Role::Desk);
        let ring = KeyRing::open(folder.path()).expect("open");
        let grant = ring.authenticate(token.reveal()).expect("a grant");
        let elsewhere = tempfile::tempdir_in(folder.path()).expect("folder");
        let restored = make(elsewhere.path(), Role::Reader);
        let names = ["", "-wal", "-shm"].map(|suffix| format!("{KEYS_FILE}{suffix}"));
        for name in &names {
            // The log and its index are only there while somebody has the file open.
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        std::fs::rename(
            elsewhere.path().join(KEYS_FILE),
            folder.path().join(KEYS_FILE),
        )
        .expect("replace");
        ring.refresh();
        assert!(!ring.stands(&grant));
        assert!(ring.authenticate(restored.reveal()).is_ok());
    }

    #[test]
    fn what_was_read_last_stays_in_force_while_the_file_can_not_be_read() {
        let folder = tempfile::tempdir().expect("folder");
        let token = make(folder.path(), Role::Desk);
        let ring = KeyRing::open(folder.path()).expect("open");
        let path = folder.path().join(KEYS_FILE);
        std::fs::rename(&path, folder.path().join("away")).expect("move");
        std::fs::create_dir(&path).expect("in the way");
        ring.refresh();
        assert!(lock(&ring.source).is_failing);
        assert!(ring.authenticate(token.reveal()).is_ok());
        std::fs::remove_dir(&path).expect("out of the way");
        std::fs::rename(folder.path().join("away"), &path).expect("move back");
        ring.refresh();
        assert!(!lock(&ring.source).is_failing);
        assert!(ring.authenticate(token.reveal()).is_ok());
    }

    #[test]
    fn a_flood_of_unknown_ids_looks_at_the_file_a_few_times_only() {
        let folder = tempfile::tempdir().expect("folder");
        let ring = KeyRing::open(folder.path()).expect("open");
        let start = Instant::now();
        let mut looks = Looks {
            since: start,
            used: 0,
        };
        let taken = (0..1_000).filter(|_| looks.take(start)).count();
        assert_eq!(taken, 8);
        assert!(looks.take(start + LOOKS_PER));

        *lock(&ring.looks) = Looks {
            // In the future, so that the budget is not filled anew while the test runs.
            since: start + Duration::from_secs(3_600),
            used: LOOKS_MAX,
        };
        let token = make(folder.path(), Role::Desk);
        assert!(
            ring.authenticate(token.reveal()).is_err(),
            "no look is left"
        );
        ring.refresh();
        assert!(
            ring.authenticate(token.reveal()).is_ok(),
            "the next poll finds it"
        );
    }
}
