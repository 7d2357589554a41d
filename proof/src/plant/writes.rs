//! Bugs of what is kept, and of what is hidden.

use fastrand::Rng;

use super::{Events, calm, indices, pick, read_of, stays};
use crate::history::{Act, Event, Place, Shown, Try, What};

fn try_of(event: &Event) -> Option<&Try> {
    match &event.what {
        What::Try(write) => Some(write),
        _ => None,
    }
}

fn try_by(events: &[Event], op: u64) -> Option<&Try> {
    events
        .iter()
        .filter_map(try_of)
        .find(|write| write.op == op)
}

/// Acknowledgements with a place: their index, their write and their place.
fn acked(events: &[Event]) -> Vec<(usize, Try, Place)> {
    events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| match &event.what {
            What::Ack {
                op,
                place: Some(place),
            } => Some((index, try_by(events, *op)?.clone(), place.clone())),
            _ => None,
        })
        .collect()
}

/// Where acknowledged retractions stand, with the write that they took the body of.
fn retractions(events: &[Event]) -> Vec<(usize, Try)> {
    acked(events)
        .into_iter()
        .filter(|(_, write, _)| write.act == Act::Retract)
        .filter_map(|(index, retraction, _)| {
            let body = events.iter().filter_map(try_of).find(|write| {
                write.act == Act::Publish
                    && write.topic == retraction.topic
                    && write.entry == retraction.entry
            })?;
            Some((index, body.clone()))
        })
        .collect()
}

pub(super) fn lost_at_the_head(events: &mut Events, random: &mut Rng) -> Option<()> {
    let calm = calm(events)?;
    let markers: Vec<_> = acked(events)
        .into_iter()
        .filter(|(index, ..)| *index > calm)
        .filter(|(_, write, place)| {
            events.iter().filter_map(read_of).any(|read| {
                read.topic == write.topic && read.place == *place && stays(events, &read.reader)
            })
        })
        .collect();
    let (_, write, place) = random.choice(markers)?;
    // It, and what may stand behind it, reaches nobody.
    events.retain(|event| {
        read_of(event).is_none_or(|read| {
            read.topic != write.topic
                || read.place.epoch != place.epoch
                || read.place.offset < place.offset
        })
    });
    Some(())
}

pub(super) fn no_position(events: &mut Events, random: &mut Rng) -> Option<()> {
    let published = acked(events)
        .into_iter()
        .filter(|(_, write, _)| write.act == Act::Publish)
        .map(|(index, ..)| index);
    let index = random.choice(published.collect::<Vec<_>>())?;
    let What::Ack { place, .. } = &mut events[index].what else {
        return None;
    };
    *place = None;
    Some(())
}

pub(super) fn missing_in_a_snapshot(events: &mut Events, random: &mut Rng) -> Option<()> {
    let acked = acked(events);
    let has_acked = |topic: &str, at: &Place, shown: &Shown| {
        acked.iter().any(|(_, write, place)| {
            write.act == Act::Publish
                && write.topic == topic
                && write.entry == shown.entry
                && place.epoch == at.epoch
        })
    };
    let snapshots: Vec<(usize, usize)> = events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| match &event.what {
            What::Snapshot {
                topic,
                place,
                entries,
                ..
            } => {
                let entry = entries
                    .iter()
                    .position(|shown| has_acked(topic, place, shown))?;
                Some((index, entry))
            }
            _ => None,
        })
        // Only what was acknowledged before the snapshot can be asked of it.
        .filter(|(index, _)| *index > events.len() * 3 / 4)
        .collect();
    let (index, entry) = random.choice(snapshots)?;
    let What::Snapshot { entries, .. } = &mut events[index].what else {
        return None;
    };
    entries.remove(entry);
    Some(())
}

pub(super) fn never_released(events: &mut Events, random: &mut Rng) -> Option<()> {
    // A held entry that was acknowledged in a topic of its own: nothing else is missing then.
    let at = events.last()?.at;
    let op = 1_000_000 + random.u64(0..1_000);
    let begin = calm(events)?;
    let topic = events.iter().filter_map(try_of).next()?.topic.clone();
    let restored = events
        .iter()
        .any(|event| matches!(event.what, What::Restored { .. }));
    (!restored).then_some(())?;
    let when = events[begin].at;
    let write = Try {
        op,
        who: "p0".into(),
        topic,
        act: Act::Publish,
        entry: "held".into(),
        value: format!("v{op}"),
        hidden_until: Some(when),
        canaries: Vec::new(),
    };
    (when + 30_000_000 < at).then_some(())?;
    let said = |what| Event {
        at: when,
        node: String::new(),
        what,
    };
    events.insert(begin, said(What::Ack { op, place: None }));
    events.insert(begin, said(What::Try(write)));
    Some(())
}

pub(super) fn offset_given_again(events: &mut Events, random: &mut Rng) -> Option<()> {
    let acked = acked(events);
    let pairs: Vec<(usize, Place)> = acked
        .iter()
        .flat_map(|(first, write, place)| {
            let behind = acked.iter().filter(move |(second, other, other_place)| {
                second > first
                    && other.topic == write.topic
                    && other.value != write.value
                    && other_place.epoch == place.epoch
            });
            behind.map(|(second, ..)| (*second, place.clone()))
        })
        .collect();
    let (second, earlier) = random.choice(pairs)?;
    let What::Ack { place, .. } = &mut events[second].what else {
        return None;
    };
    *place = Some(earlier);
    Some(())
}

