//! The `tenbells` binary: reads the command line and calls the library. Nothing else.

fn main() {}
