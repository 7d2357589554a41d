//! Bugs on the way to the reader.

use fastrand::Rng;

use super::{Events, calm, indices, pick, read_mut, read_of, stays, valued};
use crate::history::{After, Event, Kind, Place, Read, What};

/// Two reads in a row of one reader, with nothing of that reader between them.
fn pairs(events: &[Event]) -> Vec<(usize, usize)> {
    let reads = indices(events, |event| read_of(event).is_some());
    reads
        .iter()
        .filter_map(|&first| {
            let read = read_of(&events[first])?;
            let next =
                (first + 1..events.len()).find(|&index| is_of(&events[index], &read.reader))?;
            let behind = read_of(&events[next])?;
            (behind.topic == read.topic && behind.place.offset == read.place.offset + 1)
                .then_some((first, next))
        })
        .collect()
}

fn is_of(event: &Event, name: &str) -> bool {
    match &event.what {
        What::Read(read) => read.reader == name,
        What::Subscribe { reader, .. }
        | What::Subscribed { reader, .. }
        | What::Reset { reader, .. }
        | What::Left { reader }
        | What::Gone { reader } => reader == name,
        _ => false,
    }
}

/// The first read behind a resumed subscription, and the line that told the position.
fn resumed(events: &[Event]) -> Vec<(usize, usize)> {
    let told = indices(events, |event| {
        matches!(event.what, What::Subscribed { .. })
    });
    told.into_iter()
        .filter_map(|told| {
            let What::Subscribed { reader, place, .. } = &events[told].what else {
                return None;
            };
            let next = (told + 1..events.len()).find(|&index| is_of(&events[index], reader))?;
            let read = read_of(&events[next])?;
            (place.offset > 0 && read.place.offset > 1).then_some((told, next))
        })
        .collect()
}

fn is_acked(events: &[Event], topic: &str, at: &Place) -> bool {
    let of_topic = |op: u64| {
        events.iter().any(
            |event| matches!(&event.what, What::Try(write) if write.op == op && write.topic == topic),
        )
    };
    events.iter().any(|event| {
        matches!(&event.what, What::Ack { op, place: Some(place) } if place == at && of_topic(*op))
    })
}

fn readers_of(events: &[Event], topic: &str, at: &Place) -> Vec<usize> {
    indices(events, |event| {
        valued(event) && read_of(event).is_some_and(|read| read.topic == topic && read.place == *at)
    })
}

pub(super) fn two_values(events: &mut Events, random: &mut Rng) -> Option<()> {
    let shared: Vec<usize> = indices(events, valued)
        .into_iter()
        .filter(|&index| {
            read_of(&events[index])
                .is_some_and(|read| readers_of(events, &read.topic, &read.place).len() > 1)
        })
        .collect();
    let victim = random.choice(shared)?;
    put_another_value(events, random, victim)
}

pub(super) fn other_than_acked(events: &mut Events, random: &mut Rng) -> Option<()> {
    let acked: Vec<usize> = indices(events, valued)
        .into_iter()
        .filter(|&index| {
            read_of(&events[index]).is_some_and(|read| is_acked(events, &read.topic, &read.place))
        })
        .collect();
    let victim = random.choice(acked)?;
    put_another_value(events, random, victim)
}

/// Puts the content of another change of the same topic, seen before, into a read.
fn put_another_value(events: &mut [Event], random: &mut Rng, victim: usize) -> Option<()> {
    let was = read_of(&events[victim])?.clone();
    let other = pick(&events[..victim], random, |event| {
        valued(event)
            && read_of(event).is_some_and(|read| read.topic == was.topic && read.value != was.value)
    })?;
    let other = read_of(&events[other])?.clone();
    let read = read_mut(&mut events[victim])?;
    (read.kind, read.entry, read.value) = (other.kind, other.entry, other.value);
    Some(())
}

pub(super) fn redacted_for_nothing(events: &mut Events, random: &mut Rng) -> Option<()> {
    let retracted: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Try(write) if write.act == crate::history::Act::Retract => {
                Some(write.entry.clone())
            }
            _ => None,
        })
        .collect();
    let victim = pick(events, random, |event| {
        read_of(event)
            .is_some_and(|read| !read.entry.is_empty() && !retracted.contains(&read.entry))
    })?;
    let read = read_mut(&mut events[victim])?;
    read.kind = Kind::Redacted;
    read.value.clear();
    Some(())
}

