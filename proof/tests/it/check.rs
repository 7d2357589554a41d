//! `proof check`: a history in a file, judged.

use std::process::{Command, Output};

use proof::{history, legal, plant};

fn check(events: &[history::Event]) -> Output {
    let folder = std::env::temp_dir().join(format!(
        "proof-check-{}-{}",
        std::process::id(),
        events.len()
    ));
    let mut text = Vec::new();
    history::write(events, &mut text).expect("written");
    std::fs::write(&folder, text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .arg("check")
        .arg(&folder)
        .output();
    std::fs::remove_file(&folder).expect("removed");
    output.expect("it runs")
}

#[test]
fn a_clean_history_ends_with_0_and_a_broken_one_with_1_and_its_rule() {
    let mut events = legal::history(11);
    let clean = check(&events);
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    let bug = plant::ALL
        .iter()
        .find(|bug| bug.name == "a change is sent twice");
    let planted = (bug.expect("is there").plant)(&mut events, &mut fastrand::Rng::with_seed(1));
    planted.expect("planted");
    let broken = check(&events);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    let said = String::from_utf8(broken.stdout).expect("UTF-8");
    assert!(said.starts_with("R4 topic t"), "{said}");
}

#[test]
fn what_is_no_history_is_refused_with_its_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .args(["check", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("line 1"),
        "{output:?}"
    );
}
