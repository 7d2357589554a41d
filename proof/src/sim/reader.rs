//! Readers, as event streams do it: a position, the next changes, a while to send them, and away without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use tenbells::broker::{Answer, Channel, Frame, Start};
use tenbells::model::{After as From, Epoch, Position, TopicName};
use tenbells::store::{EntryFilter, EntryQuery};

use super::World;
use super::node::Node;
use super::tick::{draw, pause};
use crate::history::{After, Kind, Place, Read, Shown, What};

/// One of so many readers never comes back once it left.
const GONE_ONE_IN: u32 = 12;

struct Reader {
    world: Arc<World>,
    name: String,
    topic: usize,
    /// The last position it knows.
    position: Option<Position>,
    /// How long it takes for a change, at the most.
    lag_ms: u64,
    is_poll: bool,
}

/// Why a connection ended.
enum Left {
    /// It wanted to, or was cut off, or the process ended.
    Away,
    /// The run is over.
    Over,
}

/// Reads one topic until the run is over.
pub(super) async fn run(world: Arc<World>, number: usize) {
    let mut reader = Reader {
        topic: draw(|random| random.usize(0..world.size.topics)),
        name: format!("r{number}"),
        position: None,
        lag_ms: draw(|random| random.choice([2, 2, 100, 1_200])).unwrap_or(2),
        is_poll: draw(|random| random.u32(0..3) == 0),
        world,
    };
    let may_go = draw(|random| random.u32(0..GONE_ONE_IN) == 0);
    loop {
        pause(1, 700).await;
        let Some(node) = reader.world.node().await else {
            return;
        };
        let left = node.alive(reader.connection(&node)).await;
        match left {
            Some(Left::Over) => return,
            Some(Left::Away) | None => {
                let reader_name = reader.name.clone();
                reader.world.say(What::Left {
                    reader: reader_name,
                });
            }
        }
        if may_go && !reader.world.is_calm() && draw(|random| random.u32(0..4) == 0) {
            let name = reader.name.clone();
            return reader.world.say(What::Gone { reader: name });
        }
    }
}

impl Reader {
    async fn connection(&mut self, node: &Node) -> Left {
        let name = self.world.topic(self.topic);
        let Ok(topic) = TopicName::parse(&name) else {
            return Left::Over;
        };
        let Ok(Some(channel)) = node.broker.channel(&topic).await else {
            // Not there yet, or it can't be read now.
            return if self.world.is_over() {
                Left::Over
            } else {
                Left::Away
            };
        };
        let _counted = channel.enter();
        let (from, after) = self.ask();
        self.world.say(What::Subscribe {
            reader: self.name.clone(),
            transport: if self.is_poll { "poll" } else { "sse" }.into(),
            topic: name.clone(),
            after,
        });
        let cut = node.outlet.register(&name);
        let Ok(start) = node.broker.start(&channel, &from).await else {
            return Left::Away;
        };
        let mut cursor = self.told(&channel, start);
        let mut head = channel.watch_head();
        let mut over = self.world.over.subscribe();
        loop {
            if self.world.is_over() {
                return Left::Over;
            }
            head.borrow_and_update();
            let most = draw(|random| random.usize(1..20));
            let Ok(frames) = node.broker.next(&channel, cursor, most, 16 << 10).await else {
                return Left::Away;
            };
            // What was taken just now has no retracted body in it.
            cut.store(false, Ordering::Relaxed);
            if frames.is_empty() {
                tokio::select! {
                    biased;
                    _ = over.wait_for(|over| *over) => return Left::Over,
                    _ = head.changed() => {}
                }
                pause(0, 3).await;
                continue;
            }
            if !self.send(&channel, &frames, &cut, &mut cursor).await {
                return Left::Away;
            }
        }
    }

    /// From where it asks: nearly always where it was.
    fn ask(&self) -> (From, After) {
        match &self.position {
            Some(position) if draw(|random| random.u32(0..10) > 0) => {
                let place = self.world.place(position.epoch.as_str(), position.offset);
                (From::Position(position.clone()), After::Place(place))
            }
            _ if draw(|random| random.u32(0..3) > 0) => (From::Start, After::Start),
            _ => (From::Head, After::Head),
        }
    }

