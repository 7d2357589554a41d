//! stub
use std::sync::Arc;
use crate::broker::{Broker, Outlet};
use crate::keys::{Grant, Keys};
use crate::model::{After, TopicName};
use std::time::Duration;
/// stub
pub struct Hello { /// g
 pub grant: Option<Arc<Grant>>, /// s
 pub subscribe: Option<(TopicName, After)>, /// a
 pub admission: Box<dyn Send> }
/// stub
#[derive(Default, Debug, Clone)]
pub struct FanOutOptions { pub shards: usize, pub connections_max: usize, pub topics_per_connection_max: usize, pub message_bytes_max: usize, pub first_subscribe: Duration, pub ping_every: Duration, pub pong_within: Duration, pub stall_max: Duration, pub x: u8 }
/// stub
#[derive(Default)]
pub struct Counters { pub deliveries: u64, pub bytes: u64, pub laggards: u64 }
/// stub
pub struct FanOut;
impl FanOut {
 pub fn start(_: FanOutOptions, _: Arc<Broker>, _: Arc<dyn Keys>, _: tokio::runtime::Handle) -> std::io::Result<Self> { Ok(Self) }
 pub fn outlets(&self) -> Vec<Arc<dyn Outlet>> { vec![] }
 pub fn adopt(&self, _: std::net::TcpStream, _: bytes::Bytes, _: Hello) {}
 pub fn connections(&self) -> u64 { 0 }
 pub fn counters(&self) -> Counters { Counters::default() }
 pub async fn drain(&self, _: Duration) {}
 pub fn stop(&self) {}
}
