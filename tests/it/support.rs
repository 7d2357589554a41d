//! A whole server in this process, on ports of its own, with a data folder that is gone afterwards.

pub mod bytes;
pub mod call;
pub mod frames;
pub mod garbler;
pub mod jwt;
pub mod load;
pub mod nats;
pub mod process;
pub mod raw;
pub mod read;
pub mod slow;
pub mod sse;
pub mod tls;
pub mod ws;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tenbells::app::App;
use tenbells::config::Config;
use tenbells::keys::{KeyFile, Role};
use tenbells::pressure::Pressure;
use tenbells::shutdown::Shutdown;
use tokio::task::JoinHandle;

pub use call::{Answer, Call};

/// How long anything in a test may take before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until it is so.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "it never is");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running server.
pub struct Server {
    pub base: String,
    pub admin: String,
    pub desk: String,
    pub folder: TempDir,
    /// How short memory is.
    pub pressure: Arc<Pressure>,
    shutdown: Shutdown,
    running: Option<JoinHandle<()>>,
    http: reqwest::Client,
}

impl Server {
    /// A server with the defaults.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server whose configuration was changed.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().expect("folder"), change).await
    }

    /// A server that speaks TLS, with a certificate of the tests' authority.
    pub async fn start_tls(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (chain, key) = tls::pair(2099);
        let files = tls::write(folder.path(), &chain, &key);
        Self::start_in(folder, |config| {
            config.tls = Some(files);
            change(config);
        })
        .await
    }

    /// A server on a data folder that is there already.
    pub async fn start_in(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            data_dir: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().expect("address"),
            admin_listen: "127.0.0.1:0".parse().expect("address"),
            ..Config::default()
        };
        change(&mut config);
        let shutdown = Shutdown::new();
        let app = App::start(config, shutdown.clone())
            .await
            .expect("the server starts");
        let scheme = app.tls().map_or("http", |_| "https");
        let (base, admin) = (
            format!("{scheme}://{}", app.address()),
            format!("http://{}", app.admin_address()),
        );
        let pressure = Arc::clone(app.pressure());
        let running = tokio::spawn(async move {
            app.run().await.expect("the server ends well");
        });
        let desk = make_key(folder.path(), Role::Desk, "*");
        Self {
            base,
            admin,
            desk,
            folder,
            pressure,
            shutdown,
            running: Some(running),
            http: tls::http(),
        }
    }

    /// Stops it in good order, and gives the data folder back.
    pub async fn stop(mut self) -> TempDir {
        self.shutdown.trigger();
        if let Some(running) = self.running.take() {
            tokio::time::timeout(PATIENCE, running)
                .await
                .expect("the server stops in time")
                .expect("the server did not panic");
        }
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("folder"))
    }

    /// Where publishers and readers connect: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        let (_, address) = self.base.split_once("://").expect("a scheme");
        address
    }

    /// A key for topics of this glob.
    pub fn key(&self, role: Role, glob: &str) -> String {
        make_key(self.folder.path(), role, glob)
    }

    /// A call without a key.
    pub fn get(&self, path: &str) -> Call {
        self.call(reqwest::Method::GET, path)
    }

    /// A call with the desk's key.
    pub fn desk(&self, method: &str, path: &str) -> Call {
        let method = method.parse().expect("method");
        self.call(method, path).key(&self.desk)
    }

    /// A call of any kind.
    pub fn call(&self, method: reqwest::Method, path: &str) -> Call {
        Call::new(self.http.request(method, format!("{}{path}", self.base)))
    }

    /// Publishes an entry of this text, and gives the answer's JSON.
    pub async fn publish(&self, topic: &str, text: &str) -> Value {
        self.publish_entry(topic, json!({"body": {"text": text}}))
            .await
    }

    /// Publishes an entry, and gives the answer's JSON.
    pub async fn publish_entry(&self, topic: &str, entry: Value) -> Value {
        self.desk("POST", &format!("/v1/topics/{topic}/entries"))
            .json(&entry)
            .expect(201)
            .await
    }

    /// `ws://…/v1/ws` with this query.
    pub fn ws(&self, query: &str) -> String {
        format!("{}/v1/ws{query}", self.base.replacen("http", "ws", 1))
    }

    /// A call of the admin listener.
    pub fn admin(&self, path: &str) -> Call {
        Call::new(self.http.get(format!("{}{path}", self.admin)))
    }

    /// Waits until a metric without labels is as it should be.
    pub async fn until_metric(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let url = format!("{}/metrics", self.admin);
            let answer = Call::new(self.http.get(url)).send().await;
            let text = answer.text();
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            if is_so(value.unwrap_or_else(|| panic!("{name} is in {text}"))) {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{name} is {value:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Every change of a topic behind `after`, page by page.
    pub async fn changes(&self, topic: &str, after: &str) -> Vec<Value> {
        let mut after = after.to_owned();
        let mut changes = Vec::new();
        // An acknowledged change reaches the readers a moment later.
        let path = format!("/v1/topics/{topic}");
        let head = self.get(&path).key(&self.desk).expect(200).await["head"].clone();
        let offset = |position: &str| -> u64 {
            let offset = position
                .rsplit('-')
                .next()
                .and_then(|text| text.parse().ok());
            offset.unwrap_or(0)
        };
        loop {
            let behind = head.as_u64().is_some_and(|head| offset(&after) < head);
            let wait = if behind { 20 } else { 0 };
            let path = format!("/v1/topics/{topic}/changes?after={after}&limit=7&wait={wait}");
            let page = self.get(&path).key(&self.desk).expect(200).await;
            let batch = page["changes"].as_array().expect("changes").clone();
            if batch.is_empty() {
                return changes;
            }
            changes.extend(batch);
            after = page["position"].as_str().expect("position").to_owned();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A key in the file of a data folder; a server on it learns of the key by itself.
pub fn make_key(folder: &Path, role: Role, glob: &str) -> String {
    KeyFile::open(folder)
        .expect("key file")
        .create(role, &[glob.to_owned()], None, jiff::Timestamp::now())
        .expect("key")
        .reveal()
        .to_owned()
}