    fn told(&mut self, channel: &Channel, start: Start) -> u64 {
        let topic = channel.name().to_string();
        let epoch = channel.epoch();
        let (cursor, reason) = match start {
            Start::From(offset) => (offset, None),
            Start::Reset(reason) => (channel.head(), Some(reason)),
        };
        let place = self.place(epoch, cursor);
        if let Some(reason) = reason {
            self.world.say(What::Reset {
                reader: self.name.clone(),
                topic: topic.clone(),
                place: place.clone(),
                reason: reason.as_str().into(),
            });
        }
        self.world.say(What::Subscribed {
            reader: self.name.clone(),
            topic,
            place,
        });
        self.position = Some(epoch.at(cursor));
        cursor
    }

    fn place(&self, epoch: &Epoch, offset: u64) -> Place {
        self.world.place(epoch.as_str(), offset)
    }

    /// Takes changes one by one, in its own time; whether the connection goes on.
    async fn send(
        &mut self,
        channel: &Channel,
        frames: &[Arc<Frame>],
        cut: &AtomicBool,
        cursor: &mut u64,
    ) -> bool {
        for frame in frames {
            let slow = self.lag_ms > 2 && !self.world.is_calm();
            if slow || draw(|random| random.u32(0..8) == 0) {
                pause(1, if slow { self.lag_ms } else { 2 }).await;
            }
            // Taken back while it was being sent: the connection is cut off.
            if cut.load(Ordering::Relaxed) {
                return false;
            }
            let place = self.place(channel.epoch(), frame.offset());
            let change = Change::parse(frame.json());
            self.world.say(What::Read(Read {
                reader: self.name.clone(),
                topic: channel.name().to_string(),
                place,
                kind: change.kind(),
                entry: change.entry_id().to_owned(),
                value: change.value().to_owned(),
            }));
            *cursor = frame.offset();
            self.position = Some(channel.epoch().at(frame.offset()));
            if !self.world.is_calm() && draw(|random| random.u32(0..40) == 0) {
                return false;
            }
        }
        // A poll is a request of its own each time.
        !self.is_poll || self.world.is_calm()
    }
}

/// What the history keeps of a change.
#[derive(Deserialize)]
struct Change<'a> {
    kind: &'a str,
    id: Option<&'a str>,
    reason: Option<&'a str>,
    entry: Option<Entry>,
    state: Option<State>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    headline: Option<String>,
}

#[derive(Deserialize)]
struct State {
    title: Option<String>,
}

impl<'a> Change<'a> {
    fn parse(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    fn kind(&self) -> Kind {
        Kind::from_wire(self.kind).unwrap_or_else(|| panic!("no kind of change: {}", self.kind))
    }

    fn entry_id(&self) -> &str {
        self.entry
            .as_ref()
            .map(|entry| entry.id.as_str())
            .or(self.id)
            .unwrap_or("")
    }

    fn value(&self) -> &str {
        let entry = self
            .entry
            .as_ref()
            .and_then(|entry| entry.headline.as_deref());
        let state = self.state.as_ref().and_then(|state| state.title.as_deref());
        entry.or(state).or(self.reason).unwrap_or("")
    }
}

/// Takes snapshots now and then, and of each topic when all is over.
pub(super) async fn look(world: Arc<World>) {
    let mut over = world.over.subscribe();
    loop {
        let most = if world.is_calm() { 9_000 } else { 900 };
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => return,
            () = pause(100, most) => {}
        }
        let Some(node) = world.node().await else {
            return;
        };
        let topic = draw(|random| random.usize(0..world.size.topics));
        let _ = node.alive(snapshot(&world, &node, topic)).await;
    }
}

async fn snapshot(world: &World, node: &Node, topic: usize) {
    let Ok(name) = TopicName::parse(&world.topic(topic)) else {
        return;
    };
    let asked = world.now();
    let query = EntryQuery {
        before: None,
        limit: usize::MAX >> 1,
        filter: EntryFilter::All,
    };
    let Ok(Some(snapshot)) = node.broker.snapshot(&name, query).await else {
        return;
    };
    let entries = snapshot
        .entries
        .iter()
        .map(|entry| match &entry.what {
            Answer::Entry(json) | Answer::Held(json) => {
                let entry: Entry =
                    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
                Shown {
                    entry: entry.id,
                    value: entry.headline.unwrap_or_default(),
                }
            }
            Answer::Tombstone(tombstone) => Shown {
                entry: tombstone.id.to_string(),
                value: String::new(),
            },
        })
        .collect();
    let place = world.place(snapshot.topic.epoch.as_str(), snapshot.topic.head);
    world.say(What::Snapshot {
        topic: name.to_string(),
        place,
        asked,
        entries,
    });
}
