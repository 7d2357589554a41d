//! `proof simulate`: the short form of the seeded simulation, and that a failing seed can be had again.
//!
//! `TENBELLS_SEEDS` says how many seeds (2,000 where it isn't set).

use std::process::{Command, Output};

fn simulate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proof"));
    command
        .arg("simulate")
        .args(args)
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("TENBELLS_SEEDS").unwrap_or_else(|_| "2000".to_owned());
    let output = simulate(&["--seeds", &seeds]);
    let said = said(&output);
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with(&format!("{seeds} seeds in ")), "{said}");
    assert!(said.contains(" 0 failed"), "{said}");
}

#[test]
fn a_failing_seed_is_named_with_its_commit_and_fails_again() {
    let broken = ["--mutant", "reads-drop"];
    let output = simulate(&[&broken[..], &["--seeds", "100", "--jobs", "1"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let first = said(&output);
    let seed = first
        .strip_prefix("seed ")
        .and_then(|rest| rest.split(' ').next())
        .expect("a seed");
    assert!(first.contains(" of commit "), "{first}");
    let again = simulate(&[&broken[..], &["--seed", seed]].concat());
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let verdict = |text: &str| {
        let lines = text.lines().skip(1).take_while(|line| !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verdict(&said(&again)), verdict(&first));
    // The same seed on a store that is well.
    assert_eq!(simulate(&["--seed", seed]).status.code(), Some(0));
}
