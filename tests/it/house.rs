//! Rules of the house that stand in manifests, where nobody would miss them.

use std::path::Path;

use toml::{Table, Value};

fn manifest(folder: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    text.parse().expect("TOML")
}

/// `forbid` can't be taken back in a file: where it stands, there is no unsafe code in any target of the crate.
#[test]
fn no_crate_may_have_unsafe_code() {
    let root = manifest(".");
    let workspace = &root["workspace"];
    assert_eq!(
        workspace["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    let members = workspace["members"].as_array().expect("members");
    let members = members.iter().filter_map(Value::as_str);
    for folder in members.chain(["."]) {
        let lints = manifest(folder)["lints"].clone();
        assert_eq!(lints["workspace"].as_bool(), Some(true), "{folder}");
    }
}