/// The body that stood where a redaction is read, as another reader or the same got it before.
fn unredacted(events: &[Event], redaction: usize) -> Option<Read> {
    let read = read_of(&events[redaction])?;
    let body = readers_of(events, &read.topic, &read.place);
    body.first()
        .and_then(|&index| read_of(&events[index]))
        .cloned()
}

pub(super) fn back_again(events: &mut Events, random: &mut Rng) -> Option<()> {
    let again: Vec<usize> = indices(events, |event| {
        read_of(event).is_some_and(|read| read.kind == Kind::Redacted)
    })
    .into_iter()
    .filter(|&index| {
        let Some(read) = read_of(&events[index]) else {
            return false;
        };
        let begun = events[..index].iter().rposition(
            |event| matches!(&event.what, What::Subscribe { reader, .. } if *reader == read.reader),
        );
        let earlier = events[..begun.unwrap_or(0)].iter().any(|event| {
            read_of(event).is_some_and(|other| {
                other.kind == Kind::Redacted
                    && other.topic == read.topic
                    && other.place == read.place
            })
        });
        earlier && unredacted(events, index).is_some()
    })
    .collect();
    let victim = random.choice(again)?;
    unredact(events, victim)
}

fn unredact(events: &mut [Event], victim: usize) -> Option<()> {
    let body = unredacted(events, victim)?;
    let read = read_mut(&mut events[victim])?;
    (read.kind, read.value) = (body.kind, body.value);
    Some(())
}

pub(super) fn retracted_replayed(events: &mut Events, random: &mut Rng) -> Option<()> {
    let mut acked: Vec<(&str, &str, usize)> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let What::Ack { op, .. } = &event.what else {
            continue;
        };
        let write = events[..index].iter().find_map(|event| match &event.what {
            What::Try(write) if write.op == *op => Some(write),
            _ => None,
        })?;
        if write.act == crate::history::Act::Retract {
            acked.push((&write.topic, &write.entry, index));
        }
    }
    let late: Vec<usize> = indices(events, |event| {
        read_of(event).is_some_and(|read| read.kind == Kind::Redacted)
    })
    .into_iter()
    .filter(|&index| {
        read_of(&events[index]).is_some_and(|read| {
            let known = |(topic, entry, ack): &(&str, &str, usize)| {
                *topic == read.topic
                    && *entry == read.entry
                    && events[*ack].at < events[index].at
                    && *ack < index
            };
            acked.iter().any(known)
        }) && unredacted(events, index).is_some()
    })
    .collect();
    let victim = random.choice(late)?;
    unredact(events, victim)
}

pub(super) fn stored_twice(events: &mut Events, random: &mut Rng) -> Option<()> {
    // The last read of a reader, and once more behind it.
    let last: Vec<usize> = indices(events, valued)
        .into_iter()
        .filter(|&index| {
            read_of(&events[index]).is_some_and(|read| {
                !events[index + 1..]
                    .iter()
                    .any(|event| is_of(event, &read.reader))
            })
        })
        .collect();
    let last = random.choice(last)?;
    let mut again = events[last].clone();
    read_mut(&mut again)?.place.offset += 1;
    events.insert(last + 1, again);
    Some(())
}

pub(super) fn left_out(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (first, _) = random.choice(pairs(events))?;
    let read = read_of(&events[first])?.clone();
    // Left out where the reader stands before it already, so that it shows.
    let before = events[..first]
        .iter()
        .rfind(|event| is_of(event, &read.reader))?;
    matches!(before.what, What::Read(_) | What::Subscribed { .. }).then_some(())?;
    events.remove(first);
    Some(())
}

pub(super) fn sent_twice(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, |event| read_of(event).is_some())?;
    let again = events[victim].clone();
    events.insert(victim + 1, again);
    Some(())
}

pub(super) fn swapped(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (first, second) = random.choice(pairs(events))?;
    let (a, b) = (events[first].what.clone(), events[second].what.clone());
    events[first].what = b;
    events[second].what = a;
    Some(())
}

pub(super) fn resume_skips(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (_, read) = random.choice(resumed(events))?;
    let reader = read_of(&events[read])?.reader.clone();
    let next = (read + 1..events.len()).find(|&index| is_of(&events[index], &reader))?;
    read_of(&events[next])?;
    events.remove(read);
    Some(())
}

