//! A broker in this process, on a port of its own and with a data folder that is gone afterwards.

use std::time::Duration;

use tempfile::TempDir;
use tenbells::app::App;
use tenbells::config::Config;
use tenbells::keys::{KeyFile, Role};
use tenbells::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::program::Environment;

/// Pings come often, so that quiet readers have something to answer within a short test.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A ping is not repeated before this has passed.
const PONG_WITHIN: Duration = Duration::from_secs(4);

/// A running broker.
pub struct Broker {
    environment: Environment,
    shutdown: Shutdown,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl Broker {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = Config {
            data_dir: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().expect("address"),
            admin_listen: "127.0.0.1:0".parse().expect("address"),
            ..Config::default()
        };
        config.websocket.ping_every = PING_EVERY;
        config.websocket.pong_within = PONG_WITHIN;
        let shutdown = Shutdown::new();
        let app = App::start(config, shutdown.clone())
            .await
            .expect("the broker starts");
        let key = KeyFile::open(folder.path())
            .expect("key file")
            .create(
                Role::Publisher,
                &["*".to_owned()],
                None,
                jiff::Timestamp::now(),
            )
            .expect("key")
            .reveal()
            .to_owned();
        let url = format!("http://{}", app.address());
        let running = tokio::spawn(async move {
            app.run().await.expect("the broker ends well");
        });
        Self {
            environment: [("TENBELLS_URL", url), ("TENBELLS_KEY", key)],
            shutdown,
            running,
            _folder: folder,
        }
    }

    /// What the harness needs to find it.
    pub fn environment(&self) -> Environment {
        self.environment.clone()
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.running.await.expect("the broker did not panic");
    }
}
