//! A cluster of this machine's own: three NATS servers and any number of brokers on loopback, in a temporary folder. All
//! end when it is dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::args::Broker;
use crate::http::Target;
use crate::own_broker::{answers, create_key, without_settings};

/// How many NATS servers there are.
pub const SERVERS: u16 = 3;
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// From the brokers' first port on: the first of the servers' ports.
const SERVER_PORTS: u16 = 200;

/// Where programs are and what ports are used.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The NATS server's program.
    pub nats_server: PathBuf,
    /// The broker's program.
    pub tenbells: PathBuf,
    /// First port.
    pub port: u16,
    /// How many brokers.
    pub brokers: u16,
    /// Shards of each.
    pub shards: u32,
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    folder: PathBuf,
    servers: Vec<Child>,
    brokers: Vec<Child>,
    key: String,
}

impl Cluster {
    /// Starts all, and waits until every broker takes an entry.
    ///
    /// # Errors
    /// When one does not start, or does not answer in time.
    pub async fn start(layout: Layout, folder: &Path) -> Result<Self> {
        for program in [&layout.nats_server, &layout.tenbells] {
            if !program.is_file() {
                bail!("there is no {}", program.display());
            }
        }
        let first = folder.join("broker-0");
        std::fs::create_dir_all(&first)?;
        let mut cluster = Self {
            key: create_key(&layout.tenbells, &first).await?,
            folder: folder.to_owned(),
            servers: Vec::new(),
            brokers: Vec::new(),
            layout,
        };
        for index in 0..SERVERS {
            let server = cluster.server(index)?;
            cluster.servers.push(server);
        }
        for index in 0..cluster.layout.brokers {
            let broker = cluster.broker(index)?;
            cluster.brokers.push(broker);
        }
        for index in 0..cluster.layout.brokers {
            cluster.answers(index).await?;
        }
        Ok(cluster)
    }

    /// The broker that is published at.
    pub fn publisher(&self) -> Broker {
        Broker {
            url: format!("http://{}", self.address(0)),
            key: Some(self.key.clone()),
            ca: None,
            server_pid: self.brokers[0].id(),
        }
    }

    /// Where readers connect.
    pub fn nodes(&self) -> Vec<SocketAddr> {
        (0..self.layout.brokers)
            .map(|index| self.address(index))
            .collect()
    }

    /// The brokers' processes.
    pub fn pids(&self) -> Vec<u32> {
        self.brokers.iter().filter_map(Child::id).collect()
    }

    /// `kill -9` of a broker.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(&mut self, index: u16) -> Result<()> {
        Ok(self.brokers[usize::from(index)].kill().await?)
    }

    /// Stops a broker in good order and starts it again.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub async fn restart_broker(&mut self, index: u16) -> Result<()> {
        stop(&mut self.brokers[usize::from(index)], "-TERM").await?;
        self.brokers[usize::from(index)] = self.broker(index)?;
        self.answers(index).await
    }

    /// Stops a NATS server in good order and starts it again, and waits until it has everything.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub async fn restart_server(&mut self, index: u16) -> Result<()> {
        stop(&mut self.servers[usize::from(index)], "-TERM").await?;
        self.servers[usize::from(index)] = self.server(index)?;
        self.is_whole(index).await
    }

    fn address(&self, index: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.layout.port + 2 * index))
    }

    fn server_port(&self, index: u16) -> u16 {
        self.layout.port + SERVER_PORTS + 3 * index
    }

    fn server(&self, index: u16) -> Result<Child> {
        let routes: Vec<String> = (0..SERVERS)
            .map(|other| format!("nats://127.0.0.1:{}", self.server_port(other) + 1))
            .collect();
        let port = self.server_port(index);
        let store = self.folder.join(format!("nats-{index}"));
        let conf = self.folder.join(format!("nats-{index}.conf"));
        std::fs::write(
            &conf,
            format!(
                "server_name: nats-{index}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{}\nmax_payload: 8MB\n\
                 jetstream {{ store_dir: {store:?}, sync_interval: always }}\n\
                 cluster {{ name: loadtest, listen: 127.0.0.1:{}, routes: [{}] }}\n",
                port + 2,
                port + 1,
                routes.join(", ")
            ),
        )?;
        let mut command = Command::new(&self.layout.nats_server);
        command.arg("-c").arg(conf);
        self.spawn(command, &format!("nats-{index}"))
    }

    fn broker(&self, index: u16) -> Result<Child> {
        let servers: Vec<String> = (0..SERVERS)
            .map(|server| format!("nats://127.0.0.1:{}", self.server_port(server)))
            .collect();
        let name = format!("broker-{index}");
        let address = self.address(index);
        let mut command = Command::new(&self.layout.tenbells);
        without_settings(&mut command);
        command
            .args(["serve", "--engine", "nats", "--nats", &servers.join(",")])
            .args(["--node", &name])
            .args(["--shards", &self.layout.shards.to_string()])
            .arg("--data-dir")
            .arg(self.folder.join(&name))
            .args(["--listen", &address.to_string()])
            .args([
                "--admin-listen",
                &format!("127.0.0.1:{}", address.port() + 1),
            ]);
        self.spawn(command, &name)
    }

    fn spawn(&self, mut command: Command, name: &str) -> Result<Child> {
        let log = self.folder.join(format!("{name}.log"));
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {name}"))
    }

    /// Waits until a broker takes an entry: it is ready then, and knows the key.
    async fn answers(&self, index: u16) -> Result<()> {
        let target = Target::parse(
            &format!("http://{}", self.address(index)),
            Some(&self.key),
            None,
        )?;
        answers(target.into(), &format!("first-{index}"), START_TIMEOUT)
            .await
            .with_context(|| {
                let log = self.folder.join(format!("broker-{index}.log"));
                let said = std::fs::read_to_string(log).unwrap_or_default();
                format!("broker {index}:\n{said}")
            })
    }

    /// Waits until a server has all of its streams.
    async fn is_whole(&self, index: u16) -> Result<()> {
        let address = format!("127.0.0.1:{}", self.server_port(index) + 2);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if health(&address)
                .await
                .is_ok_and(|said| said.contains(" 200 "))
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("NATS server {index} does not catch up");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The status line of a server's health.
async fn health(address: &str) -> Result<String> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /healthz HTTP/1.0\r\nHost: nats\r\n\r\n")
        .await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(line)
}

async fn stop(child: &mut Child, signal: &str) -> Result<()> {
    let pid = child.id().context("it is gone already")?.to_string();
    let status = Command::new("kill").args([signal, &pid]).status().await?;
    if !status.success() {
        bail!("kill {signal} {pid} failed");
    }
    tokio::time::timeout(START_TIMEOUT, child.wait())
        .await
        .context("it does not stop")??;
    Ok(())
}
