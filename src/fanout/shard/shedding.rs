//! Readers that give way when memory runs short: told so where they can be, with a delay of their own.

use std::time::Duration;

use super::Shard;
use crate::fanout::Shed;
use crate::fanout::connection::Key;
use crate::protocol::CloseCode;

/// When those that are closed are to come back: not before there is a chance of room, and spread over a minute.
const DELAY: Duration = Duration::from_secs(5);
const DELAY_SPREAD_MS: u32 = 60_000;

impl Shard {
    /// Closes readers.
    pub(super) fn shed(&mut self, shed: Shed) {
        match shed {
            Shed::Laggards => {
                for key in self.open(|is_behind| is_behind) {
                    self.close(key, CloseCode::Lagged, "the server is short of memory");
                }
            }
            Shed::Percent(percent) => {
                let mut keys = self.open(|_| true);
                let count = (keys.len() * percent).div_ceil(100);
                if count == 0 {
                    return;
                }
                // Not always the same ones first.
                let start = self.random() as usize % keys.len();
                keys.rotate_left(start);
                for key in keys.into_iter().take(count) {
                    let delay = DELAY.as_millis() + u128::from(self.random() % DELAY_SPREAD_MS);
                    self.close(key, CloseCode::Draining, &delay.to_string());
                }
            }
        }
    }

    /// The open connections of which this is so, given whether they are behind.
    fn open(&self, is_so: impl Fn(bool) -> bool) -> Vec<Key> {
        self.connections
            .iter()
            .filter(|(_, connection)| !connection.is_closing())
            .filter(|(_, connection)| is_so(connection.is_behind()))
            .filter_map(|(index, connection)| {
                Some(Key::new(u32::try_from(index).ok()?, connection.generation))
            })
            .collect()
    }

    fn random(&self) -> u32 {
        // Without randomness of the system the spread is coarser, no more.
        getrandom::u32().unwrap_or(self.generation)
    }
}
