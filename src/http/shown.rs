//! Answers with entries in them: none is sent that was read before a retraction which is acknowledged.
//!
//! Before a handler reads, the number of the last redaction is noted; what it read is read anew where its topic has got
//! a later one. Around all that changes the bytes on their way (compression) stands the note of what goes to the socket,
//! so that a later retraction cuts off what is still under way: see [`super::cut`].

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

use super::cut::{Cut, Shown, Whose};
use super::listener::Peer;
use super::problem::Problem;
use super::{Http, State};
use crate::broker::{Published, Redactions, WriteError};
use crate::model::TopicName;
use crate::store::AppendError;

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
    let whose = || http.whose(topic);
    current_by(http, whose, read).await
}

/// Reads an answer from any topics until nothing was taken back in any topic meanwhile.
pub(super) async fn current_of_any<R: Future<Output = Response>>(
    http: &Arc<Http>,
    read: impl Fn() -> R,
) -> Response {
    let whose = || Whose::Any(http.broker.redactions().clone());
    current_by(http, whose, read).await
}

async fn current_by<R: Future<Output = Response>>(
    http: &Arc<Http>,
    whose: impl Fn() -> Whose,
    read: impl Fn() -> R,
) -> Response {
    match unmoved(http.broker.redactions(), whose, read).await {
        Some((response, Some((whose, redactions)))) => http.shown(response, whose, redactions),
        Some((refusal, None)) => refusal,
        None => {
            let detail = "entries are taken back faster than this can be read; ask again";
            Problem::unavailable(detail).into_response()
        }
    }
}

/// Reads until nothing was taken back meanwhile, and gives the number of the last redaction before; none where that goes
/// on. A refusal shows nothing, so it is not read anew: it takes as long for what is hidden as for what is absent.
async fn unmoved<R: Future<Output = Response>>(
    redactions: &Redactions,
    whose: impl Fn() -> Whose,
    read: impl Fn() -> R,
) -> Option<(Response, Option<(Whose, u64)>)> {
    for _ in 0..READS_MAX {
        let before = redactions.now();
        let response = read().await;
        if !response.status().is_success() {
            return Some((response, None));
        }
        let whose = whose();
        if !whose.is_void(before) {
            return Some((response, Some((whose, before))));
        }
    }
    None
}

impl Http {
    /// Whose retractions void what is read of this topic.
    fn whose(&self, topic: &TopicName) -> Whose {
        match self.broker.channel_in_use(topic) {
            Some(channel) => Whose::Topic(channel),
            None => Whose::Unused(topic.clone(), self.broker.redactions().clone()),
        }
    }

    /// Notes what an answer shows, and after which redaction that was read.
    pub(super) fn shown(&self, mut response: Response, whose: Whose, redactions: u64) -> Response {
        let streams = Arc::clone(&self.streams);
        response.extensions_mut().insert(Arc::new(Shown {
            whose,
            redactions,
            streams,
        }));
        response
    }

    /// The answer to a write that was begun after the redaction of this number. An entry that was taken back since it was
    /// stored is not in it.
    ///
    /// # Errors
    /// `outcome_unknown` where the store can't be read, or entries are taken back faster than that: it is stored.
    pub(super) async fn shown_as_written(
        &self,
        topic: &TopicName,
        mut redactions: u64,
        mut published: Vec<Published>,
        answer: impl FnOnce(&[Published]) -> Response,
    ) -> Result<Response, Problem> {
        for _ in 0..READS_MAX {
            let whose = self.whose(topic);
            if !whose.is_void(redactions) {
                return Ok(self.shown(answer(&published), whose, redactions));
            }
            redactions = self.broker.redactions().now();
            for one in &mut published {
                let json = self.broker.entry_as_it_stands(topic, &one.id).await;
                one.json = json.map_err(|error| outcome_unknown(error.to_string()))?;
            }
        }
        let cause = "entries are taken back faster than it can be read";
        Err(outcome_unknown(cause.to_owned()))
    }
}

/// What is told to whoever wrote what is stored, and can't be read: never that it is not stored.
fn outcome_unknown(cause: String) -> Problem {
    WriteError::Append(AppendError::OutcomeUnknown(cause)).into()
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
    use axum::http::StatusCode;
    use std::cell::Cell;

    /// Reads while the first so many reads see a redaction; gives what came of it, and how often was read.
    async fn moving(times: usize, status: StatusCode) -> (Option<Option<u64>>, usize) {
        let redactions = Redactions::default();
        let reads = Cell::new(0);
        let whose = || Whose::Any(redactions.clone());
        let read = async || {
            if reads.get() < times {
                redactions.next();
            }
            reads.set(reads.get() + 1);
            status.into_response()
        };
        let found = unmoved(&redactions, whose, read).await;
        let found = found.map(|(_, shows)| shows.map(|(_, redactions)| redactions));
        (found, reads.get())
    }

    #[tokio::test]
    async fn what_was_read_before_a_retraction_is_read_anew() {
        let ok = StatusCode::OK;
        assert_eq!(moving(0, ok).await, (Some(Some(0)), 1));
        assert_eq!(moving(2, ok).await, (Some(Some(2)), 3));
        assert_eq!(moving(usize::MAX, ok).await, (None, READS_MAX));
        let refused = StatusCode::NOT_FOUND;
        assert_eq!(moving(2, refused).await, (Some(None), 1));
    }
}
