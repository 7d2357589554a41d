//! A panic over what one reader sends ends that reader's connection, and no other.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tenbells::broker::{Broker, BrokerOptions};
use tenbells::clock::SystemClock;
use tenbells::config::Config;
use tenbells::fanout::{FanOut, FanOutOptions, Handover, Hello};
use tenbells::keys::{Denied, Grant, Keys};
use tenbells::limits::{Limits, Proxies};
use tenbells::protocol::Wire;
use tenbells::store::StoreOptions;
use tenbells::store::memory::MemoryStore;

use crate::support::PATIENCE;

/// Keys that can't be asked: what a bug in their code would do.
struct Broken;

impl Keys for Broken {
    fn authenticate(&self, _: &str) -> Result<Arc<Grant>, Denied> {
        panic!("this test's own panic: keys that can't be asked")
    }

    fn stands(&self, _: &Grant) -> bool {
        true
    }
}

fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![
        0x81,
        0x80 | u8::try_from(text.len()).expect("short"),
        0,
        0,
        0,
        0,
    ];
    frame.extend(text.bytes());
    frame
}

/// A reader of the shards, whose socket was handed over with these bytes behind the handshake.
fn reader(fanout: &FanOut, left_over: Vec<u8>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let peer = TcpStream::connect(listener.local_addr().expect("address")).expect("connects");
    let (stream, _) = listener.accept().expect("is accepted");
    stream.set_nonblocking(true).expect("is set");
    peer.set_read_timeout(Some(PATIENCE)).expect("is set");
    let handover = Handover {
        stream,
        session: None,
        left_over: Bytes::from(left_over),
    };
    let hello = Hello {
        grant: None,
        client: None,
        subscribe: None,
        wire: Wire::Plain,
        admission: Box::new(()),
    };
    fanout.adopt(handover, hello);
    peer
}

/// Whether the reader is answered.
fn is_served(reader: &mut TcpStream) -> bool {
    let sent = reader.write_all(&masked(r#"{"op":"ping"}"#));
    let mut answer = [0; 15];
    sent.is_ok() && reader.read_exact(&mut answer).is_ok() && &answer[2..] == br#"{"op":"pong"}"#
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connections_panic_ends_that_connection_only() {
    let clock = Arc::new(SystemClock);
    let store = MemoryStore::open(StoreOptions::default(), clock.clone());
    let broker = Broker::new(store, clock, BrokerOptions::default());
    let limits = Arc::new(Limits::new(
        &Config::default().limits,
        Proxies::default(),
        false,
    ));
    let runtime = tokio::runtime::Handle::current();
    let fanout = FanOut::start(
        FanOutOptions::default(),
        broker,
        Arc::new(Broken),
        limits,
        runtime,
    )
    .expect("it starts");
    let panics = masked(r#"{"op":"auth","token":"x"}"#);
    // One shard: all of them are on the same thread.
    let mut others: Vec<_> = (0..3).map(|_| reader(&fanout, Vec::new())).collect();
    for other in &mut others {
        assert!(is_served(other));
    }
    let mut first = reader(&fanout, Vec::new());
    first.write_all(&panics).expect("is sent");
    // The same, behind its handshake.
    let mut second = reader(&fanout, panics);
    for gone in [&mut first, &mut second] {
        assert_eq!(gone.read(&mut [0; 64]).unwrap_or(0), 0, "cut off");
    }
    for other in &mut others {
        assert!(is_served(other));
    }
    assert!(is_served(&mut reader(&fanout, Vec::new())));
    // Whoever left of their own accord is noticed a moment later.
    let began = Instant::now();
    while fanout.connections() != 3 {
        assert!(began.elapsed() < PATIENCE, "{}", fanout.connections());
        tokio::task::yield_now().await;
    }
    fanout.stop();
}
