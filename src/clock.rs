//! placeholder
use jiff::Timestamp;
/// c
pub trait Clock: Send + Sync + 'static {
    /// n
    fn now(&self) -> Timestamp;
}
/// s
pub struct SystemClock;
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
