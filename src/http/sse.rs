//! `GET /v1/topics/{topic}/stream`: server-sent events. The same topic, cursor and ring as the WebSocket engine, with
//! a task per reader: the second path, which may cost more.
//!
//! Backpressure is the body's: what is behind the cursor is asked for only when the connection can take it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::auth::{Access, topic_name};
use super::cut::{Cut, Whose};
use super::guard::Client;
use super::listener::Peer;
use super::problem::Problem;
use super::read::{Query, resume_from};
use super::{Admitted, Http, State};
use crate::broker::{Channel, Presence, Start};
use crate::limits::REPLAY_FREE;
use crate::model::Offset;
use crate::pressure::Step;
use crate::protocol::{Code, sse_presence, sse_reset, sse_start};

/// Most bytes that are put together for one write; one change always fits.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// Most changes of one write.
const CHUNK_CHANGES_MAX: usize = 64;
/// Over how long readers that had to leave are spread when they come back.
const LEAVING_SPREAD_MS: u32 = 10_000;
/// How often readers are told how many they are, at most.
const PRESENCE_EVERY: Duration = Duration::from_secs(5);

struct Reader {
    http: Arc<Http>,
    channel: Arc<Channel>,
    access: Access,
    cursor: Offset,
    first: Option<Bytes>,
    head: watch::Receiver<Offset>,
    heartbeat: Interval,
    presence: Interval,
    readers_told: u64,
    /// The last bytes have gone out.
    is_leaving: bool,
    cut: Arc<Cut>,
    whose: Whose,
    _counted: Presence,
    _admitted: Admitted,
}

