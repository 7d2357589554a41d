//! Tickets: what a page puts into a URL in place of its token. Good once, for a minute, at this node.
//!
//! A ticket is found by its id, which is no secret, and believed by the hash of the whole, compared in constant time. A
//! wrong secret uses nothing up. Tickets are in memory alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::keys::{Grant, TokenHash, push_secret};

/// How long a ticket is good for.
pub const TICKET_FOR: Duration = Duration::from_secs(60);
/// Unused tickets of one token.
const UNUSED_OF_A_TOKEN_MAX: u32 = 16;
const PREFIX: &str = "tk_";

/// The tickets that are good now.
#[derive(Debug)]
pub struct Tickets {
    /// Most tickets given within [`TICKET_FOR`].
    max: usize,
    book: Mutex<Book>,
}

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The token has as many as it may.
    #[error("the token has {UNUSED_OF_A_TOKEN_MAX} tickets that were not used yet, the limit")]
    TooMany,
    /// There are as many as may be.
    #[error("as many tickets as may be were given within the last minute")]
    Full,
    /// The system.
    #[error("the system has no randomness to give: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

#[derive(Debug, Default)]
struct Book {
    by_id: HashMap<String, Ticket>,
    /// Every ticket of the last minute, used or not, the oldest first.
    given: VecDeque<(Instant, String)>,
    /// Unused ones of each token.
    unused: HashMap<TokenHash, u32>,
}

#[derive(Debug)]
struct Ticket {
    hash: TokenHash,
    grant: Arc<Grant>,
}

impl Tickets {
    /// None yet; at most `max` within [`TICKET_FOR`].
    pub fn new(max: usize) -> Self {
        Self {
            max,
            book: Mutex::default(),
        }
    }

    /// A ticket for this grant.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn give(&self, grant: Arc<Grant>, now: Instant) -> Result<String, TicketError> {
        let mut text = PREFIX.to_owned();
        push_secret(&mut text)?;
        let mut book = self.lock();
        book.forget_old(now);
        if book.given.len() >= self.max {
            return Err(TicketError::Full);
        }
        if let Some(token) = grant.token() {
            let unused = book.unused.entry(token.digest).or_default();
            if *unused >= UNUSED_OF_A_TOKEN_MAX {
                return Err(TicketError::TooMany);
            }
            *unused += 1;
        }
        let id = id_of(&text).unwrap_or_default().to_owned();
        let ticket = Ticket {
            hash: TokenHash::of(&text),
            grant,
        };
        book.given.push_back((now, id.clone()));
        book.by_id.insert(id, ticket);
        Ok(text)
    }

    /// The grant of a ticket, which is used up by that.
    pub fn take(&self, text: &str, now: Instant) -> Option<Arc<Grant>> {
        let id = id_of(text)?;
        let mut book = self.lock();
        book.forget_old(now);
        let ticket = book.by_id.get(id)?;
        if !ticket.hash.matches(&TokenHash::of(text)) {
            return None;
        }
        book.remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Nothing in it can be left half done but a count, which ends with its minute.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn forget_old(&mut self, now: Instant) {
        while let Some((given_at, _)) = self.given.front()
            && now.duration_since(*given_at) >= TICKET_FOR
        {
            if let Some((_, id)) = self.given.pop_front() {
                self.remove(&id);
            }
        }
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Grant>> {
        let ticket = self.by_id.remove(id)?;
        if let Some(token) = ticket.grant.token()
            && let Some(unused) = self.unused.get_mut(&token.digest)
        {
            *unused = unused.saturating_sub(1);
            if *unused == 0 {
                self.unused.remove(&token.digest);
            }
        }
        Some(ticket.grant)
    }
}

fn id_of(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Role, TokenClaims};

    fn of_key() -> Arc<Grant> {
        Arc::new(Grant::new("a1b2c3d4", Role::Reader, &["*"]))
    }

    fn of_token(name: &str) -> Arc<Grant> {
        Arc::new(
            Grant::new("token", Role::Reader, &["*"]).of_token(TokenClaims {
                issuer: "https://id.example".into(),
                kid: None,
                sub: None,
                jti: None,
                ends_at: jiff::Timestamp::MAX,
                digest: TokenHash::of(name),
            }),
        )
    }

    #[test]
    fn a_ticket_is_good_once() {
        let (tickets, now) = (Tickets::new(10), Instant::now());
        let ticket = tickets.give(of_key(), now).expect("a ticket");
        assert!(tickets.take(&ticket, now).is_some());
        assert!(tickets.take(&ticket, now).is_none());
    }

    #[test]
    fn a_ticket_is_good_for_a_minute() {
        let (tickets, now) = (Tickets::new(10), Instant::now());
        let early = tickets.give(of_key(), now).expect("a ticket");
        let late = tickets.give(of_key(), now).expect("a ticket");
        let moment = Duration::from_millis(1);
        assert!(tickets.take(&early, now + TICKET_FOR - moment).is_some());
        assert!(tickets.take(&late, now + TICKET_FOR).is_none());
    }

    #[test]
    fn a_wrong_secret_uses_nothing_up() {
        let (tickets, now) = (Tickets::new(10), Instant::now());
        let ticket = tickets.give(of_key(), now).expect("a ticket");
        let (id, _) = ticket.rsplit_once('_').expect("an id");
        for wrong in [
            format!("{id}_{}", "A".repeat(43)),
            format!("{id}_"),
            id.to_owned(),
            String::new(),
            format!("{ticket} "),
        ] {
            assert!(tickets.take(&wrong, now).is_none(), "{wrong:?}");
        }
        assert!(tickets.take(&ticket, now).is_some());
    }

    #[test]
    fn a_token_has_sixteen_unused_ones_and_no_more() {
        let (tickets, now) = (Tickets::new(1_000), Instant::now());
        let given: Vec<_> = (0..16)
            .map(|_| tickets.give(of_token("a"), now).expect("a ticket"))
            .collect();
        let refused = tickets.give(of_token("a"), now);
        assert!(matches!(refused, Err(TicketError::TooMany)));
        tickets.give(of_token("b"), now).expect("another token");
        assert!(tickets.take(&given[3], now).is_some());
        tickets.give(of_token("a"), now).expect("room again");
        // And those that are never used make room as well.
        tickets.give(of_token("a"), now + TICKET_FOR).expect("room");
    }

    #[test]
    fn the_store_is_bounded_also_where_all_were_used() {
        let (tickets, now) = (Tickets::new(3), Instant::now());
        for _ in 0..3 {
            let ticket = tickets.give(of_key(), now).expect("a ticket");
            assert!(tickets.take(&ticket, now).is_some());
        }
        let refused = tickets.give(of_key(), now);
        assert!(matches!(refused, Err(TicketError::Full)));
        tickets.give(of_key(), now + TICKET_FOR).expect("room");
        assert_eq!(tickets.lock().given.len(), 1);
    }
}
