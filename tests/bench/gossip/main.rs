//! Groups of Grapes: how fast state and deaths spread, beside npm's `grapevine`, and what a member
//! costs. It asserts no
//! figure; the rows go to [`grape_tests::results`] as `gossip`.
//!
//! `cargo build --release -p grape && cargo bench -p grape-tests --bench gossip`, with `-- --short`
//! for a run of seconds whose figures mean nothing, or `-- --hour` for an hour of virtual time under
//! loss.
//!
//! | file | concern |
//! |---|---|
//! | `plan.rs` | how large the groups are, and how long they are watched |
//! | `beside_npm.rs` | npm's `grapevine` and ours, each with 21 and 61 members |
//! | `simulated.rs` | a hundred and a thousand members under virtual time |
//! | `memory.rs` | resident memory of Grapes in a group |

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod beside_npm;
mod memory;
#[path = "../../../sidecar/engine/tests/gossip/network.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod network;
mod plan;
mod simulated;

use anyhow::{Result, bail};
use grape_tests::results::{self, table};
use plan::Plan;

const USAGE: &str = "usage: gossip [--short|--hour]";
/// Most KiB a second that a member at rest sends, in the small group and in the large one.
const AT_REST: [f64; 2] = [4.0, 8.0];

async fn run(plan: Plan) -> Result<()> {
    let mut rows = beside_npm::rows(plan).await?;
    rows.push(memory::measure(plan).await?);
    for (members, bound) in plan.members.into_iter().zip(AT_REST) {
        rows.extend(simulated::measure(members, bound, plan));
    }
    println!("{}", table::markdown(&rows));
    eprintln!("written to {}", results::write("gossip", &rows)?.display());
    Ok(())
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Plan::FULL,
        ["--short"] => Plan::SHORT,
        ["--hour"] => Plan::HOUR,
        _ => bail!("{USAGE}"),
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(plan))
}
