//! Walks over the subscribers of topics whose head moved, in slices.
//!
//! A walk sends each member what stands behind its cursor, which is the same run for nearly all. A head that moves in the
//! middle of a walk makes another one follow; what came meanwhile goes as one buffer then. Only a shard without idle time
//! waits a little for more to join.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shard;
use crate::broker::Channel;
use crate::fanout::connection::{Connection, Flushed, Key};
use crate::fanout::counters::Tally;
use crate::fanout::runs::{Behind, Run};
use crate::fanout::socket::Sent;
use crate::fanout::topic::Member;
use crate::protocol::{presence, text_frame};

/// Members visited before the shard looks at its sockets again.
const SLICE: usize = 512;
/// Topics with fewer members are written straight away, whatever the load.
const FEW_MEMBERS: usize = 64;
/// Over how long the idle share is measured.
const LOAD_WINDOW: Duration = Duration::from_millis(20);

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// All was taken; the cursor stands behind the run.
    Whole,
    /// The kernel has no room for more.
    Blocked,
    /// The connection is broken.
    Gone,
}

/// Which share of its time a shard waits for something to do.
#[derive(Debug, Default)]
pub(super) struct Load {
    window: Option<Instant>,
    idle: Duration,
    is_saturated: bool,
}

impl Load {
    /// Takes in a wait that began then and could have lasted that long.
    pub(super) fn waited(&mut self, began: Instant, timeout: Duration) {
        let now = Instant::now();
        if !timeout.is_zero() {
            self.idle += now - began;
        }
        let window = *self.window.get_or_insert(began);
        let length = now - window;
        if length >= LOAD_WINDOW {
            self.is_saturated = self.idle * 10 < length;
            self.window = Some(now);
            self.idle = Duration::ZERO;
        }
    }
}

impl Shard {
    /// The head of a topic moved.
    pub(super) fn advanced(&mut self, channel: &Arc<Channel>) {
        let Some(slot) = self.by_name.get(channel.name()).copied() else {
            return;
        };
        let topic = &mut self.topics[slot];
        topic.is_dirty = true;
        if topic.walk.is_none() {
            self.plan_walk(slot);
        }
    }

    /// Begins a walk, now or when the window for joining is over.
    fn plan_walk(&mut self, slot: usize) {
        let window = self.parts.options.join_window;
        let topic = &mut self.topics[slot];
        let due = topic.walk_began.map(|began| began + window);
        match due {
            Some(due)
                if self.load.is_saturated
                    && topic.members.len() > FEW_MEMBERS
                    && due > Instant::now() =>
            {
                if self.delayed.iter().all(|(_, delayed)| *delayed != slot) {
                    self.delayed.push((due, slot));
                }
            }
            _ => self.begin_walk(slot),
        }
    }

    fn begin_walk(&mut self, slot: usize) {
        let Some(topic) = self.topics.get_mut(slot) else {
            return;
        };
        if topic.walk.is_some() {
            return;
        }
        topic.is_dirty = false;
        topic.walk = Some(topic.members.len());
        topic.walk_head = topic.channel.head();
        topic.walk_began = Some(Instant::now());
        self.enqueue(slot);
    }

    fn enqueue(&mut self, slot: usize) {
        if let Some(topic) = self.topics.get_mut(slot)
            && !topic.is_live
        {
            topic.is_live = true;
            self.live.push_back(slot);
        }
    }

    /// One slice of one walk, or one of presence where nothing else is to do.
    pub(super) fn walk_slice(&mut self) {
        if !self.delayed.is_empty() {
            let now = Instant::now();
            let (due, later): (Vec<_>, Vec<_>) =
                self.delayed.drain(..).partition(|(due, _)| *due <= now);
            self.delayed = later;
            for (_, slot) in due {
                self.begin_walk(slot);
            }
        }
        let Some(slot) = self.live.pop_front() else {
            return;
        };
        let Some(topic) = self.topics.get_mut(slot) else {
            return;
        };
        topic.is_live = false;
        if topic.walk.is_some() {
            self.walk_members(slot);
        } else if topic.presence_walk.is_some() {
            self.tell_presence(slot);
        } else {
            return;
        }
        let Some(topic) = self.topics.get_mut(slot) else {
            return;
        };
        if topic.walk == Some(0) {
            topic.walk = None;
            topic.walked = topic.walk_head;
            if topic.is_dirty {
                self.plan_walk(slot);
            }
        }
        if let Some(topic) = self.topics.get(slot)
            && (topic.walk.is_some() || topic.presence_walk.is_some())
        {
            self.enqueue(slot);
        }
    }

