//! The program `proof`, run as a user runs it.

mod check;
mod cluster;
mod faults;
mod simulate;
