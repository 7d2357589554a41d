//! Who is at which topic's desk just now: names that editors gave themselves, kept for seconds, in memory alone.
//!
//! An open desk says that it is there every few seconds, and is forgotten when it stops. Nothing here is stored, logged
//! or shown to readers, and each number has a bound. On several nodes each knows the desks that speak to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::model::{EntryId, TopicName};

/// How long a desk is remembered that says nothing more.
pub const DESK_STAYS: Duration = Duration::from_secs(30);
/// Most desks of one topic.
pub const TOPIC_DESKS_MAX: usize = 32;
/// Most desks of all topics.
pub const DESKS_MAX: usize = 4_096;

/// One open desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// Id of the key it signed in with.
    pub key: Arc<str>,
    /// What the desk calls this visit of its own: no secret, but shown to nobody.
    pub session: String,
    /// What the editor wants to be called.
    pub name: String,
    /// The entry that is being edited.
    pub entry: Option<EntryId>,
    /// Since when it is here.
    pub since: Timestamp,
}

/// The open desks of all topics.
#[derive(Debug, Default)]
pub struct Desks(Mutex<HashMap<TopicName, Vec<Seat>>>);

/// Why a desk can't be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DesksError {
    /// The topic has as many as may be.
    #[error("{TOPIC_DESKS_MAX} desks are open on this topic, which is the limit")]
    Topic,
    /// All topics together have as many as may be.
    #[error("{DESKS_MAX} desks are open on all topics together, which is the limit")]
    All,
}

#[derive(Debug)]
struct Seat {
    desk: Desk,
    until: Instant,
}

impl Desks {
    /// Remembers a desk for [`DESK_STAYS`] from `now`, and gives everyone at the topic, the longest there first.
    ///
    /// The same session of the same key is the same desk: it keeps its `since`.
    ///
    /// # Errors
    /// [`DesksError`] where there is no room for one more.
    pub fn stay(
        &self,
        topic: &TopicName,
        desk: Desk,
        now: Instant,
    ) -> Result<Vec<Desk>, DesksError> {
        let mut topics = self.lock();
        forget_gone(&mut topics, topic, now);
        let is_new = !topics
            .get(topic)
            .is_some_and(|seats| seats.iter().any(|seat| seat.is(&desk.key, &desk.session)));
        if is_new && topics.values().map(Vec::len).sum::<usize>() >= DESKS_MAX {
            topics.retain(|_, seats| {
                seats.retain(|seat| seat.until > now);
                !seats.is_empty()
            });
            if topics.values().map(Vec::len).sum::<usize>() >= DESKS_MAX {
                return Err(DesksError::All);
            }
        }
        let seats = topics.entry(topic.clone()).or_default();
        let until = now + DESK_STAYS;
        let is_full = seats.len() >= TOPIC_DESKS_MAX;
        match seats
            .iter_mut()
            .find(|seat| seat.is(&desk.key, &desk.session))
        {
            Some(seat) => {
                seat.until = until;
                seat.desk.name = desk.name;
                seat.desk.entry = desk.entry;
            }
            None if is_full => return Err(DesksError::Topic),
            None => seats.push(Seat { desk, until }),
        }
        Ok(seats.iter().map(|seat| seat.desk.clone()).collect())
    }

    /// How many desks are open on a topic.
    pub fn at(&self, topic: &TopicName, now: Instant) -> usize {
        let topics = self.lock();
        let seats = topics.get(topic).map(Vec::as_slice).unwrap_or_default();
        seats.iter().filter(|seat| seat.until > now).count()
    }

