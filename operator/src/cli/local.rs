//! `grape-operator local`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{NonEmptyStringValueParser, RangedI64ValueParser};

use super::log;
use crate::local::plan::Ports;
use crate::local::show::Style;
use crate::local::{self, Ended, Options};

/// What a shell reports of a command that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub struct Args {
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

fn port() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// Runs a cluster here until it is stopped.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::to_stderr(&args.log, log::Format::Text)?;
    let mut out = io::stdout();
    let style = if out.is_terminal() { Style::Boxed } else { Style::Plain };
    let ports = Ports { api: args.api_ports, dht: args.dht_ports };
    let ended = local::run(&Options { file: args.file, ports, style }, &mut out).await?;
    Ok(match ended {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::AtOnce => ExitCode::from(EXIT_INTERRUPTED),
    })
}
