//! The one integration test binary: behaviour over real sockets, and the contract of the stores.

mod publish;
mod store_contract;
mod support;
mod topic;
mod transports;
