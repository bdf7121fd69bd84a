//! The command `grape`: a Grape, and questions to one.

use std::process::ExitCode;

fn main() -> ExitCode {
    grape::cli::main(std::env::args_os())
}
