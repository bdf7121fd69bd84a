//! The command `grape-operator`: flags, logs, exit codes.

mod local;
mod log;
mod run;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check;
use crate::cluster::crd;
use crate::manifest;
use crate::screen::Screen;

/// Runs GrapeClusters: the Grapes through which Grenache services find each other.
#[derive(Debug, Parser)]
#[command(name = "grape-operator", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller of GrapeClusters, in a pod or with a kubeconfig.
    Run(Box<run::Args>),
    /// Runs the Grapes of a GrapeCluster on this machine, without Kubernetes.
    Local(Box<local::Args>),
    /// Prints the CustomResourceDefinition of GrapeCluster.
    Crd,
    /// Tells whether an installed operator works; exits with 1 if not.
    Check(check::Options),
}

/// Runs the command, and gives its exit code.
///
/// # Errors
///
/// What the command could not do, for people to read.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run::run(*args).await,
        Command::Local(args) => local::run(*args).await,
        Command::Crd => {
            Screen::new(io::stdout()).say(&crd()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(options) => {
            let well = check::run(&options, &mut Screen::new(io::stdout())).await?;
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// The CRD as it is kept in `crds/`.
///
/// # Errors
///
/// It cannot be written as YAML.
pub fn crd() -> anyhow::Result<String> {
    let yaml = manifest::write(&crd::crd())?;
    Ok(format!("# Generated from the types by `grape-operator crd`: change those instead.\n{yaml}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
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

    #[test]
    fn the_crd_in_the_repository_is_the_one_of_the_types() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/grapeclusters.grenache.dev.yaml");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == crd().unwrap(),
            "crds/ is stale; run: cargo run -p grape-operator -- crd > \
             crds/grapeclusters.grenache.dev.yaml"
        );
    }
}
