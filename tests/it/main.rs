//! The one integration test binary: behaviour over real sockets, and the contract of the stores.

mod embargo;
mod errors;
mod idempotency;
mod publish;
mod store_contract;
mod support;
mod topic;
mod transports;
