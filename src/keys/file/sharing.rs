//! The keys of one node brought together with those of another.
//!
//! A key never changes but by being revoked, and that is for good. So two lists are brought together by taking all of
//! both, each revoked where either says so: in whatever order that is done, the end is the same.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{KeyError, KeyFile};

/// A key with its hash, as nodes give it to each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SharedKey {
    id: String,
    hash: Vec<u8>,
    role: String,
    topics: String,
    name: Option<String>,
    created_ms: i64,
    revoked_ms: Option<i64>,
}

impl KeyFile {
    /// Every key with its hash, by id.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn shared(&self) -> Result<Vec<SharedKey>, KeyError> {
        let mut statement = self.connection.prepare(
            "SELECT id, hash, role, topics, name, created_ms, revoked_ms FROM key ORDER BY id",
        )?;
        let keys = statement.query_map([], |row| {
            Ok(SharedKey {
                id: row.get(0)?,
                hash: row.get(1)?,
                role: row.get(2)?,
                topics: row.get(3)?,
                name: row.get(4)?,
                created_ms: row.get(5)?,
                revoked_ms: row.get(6)?,
            })
        })?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Takes in keys of another node, durably.
    ///
    /// # Errors
    /// When they can't be stored; nothing of them is then.
    pub fn take_in(&self, keys: &[SharedKey]) -> Result<(), KeyError> {
        let transaction = self.write()?;
        for key in keys {
            transaction
                .prepare_cached(
                    "INSERT INTO key (id, hash, role, topics, name, created_ms, revoked_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (id) DO UPDATE
                     SET revoked_ms = min(ifnull(revoked_ms, ?7), ifnull(?7, revoked_ms))
                     WHERE revoked_ms IS NOT min(ifnull(revoked_ms, ?7), ifnull(?7, revoked_ms))",
                )?
                .execute(params![
                    key.id,
                    key.hash,
                    key.role,
                    key.topics,
                    key.name,
                    key.created_ms,
                    key.revoked_ms
                ])?;
        }
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Role;
    use jiff::Timestamp;

    #[test]
    fn keys_of_two_nodes_come_together_in_any_order() {
        let folders = [
            tempfile::tempdir().expect("folder"),
            tempfile::tempdir().expect("folder"),
        ];
        let [one, other] = folders
            .each_ref()
            .map(|folder| KeyFile::open(folder.path()).expect("opens"));
        let now = Timestamp::from_second(1_000).expect("time");
        let create = |file: &KeyFile| {
            let topics = ["*".to_owned()];
            let token = file.create(Role::Desk, &topics, None, now).expect("made");
            token.id().to_owned()
        };
        let (first, second, third) = (create(&one), create(&one), create(&other));
        other
            .take_in(&one.shared().expect("keys"))
            .expect("taken in");
        assert!(one.revoke(&first, now).expect("revoked"));
        assert!(other.revoke(&second, now).expect("revoked"));
        let (of_one, of_other) = (one.shared().expect("keys"), other.shared().expect("keys"));
        one.take_in(&of_other).expect("taken in");
        other.take_in(&of_one).expect("taken in");
        let both = one.shared().expect("keys");
        assert_eq!(both, other.shared().expect("keys"));
        let standing: Vec<_> = both
            .iter()
            .filter(|key| key.revoked_ms.is_none())
            .map(|key| &key.id)
            .collect();
        assert_eq!(standing, [&third]);
        assert_eq!(both.len(), 3);
    }
}
