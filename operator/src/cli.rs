//! The command `grape-operator`: flags, logs, exit codes.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use tracing_subscriber::EnvFilter;

use crate::check;
use crate::cluster::definition;
use crate::local::plan::Ports;
use crate::local::show::Style;
use crate::local::{self, Ended, Options};
use crate::manifest;

/// What a shell reports of a command that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs GrapeClusters: the Grapes through which Grenache services find each other.
#[derive(Debug, Parser)]
#[command(name = "grape-operator", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the Grapes of a GrapeCluster on this machine, without Kubernetes.
    Local(Local),
    /// Prints the CustomResourceDefinition of GrapeCluster.
    Crd,
    /// Tells whether an installed operator works; exits with 1 if not.
    Check(check::Options),
}

#[derive(Debug, Args)]
struct Local {
    /// The GrapeCluster to run, as YAML; - reads standard input. Three Grapes without it.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// TCP ports of the APIs, one for each Grape, or the first of them; from spec.api.port up
    /// without it.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port())]
    api_ports: Vec<u16>,

    /// UDP ports of the DHT, one for each Grape, or the first of them; from spec.dht.port up
    /// without it.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port())]
    dht_ports: Vec<u16>,

    /// Which logs go to standard error, such as info, or warn,grape=debug.
    #[arg(
        long,
        value_name = "FILTER",
        env = "GRAPE_LOG",
        default_value = "warn",
        value_parser = NonEmptyStringValueParser::new()
    )]
    log: String,
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// Runs the command, and gives its exit code.
///
/// # Errors
///
/// What the command could not do, for people to read.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match cli.command {
        Command::Crd => {
            out.write_all(crd()?.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(options) => {
            let well = check::run(&options, &mut out).await?;
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Local(Local { file, api_ports, dht_ports, log }) => {
            log_to_stderr(&log)?;
            let style = if out.is_terminal() { Style::Boxed } else { Style::Plain };
            let ports = Ports { api: api_ports, dht: dht_ports };
            let ended = local::run(&Options { file, ports, style }, &mut out).await?;
            Ok(match ended {
                Ended::Drained => ExitCode::SUCCESS,
                Ended::AtOnce => ExitCode::from(EXIT_INTERRUPTED),
            })
        }
    }
}

/// The CRD as it is kept in `crds/`.
///
/// # Errors
///
/// It cannot be written as YAML.
pub fn crd() -> anyhow::Result<String> {
    let yaml = manifest::write(&definition::crd())?;
    Ok(format!("# Generated from the types by `grape-operator crd`: change those instead.\n{yaml}"))
}

fn log_to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
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
