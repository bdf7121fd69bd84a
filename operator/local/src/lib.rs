//! A `GrapeCluster` on this machine: its Grapes run in this process, on loopback, without
//! Kubernetes.
//!
//! [`source`] (a file) → [`plan`] (pure) → [`local_cluster`] (starts the Grapes) → [`progress`] (pure: what
//! they see, as text).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod changes;
pub mod cli;
pub mod local_cluster;
pub mod log;
pub mod plan;
pub mod progress;
mod reach;
#[cfg(test)]
mod samples;
pub mod screen;
pub mod show;
pub mod source;
pub mod stop;

use std::io::Write;
use std::path::PathBuf;

use grape::clock;

use crate::screen::Screen;
use crate::stop::Stop;
use local_cluster::LocalCluster;
use plan::Choices;
use progress::Progress;
use show::{Notes, Style};
use source::Source;

/// A file with each field that counts here.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// What is run, and how it is shown.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file of the cluster, `-` for standard input; three Grapes without one.
    pub file: Option<PathBuf>,
    /// What goes before the file.
    pub choices: Choices,
    /// Variables that are set, and that only `grape` reads.
    pub ignored: Vec<String>,
    /// How tables are drawn.
    pub style: Style,
}

/// How a local cluster ended that was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its Grapes have withdrawn what was announced through them.
    Drained,
    /// It was asked twice: what was announced is left to age.
    AtOnce,
}

/// Runs a cluster until it is asked to stop, and prints its progress to `out`. If the reader of
/// `out` goes away, that counts as such a request.
///
/// # Errors
///
/// The file or the ports cannot be used, a Grape does not start or fails later, or `out` cannot be
/// written.
pub async fn run(options: &Options, out: &mut impl Write) -> anyhow::Result<Ended> {
    let mut stop = Stop::listen()?;
    let mut screen = Screen::new(out);
    let Source { cluster, unread } = source::read(options.file.as_deref())?;
    let elsewhere = reach::elsewhere(&cluster.dht.bootstrap).await;
    let plan = plan::plan(&cluster, &options.choices, &elsewhere)?;
    screen.say(&show::opening(&plan))?;
    screen.say(&show::notes(&Notes { elsewhere, unread, ignored: options.ignored.clone() }))?;
    let mut local_cluster = LocalCluster::start(plan).await?;
    let shown = tell(&mut local_cluster, options.style, &mut stop, &mut screen).await;
    // When one Grape fails, the others withdraw all the same: outside Grapes need not wait for
    // announces to age.
    screen.say(&show::draining(local_cluster.members().len()))?;
    let drained = tokio::select! {
        drained = local_cluster.drain() => drained,
        () = stop.asked() => {
            screen.say(show::AT_ONCE)?;
            return shown.map(|()| Ended::AtOnce);
        }
    };
    screen.say(&show::drained(&drained))?;
    shown.map(|()| Ended::Drained)
}

/// Prints the progress of the cluster until it is asked to stop, or `out` has no reader.
async fn tell(
    local_cluster: &mut LocalCluster,
    style: Style,
    stop: &mut Stop,
    screen: &mut Screen<&mut impl Write>,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(local_cluster.members(), style);
    while screen.is_read() {
        screen.say(&progress.tell(&local_cluster.statuses()))?;
        screen.say(&progress.refusals(&local_cluster.refusals()))?;
        screen.say(&progress.silent_seeds(&local_cluster.silent_seeds(), clock::now()))?;
        tokio::select! {
            failed = local_cluster.failed() => return Err(failed.into()),
            () = stop.asked() => break,
            () = tokio::time::sleep(progress.pause()) => {}
        }
    }
    Ok(())
}
