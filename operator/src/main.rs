//! The command `grape-operator`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use grape_operator::cli::{self, Cli};

// In images. That of glibc is good enough where that is what there is.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            // Where even this cannot be written, the exit code has to tell it.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
