//! `loadtest compare` as a whole: Tenbells and whatever peers are installed here, with a few readers. Nothing is fetched,
//! and no figure is judged: a test can't know what else the machine does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One run at a time: each takes the machine for itself.
static ALONE: Mutex<()> = Mutex::new(());

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("root")
}

/// The broker beside the harness; built where only the harness was.
fn broker() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name("tenbells");
    if !path.is_file() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root());
        cargo.args(["build", "--offline", "--locked", "--bin", "tenbells"]);
        assert!(cargo.status().expect("cargo").success(), "no broker");
    }
    path
}

fn compare(folder: &Path, more: &[&str], path: Option<&str>) -> (Output, Value) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let json = folder.join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command
        .args(["compare", "--port", "0", "--readers", "20", "--rate", "30"])
        .args(["--seconds", "1", "--texts", "12", "--publishers", "3"])
        .args(["--settle", "0.1"])
        .args(more)
        .arg("--server-bin")
        .arg(broker())
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(folder.join("report.html"));
    match path {
        Some(path) => command.env("PATH", path).env_remove("LOADTEST_PEERS"),
        // In the environment, where the broker finds it as well and must not take it for a setting of its own.
        None => command.env("LOADTEST_PEERS", root().join("target/peers")),
    };
    let output = command.output().expect("the harness");
    let text = std::fs::read_to_string(&json).unwrap_or_else(|_| {
        panic!(
            "no report: {}",
            String::from_utf8_lossy(&output.stderr).into_owned()
        )
    });
    let report = serde_json::from_str(&text).expect("json");
    (output, report)
}

fn row<'a>(report: &'a Value, key: &str) -> &'a Value {
    report["comparison"]["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["key"] == key)
        .unwrap_or_else(|| panic!("no row {key}"))
}

#[test]
fn whoever_is_installed_is_measured_and_whoever_is_not_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = ["--rounds", "2", "--probe-seconds", "0"];
    let (output, report) = compare(folder.path(), &more, None);
    assert!(output.status.success(), "{report:#}");
    let comparison = &report["comparison"];
    let subjects = comparison["subjects"].as_array().expect("subjects");
    let absent = comparison["absent"].as_array().expect("absent");
    assert_eq!(subjects.len() + absent.len(), 5, "{comparison:#}");
    assert_eq!(subjects[0]["key"], "tenbells");
    for subject in subjects {
        assert!(!subject["version"].as_str().expect("text").is_empty());
        assert!(!subject["settings"].as_str().expect("text").is_empty());
    }
    // 2 rounds × 30 changes × 20 readers, each checked.
    assert_eq!(
        row(&report, "faults")["rounds"]["tenbells"],
        serde_json::json!([0.0, 0.0])
    );
    assert_eq!(
        report["distributions"]["tenbells_delivery_us"]["count"],
        1_200
    );
    let connected = row(&report, "connect_all_s")["cells"]["tenbells"]["min"].as_f64();
    assert!(connected.is_some_and(|seconds| seconds > 0.0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Tenbells commits a change to disk"), "{text}");
    let html = std::fs::read_to_string(folder.path().join("report.html")).expect("html");
    assert!(html.contains("Side by side"));
}

#[test]
fn a_search_finds_a_rate_and_nobody_else_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().to_str().expect("text").to_owned();
    let more = ["--rounds", "1", "--probe-seconds", "0.2", "--peers", &empty];
    let more = [&more[..], &["--only", "centrifugo,mercure,uwebsockets"]].concat();
    let (output, report) = compare(folder.path(), &more, Some(&empty));
    assert!(output.status.success(), "{report:#}");
    let comparison = &report["comparison"];
    assert_eq!(comparison["subjects"].as_array().map(Vec::len), Some(1));
    let absent = comparison["absent"].as_array().expect("absent");
    assert_eq!(absent.len(), 3);
    for sentence in absent {
        assert!(sentence.as_str().expect("text").contains("loadtest/peers"));
    }
    let most = row(&report, "deliveries_per_second_max")["cells"]["tenbells"]["max"].as_f64();
    assert!(most.is_some_and(|most| most > 0.0), "{report:#}");
}

#[test]
fn wrong_use_is_said() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .arg("compare")
            .args(args)
            .output()
            .expect("the harness");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = run(&["--only", "nobody"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run(&["--topics", "2"]);
    assert!(code == Some(3) && said.contains("one topic"), "{said}");
    let (code, said) = run(&["--readers", "19001"]);
    assert!(code == Some(3) && said.contains("19000"), "{said}");
    let (code, said) = run(&["--server-bin", "/no/such/program", "--peers", "/no/such"]);
    assert_eq!(code, Some(3), "{said}");
}
