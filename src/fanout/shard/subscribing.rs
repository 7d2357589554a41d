//! How a connection comes to follow a topic, and stops to.
//!
//! A topic that may not be seen is answered as one that isn't there, in the same bytes.

use std::sync::Arc;

use super::Shard;
use crate::broker::{Channel, ResetReason, Start, resolve};
use crate::fanout::connection::{Key, Subscription};
use crate::fanout::inbox::Command;
use crate::fanout::topic::{Member, ShardTopic};
use crate::keys::Denied;
use crate::limits::Exceeded;
use crate::model::{After, TopicName};
use crate::protocol::{
    CloseCode, Code, error, rate_limited, reset, subscribed, text_frame, unsubscribed,
};
use crate::store::ReadError;

impl Shard {
    /// Follows a topic; one that is followed already is followed anew from `after`.
    pub(super) fn subscribe(&mut self, key: Key, topic: TopicName, after: After) {
        let limit = self.parts.options.topics_per_connection_max;
        self.leave(key, &topic);
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.subscriptions.len() + connection.resolving().len() >= limit {
            let message = format!("a connection follows {limit} topics at most");
            return self.refuse(key, Code::LimitReached, &message, &topic);
        }
        if let Some(slot) = self.by_name.get(&topic).copied() {
            let channel = Arc::clone(&self.topics[slot].channel);
            return self.enter(key, &channel, &after);
        }
        if let Some(channel) = self.parts.broker.channel_in_use(&topic) {
            return self.enter(key, &channel, &after);
        }
        if let Some(connection) = self.connection(key) {
            connection.ask(topic.clone());
        }
        let asked = self.resolving.entry(topic.clone()).or_default();
        asked.push((key, after));
        if asked.len() > 1 {
            return;
        }
        let (broker, inbox) = (Arc::clone(&self.parts.broker), Arc::clone(&self.inbox));
        self.parts.runtime.spawn(async move {
            let channel = broker.channel(&topic).await;
            inbox.post(Command::Resolved { topic, channel });
        });
    }

    /// Goes on with those who asked for a topic that had to be looked up.
    pub(super) fn resolved(
        &mut self,
        topic: &TopicName,
        channel: Result<Option<Arc<Channel>>, ReadError>,
    ) {
        if let Err(error) = &channel {
            tracing::error!(%topic, %error, "a topic can't be read");
        }
        for (key, after) in self.resolving.remove(topic).unwrap_or_default() {
            if !self.still_asks(key, topic) {
                continue;
            }
            match &channel {
                Ok(Some(channel)) => self.enter(key, channel, &after),
                Ok(None) => self.refuse_unseen(key, topic),
                Err(_) => self.refuse(key, Code::Unavailable, "the topic can't be read now", topic),
            }
        }
    }

    /// Whether it has not taken the question back meanwhile; it is answered now.
    fn still_asks(&mut self, key: Key, topic: &TopicName) -> bool {
        self.connection(key)
            .is_some_and(|connection| connection.stop_asking(topic))
    }

