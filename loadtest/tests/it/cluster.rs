//! `loadtest cluster`, very small: skipped, and said so, where there is no NATS server or no broker beside this test.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::program::{Environment, run};
use crate::{figure, measured};

/// A run with so many brokers and this strike; none, and said so, where it can't be done.
async fn struck(brokers: &str, strike: &str, port: &str, seconds: &str) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let nats = root.join("target/tools/nats-server");
    let broker = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name("tenbells");
    if !nats.is_file() || !broker.is_file() {
        // Past the capture of the test runner: who runs it should know.
        let _ = std::io::stderr().write_all(
            b"skipped: loadtest cluster, because there is no nats-server or no broker beside this test\n",
        );
        return None;
    }
    let none: Environment = [
        ("TENBELLS_URL", String::new()),
        ("TENBELLS_KEY", String::new()),
    ];
    let (nats, broker) = (nats.display().to_string(), broker.display().to_string());
    let args = [
        "cluster",
        "--brokers",
        brokers,
        "--strike",
        strike,
        "--port",
        port,
        "--seconds",
        seconds,
    ];
    let more = [
        "--readers",
        "40",
        "--rate",
        "10",
        "--nats-server",
        &nats,
        "--server-bin",
        &broker,
    ];
    let (code, report) = run(&none, &[&args[..], &more[..]].concat()).await;
    assert_eq!(code, Some(0), "{}", report["failures"]);
    Some(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_broker_that_dies_go_on_at_the_others() {
    let Some(report) = struck("2", "kill", "27100", "3").await else {
        return;
    };
    assert_eq!(figure(&report, "brokers"), 2);
    assert_eq!(figure(&report, "reconnects"), 20);
    assert_eq!(figure(&report, "published"), 30);
    assert_eq!(figure(&report, "deliveries"), 1_200);
    assert_eq!(measured(&report, "last_reader_us"), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_restarted_while_it_is_published() {
    let Some(report) = struck("2", "rolling", "27500", "8").await else {
        return;
    };
    // Those of the first one went to the second before that was restarted: each reader reconnects once for each node.
    assert_eq!(figure(&report, "reconnects"), 60);
    assert_eq!(figure(&report, "published"), 80);
    assert_eq!(figure(&report, "deliveries"), 3_200);
}
