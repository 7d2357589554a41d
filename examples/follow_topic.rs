//! Follows a topic for ever: prints every change once, in order, through any number of lost connections.
//!
//! ```sh
//! cargo run --example follow_topic -- elections start
//! ```
//!
//! A reader needs to remember one thing: its position (`EPOCH-OFFSET`). It subscribes behind that position, and each
//! change moves the offset by one. After a lost connection it subscribes again, behind the last change that it has
//! *dealt with*: what came between is replayed first, then it is live again, on the same path. A program that keeps
//! the position with its own results can be stopped and started at any time, too.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The broker pings every 25 seconds; silence for much longer means that the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where this reader stands.
struct Reader {
    topic: String,
    /// `start`, or a position; none means: from now on.
    after: Option<String>,
    /// The position as its two parts, once the broker has named it.
    epoch: String,
    offset: u64,
}

/// How a connection ended.
enum Ended {
    /// Connect again, after at least this long.
    Again(Duration),
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "an example talks to its user")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut reader = Reader {
        topic: args
            .next()
            .context("usage: follow_topic TOPIC [start|POSITION]")?,
        after: args.next(),
        epoch: String::new(),
        offset: 0,
    };
    let base = std::env::var("TENBELLS_URL").unwrap_or("http://127.0.0.1:7010".to_owned());
    // http becomes ws, https becomes wss.
    let url = format!("{}/v1/ws", base.replacen("http", "ws", 1));

    let mut failed = 0;
    loop {
        let before = reader.offset;
        let Ended::Again(at_least) = reader.follow(&url).await?;
        failed = if reader.offset > before {
            0
        } else {
            failed + 1
        };
        let pause = at_least + jitter(failed);
        eprintln!(
            "connection lost; going on behind {:?} in {pause:?}",
            reader.after
        );
        tokio::time::sleep(pause).await;
    }
}

impl Reader {
    /// Follows over one connection. An error means that connecting again would not help.
    async fn follow(&mut self, url: &str) -> anyhow::Result<Ended> {
        let mut request = url.into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "tenbells.v1".parse()?);
        // Only a private topic needs a key.
        if let Ok(key) = std::env::var("TENBELLS_KEY") {
            headers.insert("Authorization", format!("Bearer {key}").parse()?);
        }
        // The default buffer has 128 KiB; a live blog's changes are small.
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
        let mut socket = match connect_async_with_config(request, Some(config), true).await {
            Ok((socket, _)) => socket,
            Err(Error::Http(answer)) if answer.status().is_client_error() => {
                bail!("the broker refused the connection: {}", answer.status());
            }
            Err(_) => return Ok(Ended::Again(Duration::ZERO)),
        };

        let mut subscribe = json!({"op": "subscribe", "topic": self.topic});
        if let Some(after) = &self.after {
            subscribe["after"] = json!(after);
        }
        if socket
            .send(Message::text(subscribe.to_string()))
            .await
            .is_err()
        {
            return Ok(Ended::Again(Duration::ZERO));
        }
        loop {
            match tokio::time::timeout(SILENCE_MAX, socket.next()).await {
                Ok(Some(Ok(Message::Text(frame)))) => self.take(&frame)?,
                Ok(Some(Ok(Message::Close(Some(close))))) => return closed(&close),
                // Pings are answered by the library.
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) | Err(_) => return Ok(Ended::Again(Duration::ZERO)),
            }
        }
    }

    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "an example talks to its user"
    )]
    fn take(&mut self, frame: &str) -> anyhow::Result<()> {
        let message: Value = serde_json::from_str(frame)?;
        match message["op"].as_str() {
            Some("change") => {
                let offset = message["offset"]
                    .as_u64()
                    .context("a change has an offset")?;
                // The promise that makes this simple: no hole, no duplicate. It costs one line to check.
                ensure!(
                    offset == self.offset + 1,
                    "change {offset} after {}",
                    self.offset
                );
                println!(
                    "{offset} {} {}",
                    message["kind"], message["entry"]["headline"]
                );
                // Only now, when the change has been dealt with, the reader stands behind it.
                self.stand_at(self.epoch.clone(), offset);
            }
            Some(op @ ("subscribed" | "reset")) => {
                let position = message["position"].as_str().context("it has a position")?;
                let (epoch, offset) = position.split_once('-').context("EPOCH-OFFSET")?;
                if op == "reset" {
                    // The numbering broke, as after a restore: fetch the snapshot again
                    // (GET /v1/topics/TOPIC/entries), and go on from this position.
                    eprintln!("reset to {position}: {}", message["reason"]);
                }
                self.stand_at(epoch.to_owned(), offset.parse()?);
            }
            Some("error") => bail!("{}: {}", message["code"], message["message"]),
            // Presence, and whatever a newer broker may say.
            _ => {}
        }
        Ok(())
    }

    fn stand_at(&mut self, epoch: String, offset: u64) {
        self.after = Some(format!("{epoch}-{offset}"));
        (self.epoch, self.offset) = (epoch, offset);
    }
}

/// 4500 to 4999 mean: don't come back. 4001 is a drain, and says in milliseconds when to come back.
fn closed(close: &CloseFrame) -> anyhow::Result<Ended> {
    let code = u16::from(close.code);
    ensure!(
        !(4500..5000).contains(&code),
        "closed for good: {code} {}",
        close.reason
    );
    let digits = close
        .reason
        .trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let millis = if code == 4001 {
        digits[..end].parse().unwrap_or(0)
    } else {
        0
    };
    Ok(Ended::Again(Duration::from_millis(millis)))
}

/// Full jitter: a random pause of at most 0.5, 1, 2 … 30 seconds.
fn jitter(failed: u32) -> Duration {
    let limit_ms = (500 * 2_u64.pow(failed.min(6))).min(30_000);
    Duration::from_millis(getrandom::u64().unwrap_or(limit_ms / 2) % (limit_ms + 1))
}
