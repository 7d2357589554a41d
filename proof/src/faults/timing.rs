//! Hidden equals absent, in time as well: a private topic and one that does not exist, an entry under embargo and one
//! that does not exist, asked for in turns over one connection.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::process::{Program, make_key};

/// Pairs of requests for each path.
const PAIRS: usize = 3_000;
/// Most that the medians may differ, as a share of the smaller one.
const DIFFERENCE_MAX: f64 = 0.10;

pub(super) async fn run(program: &Program) -> Result<Outcome> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("data");
    std::fs::create_dir(&folder)?;
    let key = make_key(&folder)?;
    let mut process = program.start(&folder, &[]).await?;
    let http = reqwest::Client::new();
    let base = process.base.clone();
    let write = async |method: &str, path: &str, body: Value| -> Result<()> {
        let call = http.request(method.parse()?, format!("{base}{path}"));
        let began = Instant::now();
        loop {
            let call = call.try_clone().context("a request")?;
            let answer = call.bearer_auth(&key).json(&body).send().await?;
            if answer.status().is_success() {
                return Ok(());
            }
            // A new key may take a moment to be known.
            ensure!(
                answer.status() == 401 && began.elapsed() < Duration::from_secs(20),
                "{answer:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    write(
        "PUT",
        "/v1/topics/hidden",
        json!({"title": "Words", "visibility": "private"}),
    )
    .await?;
    write(
        "POST",
        "/v1/topics/hidden/entries",
        json!({"headline": "Words"}),
    )
    .await?;
    write("POST", "/v1/topics/t/entries", json!({"headline": "Words"})).await?;
    let held = json!({"id": "hidden", "headline": "Words", "released_at": "2999-01-01T00:00:00Z"});
    write("POST", "/v1/topics/t/entries", held).await?;
    let mut told = Vec::new();
    for path in [
        "/v1/topics/{}",
        "/v1/topics/{}/entries",
        "/v1/topics/{}/changes?after=start",
        "/t/{}",
        "/v1/topics/t/entries/{}",
    ] {
        let (hidden, absent) = medians(&http, &base, path).await?;
        let difference = (hidden - absent).abs() / hidden.min(absent);
        told.push(format!("{path} {hidden:.0} and {absent:.0} us"));
        ensure!(
            difference <= DIFFERENCE_MAX,
            "{path}: hidden {hidden:.1} us, absent {absent:.1} us"
        );
    }
    process.kill()?;
    Ok(Outcome::Kept(format!(
        "medians of {PAIRS} pairs in turns, hidden and absent: {}; equal status, header fields and length",
        told.join(", ")
    )))
}

/// The medians for hidden and absent, in microseconds.
async fn medians(http: &reqwest::Client, base: &str, path: &str) -> Result<(f64, f64)> {
    let (mut hidden, mut absent) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Who comes first changes, so that neither has the warmer cache.
        let (first, second) = if pair % 2 == 0 {
            ("hidden", "absent")
        } else {
            ("absent", "hidden")
        };
        let one = asked(http, base, path, first).await?;
        let other = asked(http, base, path, second).await?;
        ensure!(one.1 == other.1, "{path}: {one:?}, {other:?}");
        for (name, took) in [(first, one.0), (second, other.0)] {
            let of = if name == "hidden" {
                &mut hidden
            } else {
                &mut absent
            };
            of.push(took);
        }
    }
    Ok((median(&mut hidden), median(&mut absent)))
}

/// How long it took, in microseconds, and what can be told of the answer.
async fn asked(
    http: &reqwest::Client,
    base: &str,
    path: &str,
    name: &str,
) -> Result<(f64, String)> {
    let began = Instant::now();
    let answer = http
        .get(format!("{base}{}", path.replace("{}", name)))
        .send()
        .await?;
    let status = answer.status();
    let mut fields: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(field, _)| *field != "date")
        .map(|(field, value)| format!("{field}: {value:?}"))
        .collect();
    fields.sort();
    let length = answer.bytes().await?.len();
    let took = began.elapsed().as_secs_f64() * 1e6;
    Ok((took, format!("{status} {fields:?} {length}")))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
