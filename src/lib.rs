//! Tenbells: a self-hosted live-blog push service.

pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod content;
pub mod demo;
pub mod fanout;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod import;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod model;
pub mod pages;
pub mod pressure;
pub mod protocol;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod tokens;
