//! SIGTERM: what is under way is finished and kept, readers are let go, newcomers are refused, and the exit code is 0.

use futures_util::future::join_all;
use serde_json::Value;
use tenbells::keys::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::load::{Acked, Publisher, judge, read_to};
use crate::support::process::Process;
use crate::support::sse::Sse;
use crate::support::{PATIENCE, make_key};

const PUBLISHERS: usize = 4;
const BODY: &str = r#"{"headline":"under way"}"#;

/// A publish whose body is on its way while the server is told to stop.
struct UnderWay(TcpStream);

impl UnderWay {
    /// Sends the head, and waits until the server asks for the body.
    async fn begin(process: &Process, key: &str) -> Self {
        let mut stream = TcpStream::connect(process.address())
            .await
            .expect("connects");
        let len = BODY.len();
        let head = format!(
            "POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("is sent");
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.expect("is read");
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self(stream)
    }

    /// Sends the body, and gives the answer.
    async fn finish(mut self) -> String {
        self.0.write_all(BODY.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        let read = self.0.read_to_string(&mut answer);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("in time").expect("is read");
        answer
    }
}

/// Waits until the server says that it stops.
async fn draining(process: &Process) {
    let began = std::time::Instant::now();
    let url = format!("{}/readyz", process.admin);
    loop {
        let answer = reqwest::get(&url).await.expect("health answers to the end");
        if answer.status() == 503 {
            assert!(answer.text().await.expect("text").contains("draining"));
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it does not stop");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Whether a new connection is refused: it can't be made, is closed without an answer, or answered with 503.
async fn is_refused(process: &Process) -> bool {
    let url = format!("{}/v1/topics/t", process.base);
    let answer = reqwest::Client::new().get(url).send().await;
    answer.map_or(true, |answer| answer.status() == 503)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_while_readers_go_and_newcomers_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "t");
    let mut process = Process::start(folder.path()).await;
    let publisher = Publisher::new(0, &process.base, &key);
    let first = publisher.insist(1).await;
    let url = format!("{}/v1/topics/t/stream?after=start", process.base);
    let mut sse = Sse::open(&url, None, None).await;
    let last_id = sse.change().await.id;
    assert_eq!(last_id, first[0].position);
    let poll_url = format!(
        "{}/v1/topics/t/changes?after={last_id}&wait=60",
        process.base
    );
    let poll = tokio::spawn(reqwest::get(poll_url));
    let under_way = UnderWay::begin(&process, &key).await;

    process.terminate();
    draining(&process).await;
    // The stream ends, with nothing more than a number of readers in it.
    while let Some(event) = sse.next().await {
        assert_eq!(event.kind, "presence");
    }
    assert!(is_refused(&process).await);
    // A poll is answered with where to go on, or was not yet under way.
    if let Ok(answer) = poll.await.expect("no panic") {
        let page: Value = answer.json().await.expect("JSON");
        assert_eq!(page["position"], last_id.as_str());
    }
    let answer = under_way.finish().await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(process.ended().await.code(), Some(0));

    process.start_again().await;
    let mut sse = Sse::open(&url, Some(&last_id), None).await;
    let event = sse.change().await;
    assert_eq!(event.data["entry"]["headline"], "under way");
    assert!(answer.contains(&event.id), "where the acknowledgement said");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_publish_acknowledged_during_the_drain_is_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "t");
    let mut process = Process::start(folder.path()).await;
    let (told, mut acks) = mpsc::unbounded_channel();
    let publishers = (0..PUBLISHERS).map(|name| {
        let publisher = Publisher::new(name, &process.base, &key);
        let told = told.clone();
        tokio::spawn(async move {
            let mut acked = publisher.insist(0).await;
            for number in 1.. {
                // Whoever listened has heard enough.
                let _ = told.send(());
                match publisher.send(number).await {
                    Some(more) => acked.extend(more),
                    None => return (publisher, acked, number),
                }
            }
            unreachable!("the server stops")
        })
    });
    let publishers: Vec<_> = publishers.collect();
    for _ in 0..40 {
        acks.recv().await.expect("publishers go on");
    }
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
    let stopped = join_all(publishers).await;

    process.start_again().await;
    let mut all: Vec<Acked> = Vec::new();
    for stopped in stopped {
        let (publisher, acked, open) = stopped.expect("the publisher is well");
        all.extend(acked);
        // Its last request was refused or lost, stored or not: sent again, it is there once.
        all.extend(publisher.insist(open).await);
    }
    let end = Publisher::new(PUBLISHERS, &process.base, &key)
        .insist(1)
        .await;
    let changes = read_to(&process.base, &end[0].headline).await;
    all.extend(end);
    judge(&changes, &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "t");
    let mut process = Process::start(folder.path()).await;
    let acked = Publisher::new(0, &process.base, &key).insist(1).await;
    let under_way = UnderWay::begin(&process, &key).await;
    process.terminate();
    draining(&process).await;
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(130));
    drop(under_way);
    process.start_again().await;
    let changes = read_to(&process.base, &acked[0].headline).await;
    judge(&changes, &acked);
}
