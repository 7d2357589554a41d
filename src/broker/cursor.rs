//! The rules of catching up, pure: where a subscriber starts, and what it is told when it can't start there.
//!
//! A cursor is the offset a subscriber has been given last. Nothing else is kept for it, so live, resume, replay and
//! being slow are one thing: walk the cursor to the head.

use crate::model::{After, Epoch, Offset, Position};

/// Where a subscriber starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind this offset.
    From(Offset),
    /// It can't: take a fresh snapshot and go on from the head.
    Reset(ResetReason),
}

/// Why a subscriber can't go on from the position it named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// The position belongs to another numbering.
    EpochChanged,
    /// The position is past the head: the reader has seen what this server has not.
    PastHead,
}

impl ResetReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EpochChanged => "epoch_changed",
            Self::PastHead => "position_past_head",
        }
    }
}

/// Where a subscriber that asks for `after` starts in the numbering `epoch` with this head.
pub fn resolve(after: &After, epoch: &Epoch, head: Offset) -> Start {
    match after {
        After::Head => Start::From(head),
        After::Start => Start::From(0),
        After::Position(Position { epoch: asked, .. }) if asked != epoch => {
            Start::Reset(ResetReason::EpochChanged)
        }
        After::Position(Position { offset, .. }) if *offset > head => {
            Start::Reset(ResetReason::PastHead)
        }
        After::Position(Position { offset, .. }) => Start::From(*offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_epoch_and_a_future_offset_are_reset() {
        let (old, new) = (Epoch::from_seed(1), Epoch::from_seed(2));
        let at = |epoch: &Epoch, offset| After::Position(epoch.at(offset));
        assert_eq!(resolve(&After::Head, &new, 7), Start::From(7));
        assert_eq!(resolve(&After::Start, &new, 7), Start::From(0));
        assert_eq!(resolve(&at(&new, 7), &new, 7), Start::From(7));
        assert_eq!(
            resolve(&at(&new, 8), &new, 7),
            Start::Reset(ResetReason::PastHead)
        );
        assert_eq!(
            resolve(&at(&old, 3), &new, 7),
            Start::Reset(ResetReason::EpochChanged)
        );
    }

    proptest! {
        #[test]
        fn a_start_is_never_past_the_head(offset: u64, head: u64) {
            let epoch = Epoch::from_seed(3);
            match resolve(&After::Position(epoch.at(offset)), &epoch, head) {
                Start::From(start) => prop_assert!(start == offset && start <= head),
                Start::Reset(reason) => prop_assert!(offset > head && reason == ResetReason::PastHead),
            }
        }
    }
}
