//! Histories that keep every rule, made from a seed: an ideal broker with restarts, lost answers, embargoes,
//! retractions and restores, and readers that come, lag and leave.
//!
//! The judge has to find them clean, and the planted bugs are planted in them. Nothing of Tenbells runs here.

mod readers;

use fastrand::Rng;

use crate::history::{Act, Event, Kind, Place, Shown, Try, What};
use readers::Reader;

/// How long the generator lets pass behind the last fault, in microseconds.
const CALM_US: u64 = 31_000_000;

/// A history of some hundreds of events that keeps all rules.
pub fn history(seed: u64) -> Vec<Event> {
    let mut world = World::new(seed);
    for _ in 0..world.random.usize(60..200) {
        world.step();
    }
    world.end();
    world.events
}

/// A change that the ideal broker has.
#[derive(Clone)]
struct Logged {
    kind: Kind,
    entry: String,
    value: String,
    redacted: bool,
}

/// An entry that the ideal broker has.
struct Entry {
    id: String,
    until: Option<u64>,
    value: String,
    retracted: bool,
}

struct Topic {
    name: String,
    epoch: String,
    log: Vec<Logged>,
    entries: Vec<Entry>,
    /// The newest offset that a restore may not take away: of a retraction or a release.
    keep: usize,
}

/// A write with an open outcome: to be tried again.
struct Open {
    write: Try,
    stored: Option<Place>,
    epoch: String,
}

