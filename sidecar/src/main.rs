//! The command `grape`: a Grape, and questions to one.

use std::process::ExitCode;

// In images. That of glibc is good enough where that is what there is.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grape::cli::main(std::env::args_os())
}
