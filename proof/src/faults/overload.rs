//! Descriptors: readers take all they may have, and publishers are served all the same.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Answer;
use super::process::Program;
use super::{Outcome, judged, with_an_entry};
use crate::history::After;

/// Descriptors of the broker.
const DESCRIPTORS: &str = "600";
/// Connections that are tried: more than there can be.
const CONNECTIONS: usize = 900;

pub(super) async fn descriptors(program: &Program) -> Result<Outcome> {
    let script = format!("ulimit -n {DESCRIPTORS} && exec \"$@\"");
    let (_root, mut process, client) = with_an_entry(program, &["sh", "-c", &script, "sh"]).await?;
    client.record.fault("readers take all descriptors");
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..CONNECTIONS {
        match reader(&process).await? {
            Some(stream) => held.push(stream),
            None => refused += 1,
        }
    }
    ensure!(
        !held.is_empty() && refused > 0,
        "{} held, {refused} refused",
        held.len()
    );
    let mut published = 0;
    for _ in 0..50 {
        match client.anew()?.publish("t").await.1 {
            Answer::Acked => published += 1,
            other => bail!("with {} readers: {other:?}\n{}", held.len(), process.said()),
        }
    }
    let readers = held.len();
    drop(held);
    client.calm("t", &[("r", After::Start)]).await?;
    process.kill()?;
    let verdict = judged("descriptors", &client.record.events())?;
    Ok(Outcome::Kept(format!(
        "{DESCRIPTORS} descriptors, {CONNECTIONS} readers: {readers} served, {refused} refused with 503, and all of \
         {published} publishes on new connections acknowledged ({verdict})"
    )))
}

/// An event stream, or none where it was refused.
async fn reader(process: &super::process::Process) -> Result<Option<TcpStream>> {
    let mut stream = TcpStream::connect(process.address).await?;
    let head = "GET /v1/topics/t/stream HTTP/1.1\r\nhost: t\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return Ok(None);
    }
    let mut answer = [0; 12];
    match tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer)).await {
        Ok(Ok(_)) if &answer == b"HTTP/1.1 200" => Ok(Some(stream)),
        Ok(Ok(_)) if &answer == b"HTTP/1.1 503" => Ok(None),
        Ok(Ok(_)) => bail!("a reader got {}", String::from_utf8_lossy(&answer)),
        Ok(Err(error)) => bail!("a reader got no answer: {error}"),
        Err(_) => bail!("a reader waits for an answer"),
    }
}
