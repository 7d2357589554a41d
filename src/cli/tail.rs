//! `tail`: follows a topic over WebSocket, resuming by itself and checking that nothing is missing.
//!
//! The rules of a reader are in [`cursor`], the words for people in [`human`]; here is the connection around them.

mod cursor;
mod human;

use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, header};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use url::Url;

use super::api::{Remote, join};
use super::entry_args::parse_topic;
use super::exit::{Exit, Failure};
use super::output::{self, clean_line, note};
use super::problem::{Problem, is_temporary_word};
use super::retry::{Retry, parse_retry_after};
use super::trust;
use crate::model::{After, TopicName};
use cursor::{Cursor, Heard};

const SUBPROTOCOL: &str = "tenbells.v1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which the connection counts as lost: the broker pings every 25 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest pause that a drain may ask for.
const DRAIN_PAUSE_MAX: Duration = Duration::from_secs(300);
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// A sanitised body has at most 512 KiB; JSON can make every byte of it six.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// `tenbells tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Topic to follow
    #[arg(value_parser = parse_topic)]
    pub topic: TopicName,
    /// Where to go on from: a position such as k3v9q2-42, or `start`; from now on where it is left out
    #[arg(long, value_name = "POSITION", value_parser = parse_after)]
    pub after: Option<After>,
    /// Prints every frame as it came, one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Stops at the present head; goes from the start where --after is left out
    #[arg(long)]
    pub once: bool,
    /// The broker.
    #[command(flatten)]
    pub remote: Remote,
    /// Tries to connect after the first one; unlimited once it was connected
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Broker")]
    pub retries: u32,
}

