//! The command `grape-operator`: flags, logs, exit codes.

mod run;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use grape::cli::completions;
use grape_cluster::crd;
use grape_local::cli as local;
use grape_local::screen::Screen;

use crate::check;

/// Run GrapeClusters: the Grapes through which Grenache services find each other.
#[derive(Debug, Parser)]
#[command(name = "grape-operator", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator, in a pod or with a kubeconfig.
    Run(Box<run::Args>),
    /// Run the Grapes of a GrapeCluster on this machine, without Kubernetes.
    Local(Box<local::Args>),
    /// Print the CustomResourceDefinition of GrapeCluster.
    Crd,
    /// Check whether an installed operator works; the exit code is 1 if not.
    Check(check::Options),
    /// Print what makes a shell complete commands and flags of `grape-operator`.
    Completions {
        /// The shell; bash loads this by: source <(grape-operator completions bash).
        shell: Shell,
    },
}

/// Runs the command; returns its exit code.
///
/// # Errors
///
/// Why the command failed, for people to read.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run::run(*args).await,
        Command::Local(args) => local::run(*args).await,
        Command::Crd => {
            Screen::new(io::stdout()).say(&crd::to_yaml()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(options) => {
            let well = check::run(&options, &mut Screen::new(io::stdout())).await?;
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Completions { shell } => {
            let text = completions(shell, &mut Cli::command());
            Screen::new(io::stdout()).say(&text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use grape::variables::is_named_as_part_of_a_service;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_variable_is_one_that_kubernetes_sets_for_a_service() {
        let command = Cli::command();
        for arg in command.get_subcommands().flat_map(clap::Command::get_arguments) {
            let variable = arg.get_env().unwrap_or_default().to_str().unwrap();
            let of_a_service = is_named_as_part_of_a_service(variable);
            assert!(!of_a_service && !variable.ends_with("_PORT"), "{variable}");
        }
    }
}
