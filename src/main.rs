//! The `tenbells` binary: names the allocator, and hands the command line to the library. Nothing else.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A reader keeps a few small allocations among the large ones of its handshake. mimalloc keeps sizes apart, so that the
/// large ones' pages go back; under glibc's allocator an idle reader took twice as much (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tenbells::cli::main()
}