pub(super) fn retry_elsewhere(events: &mut Events, random: &mut Rng) -> Option<()> {
    let acked = acked(events);
    let (index, write, place) = random.choice(acked)?;
    let op = 2_000_000 + write.op;
    let elsewhere = Place::new(place.epoch.clone(), place.offset + 1_000);
    let at = events[index].at;
    let said = |what| Event {
        at,
        node: String::new(),
        what,
    };
    let again = Try { op, ..write };
    let ack = What::Ack {
        op,
        place: Some(elsewhere),
    };
    events.insert(index + 1, said(ack));
    events.insert(index + 1, said(What::Try(again)));
    Some(())
}

pub(super) fn refused_but_stored(events: &mut Events, random: &mut Rng) -> Option<()> {
    // An acknowledgement that was read, made a refusal.
    let all = acked(events);
    let once: Vec<_> = all
        .iter()
        .filter(|(_, write, _)| {
            let tries = events.iter().filter_map(try_of);
            tries.filter(|other| other.value == write.value).count() == 1
        })
        .filter(|(index, write, _)| {
            events[*index..]
                .iter()
                .filter_map(read_of)
                .any(|read| read.value == write.value)
        })
        .map(|(index, write, _)| (*index, write.op))
        .collect();
    let (index, op) = random.choice(once)?;
    events[index].what = What::Refused {
        op,
        code: "storage_full".into(),
    };
    Some(())
}

pub(super) fn snapshot_from_nowhere(events: &mut Events, random: &mut Rng) -> Option<()> {
    let index = pick(events, random, |event| {
        matches!(event.what, What::Snapshot { .. })
    })?;
    let What::Snapshot { entries, .. } = &mut events[index].what else {
        return None;
    };
    entries.push(Shown {
        entry: "ghost".into(),
        value: "v-ghost".into(),
    });
    Some(())
}

pub(super) fn epoch_for_nothing(events: &mut Events, random: &mut Rng) -> Option<()> {
    let restored: Vec<_> = indices(events, |event| matches!(event.what, What::Restored { .. }));
    restored.is_empty().then_some(())?;
    let acks = acked(events);
    let later: Vec<_> = acks
        .iter()
        .filter(|(index, write, _)| {
            acks.iter()
                .any(|(first, other, _)| first < index && other.topic == write.topic)
        })
        .map(|(index, ..)| *index)
        .collect();
    let index = random.choice(later)?;
    let What::Ack {
        place: Some(place), ..
    } = &mut events[index].what
    else {
        return None;
    };
    place.epoch.push('z');
    Some(())
}

pub(super) fn read_too_early(events: &mut Events, random: &mut Rng) -> Option<()> {
    // The embargo of something that was read is set to end a moment later than it was read.
    let read = pick(events, random, |event| {
        read_of(event).is_some_and(|read| read.kind == crate::history::Kind::Published)
    })?;
    let (value, at) = (read_of(&events[read])?.value.clone(), events[read].at);
    let entry = read_of(&events[read])?.entry.clone();
    let revised = events
        .iter()
        .filter_map(try_of)
        .any(|write| write.act == Act::Revise && write.entry == entry);
    (!revised).then_some(())?;
    for event in events.iter_mut() {
        if let What::Try(write) = &mut event.what
            && write.value == value
        {
            write.hidden_until = Some(at + 1);
        }
    }
    Some(())
}

fn tap(events: &mut Events, index: usize, canaries: Vec<String>) {
    let at = events[index].at + 1;
    let event = Event {
        at,
        node: String::new(),
        what: What::Seen {
            path: "feed.json".into(),
            asked: at,
            canaries,
        },
    };
    events.insert(index + 1, event);
}

pub(super) fn embargo_on_a_feed(events: &mut Events, random: &mut Rng) -> Option<()> {
    let held = pick(events, random, |event| {
        try_of(event)
            .is_some_and(|write| write.hidden_until.is_some_and(|until| until > event.at + 1))
    })?;
    let canaries = try_of(&events[held])?.canaries.clone();
    tap(events, held, canaries);
    Some(())
}

pub(super) fn retracted_on_a_feed(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (ack, body) = random.choice(retractions(events))?;
    tap(events, ack, body.canaries);
    Some(())
}

pub(super) fn retracted_in_a_snapshot(events: &mut Events, random: &mut Rng) -> Option<()> {
    let gone = retractions(events);
    let found: Vec<(usize, Try)> = events
        .iter()
        .enumerate()
        .flat_map(|(index, event)| {
            let of: Vec<_> = match &event.what {
                What::Snapshot {
                    topic,
                    asked,
                    entries,
                    ..
                } => gone
                    .iter()
                    .filter(|(ack, body)| {
                        *ack < index
                            && events[*ack].at < *asked
                            && body.topic == *topic
                            && entries.iter().any(|shown| shown.entry == body.entry)
                    })
                    .map(|(_, body)| (index, body.clone()))
                    .collect(),
                _ => Vec::new(),
            };
            of
        })
        .collect();
    let (index, body) = random.choice(found)?;
    let What::Snapshot { entries, .. } = &mut events[index].what else {
        return None;
    };
    let shown = entries.iter_mut().find(|shown| shown.entry == body.entry)?;
    shown.value = body.value;
    Some(())
}

pub(super) fn no_publish(events: &mut Events, _: &mut Rng) -> Option<()> {
    let calm = calm(events)?;
    let mut index = 0;
    events.retain(|event| {
        index += 1;
        index <= calm || !matches!(event.what, What::Ack { .. })
    });
    Some(())
}
