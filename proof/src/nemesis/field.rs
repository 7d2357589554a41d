//! Three NATS servers and three brokers, and what can be done to them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tenbells::keys::{KeyFile, Role};

use super::callers::Caller;
use super::member::{Member, faketime};
use super::recorder::Recorder;
use super::strikes::Means;

/// How many of each there are.
pub(super) const SIZE: usize = 3;
/// How long the field may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at two clocks, in seconds.
const CLOCK_SLACK_S: i64 = 10;
/// Users of the brokers and of the servers: nobody else's.
const BROKER_UID: u32 = 42_001;
const NATS_UID: u32 = 42_101;
const CLIENT_PORT: u16 = 4_221;
const ROUTE_PORT: u16 = 6_221;
const HEALTH_PORT: u16 = 8_221;
const BROKER_PORT: u16 = 7_100;

/// The field.
pub(super) struct Field {
    pub(super) nats: Vec<Member>,
    pub(super) brokers: Vec<Member>,
    key: String,
    http: reqwest::Client,
    can_partition: bool,
    // Dropped after the processes.
    _root: TempDir,
}

impl Field {
    pub(super) async fn start(nats_server: &Path, program: Vec<OsString>) -> Result<Self> {
        let root = tempfile::tempdir()?;
        open_to_all(root.path())?;
        let nats_server = std::fs::canonicalize(nats_server)?;
        let mut nats = Vec::new();
        for index in 0..SIZE {
            let name = format!("nats-{}", letter(index));
            let folder = root.path().join(&name);
            let conf = root.path().join(format!("{name}.conf"));
            std::fs::write(&conf, nats_conf(index, &folder))?;
            let command = vec![nats_server.clone().into(), "-c".into(), conf.into()];
            nats.push(Member::new(
                &name,
                NATS_UID + number(index),
                folder,
                command,
            ));
        }
        let servers: Vec<String> = (0..SIZE)
            .map(|index| format!("nats://127.0.0.1:{}", CLIENT_PORT + port(index)))
            .collect();
        let mut brokers = Vec::new();
        for index in 0..SIZE {
            let name = format!("broker-{}", letter(index));
            let folder = root.path().join(&name);
            let listen = BROKER_PORT + 2 * port(index);
            let mut command = program.clone();
            command.extend(
                [
                    "serve".to_owned(),
                    "--engine=nats".to_owned(),
                    format!("--nats={}", servers.join(",")),
                    format!("--node={}", letter(index)),
                    format!("--data-dir={}", folder.display()),
                    format!("--listen=127.0.0.1:{listen}"),
                    format!("--admin-listen=127.0.0.1:{}", listen + 1),
                ]
                .map(OsString::from),
            );
            brokers.push(Member::new(
                &name,
                BROKER_UID + number(index),
                folder,
                command,
            ));
        }
        let key = make_key(&brokers[0].folder)?;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(12))
            .build()?;
        let mut field = Self {
            nats,
            brokers,
            key,
            http,
            can_partition: prepare_partitions(),
            _root: root,
        };
        for server in &mut field.nats {
            server.start()?;
        }
        field.until_servers_are_well(PATIENCE).await?;
        for broker in &mut field.brokers {
            broker.start()?;
        }
        field.until_healthy(PATIENCE).await?;
        field.until_keys_are_shared().await?;
        Ok(field)
    }

    pub(super) fn bases(&self) -> Vec<String> {
        (0..SIZE)
            .map(|index| format!("http://127.0.0.1:{}", BROKER_PORT + 2 * port(index)))
            .collect()
    }

    pub(super) fn caller(&self, recorder: &Recorder, first: usize) -> Caller {
        Caller {
            recorder: recorder.clone(),
            bases: self.bases(),
            at: first,
            key: self.key.clone(),
            http: self.http.clone(),
        }
    }

    pub(super) fn means(&self) -> Means {
        Means {
            partitions: self.can_partition,
            clocks: faketime().is_some(),
        }
    }

    pub(super) fn check_all_run(&mut self) -> Result<()> {
        self.nats
            .iter_mut()
            .chain(&mut self.brokers)
            .try_for_each(Member::check_runs)
    }

    /// The end of every log.
    pub(super) fn said(&self) -> String {
        let brokers = self.brokers.iter();
        brokers
            .map(|member| format!("--- {}\n{}\n", member.name, member.said()))
            .collect()
    }

    /// Waits until every server has all of its streams, and every broker is ready.
    pub(super) async fn until_healthy(&mut self, patience: Duration) -> Result<()> {
        self.until_servers_are_well(patience).await?;
        for index in 0..SIZE {
            let url = format!("{}/readyz", admin(index));
            self.until_ok(&url, patience).await?;
        }
        Ok(())
    }

    pub(super) async fn until_servers_are_well(&mut self, patience: Duration) -> Result<()> {
        for index in 0..SIZE {
            let url = format!("http://127.0.0.1:{}/healthz", HEALTH_PORT + port(index));
            self.until_ok(&url, patience).await?;
        }
        Ok(())
    }

    async fn until_ok(&mut self, url: &str, patience: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let said = match self.http.get(url).send().await {
                Ok(answer) if answer.status() == 200 => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            self.check_all_run()?;
            if began.elapsed() > patience {
                bail!("{url} is not well: {said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a broker answers, with a clock that is off by so many seconds.
    pub(super) async fn until_clock_is_off(
        &mut self,
        index: usize,
        by: i64,
        patience: Duration,
    ) -> Result<()> {
        let url = format!("{}/healthz", admin(index));
        self.until_ok(&url, patience).await?;
        let answer = self.http.get(&url).send().await?;
        let date = answer.headers().get("date").context("a date")?.to_str()?;
        let shown = jiff::fmt::rfc2822::parse(date)?.timestamp();
        let off = shown.as_second() - jiff::Timestamp::now().as_second();
        if (off - by).abs() > CLOCK_SLACK_S {
            bail!("the clock of broker {index} is off by {off} s, and should be by {by} s");
        }
        Ok(())
    }

    /// Which server leads the log; the first one where that can't be known.
    pub(super) async fn leader(&self) -> usize {
        for index in 0..SIZE {
            let url = format!(
                "http://127.0.0.1:{}/jsz?streams=true&config=true",
                HEALTH_PORT + port(index)
            );
            let Ok(answer) = self.http.get(url).send().await else {
                continue;
            };
            let answer: Value = answer.json().await.unwrap_or_default();
            let streams = answer["account_details"][0]["stream_detail"].as_array();
            let log = streams
                .and_then(|streams| streams.iter().find(|stream| stream["name"] == "TENBELLS"));
            let leader = log.and_then(|log| log["cluster"]["leader"].as_str());
            if let Some(found) = (0..SIZE).find(|index| leader == Some(&self.nats[*index].name)) {
                return found;
            }
        }
        0
    }

    /// Lets no packet through between a broker and all servers.
    pub(super) fn cut_broker(&self, index: usize) -> Result<()> {
        cut((0..SIZE).map(|server| mark(BROKER_UID + number(index), server)))
    }

    /// Lets no packet through between a server and the other servers.
    pub(super) fn cut_server(&self, index: usize) -> Result<()> {
        let others = (0..SIZE).filter(|other| *other != index);
        cut(others.flat_map(|other| {
            [
                mark(NATS_UID + number(index), other),
                mark(NATS_UID + number(other), index),
            ]
        }))
    }

    pub(super) fn heal(&self) -> Result<()> {
        nft("flush chain inet nemesis in")
    }

    async fn until_keys_are_shared(&mut self) -> Result<()> {
        let began = Instant::now();
        for base in self.bases() {
            loop {
                let call = self
                    .http
                    .put(format!("{base}/v1/topics/keys"))
                    .bearer_auth(&self.key);
                let answer = call
                    .json(&serde_json::json!({"title": "Nemesis"}))
                    .send()
                    .await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                if began.elapsed() > PATIENCE {
                    bail!("{base} does not know the key\n{}", self.said());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}

/// Where a broker is operated.
fn admin(index: usize) -> String {
    format!("http://127.0.0.1:{}", BROKER_PORT + 2 * port(index) + 1)
}

fn letter(index: usize) -> char {
    ['a', 'b', 'c'][index % SIZE]
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(0)
}

fn port(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(0)
}

fn nats_conf(index: usize, folder: &Path) -> String {
    let routes: Vec<String> = (0..SIZE)
        .map(|other| format!("nats://127.0.0.1:{}", ROUTE_PORT + port(other)))
        .collect();
    format!(
        "server_name: nats-{}\nlisten: 127.0.0.1:{}\nhttp: 127.0.0.1:{}\nmax_payload: 8MB\n\
         jetstream {{ store_dir: {folder:?}, sync_interval: always }}\n\
         cluster {{ name: nemesis, listen: 127.0.0.1:{}, routes: [{}] }}\n",
        letter(index),
        CLIENT_PORT + port(index),
        HEALTH_PORT + port(index),
        ROUTE_PORT + port(index),
        routes.join(", "),
    )
}

/// The mark of the connections of a user to a server.
fn mark(uid: u32, server: usize) -> u32 {
    (uid % 1_000) * 10 + number(server) + 1
}

/// Marks every connection by who made it and whereto. Whether that can be done here.
fn prepare_partitions() -> bool {
    let mut rules = String::from(
        "table inet nemesis { chain in { type filter hook input priority 0; }; chain out { type filter hook output priority -150; ",
    );
    for server in 0..SIZE {
        let (client, route) = (CLIENT_PORT + port(server), ROUTE_PORT + port(server));
        for index in 0..SIZE {
            let broker = BROKER_UID + number(index);
            let other = NATS_UID + number(index);
            rules.push_str(&format!(
                "meta skuid {broker} tcp dport {client} ct mark set {}; meta skuid {other} tcp dport {route} ct mark set {}; ",
                mark(broker, server),
                mark(other, server)
            ));
        }
    }
    rules.push_str("}; }");
    nft(&rules).is_ok()
}

fn cut(marks: impl Iterator<Item = u32>) -> Result<()> {
    let marks: Vec<String> = marks.map(|mark| mark.to_string()).collect();
    nft(&format!(
        "add rule inet nemesis in ct mark {{ {} }} drop",
        marks.join(", ")
    ))
}

fn nft(rule: &str) -> Result<()> {
    let output = Command::new("nft").arg(rule).output().context("nft")?;
    if !output.status.success() {
        bail!("nft: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn make_key(folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let file = KeyFile::open(folder)?;
    let key = file.create(Role::Admin, &["*".to_owned()], None, jiff::Timestamp::now())?;
    Ok(key.reveal().to_owned())
}

/// Each member's user goes through the folder to its own.
fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let through = std::fs::Permissions::from_mode(0o777);
    Ok(std::fs::set_permissions(folder, through)?)
}
