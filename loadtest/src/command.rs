//! The commands: each is a scenario that fills a report.

pub mod bare;
pub mod burst;
pub mod catchup;
pub mod churn;
pub mod cluster;
pub mod compare;
pub mod crash;
pub mod fanout;
pub mod idle;
pub mod overload;
pub mod pair;
pub mod publish;
pub mod ratio;
pub mod slow;
pub mod soak;
pub mod storm;
pub mod tables;
