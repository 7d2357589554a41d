//! `tenbells replay` through the program: a script plays at its own pace, and ends where it says.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenbells::import::script::{DEMO, parse_script};
use tenbells::keys::Role;

use crate::support::make_key;
use crate::support::process::{Process, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_script_plays_into_a_running_broker() {
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "*");
    let process = Process::start(folder.path()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo-blog.jsonl");
    let script = script.to_str().expect("a path");
    let environment = [
        ("TENBELLS_URL", process.base.as_str()),
        ("TENBELLS_KEY", &key),
    ];
    let steps = parse_script(DEMO).expect("a script");
    let pauses: Duration = steps.iter().map(|step| step.after).sum();
    let began = Instant::now();
    let (status, said, noted) = run(&["replay", script, "--speed", "100"], &environment).await;
    assert!(status.success(), "{noted}");
    assert!(
        began.elapsed() >= pauses / 100,
        "it waits between its steps"
    );
    let expected = format!("demo-blog {} steps, position ", steps.len());
    assert!(said.starts_with(&expected), "{said}");
    let topic: Value = reqwest::get(format!("{}/v1/topics/demo-blog", process.base))
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(topic["status"], "ended");
    assert_eq!(topic["head"], steps.len());
    assert!(
        said.trim_end()
            .ends_with(topic["position"].as_str().expect("position"))
    );
}
