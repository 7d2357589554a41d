//! The changes of a topic as one thread's readers see them: who is first keeps what it was, the others compare.

use super::Seen;
use crate::message::{fingerprint, intended};

/// Most changes of a topic that are remembered.
const CHANGES_MAX: u64 = 4_000_000;

/// A topic, seen from one thread.
#[derive(Debug, Default)]
pub struct TopicView {
    /// Its epoch, once a subscription has told it.
    pub epoch: Option<String>,
    /// The head that readers are to reach; 0 where none was set.
    pub target: u64,
    seen: Vec<Seen>,
    last: (u64, Vec<u8>),
}

/// What comparing a change found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// When the change was meant to be sent; 0 where it does not say.
    pub intended_us: u64,
    /// Whether it is what others got at this offset.
    pub equal: bool,
}

impl TopicView {
    /// Notes that a reader got `payload` at `offset`.
    #[inline]
    pub fn note(&mut self, offset: u64, payload: &[u8], run: &str, now_us: u64) -> Compared {
        let Some(at) = usize::try_from(offset)
            .ok()
            .filter(|_| offset < CHANGES_MAX)
        else {
            return Compared {
                intended_us: 0,
                equal: true,
            };
        };
        if self.seen.len() <= at {
            self.seen.resize(at + 1, Seen::default());
        }
        let seen = &mut self.seen[at];
        let equal = if seen.offset == 0 {
            seen.offset = offset;
            seen.intended_us = intended(payload, run).unwrap_or(0);
            seen.fingerprint = fingerprint(payload);
            self.last = (offset, payload.to_vec());
            true
        } else if self.last.0 == offset {
            self.last.1 == payload
        } else {
            seen.fingerprint == fingerprint(payload)
        };
        seen.readers += 1;
        seen.last_us = now_us;
        Compared {
            intended_us: seen.intended_us,
            equal,
        }
    }

    /// Takes what was noted since the last time; what a change looked like is remembered.
    pub fn tell(&mut self, topic: u32, into: &mut Vec<Seen>) {
        for seen in self.seen.iter_mut().filter(|seen| seen.readers > 0) {
            into.push(Seen { topic, ..*seen });
            seen.readers = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_at_the_same_offset_is_found() {
        let mut view = TopicView::default();
        assert!(view.note(1, b"one", "r", 5).equal);
        assert!(view.note(1, b"one", "r", 6).equal);
        assert!(!view.note(1, b"two", "r", 7).equal);
        assert!(view.note(2, b"two", "r", 8).equal);
        assert!(view.note(1, b"one", "r", 9).equal, "by its fingerprint");
        assert!(!view.note(1, b"0ne", "r", 9).equal);
        let mut told = Vec::new();
        view.tell(3, &mut told);
        assert_eq!(
            (told.len(), told[0].readers, told[0].last_us, told[0].topic),
            (2, 5, 9, 3)
        );
        told.clear();
        view.tell(3, &mut told);
        assert!(told.is_empty());
    }

    #[test]
    fn the_intended_time_comes_from_the_id() {
        let mut view = TopicView::default();
        let payload = br#"{"op":"change","offset":1,"entry":{"id":"lt-r-77-1"}}"#;
        assert_eq!(view.note(1, payload, "r", 5).intended_us, 77);
    }
}