    fn enter(&mut self, key: Key, channel: &Arc<Channel>, after: &After) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        if !connection.may_read(channel) {
            return self.refuse_unseen(key, channel.name());
        }
        match resolve(after, channel.epoch(), channel.head()) {
            Start::Reset(ResetReason::PastHead) => self.ask_start(key, channel, after.clone()),
            start => self.join(key, channel, start),
        }
    }

    /// A position past the head may be one that the store knows and the feed has not brought yet: the store is asked
    /// before the reader is told that it is false.
    fn ask_start(&mut self, key: Key, channel: &Arc<Channel>, after: After) {
        if let Some(connection) = self.connection(key) {
            connection.ask(channel.name().clone());
        }
        let (broker, inbox) = (Arc::clone(&self.parts.broker), Arc::clone(&self.inbox));
        let channel = Arc::clone(channel);
        self.parts.runtime.spawn(async move {
            let start = broker.start(&channel, &after).await;
            inbox.post(Command::Started {
                key,
                channel,
                start,
            });
        });
    }

    /// Goes on with a subscriber whose position the store was asked about.
    pub(super) fn started(
        &mut self,
        key: Key,
        channel: &Arc<Channel>,
        start: Result<Start, ReadError>,
    ) {
        if !self.still_asks(key, channel.name()) {
            return;
        }
        match start {
            Ok(start) => self.join(key, channel, start),
            Err(error) => {
                tracing::error!(topic = %channel.name(), %error, "a topic can't be read");
                self.refuse(
                    key,
                    Code::Unavailable,
                    "the topic can't be read now",
                    channel.name(),
                );
            }
        }
    }

    /// Makes the connection a subscriber.
    fn join(&mut self, key: Key, channel: &Arc<Channel>, start: Start) {
        let name = channel.name().clone();
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        if channel.is_retired() {
            return self.close(key, CloseCode::Draining, "0");
        }
        if !connection.may_read(channel) {
            return self.refuse_unseen(key, &name);
        }
        if let Start::From(cursor) = &start {
            let behind = channel.head().saturating_sub(*cursor);
            let client = connection.client;
            if let Err(exceeded) = self.parts.limits.replay(client, behind, behind) {
                return self.refuse_replay(key, &exceeded, &name);
            }
        }
        let slot = self.topic_slot(channel);
        // Counted before the head is read. A head that moves from here on is told to this shard, and the member stands.
        let presence = channel.enter();
        let head = channel.head();
        let cursor = match start {
            Start::From(cursor) => cursor,
            Start::Reset(reason) => {
                let position = channel.epoch().at(head);
                self.answer(key, text_frame(&reset(&name, &position, reason.as_str())));
                head
            }
        };
        let position = channel.epoch().at(cursor);
        self.answer(key, text_frame(&subscribed(&name, &position, head)));
        let topic = &mut self.topics[slot];
        let Some(connection) = self
            .connections
            .get_mut(key.index())
            .filter(|connection| connection.generation == key.generation())
        else {
            return;
        };
        let (Ok(topic_slot), Ok(member), Ok(index)) = (
            u32::try_from(slot),
            u32::try_from(topic.members.len()),
            u32::try_from(key.index()),
        ) else {
            return;
        };
        connection.has_subscribed = true;
        connection.subscriptions.push(Subscription {
            topic: topic_slot,
            member,
        });
        topic.members.push(Member {
            cursor,
            connection: index,
            waits: false,
            _presence: presence,
        });
        if cursor < head {
            self.queue(key);
        }
    }

    fn topic_slot(&mut self, channel: &Arc<Channel>) -> usize {
        if let Some(slot) = self.by_name.get(channel.name()) {
            return *slot;
        }
        let slot = self.topics.insert(ShardTopic::new(Arc::clone(channel)));
        self.by_name.insert(channel.name().clone(), slot);
        slot
    }

    /// Stops following a topic.
    pub(super) fn unsubscribe(&mut self, key: Key, topic: &TopicName) {
        if self.leave(key, topic) {
            self.answer(key, text_frame(&unsubscribed(topic)));
        } else {
            self.refuse_unseen(key, topic);
        }
    }

    /// Shows a key. What the connection follows already stays, if the key is good.
    pub(super) fn authenticate(&mut self, key: Key, token: &str) {
        let grant = match self.parts.keys.authenticate(token) {
            Ok(grant) => grant,
            Err(denied @ Denied::NotNow) => {
                let frame = text_frame(&error(Code::Unavailable, &denied.to_string(), None));
                return self.answer(key, frame);
            }
            Err(denied) => return self.refuse_key(key, &denied.to_string()),
        };
        if let Some(connection) = self.connection(key) {
            connection.grant = Some(grant);
            self.granted.insert(key);
        }
    }

    /// Ends a connection that showed what is not good, which counts for its address as it does with a request.
    fn refuse_key(&mut self, key: Key, reason: &str) {
        self.counters.auth_failed();
        let client = self
            .connection(key)
            .and_then(|connection| connection.client);
        let exceeded = client.and_then(|client| self.parts.limits.auth_failure(client).err());
        let frame = match exceeded {
            None => error(Code::Unauthorized, reason, None),
            Some(exceeded) => {
                let message = "too many keys and tokens that are not good came from this address";
                rate_limited(message, None, exceeded.retry_after_s())
            }
        };
        self.answer(key, text_frame(&frame));
        self.close(key, CloseCode::Unauthorised, reason);
    }

    /// Whether it followed the topic, or had asked to.
    fn leave(&mut self, key: Key, topic: &TopicName) -> bool {
        let slot = self.by_name.get(topic).copied();
        let Some(connection) = self.connection(key) else {
            return false;
        };
        if connection.stop_asking(topic) {
            if let Some(asked) = self.resolving.get_mut(topic) {
                asked.retain(|(who, _)| *who != key);
                // The look-up goes on and finds nobody, or whoever asks meanwhile.
            }
            return true;
        }
        let Some(slot) = slot else {
            return false;
        };
        self.drop_membership(key, slot)
    }

    /// Whether the connection was a member of the topic in this slot.
    pub(super) fn drop_membership(&mut self, key: Key, slot: usize) -> bool {
        let Some(connection) = self.connection(key) else {
            return false;
        };
        let place = connection
            .subscriptions
            .iter()
            .position(|subscription| subscription.topic as usize == slot);
        let Some(place) = place else {
            return false;
        };
        let subscription = connection.subscriptions.swap_remove(place);
        self.remove_member(subscription);
        true
    }

    /// Stops following everything.
    pub(super) fn leave_all(&mut self, key: Key) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        let subscriptions = std::mem::take(&mut connection.subscriptions);
        let resolving = connection.stop_asking_all();
        for topic in resolving {
            if let Some(asked) = self.resolving.get_mut(&topic) {
                asked.retain(|(who, _)| *who != key);
            }
        }
        for subscription in subscriptions {
            self.remove_member(subscription);
        }
    }

    /// Takes a member out; the last one takes its place and is told so.
    fn remove_member(&mut self, subscription: Subscription) {
        let slot = subscription.topic as usize;
        let topic = &mut self.topics[slot];
        topic.members.swap_remove(subscription.member as usize);
        if let Some(moved) = topic.members.get(subscription.member as usize)
            && let Some(connection) = self.connections.get_mut(moved.connection as usize)
            && let Some(own) = connection
                .subscriptions
                .iter_mut()
                .find(|own| own.topic == subscription.topic)
        {
            own.member = subscription.member;
        }
        if topic.members.is_empty() {
            let topic = self.topics.remove(slot);
            self.by_name.remove(topic.channel.name());
        }
    }

    pub(super) fn refuse_unseen(&mut self, key: Key, topic: &TopicName) {
        self.refuse(key, Code::TopicNotFound, "there is no such topic", topic);
    }

    fn refuse_replay(&mut self, key: Key, exceeded: &Exceeded, topic: &TopicName) {
        let message = "too many changes were asked for from this address";
        let frame = rate_limited(message, Some(topic), exceeded.retry_after_s());
        self.answer(key, text_frame(&frame));
    }

    fn refuse(&mut self, key: Key, code: Code, message: &str, topic: &TopicName) {
        self.answer(key, text_frame(&error(code, message, Some(topic))));
    }
}
