//! A process that stands still: SIGSTOP for a while, with publishes and readers on their way.

use std::time::Duration;

use anyhow::Result;

use super::process::Program;
use super::{Outcome, judged, with_an_entry};
use crate::history::After;

const PUBLISHERS: usize = 4;

pub(super) async fn stopped(program: &Program, how_long: Duration) -> Result<Outcome> {
    let (_root, mut process, client) = with_an_entry(program, &[]).await?;
    let numbers: Vec<Vec<u64>> = (0..PUBLISHERS)
        .map(|_| (0..50).map(|_| client.record.number()).collect())
        .collect();
    let last = format!("v{}", numbers[0][49]);
    let publishing: Vec<_> = numbers
        .into_iter()
        .map(|numbers| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in numbers {
                    client.insist("t", number).await?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let reader = client.clone();
    let reading = tokio::spawn(async move {
        reader
            .read("r", "t", After::Start, |read| read.value == last)
            .await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.record.fault("SIGSTOP");
    process.signal("-STOP")?;
    tokio::time::sleep(how_long).await;
    process.signal("-CONT")?;
    client.record.fault("SIGCONT");
    for publisher in publishing {
        publisher.await??;
    }
    let read = reading.await??;
    client
        .calm("t", &[("r", After::Place(read)), ("late", After::Start)])
        .await?;
    process.kill()?;
    let verdict = judged("stop", &client.record.events())?;
    Ok(Outcome::Kept(format!(
        "stopped for {} s: {verdict}",
        how_long.as_secs()
    )))
}