/// Why a connection ended.
#[derive(Debug)]
enum Ended {
    /// `--once` has seen the head.
    Done,
    /// Connect again after at least this long, for this reason.
    Again(Duration, Failure),
    /// Going on makes no sense.
    Stop(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Stop(failure)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn parse_after(text: &str) -> Result<After, String> {
    After::parse(text).map_err(|error| error.to_string())
}

/// Follows a topic, and prints what comes.
///
/// # Errors
/// When the broker refuses it or can't be reached, and when a change is missing.
pub async fn tail(args: TailArgs) -> Result<(), Failure> {
    let (json, time_zone) = (args.json, TimeZone::system());
    let mut print = |heard: &Heard, frame: &str| match heard {
        _ if json && frame.contains('\n') => output::line(frame.replace('\n', " ")),
        _ if json => output::line(frame),
        Heard::Change(change) => human::lines(change, &time_zone)
            .into_iter()
            .try_for_each(output::line),
        _ => Ok(()),
    };
    follow(&args, Retry::new(args.retries), &mut print).await
}

/// Follows a topic, and gives every message with its frame to `print`, until that fails.
async fn follow(
    args: &TailArgs,
    retry: Retry,
    print: &mut impl FnMut(&Heard, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let after = match &args.after {
        Some(after) => after.clone(),
        None if args.once => After::Start,
        None => After::Head,
    };
    let mut cursor = Cursor::new(args.topic.clone(), after);
    let mut failed = 0;
    let mut was_connected = false;
    loop {
        let connected = match connect(&args.remote).await {
            Ok(socket) => read(socket, args, &mut cursor, print).await,
            Err(ended) => Err(ended),
        };
        let Err(ended) = connected;
        if cursor.take_progress() {
            was_connected = true;
            failed = 0;
        }
        let (at_least, failure) = match ended {
            Ended::Done => return Ok(()),
            Ended::Stop(failure) => return Err(failure),
            Ended::Again(at_least, failure) => (at_least, failure),
        };
        if failed >= retry.retries && (args.once || !was_connected) {
            return Err(failure);
        }
        let pause = at_least + retry.pause(failed, None);
        failed = failed.saturating_add(1);
        note(format_args!(
            "{failure}; connecting again in {:.1} s",
            pause.as_secs_f64()
        ));
        tokio::time::sleep(pause).await;
    }
}

async fn connect(remote: &Remote) -> Result<Socket, Ended> {
    let mut request = socket_url(&remote.url)
        .as_str()
        .into_client_request()
        .map_err(|error| Failure::usage(format!("can't connect to {}: {error}", remote.url)))?;
    let headers = request.headers_mut();
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    if let Some(key) = &remote.key {
        let bearer = HeaderValue::from_str(&key.bearer())
            .map_err(|_| Failure::usage("the key has characters that no header takes"))?;
        headers.insert(header::AUTHORIZATION, bearer);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let connector = remote.ca.as_deref().map(trust::connector).transpose()?;
    let connecting = connect_async_tls_with_config(request, Some(config), true, connector);
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(answer))) => Err(refused(&answer)),
        Ok(Err(error @ (Error::Protocol(_) | Error::Url(_) | Error::HttpFormat(_)))) => {
            let failure = Failure::unavailable(format!("no WebSocket at {}: {error}", remote.url))
                .advise("is TENBELLS_URL the address of a Tenbells broker?");
            Err(Ended::Stop(failure))
        }
        Ok(Err(error)) => Err(Ended::Again(
            Duration::ZERO,
            lost(&remote.url, &error.to_string()),
        )),
        Err(_) => Err(Ended::Again(
            Duration::ZERO,
            lost(
                &remote.url,
                &format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            ),
        )),
    }
}

/// Reads one connection to its end.
async fn read(
    mut socket: Socket,
    args: &TailArgs,
    cursor: &mut Cursor,
    print: &mut impl FnMut(&Heard, &str) -> Result<(), Failure>,
) -> Result<std::convert::Infallible, Ended> {
    let url = &args.remote.url;
    let again = |why: &str| Ended::Again(Duration::ZERO, lost(url, why));
    socket
        .send(Message::text(cursor.subscribe()))
        .await
        .map_err(|error| again(&error.to_string()))?;
    loop {
        let message = match tokio::time::timeout(SILENCE_MAX, socket.next()).await {
            Err(_) => return Err(again(&format!("silent for {} s", SILENCE_MAX.as_secs()))),
            Ok(None) => return Err(again("the connection broke off")),
            Ok(Some(Err(error @ (Error::Capacity(_) | Error::Utf8(_))))) => {
                return Err(Failure::unavailable(format!("{url} sent {error}")).into());
            }
            Ok(Some(Err(error))) => return Err(again(&error.to_string())),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(frame) => {
                let heard = cursor.hear(&frame)?;
                print(&heard, &frame)?;
                match heard {
                    Heard::Error { code, failure } if is_temporary_word(&code) => {
                        return Err(Ended::Again(Duration::ZERO, failure));
                    }
                    Heard::Error { failure, .. } => return Err(Ended::Stop(failure)),
                    Heard::Reset { position, reason } => reset(args, &position, &reason)?,
                    _ => {}
                }
                if args.once && cursor.is_at_head() {
                    let _ = socket.close(None).await;
                    return Err(Ended::Done);
                }
            }
            Message::Close(frame) => return Err(closed(url, frame.as_ref())),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// Says that the numbering broke; with `--once` there is nothing to go on with.
fn reset(args: &TailArgs, position: &str, reason: &str) -> Result<(), Failure> {
    let said = format!(
        "{}: reset to {position}: {}",
        args.topic,
        clean_line(reason)
    );
    if args.once {
        return Err(Failure::data(said).advise("read it anew: --after start"));
    }
    note(format_args!("{said}; what lay between is not shown"));
    Ok(())
}

fn closed(url: &Url, frame: Option<&CloseFrame>) -> Ended {
    let Some(frame) = frame else {
        return Ended::Again(Duration::ZERO, lost(url, "closed"));
    };
    let code = u16::from(frame.code);
    let reason = clean_line(&frame.reason);
    let said = format!("{url} closed the connection: {code} {reason}");
    let said = said.trim_end();
    match code {
        4001 => Ended::Again(first_millis(&reason), Failure::temporary(said)),
        4501 => Ended::Stop(
            Failure::denied(said).advise("set TENBELLS_KEY to a key that may read this topic"),
        ),
        4503 => Ended::Stop(Failure::denied(said)),
        4500..=4999 | 1002 | 1003 | 1007 | 1009 | 1010 => Ended::Stop(Failure::unavailable(said)),
        1008 => Ended::Stop(Failure::denied(said)),
        _ => Ended::Again(Duration::ZERO, Failure::unavailable(said)),
    }
}

/// The first number in the reason of a drain, in milliseconds.
fn first_millis(reason: &str) -> Duration {
    let digits = reason.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let millis = digits[..end]
        .parse()
        .map_or(Duration::ZERO, Duration::from_millis);
    millis.min(DRAIN_PAUSE_MAX)
}

fn refused(answer: &Response<Option<Vec<u8>>>) -> Ended {
    let status = answer.status().as_u16();
    let body = answer.body().as_deref().unwrap_or_default();
    let problem = Problem::read(body);
    let failure = problem.failure(status, "open a WebSocket");
    if !problem.is_worth_repeating(status) {
        return Ended::Stop(failure);
    }
    let asked = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| parse_retry_after(value.to_str().ok()?, Timestamp::now()));
    Ended::Again(asked.unwrap_or_default().min(DRAIN_PAUSE_MAX), failure)
}

fn lost(url: &Url, why: &str) -> Failure {
    Failure::new(
        Exit::Unavailable,
        format!("lost {url}: {}", clean_line(why)),
    )
    .advise("is the broker running (`tenbells serve`), and TENBELLS_URL its address?")
}

/// The WebSocket address that belongs to an HTTP address.
fn socket_url(base: &Url) -> Url {
    let mut url = join(base, &["v1", "ws"]);
    let scheme = if base.scheme() == "https" {
        "wss"
    } else {
        "ws"
    };
    // Can't fail: all four are special schemes.
    let _ = url.set_scheme(scheme);
    url
}

#[cfg(test)]
mod tests;
