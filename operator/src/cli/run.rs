//! `grape-operator run`.

mod args;
mod values;

use std::process::ExitCode;

use grape_local::log;
use tracing::error;

use crate::admin::Readiness;
use crate::controller;
use crate::process::{self, Context};
use crate::webhook;

pub use args::Args;

/// Runs the controller, the webhook, or both until they are stopped.
///
/// # Errors
///
/// A flag that cannot be used. All that comes later is logged, as a line like any other.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (log, format) = (args.log.clone(), args.log_format);
    let config = args.config()?;
    let _log = log::to_stderr(&log, log::WATCHES, format)?;
    let background = async |context: Context, readiness: Readiness| match context
        .config
        .served_webhook()
        .cloned()
    {
        Some(webhook) => webhook::run(&webhook, context, &readiness).await,
        None => process::no_background_task(context, readiness).await,
    };
    let control = async |context: Context| {
        controller::run(context).await;
        Ok(())
    };
    match process::run(config, background, control).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            error!(error = format!("{error:#}"), "ended");
            Ok(ExitCode::FAILURE)
        }
    }
}
