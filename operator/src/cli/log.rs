//! Logs, on standard error.

use std::io::{self, IsTerminal};

use anyhow::Context;
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// An object for each line, for programs.
    Json,
}

/// The client logs each request that failed as an error. Who sent it knows whether it is one, and
/// tells with more words; a filter that names the module has it all the same.
const QUIET: &str = "kube_client::client::builder=off";

/// Sends the log to standard error.
///
/// # Errors
///
/// The filter is none; the message names the flag.
pub fn to_stderr(filter: &str, format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .with_context(|| format!("--log {filter}"))?;
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    registry().with(lines).with(filter).init();
    Ok(())
}