/// Opens the stream.
pub(super) async fn stream(
    Extract(http): State,
    Extension(peer): Extension<Peer>,
    client: Option<Extension<Client>>,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    if !http.origin_allowed(&headers) {
        return Err(Problem::new(
            Code::OriginRefused,
            "pages of this origin may not read here: the server's origins list has it not",
        ));
    }
    let query = Query::parse(query.as_deref());
    let after = resume_from(&headers, &query)?;
    let grant = http.caller(&headers, &query)?;
    let (channel, access) = http.readable_as(grant, &topic).await?;
    let admitted = http
        .admission
        .reader()
        .ok_or_else(|| Problem::unavailable("as many readers as may be are here"))?;
    let start = http.broker.start(&channel, &after).await?;
    if let Start::From(cursor) = &start {
        let behind = channel.head().saturating_sub(*cursor);
        http.count_replay(client.map(|Extension(client)| client), behind, behind)?;
    }
    http.streams.enter(Some(topic), &peer.cut);
    let reader = Reader::new(http, channel, access, start, admitted, peer.cut);
    let mut response = Response::new(Body::from_stream(stream::unfold(
        reader,
        |mut reader| async move {
            let chunk = reader.next().await?;
            Some((Ok::<_, Infallible>(chunk), reader))
        },
    )));
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies of the nginx family gather a response before passing it on, unless told not to.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

impl Reader {
    fn new(
        http: Arc<Http>,
        channel: Arc<Channel>,
        access: Access,
        start: Start,
        admitted: Admitted,
        cut: Arc<Cut>,
    ) -> Self {
        let head = channel.watch_head();
        let now = channel.head();
        let retry = http.options.sse_retry;
        let (cursor, first) = match start {
            Start::From(offset) => (offset, sse_start(&channel.epoch().at(offset), retry, now)),
            Start::Reset(reason) => {
                let position = channel.epoch().at(now);
                let mut bytes = BytesMut::from(&sse_start(&position, retry, now)[..]);
                bytes.extend_from_slice(&sse_reset(channel.name(), &position, reason.as_str()));
                (now, bytes.freeze())
            }
        };
        let ticking = |every| {
            let mut interval = tokio::time::interval(every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval.reset();
            interval
        };
        Self {
            heartbeat: ticking(http.options.sse_heartbeat),
            presence: ticking(PRESENCE_EVERY),
            readers_told: 0,
            is_leaving: false,
            _counted: channel.enter(),
            _admitted: admitted,
            cut,
            whose: Whose::Topic(Arc::clone(&channel)),
            first: Some(first),
            http,
            channel,
            access,
            cursor,
            head,
        }
    }

    /// The next bytes; none ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.is_leaving {
            return None;
        }
        loop {
            let may_go_on = !self.channel.is_retired()
                && self.access.stands(&self.http)
                && self.access.may_read(&self.http, &self.channel);
            if !may_go_on {
                return None;
            }
            if self.http.pressure.step() >= Step::Drop && self.is_far_behind() {
                // It comes back by itself, and gets the rest once there is memory for it.
                return None;
            }
            self.head.borrow_and_update();
            match self.behind_cursor().await {
                // It may have become private since it was looked; from here on that cuts the stream off.
                Ok(Some(_)) if !self.access.may_read(&self.http, &self.channel) => return None,
                Ok(Some(bytes)) => {
                    self.heartbeat.reset();
                    return Some(bytes);
                }
                Ok(None) => {}
                Err(problem) => {
                    // The reader comes back by itself and asks from its cursor.
                    tracing::warn!(topic = %self.channel.name(), ?problem, "an event stream ends early");
                    return None;
                }
            }
            tokio::select! {
                changed = self.head.changed() => changed.ok()?,
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(b": \n\n")),
                _ = self.presence.tick() => {
                    if self.http.pressure.step() == Step::Close && gives_way() {
                        return self.leave();
                    }
                    let readers = self.channel.audience();
                    if readers != self.readers_told {
                        self.readers_told = readers;
                        return Some(sse_presence(self.channel.name(), readers));
                    }
                }
                () = self.access.ended(&self.http) => return None,
                () = self.http.shutdown.wait() => return self.leave(),
            }
        }
    }

    fn is_far_behind(&self) -> bool {
        self.channel.head().saturating_sub(self.cursor) > REPLAY_FREE
    }

    /// The last bytes: when to come back, for each reader another time, so that not all come at once.
    fn leave(&mut self) -> Option<Bytes> {
        self.is_leaving = true;
        let least = u32::try_from(self.http.options.sse_retry.as_millis()).unwrap_or(u32::MAX);
        let delay = least.saturating_add(getrandom::u32().unwrap_or(0) % LEAVING_SPREAD_MS);
        Some(format!("retry: {delay}\n\n").into())
    }

    async fn behind_cursor(&mut self) -> Result<Option<Bytes>, Problem> {
        let frames = loop {
            let redactions = self.http.broker.redactions().now();
            let frames = self
                .http
                .broker
                .next(
                    &self.channel,
                    self.cursor,
                    CHUNK_CHANGES_MAX,
                    CHUNK_BYTES_MAX,
                )
                .await?;
            if frames.is_empty() {
                return Ok(None);
            }
            // Noted only now: what was written before may have been flushed while this waited for the store. A redaction
            // that came in between has not seen the note, so they are taken anew.
            let before = self.cut.takes(&self.whose, redactions);
            if !self.channel.is_void(redactions) {
                break frames;
            }
            self.cut.put_back(&self.whose, before);
        };
        let Some(last) = frames.last() else {
            return Ok(None);
        };
        self.cursor = last.offset();
        let epoch = self.channel.epoch();
        if let [only] = frames.as_slice() {
            return Ok(Some(only.sse(epoch).clone()));
        }
        let mut bytes = BytesMut::new();
        for frame in &frames {
            bytes.extend_from_slice(frame.sse(epoch));
        }
        Ok(Some(bytes.freeze()))
    }
}

/// Whether one of the readers that have to give way is this one: a quarter of them at each look.
fn gives_way() -> bool {
    getrandom::u32().unwrap_or(0).is_multiple_of(4)
}
