//! The commands: each is a scenario that fills a report.

pub mod bare;
pub mod fanout;
pub mod publish;
pub mod ratio;
