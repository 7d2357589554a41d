//! Planted bugs: ways in which a server could break a promise, put into a legal history.
//!
//! Each finds a place for itself, changes what was seen there as a broken server would have made it seen, and names the
//! rule that has to catch it. A judge that misses one is broken.

mod reads;
mod writes;

use fastrand::Rng;

use crate::history::{Event, Kind, Read, What};
use crate::judge::Rule;

/// A history that is being broken.
pub type Events = Vec<Event>;

/// A bug to be planted.
pub struct Bug {
    /// What a server with it does.
    pub name: &'static str,
    /// The rule that it breaks.
    pub rule: Rule,
    /// Plants it; none where the history has no place for it.
    pub plant: fn(&mut Events, &mut Rng) -> Option<()>,
}

/// All of them.
pub const ALL: &[Bug] = &[
    bug(
        "an acknowledged change is lost at the head",
        Rule::R1,
        writes::lost_at_the_head,
    ),
    bug(
        "an entry is missing in a snapshot",
        Rule::R1,
        writes::missing_in_a_snapshot,
    ),
    bug(
        "an acknowledgement has no position",
        Rule::R1,
        writes::no_position,
    ),
    bug(
        "a held entry never comes out",
        Rule::R1,
        writes::never_released,
    ),
    bug(
        "two readers get different changes at one offset",
        Rule::R2,
        reads::two_values,
    ),
    bug(
        "an offset is given again after a crash",
        Rule::R2,
        writes::offset_given_again,
    ),
    bug(
        "an offset is read with other content than acknowledged",
        Rule::R2,
        reads::other_than_acked,
    ),
    bug(
        "what nobody took back is redacted",
        Rule::R2,
        reads::redacted_for_nothing,
    ),
    bug(
        "a body is back where a redaction stood",
        Rule::R2,
        reads::back_again,
    ),
    bug("a change is stored twice", Rule::R3, reads::stored_twice),
    bug(
        "a retry is given another position",
        Rule::R3,
        writes::retry_elsewhere,
    ),
    bug("a change is left out", Rule::R4, reads::left_out),
    bug("a change is sent twice", Rule::R4, reads::sent_twice),
    bug(
        "two changes are sent in the wrong order",
        Rule::R4,
        reads::swapped,
    ),
    bug("resuming skips one", Rule::R4, reads::resume_skips),
    bug("resuming repeats one", Rule::R4, reads::resume_repeats),
    bug(
        "a reader is put elsewhere than it asked",
        Rule::R4,
        reads::put_elsewhere,
    ),
    bug(
        "a reader is reset without a cause",
        Rule::R4,
        reads::reset_for_nothing,
    ),
    bug(
        "changes come before the position is told",
        Rule::R4,
        reads::not_told,
    ),
    bug("a change comes from nowhere", Rule::R5, reads::from_nowhere),
    bug("content is altered", Rule::R5, reads::altered),
    bug(
        "a change comes in another topic",
        Rule::R5,
        reads::other_topic,
    ),
    bug(
        "a change comes as another entry's",
        Rule::R5,
        reads::other_entry,
    ),
    bug(
        "what was refused is stored all the same",
        Rule::R5,
        writes::refused_but_stored,
    ),
    bug(
        "a snapshot has what nobody wrote",
        Rule::R5,
        writes::snapshot_from_nowhere,
    ),
    bug(
        "a reader slides into another epoch",
        Rule::R6,
        reads::silent_epoch,
    ),
    bug(
        "the numbering changes for no reason",
        Rule::R6,
        writes::epoch_for_nothing,
    ),
    bug(
        "an embargoed entry is read too early",
        Rule::R7,
        writes::read_too_early,
    ),
    bug(
        "an embargoed entry is on a feed",
        Rule::R7,
        writes::embargo_on_a_feed,
    ),
    bug(
        "a retracted body is replayed",
        Rule::R7,
        reads::retracted_replayed,
    ),
    bug(
        "a retracted body is on a feed",
        Rule::R7,
        writes::retracted_on_a_feed,
    ),
    bug(
        "a retracted body is in a snapshot",
        Rule::R7,
        writes::retracted_in_a_snapshot,
    ),
    bug("a reader is stuck after the faults", Rule::R8, reads::stuck),
    bug(
        "a reader takes too long after the faults",
        Rule::R8,
        reads::late,
    ),
    bug(
        "nothing can be published after the faults",
        Rule::R8,
        writes::no_publish,
    ),
];

const fn bug(
    name: &'static str,
    rule: Rule,
    plant: fn(&mut Events, &mut Rng) -> Option<()>,
) -> Bug {
    Bug { name, rule, plant }
}

/// Indices of the events that `wanted` accepts.
fn indices(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Vec<usize> {
    let all = events.iter().enumerate();
    all.filter(|(_, event)| wanted(event))
        .map(|(index, _)| index)
        .collect()
}

/// One of them, at random.
fn pick(events: &[Event], random: &mut Rng, wanted: impl Fn(&Event) -> bool) -> Option<usize> {
    random.choice(indices(events, wanted))
}

fn read_of(event: &Event) -> Option<&Read> {
    match &event.what {
        What::Read(read) => Some(read),
        _ => None,
    }
}

fn read_mut(event: &mut Event) -> Option<&mut Read> {
    match &mut event.what {
        What::Read(read) => Some(read),
        _ => None,
    }
}

/// A read of a change with a value.
fn valued(event: &Event) -> bool {
    read_of(event).is_some_and(|read| read.kind != Kind::Redacted)
}

/// Where the history's faults stop.
fn calm(events: &[Event]) -> Option<usize> {
    events.iter().position(|event| event.what == What::Calm)
}

/// The reader that never comes back, if any of this name does not.
fn stays(events: &[Event], reader: &str) -> bool {
    !events
        .iter()
        .any(|event| matches!(&event.what, What::Gone { reader: gone } if gone == reader))
}
