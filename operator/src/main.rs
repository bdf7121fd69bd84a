//! The command `grape-operator`.

use std::process::ExitCode;

use grape_operator::cli;

// In images. That of glibc is good enough where that is what there is.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    grape_local::cli::main(cli::run).await
}
