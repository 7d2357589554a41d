//! `loadtest cluster`, very small: skipped, and said so, where there is no NATS server or no broker beside this test.

use std::io::Write;
use std::path::Path;

use crate::program::{Environment, run};
use crate::{figure, measured};

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_broker_that_dies_go_on_at_the_others() {
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
        return;
    }
    let none: Environment = [
        ("TENBELLS_URL", String::new()),
        ("TENBELLS_KEY", String::new()),
    ];
    let (nats, broker) = (nats.display().to_string(), broker.display().to_string());
    let args = [
        "cluster",
        "--brokers",
        "2",
        "--strike",
        "kill",
        "--readers",
        "40",
        "--rate",
        "10",
        "--seconds",
        "3",
        "--port",
        "27100",
        "--nats-server",
        &nats,
        "--server-bin",
        &broker,
    ];
    let (code, report) = run(&none, &args).await;
    assert_eq!(code, Some(0), "{}", report["failures"]);
    assert_eq!(figure(&report, "brokers"), 2);
    assert_eq!(figure(&report, "reconnects"), 20);
    assert_eq!(figure(&report, "published"), 30);
    assert_eq!(figure(&report, "deliveries"), 1_200);
    assert_eq!(measured(&report, "last_reader_us"), 30);
}
