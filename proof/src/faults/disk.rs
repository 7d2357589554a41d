//! A disk that fails to sync, and one that is full for a while.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::client::{Answer, Client};
use super::process::{Program, make_key};
use super::{Outcome, has, judged};
use crate::history::After;

/// The exit code of a broker whose store has failed.
const STORE_FAILED: i32 = 74;
/// Size of the small disk, and of what is in the way on it.
const DISK: &str = "8m";
const BALLAST: usize = 6 << 20;

/// fsync fails once: the publish is not acknowledged, nothing is synced again, the process ends and says why.
pub(super) async fn sync_fails(program: &Program) -> Result<Outcome> {
    if !has("strace") {
        return Ok(Outcome::Skipped("strace is not installed".into()));
    }
    let mut points = 0;
    let mut acked = 0;
    for point in [2, 3, 5, 9] {
        acked += sync_fails_at(program, point).await?;
        points += 1;
    }
    Ok(Outcome::Kept(format!(
        "EIO from fdatasync at {points} points: {acked} entries acknowledged before, none after, no second sync, exit \
         code {STORE_FAILED}; all there after a restart"
    )))
}

async fn sync_fails_at(program: &Program, point: u32) -> Result<u32> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("data");
    std::fs::create_dir(&folder)?;
    let key = make_key(&folder)?;
    let calls = root.path().join("calls");
    let calls_path = calls.display().to_string();
    let inject = format!("inject=fdatasync,fsync:error=EIO:when={point}+");
    let wrapper = [
        "strace",
        "-y",
        "-f",
        "-qq",
        "-o",
        &calls_path,
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        &inject,
    ];
    // The folder is there already, so that the first syncs are those of publishes.
    let mut process = program.start(&folder, &[]).await?;
    let client = Client::new(&process.base, &key);
    let first = client.record.number();
    client.insist("t", first).await?;
    process.kill()?;
    let mut process = program.spawn(&folder, &wrapper)?;
    let client = Client {
        base: process.base.clone(),
        ..client
    };
    let (acked, lost) = if process.ready_or_ended().await? {
        client.publish_until_lost("t").await?
    } else {
        (0, None)
    };
    client.record.fault("EIO from fdatasync");
    let status = process.ended().await?;
    let said = process.said();
    if lost.is_some() {
        ensure!(
            status.code() == Some(STORE_FAILED),
            "it ended with {status}:\n{said}"
        );
        ensure!(
            said.contains("store failed"),
            "it does not say why:\n{said}"
        );
    }
    let syncs = std::fs::read_to_string(&calls)?;
    let of_store = |line: &&str| line.contains("/tenbells.db") && line.contains("EIO");
    let failed = syncs.lines().filter(of_store).count();
    ensure!(
        failed == 1,
        "{failed} failed syncs, so one was tried again:\n{syncs}"
    );
    drop(process);
    let process = program.start(&folder, &[]).await?;
    let client = Client {
        base: process.base.clone(),
        ..client
    };
    if let Some(number) = lost {
        client.insist("t", number).await?;
    }
    client.calm("t", &[("r", After::Start)]).await?;
    judged("eio", &client.record.events())?;
    Ok(acked)
}

/// A disk without room: publishes get 507, readers are served, and all goes on once there is room.
pub(super) async fn full(program: &Program) -> Result<Outcome> {
    let root = tempfile::tempdir()?;
    let mount = root.path().join("disk");
    std::fs::create_dir(&mount)?;
    let seed = root.path().join("seed");
    std::fs::create_dir(&seed)?;
    let key = make_key(&seed)?;
    let script = format!(
        "mount -t tmpfs -o size={DISK} tmpfs {0} && cp -r {1} {0}/data && exec \"$@\"",
        mount.display(),
        seed.display()
    );
    let wrapper = ["unshare", "-m", "sh", "-c", &script, "sh"];
    let tried = std::process::Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg("true")
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return Ok(Outcome::Skipped(
            "no file system can be mounted in a namespace here".into(),
        ));
    }
    let folder = mount.join("data");
    let mut process = program.start(&folder, &wrapper).await?;
    let inside = inside(process.pid(), &folder);
    let client = Client::new(&process.base, &key);
    let first = client.record.number();
    client.insist("t", first).await?;
    let ballast = inside.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; BALLAST]).context("the ballast")?;
    client.record.fault("no space left");
    let (mut acked, mut refused) = (0_u32, 0_u32);
    while refused < 50 {
        match client.publish("t").await.1 {
            Answer::Acked => acked += 1,
            Answer::Refused(507, code) if code == "storage_full" => refused += 1,
            other => bail!("with a full disk: {other:?}\n{}", process.said()),
        }
        ensure!(acked < 20_000, "the disk does not fill");
    }
    // Whoever reads goes on reading.
    let number = client.record.events().len();
    let read = client
        .read("r", "t", After::Start, |read| {
            read.value == format!("v{first}")
        })
        .await?;
    ensure!(client.record.events().len() > number, "nothing was read");
    std::fs::remove_file(&ballast)?;
    client.record.fault("room again");
    client
        .calm("t", &[("r", After::Place(read)), ("late", After::Start)])
        .await?;
    ensure!(!process.has_ended()?, "it ended:\n{}", process.said());
    process.kill()?;
    let verdict = judged("full", &client.record.events())?;
    Ok(Outcome::Kept(format!(
        "a tmpfs of {DISK}: {acked} entries until it was full, {refused} refused with 507 storage_full, readers served, \
         publishing again without a restart ({verdict})"
    )))
}

/// A path of the process's mount namespace, from here.
fn inside(pid: u32, path: &Path) -> PathBuf {
    let relative = path.strip_prefix("/").unwrap_or(path);
    PathBuf::from(format!("/proc/{pid}/root")).join(relative)
}
