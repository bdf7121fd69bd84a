//! Attacks on Grapes, each beside honest use of them: what must hold, and what was measured.
//!
//! `tests/hostile/run` starts it in a network namespace of its own, in which all of 10.77.0.0/16 are
//! addresses of this host. A file for each family of attacks; each attack is bounded in packets and
//! time.

mod attack;
mod families;
mod flood;
mod gossip_wire;
mod node;
mod site;
mod sockets;
mod table;
mod ws_frames;

use std::net::UdpSocket;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use futures_util::{StreamExt, stream};

use attack::{Attack, Row};
use site::Ground;

/// How many attacks go on at a time in the short form, which does not assert how fast anything is.
const AT_A_TIME: usize = 6;

/// Attacks Grapes, and says what held.
#[derive(Debug, Parser)]
struct Arguments {
    /// A few seconds each, and nothing asserted that depends on how fast the machine is
    #[arg(long)]
    short: bool,
    /// Shows the names of the attacks
    #[arg(long)]
    list: bool,
    /// Where the table is written; without it, only shown
    #[arg(long)]
    table: Option<PathBuf>,
    /// Only these attacks
    names: Vec<String>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let attacks = families::all();
    if arguments.list {
        for attack in &attacks {
            table::say(&format!("{:24} {}", attack.name, attack.title));
        }
        return Ok(());
    }
    if UdpSocket::bind("10.77.0.1:0").is_err() {
        bail!("10.77.0.1 is no address of this host: start this by tests/hostile/run");
    }
    let chosen = choose(attacks, &arguments.names)?;
    let rows = run(chosen, arguments.short).await;
    table::show(&rows, arguments.short);
    if let Some(path) = &arguments.table {
        table::write(path, &rows).with_context(|| path.display().to_string())?;
    }
    let failing: Vec<_> = rows.iter().filter(|row| row.fails(arguments.short)).collect();
    for row in &failing {
        table::say(&format!("DOES NOT HOLD: {}: {}", row.attack.name, row.why()));
    }
    // The full form measures: its table says what does not hold.
    let broken = rows.iter().filter(|row| row.outcome.is_err()).count();
    ensure!(broken == 0, "{broken} attacks could not be carried out");
    let succeed = failing.len();
    ensure!(!arguments.short || succeed == 0, "{succeed} attacks succeed");
    Ok(())
}

/// Those that were named, or all.
fn choose(attacks: Vec<Attack>, names: &[String]) -> Result<Vec<(u8, Attack)>> {
    if let Some(name) = names.iter().find(|name| attacks.iter().all(|each| each.name != **name)) {
        bail!("there is no attack {name:?}; --list shows the names");
    }
    // Addresses go by the number, so that none has packets of another one.
    let numbered = (1..).zip(attacks);
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    Ok(numbered.filter(|(_, attack)| is_chosen(attack.name)).collect())
}

async fn run(chosen: Vec<(u8, Attack)>, short: bool) -> Vec<Row> {
    let one = async |(number, attack): (u8, Attack)| {
        let row = Row::of(attack, Ground { number, short }).await;
        table::say(&format!("{:24} {:5.1} s  {}", row.attack.name, row.took, row.summary(short)));
        row
    };
    let mut rows: Vec<Row> = if short {
        // The last of them takes longest.
        stream::iter(chosen.into_iter().rev()).map(one).buffer_unordered(AT_A_TIME).collect().await
    } else {
        stream::iter(chosen).then(one).collect().await
    };
    rows.sort_by_key(|row| row.number);
    rows
}
