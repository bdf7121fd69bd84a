//! The log's filter.

use anyhow::Context;
use grape::log::{self, Format, Log};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The watches log each failed try. The code that watches knows what the failure means, and logs it
/// once, with more detail. A filter that names the module still shows these lines.
pub const WATCHES: &str = "kube_runtime::watcher";

/// Grapes warn of bootstrap addresses that do not answer. Local mode prints each, once for all of
/// its Grapes.
pub const SILENCE: &str = "grape::discovery::silence";

/// Sends the log to standard error: the lines that pass `filter`, without those of the module
/// `quiet`, which are reported in another way.
///
/// # Errors
///
/// The system has no thread for the log.
pub fn to_stderr(filter: &Targets, quiet: &'static str, format: Format) -> anyhow::Result<Log> {
    log::to_stderr(without(quiet, filter), format).context("cannot start the log")
}

fn without(quiet: &'static str, filter: &Targets) -> Targets {
    Targets::new()
        .with_default(filter.default_level().unwrap_or(LevelFilter::OFF))
        .with_target(quiet, LevelFilter::OFF)
        .with_targets(filter)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tracing::Level;

    use super::*;

    #[rstest]
    #[case("info", false, true)]
    #[case("warn,kube_runtime=debug", false, true)]
    #[case("kube_runtime::watcher=warn", true, false)]
    #[case("off", false, false)]
    fn lines_that_are_reported_in_another_way_are_left_out(
        #[case] text: &str,
        #[case] watches: bool,
        #[case] others: bool,
    ) {
        let filter = without(WATCHES, &log::filter(text).unwrap());
        assert_eq!(filter.would_enable(WATCHES, &Level::WARN), watches);
        assert_eq!(filter.would_enable("grape_operator", &Level::WARN), others);
    }
}
