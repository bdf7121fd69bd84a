//! The log's filter.

use anyhow::Context;
use grape::log::{self, Format, Log};
use tracing_subscriber::EnvFilter;

/// The watches log each try that failed. Who watches knows what that means, and tells once, with more
/// words; a filter that names the module has it all the same.
const QUIET: &str = "kube_runtime::watcher=off";

/// Sends the log to standard error.
///
/// # Errors
///
/// The filter is none; the message names the flag. Or the system has no thread for the log.
pub fn to_stderr(filter: &str, format: Format) -> anyhow::Result<Log> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .with_context(|| format!("--log {filter}"))?;
    log::to_stderr(filter, format).context("cannot start the log")
}
