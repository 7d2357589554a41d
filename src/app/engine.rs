//! The store that the configuration asks for: a database of this node's own, or a log that several nodes share.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{AppError, shared_keys, store_options};
use crate::broker::{Broker, BrokerOptions};
use crate::clock::Clock;
use crate::config::{Config, NatsConfig};
use crate::store::jetstream::{JetStreamStore, NatsOptions};
use crate::store::sqlite::SqliteStore;
use crate::store::{Peers, Store};

/// A store of either kind.
#[derive(Clone)]
pub(super) enum Engine {
    Sqlite(Arc<SqliteStore>),
    JetStream(Arc<JetStreamStore>),
}

impl Engine {
    /// Opens it. A shared log can take a while to catch up with.
    pub(super) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let (folder, options) = (config.data_dir.clone(), store_options(config));
        let Some(nats) = &config.nats else {
            return Ok(Self::Sqlite(SqliteStore::open(&folder, options, clock)?));
        };
        let nats = nats_options(nats);
        let open = move || JetStreamStore::open(&folder, nats, options, clock);
        match tokio::task::spawn_blocking(open).await {
            Ok(store) => Ok(Self::JetStream(store?)),
            Err(error) => Err(AppError::StoreFailed(error.to_string())),
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as _,
            Self::JetStream(store) => Arc::clone(store) as _,
        }
    }

    /// A broker on it, which knows the other nodes.
    pub(super) fn broker(&self, clock: Arc<dyn Clock>, options: BrokerOptions) -> Arc<Broker> {
        let broker = Broker::new(self.store(), clock, options);
        if let Some(peers) = self.peers() {
            broker.set_peers(peers);
        }
        broker
    }

    /// Shares the keys of the data folder with the other nodes, where there are any.
    pub(super) fn share_keys(&self, folder: &Path) -> Option<JoinHandle<()>> {
        match self {
            Self::Sqlite(_) => None,
            Self::JetStream(store) => {
                let shared = shared_keys::run(Arc::clone(store), folder.to_owned());
                Some(tokio::spawn(shared))
            }
        }
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        match self {
            Self::Sqlite(_) => None,
            Self::JetStream(store) => Some(store.peers()),
        }
    }

    /// Finishes what is queued, and closes. Blocks.
    pub(super) fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close(),
            Self::JetStream(store) => store.close(),
        }
    }
}

/// The options of the store out of the configuration.
pub(crate) fn nats_options(nats: &NatsConfig) -> NatsOptions {
    NatsOptions {
        servers: nats.servers.clone(),
        credentials: nats.credentials.clone(),
        ca: nats.ca.clone(),
        prefix: nats.prefix.clone(),
        node: nats.node.clone(),
        replicas: nats.replicas,
        connect_timeout: nats.connect_timeout,
        append_timeout: nats.append_timeout,
        stale_after: nats.stale_after,
        accept_loss: nats.accept_loss,
    }
}
