//! The harness as people run it: the program itself, each command very small, against a broker in this process or a
//! server that breaks the protocol. What is asserted is what was counted, never how long it took.

mod broken;
mod broker;
mod cluster;
mod compare;
mod program;

use program::{ended_with, passed};
use serde_json::Value;

use broker::Broker;

const TRANSPORTS: [(&str, &str); 4] = [
    ("ws", "WebSocket"),
    ("deflate", "WebSocket, compressed"),
    ("sse", "event stream"),
    ("poll", "long poll"),
];

fn figure(report: &Value, key: &str) -> u64 {
    let value = report["figures"][key].as_f64();
    let value = value.unwrap_or_else(|| panic!("no {key} in {}", report["figures"]));
    assert!(value >= 0.0 && value.fract() == 0.0, "{key}: {value}");
    // Counts of a small run.
    format!("{value}").parse().expect("a count")
}

fn measured(report: &Value, key: &str) -> u64 {
    let count = &report["distributions"][key]["count"];
    count.as_u64().unwrap_or_else(|| panic!("no {key}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fanout_delivers_everything_over_each_transport() {
    let broker = Broker::start().await;
    for (transport, name) in TRANSPORTS {
        let args = [
            "fanout",
            "--readers",
            "20",
            "--rate",
            "20",
            "--seconds",
            "1",
        ];
        let report = passed(&broker, &args, &["--transport", transport]).await;
        assert_eq!(report["transport"], name);
        assert_eq!(figure(&report, "published"), 20);
        assert_eq!(figure(&report, "deliveries"), 400, "{transport}");
        assert_eq!(measured(&report, "delivery_us"), 400);
        assert_eq!(measured(&report, "last_reader_us"), 20);
        let series = &report["series"]["deliveries"]["points"];
        let sum: f64 = series
            .as_array()
            .expect("deliveries over time")
            .iter()
            .filter_map(|point| point[1].as_f64())
            .sum();
        assert!((sum - 400.0).abs() < 0.5, "{series}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_storms_churn_and_catch_up_lose_nothing_over_any_transport() {
    let broker = Broker::start().await;
    for (transport, _) in TRANSPORTS {
        let by = ["--transport", transport];
        let burst = ["burst", "--readers", "20", "--entries", "30"];
        let report = passed(&broker, &burst, &by).await;
        assert_eq!(figure(&report, "deliveries"), 600, "{transport}");
        let storm = ["storm", "--readers", "20", "--missed", "10"];
        let report = passed(&broker, &storm, &by).await;
        assert_eq!(figure(&report, "deliveries"), 200, "{transport}");
        assert_eq!(measured(&report, "recovery_us"), 20, "{transport}");
        let churn = [
            "churn",
            "--readers",
            "20",
            "--joins",
            "40",
            "--rate",
            "20",
            "--seconds",
            "1",
        ];
        let report = passed(&broker, &churn, &by).await;
        assert_eq!(figure(&report, "deliveries"), 400, "{transport}");
        assert!(figure(&report, "rejoined") > 0);
        let catchup = ["catchup", "--readers", "10", "--changes", "250"];
        let report = passed(&broker, &catchup, &by).await;
        assert_eq!(figure(&report, "deliveries"), 2_500, "{transport}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_and_a_soak_deliver_everything() {
    let broker = Broker::start().await;
    for (transport, _) in TRANSPORTS {
        let by = ["--transport", transport];
        let topics = [
            "topics",
            "--topics",
            "20",
            "--readers",
            "40",
            "--rate",
            "40",
            "--seconds",
            "1",
        ];
        let report = passed(&broker, &topics, &by).await;
        assert_eq!(report["command"], "topics");
        assert_eq!(figure(&report, "deliveries"), 80, "{transport}");
    }
    let soak = ["soak", "--readers", "5", "--rate", "20", "--seconds", "2"];
    let report = passed(&broker, &soak, &[]).await;
    assert_eq!(figure(&report, "deliveries"), 200);
    assert!(report["figures"]["memory_growth_mib_per_hour"].is_number());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_readers_are_full_before_and_catch_up_after() {
    let broker = Broker::start().await;
    for transport in ["ws", "sse"] {
        let slow = [
            "slow",
            "--readers",
            "10",
            "--stalled",
            "10",
            "--rounds",
            "1",
            "--rate",
            "20",
            "--seconds",
            "1",
        ];
        let report = passed(&broker, &slow, &["--transport", transport]).await;
        assert_eq!(figure(&report, "without_deliveries"), 200, "{transport}");
        assert_eq!(
            figure(&report, "with_stalled_deliveries"),
            200,
            "{transport}"
        );
        // What filled the sockets comes on top.
        assert!(figure(&report, "caught_up") > 200, "{transport}");
        assert!(
            report["figures"]["kernel_per_stalled_bytes_median"].as_f64() > Some(16_384.0),
            "{}",
            report["figures"]
        );
    }
    let poll = ["slow", "--readers", "1", "--transport", "poll"];
    let said = ended_with(3, &broker.environment(), &poll).await;
    assert!(said.contains("a long poll can't stall"), "{said}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_overload_the_goodput_is_back() {
    let broker = Broker::start().await;
    for transport in ["ws", "sse"] {
        let overload = [
            "overload",
            "--readers",
            "20",
            "--rate",
            "20",
            "--factor",
            "4",
            "--seconds",
            "1",
            "--before",
            "1",
        ];
        let report = passed(&broker, &overload, &["--transport", transport]).await;
        assert_eq!(figure(&report, "before_deliveries"), 400, "{transport}");
        assert_eq!(figure(&report, "overload_deliveries"), 1_600, "{transport}");
        assert_eq!(figure(&report, "refused_meanwhile"), 0, "{transport}");
        assert!(report["figures"]["back_s"].as_f64() < Some(30.0));
        assert!(report["figures"]["goodput_before"].as_f64() > Some(95.0));
    }
    // No goodput comes back that nobody could have: a delivery within no time at all.
    let never = [
        "overload",
        "--readers",
        "20",
        "--seconds",
        "1",
        "--before",
        "1",
        "--within",
        "1",
    ];
    let (code, report) = program::run(&broker.environment(), &never).await;
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report["failures"].to_string().contains("was not back"),
        "{report}"
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_readers_answer_their_pings() {
    let broker = Broker::start().await;
    let idle = ["idle", "--readers", "10", "--seconds", "5"];
    let report = passed(&broker, &idle, &[]).await;
    assert!(figure(&report, "heartbeats") > 0, "{}", report["figures"]);
    assert!(report["figures"]["server_cpu_percent"].is_number());
    assert!(report["figures"]["rss_per_reader_bytes"].is_number());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_and_the_bare_loop_are_counted() {
    let broker = Broker::start().await;
    let publish = ["publish", "--publishers", "1,3", "--seconds", "1"];
    let report = passed(&broker, &publish, &[]).await;
    for publishers in [1, 3] {
        let entries = figure(&report, &format!("entries_{publishers}"));
        let answers = measured(&report, &format!("publish_us_{publishers}"));
        assert!(entries > 0 && entries == answers, "{entries} {answers}");
    }
    let bare = [
        "bare",
        "--readers",
        "20",
        "--messages",
        "15",
        "--rate",
        "50",
    ];
    let report = passed(&broker, &bare, &[]).await;
    assert_eq!(figure(&report, "deliveries"), 300);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_a_server_leaves_is_found_and_fails_the_run() {
    for (transport, _) in [TRANSPORTS[0], TRANSPORTS[3]] {
        let server = broken::start(broken::Fault::Skips(4));
        let (code, report) = program::run(
            &server,
            &[
                "fanout",
                "--readers",
                "3",
                "--rate",
                "20",
                "--seconds",
                "0.5",
                "--patience",
                "5",
                "--transport",
                transport,
            ],
        )
        .await;
        assert_eq!(code, Some(1), "{transport}");
        assert_eq!(report["passed"], false);
        let failures = report["failures"].to_string();
        assert!(failures.contains("gaps: 3"), "{transport}: {failures}");
        assert!(failures.contains("missing: 3"), "{transport}: {failures}");
        // One entry did not come to its three readers: that is told as well.
        assert!(failures.contains("came to 0 of 3 readers"), "{failures}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_server_of_the_tests_own_passes() {
    let server = broken::start(broken::Fault::None);
    let args = [
        "fanout",
        "--readers",
        "3",
        "--rate",
        "20",
        "--seconds",
        "0.5",
    ];
    let (code, report) = program::run(&server, &args).await;
    assert_eq!((code, &report["passed"]), (Some(0), &Value::Bool(true)));
    assert_eq!(figure(&report, "deliveries"), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_and_all_its_readers_come_back() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name("tenbells");
    if !program.exists() {
        eprintln!(
            "skipped: there is no {}: build the workspace",
            program.display()
        );
        return;
    }
    // The command has a broker of its own; this one is for what each command is told.
    let broker = Broker::start().await;
    let program = program.display().to_string();
    for (port, window) in [("17830", "0"), ("17840", "1")] {
        let crash = [
            "crash",
            "--server-bin",
            &program,
            "--port",
            port,
            "--window",
            window,
            "--readers",
            "30",
            "--before",
            "5",
            "--rate",
            "20",
            "--seconds",
            "1",
        ];
        let report = passed(&broker, &crash, &[]).await;
        assert_eq!(figure(&report, "deliveries"), 600, "{window}");
        assert!(report["figures"]["all_at_head_s"].is_number());
        assert!(report["figures"]["peak_mib"].is_number());
    }
    broker.stop().await;
}
