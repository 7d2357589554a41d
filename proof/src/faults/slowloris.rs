//! Sockets that dribble: each says a byte a second, and never enough. They are gone by the broker's own clock, and who has
//! something to say or to read is served meanwhile.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use super::client::{Answer, Client};
use super::process::Program;
use super::{Outcome, judged, with_an_entry};
use crate::history::After;

/// The longest that the broker bears one by default: 10 s to the first subscription of a WebSocket.
const BORNE: Duration = Duration::from_secs(10);
/// What a busy machine may need beyond it.
const MARGIN: Duration = Duration::from_secs(3);
/// When a socket counts as held for ever.
const FOR_EVER: Duration = Duration::from_secs(60);
const BYTE_EVERY: Duration = Duration::from_secs(1);
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// A publish that takes longer than this is not served.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// Sockets of one source address: fewer than it has ports.
const SOCKETS_AN_ADDRESS: usize = 10_000;
/// Descriptors beside the sockets.
const SPARE: usize = 300;

/// How they dribble: a name, and what they begin with. `KEY` stands for a good key.
const WAYS: [(&str, &[u8]); 7] = [
    ("silent", b""),
    ("in the request line", b"GET /v1/topics/t?"),
    (
        "in the head",
        b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\nX-Dribble: ",
    ),
    (
        "behind a request",
        b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\n\r\n",
    ),
    (
        "in a refused body",
        b"POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer tb_no\r\n\
         Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n",
    ),
    (
        "in a body",
        b"POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer KEY\r\n\
         Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n",
    ),
    // A masked text of 2,000 bytes, which would be a first message.
    (
        "in a message on a WebSocket",
        b"GET /v1/ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
          \x81\xfe\x07\xd0\0\0\0\0",
    ),
];

/// What came of it, while they dribbled.
#[derive(Default)]
struct Meanwhile {
    /// How long the longest of each way was borne.
    longest: [Duration; WAYS.len()],
    published: u32,
    slowest: Duration,
}

pub(super) async fn run(program: &Program, sockets: usize) -> Result<Outcome> {
    let descriptors = descriptors()?;
    if descriptors < sockets + SPARE {
        return Ok(Outcome::Skipped(format!(
            "{sockets} sockets need {} descriptors, and there are {descriptors}: ulimit -n",
            sockets + SPARE
        )));
    }
    let (_root, mut process, client) = with_an_entry(program, &[]).await?;
    let end = client.record.number();
    let reader = client.clone();
    let last = format!("v{end}");
    let reading = tokio::spawn(async move {
        reader
            .read("r", "t", After::Start, |read| read.value == last)
            .await
    });
    client.record.fault("sockets that dribble");
    let meanwhile = outlast(&client, process.address, sockets).await?;
    client.record.fault("they are gone");
    client.insist("t", end).await?;
    let read = reading.await??;
    client
        .calm("t", &[("r", After::Place(read)), ("late", After::Start)])
        .await?;
    process.kill()?;
    let verdict = judged("slowloris", &client.record.events())?;
    let Meanwhile {
        longest,
        published,
        slowest,
    } = meanwhile;
    let held = WAYS
        .iter()
        .zip(longest)
        .map(|((way, _), held)| format!("{way} {:.1} s", held.as_secs_f64()))
        .collect::<Vec<_>>()
        .join(", ");
    let most = longest.into_iter().max().unwrap_or_default();
    ensure!(most <= BORNE + MARGIN, "the longest were there: {held}");
    ensure!(
        published > 20 && slowest <= SERVED_WITHIN,
        "of {published} publishes the slowest took {slowest:?}"
    );
    Ok(Outcome::Kept(format!(
        "{sockets} sockets at a byte a second were closed by the broker, the longest held: {held}; meanwhile all of \
         {published} publishes on new connections were acknowledged, the slowest in {} ms ({verdict})",
        slowest.as_millis()
    )))
}

/// Lets sockets dribble until the broker has ended the last one, and publishes meanwhile.
async fn outlast(
    client: &Client,
    address: std::net::SocketAddr,
    sockets: usize,
) -> Result<Meanwhile> {
    let mut dribbling = JoinSet::new();
    for number in 0..sockets {
        dribbling.spawn(dribble(address, number, client.key.clone()));
    }
    let mut meanwhile = Meanwhile::default();
    let mut next = tokio::time::interval(PUBLISH_EVERY);
    let mut gone = 0;
    while gone < sockets {
        tokio::select! {
            Some(ended) = dribbling.join_next() => {
                let (way, held) = ended??;
                meanwhile.longest[way] = meanwhile.longest[way].max(held);
                gone += 1;
            }
            _ = next.tick() => {
                let began = Instant::now();
                publish(client).await?;
                meanwhile.slowest = meanwhile.slowest.max(began.elapsed());
                meanwhile.published += 1;
            }
        }
    }
    Ok(meanwhile)
}

/// One publish on a connection of its own.
async fn publish(client: &Client) -> Result<()> {
    match client.anew()?.publish("t").await.1 {
        Answer::Acked => Ok(()),
        other => bail!("a publish got {other:?}"),
    }
}

/// Dribbles until the broker ends it: in which way, and how long that took.
async fn dribble(
    address: std::net::SocketAddr,
    number: usize,
    key: String,
) -> Result<(usize, Duration)> {
    let way = number % WAYS.len();
    let begin = beginning(WAYS[way].1, &key);
    let host = u8::try_from(1 + number / SOCKETS_AN_ADDRESS).context("too many sockets")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 1, host), 0).into())?;
    let mut stream = socket.connect(address).await?;
    let began = Instant::now();
    let (mut read, mut write) = stream.split();
    write.write_all(&begin).await?;
    let dribbling = async {
        loop {
            tokio::time::sleep(BYTE_EVERY).await;
            if write.write_all(b"a").await.is_err() {
                // Its end is seen by who reads.
                return std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = [0; 512];
    let reading = async { while read.read(&mut answer).await.unwrap_or(0) > 0 {} };
    tokio::select! {
        () = reading => Ok((way, began.elapsed())),
        () = dribbling => bail!("nothing ends it"),
        () = tokio::time::sleep(FOR_EVER) => bail!("dribbling {} was borne for {FOR_EVER:?}", WAYS[way].0),
    }
}

/// What is sent at once, with the key in it.
fn beginning(text: &[u8], key: &str) -> Vec<u8> {
    let word = b"KEY";
    match text.windows(word.len()).position(|part| part == word) {
        Some(at) => [&text[..at], key.as_bytes(), &text[at + word.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// Descriptors that this process may have.
fn descriptors() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .context("no limit of open files")?;
    let soft = line.split_whitespace().nth(3).context("a number")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}
