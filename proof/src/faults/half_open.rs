//! Half-open connections: in a network namespace of its own, the packets of a reader vanish without a word.
//!
//! The broker has to notice by its pings and let go of the connection, publish on meanwhile, and serve the reader where
//! it was once it is back.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;

use super::client::Client;
use super::process::Program;
use super::{Outcome, has, judged, with_an_entry};
use crate::history::{After, Place};
use crate::namespace;

/// Ping every 25 s, pong within 10 s, and a little.
const NOTICED_WITHIN: Duration = Duration::from_secs(40);

pub(super) async fn run(program: &Program) -> Result<Outcome> {
    if !has("nft") || !has("ip") || !has("unshare") {
        return Ok(Outcome::Skipped(
            "nft, ip or unshare is not installed".into(),
        ));
    }
    if !namespace::is_inside() {
        let said = namespace::again_inside()?;
        return Ok(said.map_or_else(|| Outcome::Skipped(namespace::NONE.into()), Outcome::Kept));
    }
    let (_root, mut process, client) = with_an_entry(program, &[]).await?;
    let stream = TcpStream::connect(process.address).await?;
    let port = stream.local_addr()?.port();
    let url = format!("ws://{}/v1/ws?topic=t&after=start", process.address);
    let (mut socket, _) = client_async(url, stream).await.context("a WebSocket")?;
    let told = socket.next().await.context("subscribed")??;
    let change = socket.next().await.context("a change")??;
    ensure!(
        change.to_string().contains(r#""offset":1"#),
        "{told}, {change}"
    );
    ensure!(readers(&client).await? == 1, "one reader is counted");
    client.record.fault("its packets vanish");
    rule(&format!(
        "add table inet proof; add chain inet proof in {{ type filter hook input priority 0; }}; \
         add rule inet proof in tcp sport {port} drop; add rule inet proof in tcp dport {port} drop"
    ))?;
    let gone = Instant::now();
    let mut published = 0_u32;
    while readers(&client).await? > 0 {
        let (number, _) = client.publish("t").await;
        client.insist("t", number).await?;
        published += 1;
        ensure!(
            gone.elapsed() < NOTICED_WITHIN,
            "it is still counted after {:?}",
            gone.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let noticed = gone.elapsed();
    drop(socket);
    rule("delete table inet proof")?;
    let epoch = epoch(&client).await?;
    let resumed = After::Place(Place::new(epoch, 1));
    client
        .calm("t", &[("r", After::Start), ("back", resumed)])
        .await?;
    process.kill()?;
    let verdict = judged("half-open", &client.record.events())?;
    Ok(Outcome::Kept(format!(
        "noticed after {:.1} s, {published} entries published meanwhile, the reader resumed ({verdict})",
        noticed.as_secs_f64()
    )))
}

fn rule(rule: &str) -> Result<()> {
    let output = Command::new("nft").arg(rule).output().context("nft")?;
    ensure!(
        output.status.success(),
        "nft: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

async fn topic(client: &Client) -> Result<serde_json::Value> {
    let answer = client
        .http
        .get(format!("{}/v1/topics/t", client.base))
        .send()
        .await?;
    Ok(answer.json().await?)
}

async fn readers(client: &Client) -> Result<u64> {
    topic(client).await?["readers"].as_u64().context("readers")
}

async fn epoch(client: &Client) -> Result<String> {
    let topic = topic(client).await?;
    let place = topic["position"].as_str().and_then(Place::parse);
    Ok(place.context("a position")?.epoch)
}
