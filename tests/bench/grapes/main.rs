//! Three npm Grapes and three of ours, side by side in one run: rates under `wrk`, lookups, memory,
//! starts, a cluster at rest. It asserts that answers are right, and no figure; the rows go to
//! [`grape_tests::results`] as `grapes`.
//!
//! `cargo build --release -p grape && cargo bench -p grape-tests --bench grapes`, with `-- --short`
//! for a run of seconds whose figures mean nothing. Needs `wrk` (`apt-get install -y wrk`).
//!
//! | file | concern |
//! |---|---|
//! | `plan.rs` | how long everything is measured |
//! | `load.rs`, `../load.lua` | one run of `wrk`, each answer compared |
//! | `rates.rs` | the cases under load, in interleaved rounds |
//! | `bare.rs` | a server of hyper alone that answers what a Grape does |
//! | `lookups.rs` | lookups timed one by one |
//! | `crowd.rs` | a name with many peers |
//! | `rest.rs` | what Grapes cost at rest: memory, CPU time, packets, a start, the binary |

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod bare;
mod crowd;
mod load;
mod lookups;
mod plan;
mod rates;
mod rest;

use anyhow::{Context, Result, bail};
use grape_tests::grape::{Grape, Kind};
use grape_tests::kernel;
use grape_tests::network::{Network, Shape};
use grape_tests::results::{self, Row, table};
use plan::Plan;

const USAGE: &str = "usage: grapes [--short]";

/// Networks of three Grapes, of both kinds.
struct Both {
    npm: Network,
    ours: Network,
}

impl Both {
    async fn start() -> Result<Self> {
        Ok(Self {
            npm: Network::start(Shape::Mesh, &[Kind::Npm; 3]).await?,
            ours: Network::start(Shape::Mesh, &[Kind::Ours; 3]).await?,
        })
    }

    /// The Grape of each kind that is asked: npm's, then ours.
    fn asked(&self) -> [&Grape; 2] {
        [&self.npm.grapes[0], &self.ours.grapes[0]]
    }

    /// Resident memory of these, in MB.
    fn memory(&mut self) -> Result<[f64; 2]> {
        let [npm, ours] = [&mut self.npm, &mut self.ours].map(|network| {
            let grape = &mut network.grapes[0];
            resident_megabytes(grape.process().pid().context("a Grape has ended")?)
        });
        Ok([npm?, ours?])
    }
}

/// Resident memory of a process in MB of 2^20 bytes.
fn resident_megabytes(pid: u32) -> Result<f64> {
    Ok(kernel::resident(pid)? / f64::from(1 << 20))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn run(plan: Plan) -> Result<()> {
    load::ensure_installed()?;
    // First, since it may have to be built.
    let sizes = rest::sizes()?;
    let mut both = Both::start().await?;
    let idle = both.memory()?;
    let mut rows = rates::measure(&mut both, plan).await?;
    let loaded = both.memory()?;
    rows.extend(lookups::announced_elsewhere(&both, plan).await?);
    rows.push(Row::at_most("resident memory, idle", idle, "MB", 6.0));
    rows.push(Row::at_most("resident memory, after the load", loaded, "MB", 24.0));
    rows.extend(lookups::after_a_death(both, plan).await?);
    rows.extend(crowd::measure(plan).await?);
    rows.push(rest::starts(plan).await?);
    rows.extend(rest::cluster(plan).await?);
    rows.extend(sizes);
    println!("{}", table::markdown(&rows));
    eprintln!("written to {}", results::write("grapes", &rows)?.display());
    Ok(())
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [bare::FLAG, port] => return bare::serve(port.parse()?),
        [] => Plan::FULL,
        ["--short"] => Plan::SHORT,
        _ => bail!("{USAGE}"),
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(plan))
}