pub(super) fn resume_repeats(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (told, read) = random.choice(resumed(events))?;
    let mut again = events[read].clone();
    again.at = events[told].at;
    read_mut(&mut again)?.place.offset -= 1;
    let of = read_of(&events[read])?.clone();
    let place = Place::new(of.place.epoch, of.place.offset - 1);
    let earlier = *readers_of(&events[..told], &of.topic, &place).first()?;
    let earlier = read_of(&events[earlier])?.clone();
    let repeated = read_mut(&mut again)?;
    (repeated.kind, repeated.entry, repeated.value) = (earlier.kind, earlier.entry, earlier.value);
    events.insert(told + 1, again);
    Some(())
}

pub(super) fn put_elsewhere(events: &mut Events, random: &mut Rng) -> Option<()> {
    let told: Vec<usize> = indices(events, |event| {
        matches!(event.what, What::Subscribed { .. })
    })
    .into_iter()
    .filter(|&told| {
        let asked = events[..told].last();
        matches!(
            asked.map(|event| &event.what),
            Some(What::Subscribe {
                after: After::Place(_),
                ..
            })
        )
    })
    .collect();
    let told = random.choice(told)?;
    let What::Subscribed { place, .. } = &mut events[told].what else {
        return None;
    };
    place.offset += 1;
    Some(())
}

pub(super) fn reset_for_nothing(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, |event| read_of(event).is_some())?;
    let read = read_of(&events[victim])?.clone();
    let reset = What::Reset {
        reader: read.reader,
        topic: read.topic,
        place: read.place,
        reason: "position_past_head".into(),
    };
    let event = Event {
        at: events[victim].at,
        node: String::new(),
        what: reset,
    };
    events.insert(victim + 1, event);
    Some(())
}

pub(super) fn not_told(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (told, _) = random.choice(resumed(events))?;
    // Behind a reset the position is known without.
    let before = events.get(told.checked_sub(1)?)?;
    matches!(before.what, What::Subscribe { .. }).then_some(())?;
    events.remove(told);
    Some(())
}

pub(super) fn from_nowhere(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, valued)?;
    read_mut(&mut events[victim])?.value = "never-written".into();
    Some(())
}

pub(super) fn altered(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, valued)?;
    let value = &mut read_mut(&mut events[victim])?.value;
    // One bit of one character.
    let first = value.chars().next()?;
    let flipped = char::from_u32(u32::from(first) ^ 1)?;
    value.replace_range(..first.len_utf8(), &flipped.to_string());
    Some(())
}

pub(super) fn other_topic(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, valued)?;
    let topic = read_of(&events[victim])?.topic.clone();
    let other = pick(&events[..victim], random, |event| {
        valued(event) && read_of(event).is_some_and(|read| read.topic != topic)
    })?;
    let other = read_of(&events[other])?.clone();
    let read = read_mut(&mut events[victim])?;
    (read.kind, read.entry, read.value) = (other.kind, other.entry, other.value);
    Some(())
}

pub(super) fn other_entry(events: &mut Events, random: &mut Rng) -> Option<()> {
    let victim = pick(events, random, |event| {
        valued(event) && read_of(event).is_some_and(|read| !read.entry.is_empty())
    })?;
    read_mut(&mut events[victim])?.entry.push('x');
    Some(())
}

pub(super) fn silent_epoch(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (_, second) = random.choice(pairs(events))?;
    read_mut(&mut events[second])?.place.epoch.push('y');
    Some(())
}

/// Readers that have read after the faults stopped, and stay.
fn recovered(events: &[Event]) -> Option<(usize, Vec<String>)> {
    let calm = calm(events)?;
    let mut readers: Vec<_> = events[calm..]
        .iter()
        .filter_map(read_of)
        .map(|read| read.reader.clone())
        .filter(|reader| stays(events, reader))
        .collect();
    readers.dedup();
    Some((calm, readers))
}

pub(super) fn stuck(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (calm, readers) = recovered(events)?;
    let victim = random.choice(readers)?;
    let mut index = 0;
    events.retain(|event| {
        index += 1;
        index <= calm || !is_of(event, &victim)
    });
    Some(())
}

pub(super) fn late(events: &mut Events, random: &mut Rng) -> Option<()> {
    let (calm, readers) = recovered(events)?;
    let victim = random.choice(readers)?;
    let late = events[calm].at + 30_500_000;
    for event in events[calm..]
        .iter_mut()
        .filter(|event| is_of(event, &victim))
    {
        event.at = event.at.max(late);
    }
    Some(())
}
