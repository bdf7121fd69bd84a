//! Networks of many Grapes, the production engine, in one process under virtual time: whether
//! every lookup finds what it should, and what that costs. The same from the same seed.
//!
//! `cargo run --profile bench -p grape-tests --bin simulate -- --grapes 100,1000,10000`
//!
//! | file | concern |
//! |---|---|
//! | `phases.rs` | what is done with a network, and what comes of it |
//! | `fleet.rs` | the network, its services, churn, and what is true of them |
//! | `lookups.rs` | lookups beside the truth |
//! | `spread.rs` | whether answers are spread evenly |
//! | `cost.rs` | CPU time and memory |
//! | `report.rs` | tables, CSV, plots, rows beside their goals |

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod cost;
mod fleet;
mod lookups;
mod phases;
mod report;
mod spread;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use grape_tests::results;
use indicatif::{ProgressBar, ProgressStyle};

use phases::{Phase, Plan};

/// So many Grapes for each service, unless it is said how many there are: with 20 pods each, two a
/// Grape.
const GRAPES_A_SERVICE: u32 = 10;

/// As the Grape has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates networks of many Grapes, and compares every answer with the truth
///
/// Each network joins through a few known nodes, has a service with 20 pods for every ten Grapes,
/// and goes through these phases: rest; lookups without churn; lookups while 5 % of the Grapes
/// come and go each minute, with 5 % of all datagrams lost; one name that every Grape announces.
///
/// Writes simulate.csv (the same each time from the same seed), simulate-cost.csv (times and
/// memory), simulate-hops.svg, simulate-queries.svg and simulate.json into the folder that
/// GRAPE_RESULTS names, or target/results. 1,000 Grapes take 20 seconds and 0.13 GB; ten times the
/// Grapes take ten times the memory, and somewhat more than ten times as long. Churn takes most of
/// it, for each death is told to every Grape.
#[derive(Debug, Parser)]
struct Args {
    /// How many Grapes, for one network each
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [100, 1000, 10_000])]
    #[arg(value_parser = clap::value_parser!(u32).range(30..=1_000_000))]
    grapes: Vec<u32>,

    /// How many services, with 20 pods each [default: one for every ten Grapes]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    services: Option<u32>,

    /// Give all services names that begin alike
    ///
    /// Grapes do not hash names: these are held by the same 20 Grapes, each of which holds 5,000.
    #[arg(long)]
    alike: bool,

    /// What all that is random comes from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Lookups without churn, and as many with; ten for each Grape at most
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    lookups: u32,

    /// How long Grapes come and go, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..))]
    churn: u64,

    /// Which phases, after all have joined
    #[arg(long, value_name = "PHASE", value_delimiter = ',', value_enum)]
    #[arg(default_values_t = Phase::value_variants().to_vec())]
    phases: Vec<Phase>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (mut figures, mut costs) = (Vec::new(), Vec::new());
    for grapes in &args.grapes {
        let plan = Plan {
            grapes: *grapes as usize,
            services: args.services.unwrap_or(*grapes / GRAPES_A_SERVICE) as usize,
            names_alike: args.alike,
            seed: args.seed,
            lookups: args.lookups as usize,
            churn: Duration::from_secs(args.churn),
            phases: args.phases.clone(),
        };
        let style = "{elapsed:>5} {wide_bar} {percent:>3} % {prefix} {msg}";
        let progress =
            ProgressBar::new(plan.steps()).with_style(ProgressStyle::with_template(style)?);
        progress.set_prefix(grapes.to_string());
        let before = (figures.len(), costs.len());
        phases::run(&plan, &progress, |of_phase, cost| {
            figures.extend(of_phase);
            costs.push(cost);
            // After each, so that a long run that is ended leaves what it had.
            write(&figures, &costs).map(drop)
        })?;
        progress.finish_and_clear();
        println!("{}\n{}", report::table(&figures[before.0..]), report::costs(&costs[before.1..]));
    }
    Ok(())
}

fn write(figures: &[phases::Figures], costs: &[cost::Cost]) -> Result<PathBuf> {
    let folder = results::folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    report::csv(&folder.join("simulate.csv"), figures)?;
    report::csv(&folder.join("simulate-cost.csv"), costs)?;
    report::plot(&folder, figures)?;
    results::write("simulate", &report::rows(figures, costs))
}
