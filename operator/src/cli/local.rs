//! `grape-operator local`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use grape::log::Format;
use grape::nonblocking::NonBlocking;

use super::log;
use crate::local::plan::Ports;
use crate::local::show::Style;
use crate::local::{self, Ended, Options};

/// How long the end waits for who reads its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a shell reports of a command that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The GrapeCluster to run, as YAML; - reads standard input. Three Grapes without it.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// TCP ports of the APIs, one for each Grape, or the first of them; from spec.api.port up
    /// without it.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port)]
    api_ports: Vec<u16>,

    /// UDP ports of the DHT, one for each Grape, or the first of them; from spec.dht.port up
    /// without it.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port)]
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

fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or("expected ports from 1 to 65535, separated by commas, as in 30001,40001,50001")
}

/// Runs a cluster here until it is stopped.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let _log = log::to_stderr(&args.log, Format::Text)?;
    // The Grapes run on this thread: they must not wait for who reads what is shown.
    let mut out = NonBlocking::new("output", io::stdout())?;
    let style = if io::stdout().is_terminal() { Style::Boxed } else { Style::Plain };
    let ports = Ports { api: args.api_ports, dht: args.dht_ports };
    let ended = local::run(&Options { file: args.file, ports, style }, &mut out).await;
    out.drain(LAST_WORDS);
    Ok(match ended? {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::AtOnce => ExitCode::from(EXIT_INTERRUPTED),
    })
}