    fn walk_members(&mut self, slot: usize) {
        let now = self.now;
        let Some(topic) = self.topics.get_mut(slot) else {
            return;
        };
        let channel = Arc::clone(&topic.channel);
        let end = topic.walk.unwrap_or(0).min(topic.members.len());
        let start = end.saturating_sub(SLICE);
        let head = channel.head();
        let is_private = channel.is_private();
        let mut hidden = Vec::new();
        let mut short = Vec::new();
        for member in topic.members[start..end].iter_mut().rev() {
            if member.cursor >= head {
                continue;
            }
            // Whoever is behind has its own turn; this walk is for those at the head. Those who were behind when the last
            // one passed are known by their cursors: thousands of stalled connections are not looked at for each change.
            if member.cursor < topic.walked {
                debug_assert!(
                    self.connections
                        .get(member.connection as usize)
                        .is_none_or(|connection| has_own_turn(connection, member)),
                    "{member:?} is left"
                );
                continue;
            }
            let Some(connection) = self.connections.get_mut(member.connection as usize) else {
                continue;
            };
            if has_own_turn(connection, member) {
                continue;
            }
            let key = Key::new(member.connection, connection.generation);
            if is_private && !connection.may_read(&channel) {
                hidden.push(key);
                continue;
            }
            let outcome = match topic.runs.behind(member.cursor, head, &channel) {
                Behind::AtHead => continue,
                Behind::Store => {
                    short.push(key);
                    continue;
                }
                Behind::Run(run) => {
                    deliver(connection, member, run, &channel, now, &mut self.tally)
                }
            };
            match outcome {
                Delivery::Whole if member.cursor < head => short.push(key),
                Delivery::Whole | Delivery::Blocked => {}
                Delivery::Gone => self.broken.push(key),
            }
        }
        topic.walk = Some(start);
        for key in short {
            self.queue(key);
        }
        for key in hidden {
            self.hide(key, &channel);
        }
    }

    /// Takes a topic away from a reader that may no longer see it.
    pub(super) fn hide(&mut self, key: Key, channel: &Channel) {
        let Some(slot) = self.by_name.get(channel.name()).copied() else {
            return;
        };
        if self.drop_membership(key, slot) {
            self.refuse_unseen(key, channel.name());
        }
    }

    /// Lets go of older bytes of a topic: copies, and tails of frames on their way. Called when bodies were retracted or
    /// the topic became private.
    pub(super) fn forget_redacted(&mut self, channel: &Arc<Channel>) {
        // Whose frame was cut in the middle can't be told anything else first: it is cut off, and resumes behind it.
        let cut: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| {
                connection
                    .cut_change()
                    .is_some_and(|of| Arc::ptr_eq(of, channel))
            })
            .filter_map(|(index, connection)| {
                Some(Key::new(u32::try_from(index).ok()?, connection.generation))
            })
            .collect();
        for key in cut {
            self.remove(key);
        }
        let Some(slot) = self.by_name.get(channel.name()).copied() else {
            return;
        };
        self.topics[slot].forget_bytes();
        if channel.is_private() {
            let members = &self.topics[slot].members;
            let hidden: Vec<_> = members
                .iter()
                .filter_map(|member| {
                    let connection = self.connections.get(member.connection as usize)?;
                    (!connection.may_read(channel))
                        .then(|| Key::new(member.connection, connection.generation))
                })
                .collect();
            for key in hidden {
                self.hide(key, channel);
            }
        }
    }

    /// Has the readers of topics told how many they are, where that changed.
    pub(super) fn plan_presence(&mut self) {
        let mut changed = Vec::new();
        for (slot, topic) in &mut self.topics {
            let readers = topic.channel.audience();
            if readers != topic.presence_told && topic.presence_walk.is_none() {
                topic.presence_told = readers;
                topic.presence_walk = Some((topic.members.len(), readers));
                changed.push(slot);
            }
        }
        for slot in changed {
            self.enqueue(slot);
        }
    }

    fn tell_presence(&mut self, slot: usize) {
        let now = self.now;
        let topic = &mut self.topics[slot];
        let Some((end, readers)) = topic.presence_walk.take() else {
            return;
        };
        let frame = text_frame(&presence(topic.channel.name(), readers));
        let end = end.min(topic.members.len());
        let start = end.saturating_sub(SLICE);
        for member in &topic.members[start..end] {
            let Some(connection) = self.connections.get_mut(member.connection as usize) else {
                continue;
            };
            // A count is worth nothing late: whoever has no room now does without it.
            if connection.is_clear() && connection.answer(frame.clone(), now) == Flushed::Gone {
                self.broken
                    .push(Key::new(member.connection, connection.generation));
            }
        }
        if start > 0 {
            topic.presence_walk = Some((start, readers));
        }
    }
}

/// Whether something else than the next walk goes on with this subscriber.
fn has_own_turn(connection: &Connection, member: &Member) -> bool {
    connection.is_behind() || connection.is_closing() || member.waits
}

/// Hands a run to a subscriber that has nothing half done, and moves its cursor as far as the kernel took it.
pub(super) fn deliver(
    connection: &mut Connection,
    member: &mut Member,
    run: &Run,
    channel: &Arc<Channel>,
    now: u32,
    tally: &mut Tally,
) -> Delivery {
    let wire = connection.wire;
    let bytes = run.bytes(wire);
    match connection.send(bytes) {
        Sent::Whole => {
            member.cursor = run.last();
            tally.sent(run.count(), bytes.len() as u64);
            Delivery::Whole
        }
        Sent::Gone => Delivery::Gone,
        Sent::Part(sent) => {
            let before = member.cursor;
            let (cursor, rest) = run.cut(sent, wire);
            member.cursor = cursor;
            connection.block(rest, channel, now);
            tally.sent(cursor - before, sent as u64);
            Delivery::Blocked
        }
    }
}