    /// Forgets a desk at once. One that is not known is no error: it may have been forgotten.
    pub fn leave(&self, topic: &TopicName, key: &str, session: &str) {
        let mut topics = self.lock();
        if let Some(seats) = topics.get_mut(topic) {
            seats.retain(|seat| !seat.is(key, session));
            if seats.is_empty() {
                topics.remove(topic);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicName, Vec<Seat>>> {
        // Whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn is(&self, key: &str, session: &str) -> bool {
        *self.desk.key == *key && self.desk.session == session
    }
}

fn forget_gone(topics: &mut HashMap<TopicName, Vec<Seat>>, topic: &TopicName, now: Instant) {
    if let Some(seats) = topics.get_mut(topic) {
        seats.retain(|seat| seat.until > now);
        if seats.is_empty() {
            topics.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::parse(name).expect("a topic name")
    }

    fn desk(key: &str, session: &str, name: &str) -> Desk {
        Desk {
            key: key.into(),
            session: session.into(),
            name: name.into(),
            entry: None,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn names(desks: &[Desk]) -> Vec<&str> {
        desks.iter().map(|desk| desk.name.as_str()).collect()
    }

    #[test]
    fn a_desk_stays_while_it_says_so_and_is_then_forgotten() {
        let (desks, t, now) = (Desks::default(), topic("t"), Instant::now());
        desks.stay(&t, desk("k", "a", "Ada"), now).expect("room");
        let later = now + DESK_STAYS / 2;
        let both = desks.stay(&t, desk("l", "b", "Ben"), later).expect("room");
        assert_eq!(names(&both), ["Ada", "Ben"]);
        assert_eq!((desks.at(&t, later), desks.at(&topic("u"), later)), (2, 0));
        assert_eq!(desks.at(&t, now + DESK_STAYS), 1, "nobody is asked for it");
        // Other topics know nothing of them.
        let other = desks
            .stay(&topic("u"), desk("k", "a", "Ada"), later)
            .expect("room");
        assert_eq!(names(&other), ["Ada"]);
        let last = now + DESK_STAYS;
        let left = desks.stay(&t, desk("l", "b", "Benny"), last).expect("room");
        assert_eq!(names(&left), ["Benny"]);
        desks.leave(&t, "k", "b");
        let left = desks.stay(&t, desk("l", "b", "Benny"), last).expect("room");
        assert_eq!(names(&left), ["Benny"], "another key's session");
        desks.leave(&t, "l", "b");
        desks.leave(&t, "l", "b");
        assert!(!desks.lock().contains_key(&t));
    }

    #[test]
    fn a_session_is_its_keys_own() {
        let (desks, t, now) = (Desks::default(), topic("t"), Instant::now());
        desks.stay(&t, desk("k", "a", "Ada"), now).expect("room");
        let two = desks.stay(&t, desk("l", "a", "Eve"), now).expect("room");
        assert_eq!(names(&two), ["Ada", "Eve"]);
    }

    #[test]
    fn the_number_of_desks_is_bounded_and_those_who_are_gone_make_room() {
        let (desks, now) = (Desks::default(), Instant::now());
        let t = topic("t");
        for n in 0..TOPIC_DESKS_MAX {
            desks
                .stay(&t, desk("k", &n.to_string(), "x"), now)
                .expect("room");
        }
        let more = desks.stay(&t, desk("k", "more", "x"), now);
        assert_eq!(more, Err(DesksError::Topic));
        desks
            .stay(&t, desk("k", "0", "y"), now)
            .expect("no new one");
        for n in TOPIC_DESKS_MAX..DESKS_MAX {
            let name = topic(&format!("t-{}", n / TOPIC_DESKS_MAX));
            desks
                .stay(&name, desk("k", &n.to_string(), "x"), now)
                .expect("room");
        }
        let more = desks.stay(&topic("fresh"), desk("k", "more", "x"), now);
        assert_eq!(more, Err(DesksError::All));
        let later = now + DESK_STAYS;
        let alone = desks
            .stay(&topic("fresh"), desk("k", "more", "x"), later)
            .expect("room again");
        assert_eq!(alone.len(), 1);
        assert_eq!(desks.lock().len(), 1, "nobody else is remembered");
    }
}
