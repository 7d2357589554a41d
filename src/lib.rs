//! Tenbells: a self-hosted live-blog push service.

// The fuzz targets name both, and are run by `fuzzing::short` as well.
#[cfg(test)]
extern crate self as libfuzzer_sys;
#[cfg(test)]
extern crate self as tenbells;
#[cfg(test)]
use fuzzing::fuzz_target;

pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod content;
pub mod demo;
pub mod fanout;
#[cfg(any(test, fuzzing))]
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
