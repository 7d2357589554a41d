//! The history of a run, as all who call brokers write it: one clock, one numbering.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::history::{Event, Place, What};

/// Where the history is kept.
#[derive(Clone)]
pub(super) struct Recorder {
    began: Instant,
    /// The same moment by the machine's clock.
    began_at: Timestamp,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    events: Vec<Event>,
    made: u64,
    places: HashMap<String, Place>,
    late: u64,
    twins: u64,
}

/// How often an entry was sent that was there already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repeats {
    /// After the window in which the servers recognise a record.
    pub(super) late: u64,
    /// At two brokers at once.
    pub(super) twins: u64,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            began_at: Timestamp::now(),
            kept: Arc::default(),
        }
    }

    pub(super) fn say(&self, node: &str, what: What) {
        let mut kept = self.lock();
        // Under the lock: the order of the lines is that of their times.
        let at = self.now();
        kept.events.push(Event {
            at,
            node: node.to_owned(),
            what,
        });
    }

    pub(super) fn now(&self) -> u64 {
        micros(self.began.elapsed())
    }

    /// The moment in so long: by the history's clock, and as brokers are told of it.
    pub(super) fn moment(&self, after: Duration) -> (u64, String) {
        let began = u64::try_from(self.began_at.as_microsecond()).unwrap_or_default();
        // Brokers know milliseconds.
        let ms = (began + self.now() + micros(after)).div_ceil(1_000);
        let moment = i64::try_from(ms).map(Timestamp::from_millisecond);
        let moment = moment.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX);
        (ms * 1_000 - began, format!("{moment:.3}"))
    }

    pub(super) fn fault(&self, what: &str) {
        self.say("", What::Fault { what: what.into() });
    }

    pub(super) fn number(&self) -> u64 {
        let mut kept = self.lock();
        kept.made += 1;
        kept.made
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Whether a reader has got this value.
    pub(super) fn has_read(&self, reader: &str, value: &str) -> bool {
        self.lock().events.iter().rev().any(|event| {
            matches!(&event.what, What::Read(read) if read.reader == reader && read.value == value)
        })
    }

    /// Where a reader stands.
    pub(super) fn place(&self, reader: &str) -> Option<Place> {
        self.lock().places.get(reader).cloned()
    }

    pub(super) fn stands(&self, reader: &str, place: Place) {
        self.lock().places.insert(reader.to_owned(), place);
    }

    pub(super) fn repeated(&self, late: bool) {
        let mut kept = self.lock();
        kept.late += u64::from(late);
        kept.twins += u64::from(!late);
    }

    pub(super) fn repeats(&self) -> Repeats {
        let kept = self.lock();
        Repeats {
            late: kept.late,
            twins: kept.twins,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}
