//! The commands: each is a scenario that fills a report.

pub mod fanout;
pub mod publish;