struct World {
    random: Rng,
    now: u64,
    events: Vec<Event>,
    topics: Vec<Topic>,
    readers: Vec<Reader>,
    open: Vec<Open>,
    made: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let topic = |number: usize| Topic {
            name: format!("t{number}"),
            epoch: format!("e{number}a"),
            log: Vec::new(),
            entries: Vec::new(),
            keep: 0,
        };
        let topics: Vec<_> = (0..random.usize(1..4)).map(topic).collect();
        let readers = (0..random.usize(2..7))
            .map(|number| Reader::new(format!("r{number}"), random.usize(0..topics.len())))
            .collect();
        Self {
            random,
            now: 0,
            events: Vec::new(),
            topics,
            readers,
            open: Vec::new(),
            made: 0,
        }
    }

    fn say(&mut self, what: What) {
        let node = String::new();
        self.events.push(Event {
            at: self.now,
            node,
            what,
        });
    }

    fn pass(&mut self, us: u64) {
        self.now += us;
        for topic in 0..self.topics.len() {
            self.release(topic);
        }
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn step(&mut self) {
        let us = self.random.u64(1..40_000);
        self.pass(us);
        let topic = self.random.usize(0..self.topics.len());
        match self.random.u32(0..100) {
            0..22 => self.publish(topic),
            22..30 => self.revise(topic),
            30..35 => self.retract(topic),
            35..38 => self.change_topic(topic),
            38..45 => self.try_again(),
            45..90 => self.reader_steps(),
            90..94 => self.snapshot(topic),
            94..97 => self.tap(topic),
            97 => self.restore(topic),
            _ => self.say(What::Fault {
                what: "kill -9".into(),
            }),
        }
    }

    fn write(&mut self, topic: usize, act: Act, entry: &str) -> Try {
        let op = self.number();
        Try {
            op,
            who: format!("p{}", self.random.u32(0..3)),
            topic: self.topics[topic].name.clone(),
            act,
            entry: entry.to_owned(),
            value: format!("v{op}"),
            hidden_until: None,
            canaries: vec![format!("canary{op}")],
        }
    }

    fn publish(&mut self, topic: usize) {
        let id = format!("n{}", self.made);
        let mut write = self.write(topic, Act::Publish, &id);
        if self.random.u32(0..6) == 0 {
            write.hidden_until = Some(self.now + self.random.u64(1..400_000));
        }
        self.attempt(topic, write);
    }

    fn revise(&mut self, topic: usize) {
        if let Some(id) = self.standing(topic) {
            let write = self.write(topic, Act::Revise, &id);
            self.attempt(topic, write);
        }
    }

    fn retract(&mut self, topic: usize) {
        if let Some(id) = self.standing(topic) {
            let write = self.write(topic, Act::Retract, &id);
            self.attempt(topic, write);
        }
    }

    fn change_topic(&mut self, topic: usize) {
        let write = self.write(topic, Act::Topic, "");
        self.attempt(topic, write);
    }

    /// An entry that readers have.
    fn standing(&mut self, topic: usize) -> Option<String> {
        let standing: Vec<_> = self.topics[topic]
            .entries
            .iter()
            .filter(|entry| entry.until.is_none() && !entry.retracted)
            .map(|entry| entry.id.clone())
            .collect();
        self.random.choice(standing)
    }

    /// A write, with one of the ends that it can have.
    fn attempt(&mut self, topic: usize, write: Try) {
        let op = write.op;
        self.say(What::Try(write.clone()));
        self.now += 10;
        match self.random.u32(0..10) {
            0 => self.say(What::Refused {
                op,
                code: "storage_full".into(),
            }),
            1 => self.lost(topic, write, None),
            2 => {
                let stored = self.store(topic, &write);
                self.lost(topic, write, stored);
            }
            _ => {
                let place = self.store(topic, &write);
                self.now += 10;
                self.say(What::Ack { op, place });
            }
        }
    }

    fn lost(&mut self, topic: usize, write: Try, stored: Option<Place>) {
        self.say(What::Unknown { op: write.op });
        // What is held can't be told from what is lost here, so it is not tried again.
        if write.hidden_until.is_none() {
            let epoch = self.topics[topic].epoch.clone();
            self.open.push(Open {
                write,
                stored,
                epoch,
            });
        }
    }

    fn try_again(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let open = self.open.swap_remove(self.random.usize(0..self.open.len()));
        let named = |topic: &Topic| topic.name == open.write.topic;
        let Some(topic) = self.topics.iter().position(named) else {
            return;
        };
        let valid = match open.write.act {
            Act::Publish | Act::Topic => true,
            Act::Revise | Act::Retract => self.topics[topic].entries.iter().any(|entry| {
                entry.id == open.write.entry && (!entry.retracted || open.stored.is_some())
            }),
        };
        if !valid || open.epoch != self.topics[topic].epoch {
            return;
        }
        let op = self.number();
        let write = Try { op, ..open.write };
        self.say(What::Try(write.clone()));
        self.now += 10;
        let place = match open.stored {
            Some(place) => Some(place),
            None => self.store(topic, &write),
        };
        self.say(What::Ack { op, place });
    }

    /// The ideal broker stores a write.
    fn store(&mut self, topic: usize, write: &Try) -> Option<Place> {
        let topic = &mut self.topics[topic];
        let kind = match write.act {
            Act::Publish => {
                topic.entries.push(Entry {
                    id: write.entry.clone(),
                    until: write.hidden_until,
                    value: write.value.clone(),
                    retracted: false,
                });
                if write.hidden_until.is_some() {
                    return None;
                }
                Kind::Published
            }
            Act::Revise => Kind::Revised,
            Act::Retract => Kind::Retracted,
            Act::Topic => Kind::Topic,
        };
        if let Some(entry) = topic
            .entries
            .iter_mut()
            .find(|entry| entry.id == write.entry)
        {
            entry.retracted = write.act == Act::Retract;
            entry.value.clone_from(&write.value);
        }
        if write.act == Act::Retract {
            for logged in topic
                .log
                .iter_mut()
                .filter(|logged| logged.entry == write.entry)
            {
                logged.redacted = true;
            }
        }
        let place = topic.append(kind, &write.entry, &write.value);
        if write.act == Act::Retract {
            topic.keep = topic.log.len();
        }
        Some(place)
    }

    fn release(&mut self, topic: usize) {
        let now = self.now;
        let topic = &mut self.topics[topic];
        let due: Vec<_> = topic
            .entries
            .iter_mut()
            .filter(|entry| entry.until.is_some_and(|until| until <= now))
            .map(|entry| {
                entry.until = None;
                (entry.id.clone(), entry.value.clone())
            })
            .collect();
        for (id, value) in due {
            topic.append(Kind::Published, &id, &value);
            topic.keep = topic.log.len();
        }
    }

    fn snapshot(&mut self, topic: usize) {
        let topic = &self.topics[topic];
        let shown = topic.entries.iter().filter(|entry| entry.until.is_none());
        let entries = shown
            .map(|entry| Shown {
                entry: entry.id.clone(),
                value: if entry.retracted {
                    String::new()
                } else {
                    entry.value.clone()
                },
            })
            .collect();
        let what = What::Snapshot {
            topic: topic.name.clone(),
            place: topic.head(),
            asked: self.now,
            entries,
        };
        self.say(what);
    }

    /// What a tap on a feed sees: canaries of what readers may have.
    fn tap(&mut self, topic: usize) {
        let shown = self.topics[topic]
            .entries
            .iter()
            .filter(|entry| entry.until.is_none() && !entry.retracted);
        let canaries = shown
            .map(|entry| entry.value.replace('v', "canary"))
            .collect();
        let what = What::Seen {
            path: "feed.atom".into(),
            asked: self.now,
            canaries,
        };
        self.say(what);
    }

    /// An older state of the topic, under a new epoch.
    fn restore(&mut self, topic: usize) {
        let topic = &mut self.topics[topic];
        let to = self.random.usize(topic.keep..=topic.log.len());
        let gone: Vec<_> = topic.log.drain(to..).collect();
        topic.entries.retain(|entry| {
            let published =
                |logged: &Logged| logged.kind == Kind::Published && logged.entry == entry.id;
            !gone.iter().any(published)
        });
        for entry in topic.entries.iter_mut().filter(|entry| !entry.retracted) {
            let last = topic.log.iter().rfind(|logged| logged.entry == entry.id);
            if let Some(last) = last {
                entry.value.clone_from(&last.value);
            }
        }
        topic.epoch.push('x');
        let name = topic.name.clone();
        self.say(What::Restored { topic: name });
        self.disconnect_all();
    }

    /// The faults stop, and all get well.
    fn end(&mut self) {
        self.pass(1_000);
        self.say(What::Calm);
        for topic in 0..self.topics.len() {
            self.pass(1_000);
            let id = format!("n{}", self.made);
            let write = self.write(topic, Act::Publish, &id);
            let op = write.op;
            self.say(What::Try(write.clone()));
            let place = self.store(topic, &write);
            self.now += 10;
            self.say(What::Ack { op, place });
        }
        self.everyone_reads_to_the_head();
        self.pass(CALM_US);
        self.everyone_reads_to_the_head();
        for topic in 0..self.topics.len() {
            self.snapshot(topic);
        }
    }
}

impl Topic {
    fn append(&mut self, kind: Kind, entry: &str, value: &str) -> Place {
        self.log.push(Logged {
            kind,
            entry: entry.to_owned(),
            value: value.to_owned(),
            redacted: false,
        });
        self.head()
    }

    fn head(&self) -> Place {
        Place::new(self.epoch.clone(), self.log.len() as u64)
    }
}
