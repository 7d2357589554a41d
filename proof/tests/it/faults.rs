//! `proof faults`: the short forms of the faults on real processes. The long ones are in docs/reliability.md.

use std::process::Command;

/// Runs a scenario; it says what was kept, or that it was skipped and why.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should see what was done, and what was skipped"
)]
fn faults(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .arg("faults")
        .args(args)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    eprintln!("{said}");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    assert!(
        said.starts_with(args[0]) || said.starts_with("halfopen"),
        "{said}"
    );
}

#[test]
fn killed_at_a_write_or_sync() {
    faults(&["kill", "--points", "400", "--step", "41"]);
}

#[test]
fn a_sync_that_fails_is_not_tried_again() {
    faults(&["eio"]);
}

#[test]
fn a_full_disk_refuses_writes_and_serves_readers() {
    faults(&["full"]);
}

#[test]
fn publishers_have_descriptors_when_readers_have_none() {
    faults(&["descriptors"]);
}

#[test]
fn a_process_that_stood_still_goes_on() {
    faults(&["stop", "--seconds", "2"]);
}

#[test]
fn a_half_open_connection_is_noticed() {
    faults(&["half-open"]);
}

#[test]
fn a_damaged_folder_never_gives_other_content() {
    faults(&["damage", "--step", "1499"]);
}

#[test]
fn duplicated_publishes_are_one_entry_each() {
    faults(&["idempotency", "--publishes", "1000"]);
}

#[test]
fn sockets_that_dribble_are_gone_in_time() {
    faults(&["slowloris", "--sockets", "200"]);
}
