//! The `tenbells` binary: hands the command line to the library. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenbells::cli::main()
}
