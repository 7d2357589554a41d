//! Walking those forward who are behind: after a subscription from the past, after a full socket, after a long stall.
//!
//! Each gets a run a turn, so a storm of replays shares the thread, and the live walks come in between. What the ring does
//! not have is read in pages by the broker, once for everybody who needs them.

use std::sync::Arc;

use super::Shard;
use super::walking::{Delivery, deliver};
use crate::broker::{Channel, PAGE_CHANGES, Page};
use crate::fanout::connection::{Flushed, Key};
use crate::fanout::inbox::Command;
use crate::fanout::runs::Behind;
use crate::fanout::topic::PageAnswer;
use crate::protocol::{CloseCode, Code, error, text_frame};
use crate::store::ReadError;

/// Connections walked forward in a turn of the shard.
const TURN: usize = 64;

/// What a step left of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// At the head, or waiting for a page.
    Rests,
    /// There is more for it.
    More,
    /// Nothing more fits now.
    Stop,
}

impl Shard {
    /// Has a connection walked forward, in its turn.
    pub(super) fn queue(&mut self, key: Key) {
        if let Some(connection) = self.connection(key)
            && !connection.is_queued
            && connection.is_clear()
        {
            connection.is_queued = true;
            self.behind.push_back(key);
        }
    }

    /// The kernel has room again.
    pub(super) fn writable(&mut self, key: Key) {
        let now = self.now;
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.blocked_at.is_none() {
            return;
        }
        match connection.flush(now) {
            Flushed::Clear => self.queue(key),
            Flushed::Blocked => {}
            Flushed::Gone => self.broken.push(key),
        }
    }

    /// Walks some of those forward who are behind.
    pub(super) fn continue_some(&mut self) {
        for _ in 0..TURN.min(self.behind.len()) {
            let Some(key) = self.behind.pop_front() else {
                return;
            };
            self.continue_one(key);
        }
    }

    fn continue_one(&mut self, key: Key) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        connection.is_queued = false;
        let mut more = false;
        let mut place = 0;
        while let Some(subscription) = self
            .connection(key)
            .filter(|connection| connection.is_clear())
            .and_then(|connection| connection.subscriptions.get(place).copied())
        {
            place += 1;
            match self.step(
                key,
                subscription.topic as usize,
                subscription.member as usize,
            ) {
                Step::Rests => {}
                Step::More => more = true,
                Step::Stop => return,
            }
        }
        if more {
            self.queue(key);
        }
    }

    /// Sends a subscriber one run, if there is one.
    fn step(&mut self, key: Key, slot: usize, place: usize) -> Step {
        let now = self.now;
        let topic = &mut self.topics[slot];
        let channel = Arc::clone(&topic.channel);
        let (Some(member), Some(connection)) = (
            topic.members.get_mut(place),
            self.connections.get_mut(key.index()),
        ) else {
            return Step::Rests;
        };
        if member.waits || member.cursor >= channel.head() {
            return Step::Rests;
        }
        if !connection.may_read(&channel) {
            self.hide(key, &channel);
            // The list of subscriptions is another one now.
            return Step::More;
        }
        let cursor = member.cursor;
        let outcome = match topic.runs.behind(cursor, &channel) {
            Behind::AtHead => return Step::Rests,
            Behind::Run(run) => deliver(connection, member, run, &channel, now, &self.counters),
            Behind::Store => {
                let index = cursor / PAGE_CHANGES;
                match topic.pages.get(index, &channel, cursor, key) {
                    PageAnswer::Here(page) => {
                        let frames = page.after(cursor);
                        let Some(run) = topic.runs.join_page(cursor, frames, channel.head()) else {
                            return Step::Rests;
                        };
                        deliver(connection, member, run, &channel, now, &self.counters)
                    }
                    PageAnswer::Wait => {
                        member.waits = true;
                        return Step::Rests;
                    }
                    PageAnswer::Ask => {
                        member.waits = true;
                        self.ask_page(channel, cursor);
                        return Step::Rests;
                    }
                }
            }
        };
        match outcome {
            Delivery::Whole if member.cursor < channel.head() => Step::More,
            Delivery::Whole => Step::Rests,
            Delivery::Blocked => Step::Stop,
            Delivery::Gone => {
                self.broken.push(key);
                Step::Stop
            }
        }
    }

    fn ask_page(&self, channel: Arc<Channel>, cursor: u64) {
        let (broker, inbox) = (Arc::clone(&self.parts.broker), Arc::clone(&self.inbox));
        self.parts.runtime.spawn(async move {
            let page = broker.page(&channel, cursor).await;
            inbox.post(Command::Page {
                channel,
                index: cursor / PAGE_CHANGES,
                page,
            });
        });
    }

    /// Goes on with those who wait for a page.
    pub(super) fn page_read(
        &mut self,
        channel: &Arc<Channel>,
        index: u64,
        page: Result<Arc<Page>, ReadError>,
    ) {
        let Some(slot) = self.by_name.get(channel.name()).copied() else {
            return;
        };
        let failed = page.as_ref().err().map(ToString::to_string);
        if let Some(error) = &failed {
            tracing::error!(topic = %channel.name(), %error, "changes can't be read for those behind");
        }
        let page = page.ok().filter(|page| page.is_current(channel));
        for key in self.topics[slot].pages.settle(index, page) {
            let Some(connection) = self.connection(key) else {
                continue;
            };
            let place = connection
                .subscriptions
                .iter()
                .find(|subscription| subscription.topic as usize == slot)
                .map(|subscription| subscription.member as usize);
            let Some(member) = place.and_then(|place| self.topics[slot].members.get_mut(place))
            else {
                continue;
            };
            member.waits = false;
            if failed.is_some() {
                let message = "the changes behind your position can't be read now";
                let frame = text_frame(&error(Code::Unavailable, message, Some(channel.name())));
                self.answer(key, frame);
                self.close(key, CloseCode::Lagged, message);
            } else {
                self.queue(key);
            }
        }
    }
}
