//! A proxy in front of a NATS server that spoils the first questions of some kinds: the server knows nobody who answers
//! them, as while it has no leader.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Most bytes that are looked at together.
const CHUNK: usize = 256 << 10;

/// Questions that are spoiled.
#[derive(Clone, Copy)]
pub struct Spoil {
    /// What is in their subject.
    pub word: &'static str,
    /// How many go through first.
    pub skip: u32,
    /// How many are spoiled then.
    pub count: u32,
}

/// A running proxy.
pub struct Garbler {
    pub url: String,
    left: Arc<Mutex<Vec<Spoil>>>,
    running: JoinHandle<()>,
}

impl Garbler {
    /// In front of the server at `url`.
    pub async fn start(url: &str, spoils: &[Spoil]) -> Self {
        let to = url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let left = Arc::new(Mutex::new(spoils.to_vec()));
        let spoils = Arc::clone(&left);
        let running = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.expect("the server");
                connections.spawn(carry(client, server, Arc::clone(&spoils)));
            }
        });
        Self {
            url: format!("nats://{address}"),
            left,
            running,
        }
    }

    /// Nothing goes through any more, and nobody can connect.
    pub async fn cut(self) {
        self.running.abort();
        // Once it has ended, all of its connections have.
        let _ = self.running.await;
    }

    /// Whether everything was spoiled that was to be.
    pub fn is_done(&self) -> bool {
        let left = self.left.lock().expect("no panic");
        left.iter().all(|spoil| spoil.count == 0)
    }
}

async fn carry(client: TcpStream, server: TcpStream, left: Arc<Mutex<Vec<Spoil>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut back = JoinSet::new();
    back.spawn(async move {
        // Either end may go first.
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut chunk = vec![0; CHUNK];
    while let Ok(count @ 1..) = from_client.read(&mut chunk).await {
        let bytes = &mut chunk[..count];
        for spoil in left.lock().expect("no panic").iter_mut() {
            let word = spoil.word.as_bytes();
            let Some(at) = bytes.windows(word.len()).position(|found| found == word) else {
                continue;
            };
            if spoil.skip > 0 {
                spoil.skip -= 1;
            } else if spoil.count > 0 {
                // The same length: the protocol counts bytes.
                bytes[at..at + word.len()].fill(b'X');
                spoil.count -= 1;
            }
        }
        if to_server.write_all(bytes).await.is_err() {
            break;
        }
    }
}
