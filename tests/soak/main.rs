//! Six Grapes for a while, under lookups and announces: killed, with packets lost, cut into halves,
//! stopped. `tests/soak/run` starts it in a namespace.

mod faults;
mod fleet;
mod hosts;
mod load;

use std::io::Write;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::time::Duration;

use faults::Line;
use fleet::Fleet;
use load::Load;

/// Runs six Grapes for a while, and says what failed.
#[derive(Debug, Parser)]
struct Arguments {
    /// A minute in all, and nothing asserted that depends on how fast the machine is
    #[arg(long)]
    short: bool,
    /// For how many seconds a Grape is killed every 5 s
    #[arg(long, default_value_t = 600)]
    kills: u64,
}

/// Prints a line. A closed standard output is ignored.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn show(lines: &[Line]) {
    for line in lines {
        let holds = if line.holds { "yes" } else { "no" };
        say(&format!("| {} | {} | {} | {holds} |", line.what, line.must, line.measured));
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seconds = |full, short| Duration::from_secs(if arguments.short { short } else { full });
    let mut fleet = Fleet::start().await?;
    let load = Load::begin(&fleet.board);
    faults::rest(&fleet, &load).await?;
    say("| what | must | measured | holds |\n|---|---|---|---|");
    let mut all = Vec::new();
    let each = seconds(5, 3);
    let mut lines = faults::kills(&mut fleet, &load, (seconds(arguments.kills, 12), each)).await?;
    show(&lines);
    all.append(&mut lines);
    faults::rest(&fleet, &load).await?;
    let mut lines = faults::loss(&fleet, &load, seconds(60, 8)).await?;
    show(&lines);
    all.append(&mut lines);
    faults::rest(&fleet, &load).await?;
    let mut lines = faults::partition(&fleet, &load, seconds(60, 8)).await?;
    show(&lines);
    all.append(&mut lines);
    faults::rest(&fleet, &load).await?;
    let mut lines = faults::pause(&fleet, &load, seconds(30, 6)).await?;
    show(&lines);
    all.append(&mut lines);
    faults::rest(&fleet, &load).await?;
    let mut lines = faults::clock(&mut fleet, &load, seconds(20, 3)).await?;
    show(&lines);
    all.append(&mut lines);
    say(
        "\nNot done: a jump of the wall clock, or of a running process's clock. Linux has no namespace for the \
         one, and sets the other when a namespace is made; either would change the machine's own clock.",
    );
    let failed = all.iter().filter(|line| !(line.holds || arguments.short && line.timed));
    ensure!(failed.count() == 0, "not all holds");
    Ok(())
}
