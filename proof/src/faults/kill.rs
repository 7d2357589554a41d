//! `kill -9` at the Nth write or sync of a run of publishes, for every N: strace ends the process at the very call.

use anyhow::Result;

use super::client::Client;
use super::process::{Program, make_key};
use super::{Extent, Outcome, has, judged};
use crate::history::After;

/// The calls that count: of SQLite, on its files.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,ftruncate";

pub(super) async fn at_every_call(program: &Program, extent: Extent) -> Result<Outcome> {
    if !has("strace") {
        return Ok(Outcome::Skipped("strace is not installed".into()));
    }
    let (mut kills, mut unready, mut stored, mut acked) = (0, 0, 0, 0);
    let mut point = 1;
    while point <= extent.points {
        let killed = at(program, point).await?;
        kills += 1;
        unready += u32::from(!killed.was_ready);
        stored += u32::from(killed.was_stored);
        acked += killed.acked;
        point += extent.step.max(1);
    }
    Ok(Outcome::Kept(format!(
        "{kills} kills, one at every {}th call of {CALLS} up to {}: {unready} of them before it was ready, {acked} \
         entries acknowledged before, {stored} stored without an acknowledgement; all read once, in order",
        extent.step, extent.points
    )))
}

struct Killed {
    was_ready: bool,
    acked: u32,
    /// The entry that was under way had been stored.
    was_stored: bool,
}

async fn at(program: &Program, point: u32) -> Result<Killed> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("data");
    std::fs::create_dir(&folder)?;
    let key = make_key(&folder)?;
    let inject = format!("inject={CALLS}:signal=KILL:when={point}");
    let trace = format!("trace={CALLS}");
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let mut process = program.spawn(&folder, &wrapper)?;
    let client = Client::new(&process.base, &key);
    let was_ready = process.ready_or_ended().await?;
    let (acked, under_way) = if was_ready {
        client.publish_until_lost("t").await?
    } else {
        (0, None)
    };
    process.ended().await?;
    client.record.fault(&format!("kill -9 at call {point}"));
    process.start_again().await?;
    let head = head(&client).await?;
    if let Some(number) = under_way {
        client.insist("t", number).await?;
    }
    client.calm("t", &[("r", After::Start)]).await?;
    judged("kill", &client.record.events())?;
    Ok(Killed {
        was_ready,
        acked,
        was_stored: head > u64::from(acked),
    })
}

async fn head(client: &Client) -> Result<u64> {
    let topic = client
        .http
        .get(format!("{}/v1/topics/t", client.base))
        .send()
        .await?;
    let topic: serde_json::Value = topic.json().await?;
    Ok(topic["head"].as_u64().unwrap_or(0))
}
