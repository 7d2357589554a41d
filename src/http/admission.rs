//! How many connections there may be, and how many of them may be readers: the rest is kept for publishers.
//!
//! Counted, never queued: beyond a bound the answer is an immediate 503 with a jittered Retry-After.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::Address;

/// The part of the reserved places that one address may have, and the fewest that it may.
const SHARE: usize = 8;
const SHARE_MIN: usize = 4;

/// Bounds of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimit {
    /// Most connections of all kinds.
    pub connections_max: usize,
    /// How many of them no reader may take.
    pub publishers_reserved: usize,
}

/// The counters.
#[derive(Debug)]
pub struct Admission {
    limit: AdmissionLimit,
    connections: Arc<AtomicUsize>,
    readers: Arc<AtomicUsize>,
    shares: Arc<Shares>,
    /// No new readers, for memory runs short.
    is_short: AtomicBool,
}

/// One admitted reader, until it is dropped.
#[derive(Debug)]
pub struct Admitted(Arc<AtomicUsize>);

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _admitted: Admitted,
    /// Whether it is one of those that are kept for publishers.
    pub is_reserved: bool,
    /// Whose share of the reserved places it is out of.
    share: Option<(Arc<Shares>, Address)>,
}

/// How many reserved places each address has.
type Shares = Mutex<HashMap<Address, usize>>;

impl Admission {
    /// Nobody yet.
    pub fn new(limit: AdmissionLimit) -> Self {
        Self {
            limit,
            connections: Arc::default(),
            readers: Arc::default(),
            shares: Arc::default(),
            is_short: AtomicBool::new(false),
        }
    }

    /// A connection, if there is room. Of the reserved places an address gets a share alone; without one it is not counted.
    pub fn connection(&self, address: Option<Address>) -> Option<Place> {
        let admitted = admit(&self.connections, self.limit.connections_max)?;
        // Those that came before have gone meanwhile, or not: it is about as many, and never more in all.
        let is_reserved = self.connections() > self.readers_max();
        let share = match address.filter(|_| is_reserved) {
            Some(address) => Some(self.share(address)?),
            None => None,
        };
        Some(Place {
            _admitted: admitted,
            is_reserved,
            share,
        })
    }

    /// One of the reserved places that this address may have.
    fn share(&self, address: Address) -> Option<(Arc<Shares>, Address)> {
        let most = (self.limit.publishers_reserved / SHARE).max(SHARE_MIN);
        let mut shares = lock(&self.shares);
        let taken = shares.entry(address).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some((Arc::clone(&self.shares), address))
    }

    /// A reader on an admitted connection, if there is room for readers.
    pub fn reader(&self) -> Option<Admitted> {
        if self.is_short.load(Ordering::Relaxed) {
            return None;
        }
        admit(&self.readers, self.readers_max())
    }

    /// Whether new readers are refused because memory runs short.
    pub fn set_short(&self, is_short: bool) {
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Readers now.
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Most readers.
    pub fn readers_max(&self) -> usize {
        self.limit
            .connections_max
            .saturating_sub(self.limit.publishers_reserved)
    }
}

fn admit(counter: &Arc<AtomicUsize>, max: usize) -> Option<Admitted> {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < max).then_some(count + 1)
        })
        .is_ok()
        .then(|| Admitted(Arc::clone(counter)))
}

fn lock(shares: &Shares) -> MutexGuard<'_, HashMap<Address, usize>> {
    // Nothing in it can be left half done by a panic.
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((shares, address)) = self.share.take() else {
            return;
        };
        let mut shares = lock(&shares);
        if let Some(taken) = shares.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                shares.remove(&address);
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_leave_room_for_publishers() {
        let admission = Admission::new(AdmissionLimit {
            connections_max: 3,
            publishers_reserved: 1,
        });
        let connections: Vec<_> = (0..3).filter_map(|_| admission.connection(None)).collect();
        assert_eq!(connections.len(), 3);
        assert!(admission.connection(None).is_none());
        let reserved = connections.iter().filter(|place| place.is_reserved);
        assert_eq!(reserved.count(), 1);
        let first = admission.reader().expect("room for two readers");
        let _second = admission.reader().expect("room for two readers");
        assert!(admission.reader().is_none());
        drop(first);
        assert!(admission.reader().is_some());
        drop(connections);
        assert_eq!(admission.connections(), 0);
    }

    #[test]
    fn no_address_takes_all_the_reserved_places() {
        let admission = Admission::new(AdmissionLimit {
            connections_max: 20,
            publishers_reserved: 10,
        });
        let address = |last: u8| Some(Address::of([192, 0, 2, last].into()));
        let usual: Vec<_> = (0..10)
            .filter_map(|_| admission.connection(address(1)))
            .collect();
        assert_eq!(usual.len(), 10);
        let mut own: Vec<_> = (0..10)
            .filter_map(|_| admission.connection(address(1)))
            .collect();
        assert_eq!(own.len(), 4);
        assert!(admission.connection(address(2)).is_some());
        own.pop();
        assert!(admission.connection(address(1)).is_some());
        assert_eq!(admission.connections(), 13);
        drop((usual, own));
        assert!(lock(&admission.shares).is_empty());
    }

    #[test]
    fn there_are_no_new_readers_while_memory_is_short() {
        let admission = Admission::new(AdmissionLimit {
            connections_max: 3,
            publishers_reserved: 1,
        });
        let _before = admission.reader().expect("room");
        admission.set_short(true);
        assert!(admission.reader().is_none());
        assert!(admission.connection(None).is_some());
        admission.set_short(false);
        assert!(admission.reader().is_some());
    }
}
