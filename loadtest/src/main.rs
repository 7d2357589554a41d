//! The Tenbells load harness.

fn main() {}
