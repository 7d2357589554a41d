//! Broken variants of the store and of what stands around the broker: a simulation that misses one proves nothing.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// Nothing.
    None,
    /// Appends are acknowledged before they are synced.
    AckBeforeSync,
    /// The feed is told before the commit.
    FeedBeforeCommit,
    /// A failed sync is tried again, and believed the second time.
    SyncRetried,
    /// What is found at the start is served before it is synced.
    OpenWithoutSync,
    /// A torn record is taken as far as it goes.
    TornTaken,
    /// Idempotency keys do not survive a crash.
    KeysForgotten,
    /// Held entries do not survive a crash.
    HeldForgotten,
    /// A start makes a new epoch.
    EpochAtStart,
    /// A disk that was full stays so.
    FullForEver,
    /// What a full disk refused is kept all the same.
    RefusedButKept,
    /// Now and then a read leaves a change out.
    ReadsDrop,
    /// Now and then a read gives two changes in the wrong order.
    ReadsSwap,
    /// Reads give retracted bodies.
    ReadsUnredacted,
    /// Embargoes are over half a second too early.
    EarlyRelease,
    /// Readers are sent on what they were being sent when it was retracted.
    NoCutOff,
}

impl Mutant {
    /// All that are broken.
    pub const ALL: [Self; 15] = [
        Self::AckBeforeSync,
        Self::FeedBeforeCommit,
        Self::SyncRetried,
        Self::OpenWithoutSync,
        Self::TornTaken,
        Self::KeysForgotten,
        Self::HeldForgotten,
        Self::EpochAtStart,
        Self::FullForEver,
        Self::RefusedButKept,
        Self::ReadsDrop,
        Self::ReadsSwap,
        Self::ReadsUnredacted,
        Self::EarlyRelease,
        Self::NoCutOff,
    ];
}
