//! The operator at scale: hundreds of GrapeClusters at a real API server, at rest and all changed at
//! once; and its webhook under load. It asserts that all is right, and no figure.
//!
//! `cargo build --profile operator -p grape-operator && cargo bench -p grape-tests --bench operator`
//!
//! | module | concern |
//! |---|---|
//! | [`clusters`] | clusters at rest, and changed |
//! | [`requests`] | what the API server was asked |
//! | [`webhook`] | pods that ask for a Grape, as fast as may be and at a constant rate |
//! | [`review`] | what the webhook is asked, and the one right answer |
//! | [`connection`] | HTTPS as the API server speaks it to a webhook |

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod clusters;
mod connection;
mod requests;
mod review;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use grape_tests::our_operator::Operator;
use grape_tests::{binaries, results};

/// How much is measured.
struct Size {
    /// GrapeClusters, of three Grapes each.
    clusters: usize,
    /// How long nothing is to be written.
    rest: Duration,
    /// One measurement of the webhook under load.
    load: Duration,
    /// How many of those, of which the median counts.
    rounds: usize,
}

const WHOLE: Size =
    Size { clusters: 500, rest: Duration::from_secs(60), load: Duration::from_secs(5), rounds: 3 };

const SHORT: Size =
    Size { clusters: 5, rest: Duration::from_secs(1), load: Duration::from_secs(1), rounds: 1 };

/// Measures the operator at scale.
#[derive(Parser)]
struct Args {
    /// Five clusters and a second of load: all is right, and its figures mean nothing.
    #[arg(long)]
    short: bool,
    /// One part alone; its rows are only printed.
    part: Option<Part>,
    /// What cargo says to a bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Clusters,
    Webhook,
}

/// What users run, where it was built: the profile that its image has. Else what lies beside this.
fn binary() -> Result<PathBuf> {
    binaries::of_profile("operator", "grape-operator", "GRAPE_OPERATOR_BIN")
}

/// Seconds of a core that an operator has taken: unlike a time, it does not depend on what else the
/// machine has to do.
async fn cpu(operator: &Operator) -> Result<f64> {
    operator.metric("process_cpu_seconds_total").await?.context("it tells its CPU time")
}

async fn run(args: Args) -> Result<()> {
    let size = if args.short { SHORT } else { WHOLE };
    let binary = binary()?;
    println!("The operator is {}.", binary.display());
    let wanted = |part| args.part.is_none_or(|only| only == part);
    let mut rows = Vec::new();
    if wanted(Part::Clusters) {
        rows.extend(clusters::measure(&binary, &size).await?);
    }
    if wanted(Part::Webhook) {
        rows.extend(webhook::measure(&binary, &size).await?);
    }
    for row in &rows {
        let held = if row.holds() { "holds" } else { "short" };
        println!("{}: {:.2} {}; {:?}: {held}", row.case, row.ours, row.unit, row.goal);
    }
    if args.part.is_none() {
        println!("{}", results::write("operator", &rows)?.display());
    }
    Ok(())
}

fn main() -> Result<()> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}
