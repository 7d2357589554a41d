//! Readers of the ideal broker: they come from anywhere, read some, leave, and come back where they were.

use super::World;
use crate::history::{After, Kind, Place, Read, What};

const TRANSPORTS: [&str; 3] = ["ws", "sse", "poll"];

pub(super) struct Reader {
    name: String,
    topic: usize,
    /// The last position it knows.
    position: Option<Place>,
    connected: bool,
    gone: bool,
}

impl Reader {
    pub(super) fn new(name: String, topic: usize) -> Self {
        Self {
            name,
            topic,
            position: None,
            connected: false,
            gone: false,
        }
    }
}

impl World {
    pub(super) fn disconnect_all(&mut self) {
        for reader in 0..self.readers.len() {
            if self.readers[reader].connected {
                self.leave(reader);
            }
        }
    }

    fn leave(&mut self, reader: usize) {
        self.readers[reader].connected = false;
        let name = self.readers[reader].name.clone();
        self.say(What::Left { reader: name });
    }

    pub(super) fn reader_steps(&mut self) {
        let reader = self.random.usize(0..self.readers.len());
        if self.readers[reader].gone {
            return;
        }
        if !self.readers[reader].connected {
            return self.connect(reader);
        }
        match self.random.u32(0..20) {
            0..3 => self.leave(reader),
            3 if self.random.u32(0..8) == 0 => {
                self.leave(reader);
                self.readers[reader].gone = true;
                let reader = self.readers[reader].name.clone();
                self.say(What::Gone { reader });
            }
            _ => {
                for _ in 0..self.random.u32(1..9) {
                    self.read(reader);
                }
            }
        }
    }

    fn connect(&mut self, reader: usize) {
        let head = self.topics[self.readers[reader].topic].head();
        let after = match &self.readers[reader].position {
            Some(position) if self.random.u32(0..12) > 0 => After::Place(position.clone()),
            _ if self.random.bool() => After::Start,
            _ => After::Head,
        };
        let topic = self.topics[self.readers[reader].topic].name.clone();
        let name = self.readers[reader].name.clone();
        let transport = TRANSPORTS[self.random.usize(0..TRANSPORTS.len())];
        self.say(What::Subscribe {
            reader: name.clone(),
            transport: transport.into(),
            topic: topic.clone(),
            after: after.clone(),
        });
        self.now += 5;
        let place = match after {
            After::Place(asked) if asked.epoch == head.epoch => asked,
            After::Place(_) => {
                self.say(What::Reset {
                    reader: name.clone(),
                    topic: topic.clone(),
                    place: head.clone(),
                    reason: "epoch_changed".into(),
                });
                head
            }
            After::Start => Place::new(head.epoch, 0),
            After::Head => head,
        };
        self.readers[reader].connected = true;
        self.readers[reader].position = Some(place.clone());
        self.say(What::Subscribed {
            reader: name,
            topic,
            place,
        });
    }

    fn read(&mut self, reader: usize) -> bool {
        let of = &self.readers[reader];
        let topic = &self.topics[of.topic];
        let Some(position) = &of.position else {
            return false;
        };
        let Some(logged) = usize::try_from(position.offset)
            .ok()
            .and_then(|next| topic.log.get(next))
        else {
            return false;
        };
        let place = Place::new(position.epoch.clone(), position.offset + 1);
        let read = Read {
            reader: of.name.clone(),
            topic: topic.name.clone(),
            place: place.clone(),
            kind: if logged.redacted {
                Kind::Redacted
            } else {
                logged.kind
            },
            entry: logged.entry.clone(),
            value: if logged.redacted {
                String::new()
            } else {
                logged.value.clone()
            },
        };
        self.now += 2;
        self.say(What::Read(read));
        self.readers[reader].position = Some(place);
        true
    }

    pub(super) fn everyone_reads_to_the_head(&mut self) {
        for reader in 0..self.readers.len() {
            if self.readers[reader].gone {
                continue;
            }
            if !self.readers[reader].connected {
                self.connect(reader);
            }
            while self.read(reader) {}
        }
    }
}
