//! The command `grape-operator`.

use std::env;
use std::process::ExitCode;

use grape::{log, variables};
use grape_operator::cli::{self, Cli};

// In images. That of glibc is good enough where that is what there is.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // None of its variables has a name that a Service gives.
    let cli = match variables::parse::<Cli>(env::args_os()) {
        Ok((cli, _)) => cli,
        Err(error) => error.exit(),
    };
    match cli::run(cli).await {
        Ok(code) => code,
        Err(error) => {
            log::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
