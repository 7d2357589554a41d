//! This program once more, in a network namespace of its own: where packets are dropped without harm to the machine.

use std::process::Command;

use anyhow::{Result, ensure};

/// Set in the process that runs in the namespace.
const INSIDE: &str = "PROOF_IN_A_NAMESPACE";

/// What to say where [`again_inside`] can't.
pub(crate) const NONE: &str = "no network namespace can be made here";

/// Whether this process runs in one already.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program with its arguments in a network namespace in which only the loopback is: what it said, or nothing
/// where none can be made.
pub(crate) fn again_inside() -> Result<Option<String>> {
    let probe = Command::new("unshare").args(["-n", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Ok(None);
    }
    let own = std::env::current_exe()?;
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complained = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{said}\n{complained}");
    Ok(Some(said))
}
