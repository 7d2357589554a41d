//! Runs the program and reads what it leaves: an exit code, a JSON file, an HTML file.

use serde_json::Value;
use tokio::process::Command;

use crate::broker::Broker;

/// The variables that tell the harness where a broker is.
pub type Environment = [(&'static str, String); 2];

/// Runs the command against `broker`; it must pass, in every form of its report.
pub async fn passed(broker: &Broker, args: &[&str], more: &[&str]) -> Value {
    let args = [args, more].concat();
    let (code, report) = run(&broker.environment(), &args).await;
    assert_eq!(code, Some(0), "{args:?}: {}", report["failures"]);
    assert_eq!(report["passed"], true, "{args:?}");
    assert_eq!(report["failures"], Value::Array(Vec::new()), "{args:?}");
    assert_eq!(report["command"], args[0]);
    for known in ["processor", "kernel", "commit", "harness"] {
        let text = report["machine"][known].as_str();
        assert!(text.is_some_and(|text| !text.is_empty()), "no {known}");
    }
    assert!(report["settings"].is_object());
    report
}

/// Runs the command; its exit code and its report.
pub async fn run(environment: &Environment, args: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().expect("folder");
    let (json, html) = (folder.path().join("r.json"), folder.path().join("r.html"));
    let output = command(environment, args)
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .output()
        .await
        .expect("the harness runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = std::fs::read_to_string(&json)
        .unwrap_or_else(|_| panic!("{args:?} left no report: {said}"));
    let page = std::fs::read_to_string(&html).expect("a page");
    assert!(page.starts_with("<!doctype html>") && page.contains("<h1>"));
    assert!(!page.contains("<script") && !page.contains("src="));
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        summary.starts_with(&format!("loadtest {}", args[0])),
        "{summary}"
    );
    let report = serde_json::from_str(&text).expect("JSON");
    (output.status.code(), report)
}

/// Runs the command, which must end with `code` and no report; what it said.
pub async fn ended_with(code: i32, environment: &Environment, args: &[&str]) -> String {
    let output = command(environment, args)
        .output()
        .await
        .expect("the harness runs");
    assert_eq!(output.status.code(), Some(code), "{args:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn command(environment: &Environment, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command
        .args(args)
        .envs(environment.clone())
        .kill_on_drop(true);
    command
}
