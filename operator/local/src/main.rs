//! The command `grape-local`, which `cargo run -- local` starts from a checkout. `grape-operator` has
//! the same commands, and more.

use std::io;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};
use grape_cluster::crd;
use grape_local::cli;
use grape_local::screen::Screen;

/// Runs the Grapes of a GrapeCluster on this machine.
#[derive(Debug, Parser)]
#[command(name = "grape-local", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the Grapes of a GrapeCluster on this machine, without Kubernetes.
    Local(Box<cli::Args>),
    /// Print the CustomResourceDefinition of GrapeCluster.
    Crd,
    /// A command of the operator.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Local(args) => cli::run(*args).await,
        Command::Crd => {
            Screen::new(io::stdout()).say(&crd::to_yaml()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Other(words) => match words.first().map(String::as_str) {
            Some(name @ ("run" | "check")) => bail!(
                "{name:?} is a command of the operator; run: cargo run --release -p grape-operator \
                 -- {}",
                words.join(" ")
            ),
            name => bail!(
                "there is no command {:?}; the commands are local and crd",
                name.unwrap_or_default()
            ),
        },
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::main(run).await
}
