//! Publishes one entry so that it arrives exactly once, whatever the network does.
//!
//! ```sh
//! export TENBELLS_KEY=$(tenbells keys create --role publisher --topics '*')
//! cargo run --example publish_entry -- elections "Polls have closed"
//! ```
//!
//! The whole trick is one header. The tool makes an `Idempotency-Key` before the first try and sends the same key with
//! every retry. If the first try was stored and only its answer got lost, the broker gives that answer again instead of
//! publishing a second entry. It remembers the key for the life of the topic.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

const TRIES: u32 = 6;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example talks to its user")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: publish_entry TOPIC HEADLINE";
    let topic = args.next().context(usage)?;
    let headline = args.next().context(usage)?;
    let base = std::env::var("TENBELLS_URL").unwrap_or("http://127.0.0.1:7010".to_owned());
    let key = std::env::var("TENBELLS_KEY").context("set TENBELLS_KEY")?;

    let entry = json!({
        "headline": headline,
        "body": {"markdown": "The first counts are *expected within the hour*."},
        "authors": [{"name": "Ada Lee"}, {"name": "Example Wire", "type": "organization"}],
        "key_event": true,
    });
    let url = format!("{base}/v1/topics/{topic}/entries");
    let answer = publish(&url, &key, &entry).await?;

    // The position names this change for ever: a reader that has it can ask for everything behind it.
    println!("{} at {}", answer["entry"]["id"], answer["position"]);
    Ok(())
}

/// Publishes `entry`, trying again with one and the same idempotency key.
async fn publish(url: &str, key: &str, entry: &Value) -> anyhow::Result<Value> {
    let idempotency_key = ulid::Ulid::generate().to_string();
    // A redirect would be followed without the body or the key; better to hear of it.
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?;
    let mut lost = String::new();
    for tried in 0..TRIES {
        if tried > 0 {
            tokio::time::sleep(pause(tried)).await;
        }
        let request = http
            .post(url)
            .bearer_auth(key)
            .header("Idempotency-Key", &idempotency_key)
            .json(entry);
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Nobody knows whether it was stored. The key makes asking again harmless.
            Err(error) => {
                lost = format!("{error:#}");
                continue;
            }
        };
        match answer.status() {
            status if status.is_success() => match answer.json().await {
                Ok(answer) => return Ok(answer),
                Err(error) => lost = format!("{error:#}"),
            },
            // The broker is busy or restarting, and may say for how long.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                lost = answer.status().to_string();
                let asked = answer.headers().get(RETRY_AFTER);
                let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(asked.unwrap_or(0).min(60))).await;
            }
            // Anything else stays wrong however often it is sent. `code` is stable, `detail` is for people.
            status => {
                let problem: Value = answer.json().await.unwrap_or_default();
                bail!(
                    "refused with {status}: {} ({})",
                    problem["detail"],
                    problem["code"]
                );
            }
        }
    }
    bail!("given up after {TRIES} tries: {lost}")
}

/// Exponential back-off with full jitter, so that many tools don't come back in step after an outage.
fn pause(tried: u32) -> Duration {
    let limit_ms = 250 * 2_u64.pow(tried);
    let random = getrandom::u64().unwrap_or(limit_ms / 2);
    Duration::from_millis(random % (limit_ms + 1))
}
