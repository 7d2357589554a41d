//! The one integration test binary: behaviour over real sockets, and the contract of the stores.

mod access;
mod caching;
mod canaries;
mod corpus;
mod crash;
mod deflate;
mod desk;
mod desks;
mod drain;
mod embargo;
mod embed;
mod errors;
mod idempotency;
mod operating;
mod positions;
mod publish;
mod readers;
mod replay;
mod retraction;
mod store_contract;
mod support;
mod tls;
mod tokens;
mod topic;
mod transports;
mod websocket;
