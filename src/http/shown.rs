//! Answers with entries in them: none is sent that was read before a retraction which is acknowledged.
//!
//! Around a handler stands a look at the topic's count of redactions, and what it read is read anew where that has moved.
//! Around all that changes the bytes on their way (compression) stands the note of what goes to the socket, so that a
//! later retraction cuts off what is still under way: see [`super::cut`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State as Extract};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::cut::{Cut, Shown};
use super::listener::Peer;
use super::problem::Problem;
use super::{Http, State};
use crate::model::TopicName;

/// How often an answer is read anew because an entry was taken back meanwhile.
const READS_MAX: usize = 8;

/// Answers with what the topic in the path has once nothing was taken back while it was read.
pub(super) async fn current(
    Extract(http): State,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let topic = params.ok().and_then(|params| named(&params));
    let Some(topic) = topic.filter(|_| *request.method() == Method::GET) else {
        return next.run(request).await;
    };
    let (parts, _) = request.into_parts();
    let read = || {
        let request = Request::from_parts(parts.clone(), Body::empty());
        next.clone().run(request)
    };
    current_of(&http, &topic, read).await
}

/// Reads an answer from this topic until nothing was taken back meanwhile.
pub(super) async fn current_of<R: Future<Output = Response>>(
    http: &Arc<Http>,
    topic: &TopicName,
    read: impl Fn() -> R,
) -> Response {
    let redactions = || {
        let channel = http.broker.channel_in_use(topic);
        channel.map_or(0, |channel| channel.redactions())
    };
    let Some((mut response, redactions)) = unmoved(redactions, read).await else {
        let detail = "entries are taken back faster than this can be read; ask again";
        return Problem::unavailable(detail).into_response();
    };
    // A refusal shows nothing, and takes as long for what is hidden as for what is absent.
    if response.status().is_success()
        && let Some(channel) = http.broker.channel_in_use(topic)
    {
        let streams = Arc::clone(&http.streams);
        response.extensions_mut().insert(Arc::new(Shown {
            channel,
            redactions,
            streams,
        }));
    }
    response
}

/// Reads until the count did not move meanwhile, and gives that with what was read; none where it moves every time.
async fn unmoved<R: Future>(
    count: impl Fn() -> u64,
    read: impl Fn() -> R,
) -> Option<(R::Output, u64)> {
    for _ in 0..READS_MAX {
        let before = count();
        let read = read().await;
        if count() == before {
            return Some((read, before));
        }
    }
    None
}

/// Notes what of an answer goes to the socket.
pub(super) async fn sent(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let cut = peer.map(|peer| Arc::clone(&peer.cut));
    let mut response = next.run(request).await;
    let shown = response.extensions_mut().remove::<Arc<Shown>>();
    let (Some(cut), Some(shown)) = (cut, shown) else {
        return response;
    };
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Noted { body, cut, shown }))
}

/// A body of which each part is noted before it goes to the socket.
struct Noted {
    body: Body,
    cut: Arc<Cut>,
    shown: Arc<Shown>,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.cut.answers(&self.shown);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn named(params: &RawPathParams) -> Option<TopicName> {
    let topic = params.iter().find(|(name, _)| *name == "topic")?.1;
    TopicName::parse(topic).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Reads while the count moves during the first so many reads; gives what came of it, and how often was read.
    async fn moving(times: u64) -> (Option<(u64, u64)>, u64) {
        let count = AtomicU64::new(5);
        let reads = AtomicU64::new(0);
        let read = async || {
            let read = reads.fetch_add(1, Ordering::Relaxed);
            if read < times {
                count.fetch_add(1, Ordering::Relaxed);
            }
            read
        };
        let found = unmoved(|| count.load(Ordering::Relaxed), read).await;
        (found, reads.into_inner())
    }

    #[tokio::test]
    async fn what_was_read_before_a_retraction_is_read_anew() {
        assert_eq!(moving(0).await, (Some((0, 5)), 1));
        assert_eq!(moving(2).await, (Some((2, 7)), 3));
        let reads = READS_MAX as u64;
        assert_eq!(moving(u64::MAX).await, (None, reads));
    }
}
