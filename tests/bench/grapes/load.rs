//! Runs of `wrk` with `tests/bench/load.lua`.
//!
//! Every answer is compared, in `wrk` itself: that costs it half a microsecond of the three to five
//! that an answer takes it, in one thread. A Grape takes five or more, so that it is the limit; a
//! bare server takes as long as `wrk`, so that what it costs is compared by CPU time as well. Each
//! run reports how busy the server was.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use grape_tests::kernel;
use grape_tests::process::Process;
use serde::Deserialize;
use tokio::process::Command;

use crate::median;
use crate::plan::Plan;

/// A server under load.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// How it is called.
    pub name: &'static str,
    /// Where its API is.
    pub api: SocketAddr,
    /// Its process.
    pub pid: u32,
}

impl Server {
    /// A server that runs as this process.
    ///
    /// # Errors
    /// When that has ended.
    pub fn of(name: &'static str, api: SocketAddr, process: &Process) -> Result<Self> {
        Ok(Self { name, api, pid: process.pid().with_context(|| format!("{name} has ended"))? })
    }
}

/// What a server is asked.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// In `load.lua`.
    pub name: &'static str,
    /// How many ask at the same time.
    pub connections: usize,
}

/// What a run came to.
struct Load {
    /// Answers a second, all of them right.
    rate: f64,
    /// Time that half of the answers took, in milliseconds.
    p50: f64,
    /// Time that all but one in a hundred took, in milliseconds.
    p99: f64,
    /// The server's CPU time for an answer, in microseconds.
    cpu: f64,
    /// The share of the run's time in which the server's threads ran; well below 1, something
    /// else is the limit.
    busy: f64,
}

/// The last line that `load.lua` prints. Times are in microseconds.
#[derive(Debug, Deserialize)]
struct WrkReport {
    answers: u64,
    microseconds: u64,
    wrong: u64,
    example: String,
    failed: u64,
    p50: f64,
    p99: f64,
}

/// Checks that `wrk` is there.
///
/// # Errors
/// When it is not, with the line that installs it.
pub fn ensure_installed() -> Result<()> {
    // Without an address it prints how it is used, and fails.
    match std::process::Command::new("wrk").output() {
        Ok(_) => Ok(()),
        Err(_) => bail!("wrk is missing. Install it: apt-get install -y wrk"),
    }
}

/// The medians of several runs.
#[derive(Debug, Clone, Copy)]
pub struct Median {
    /// Answers a second.
    pub rate: f64,
    /// The server's CPU time for an answer, in microseconds. Neighbours change it less.
    pub cpu: f64,
}

/// Servers under their cases, which are asked in turn.
///
/// # Errors
/// When an answer is wrong, a connection fails, or `wrk` does.
pub async fn medians<const N: usize>(
    asked: [(Server, Case); N],
    plan: Plan,
) -> Result<[Median; N]> {
    let mut rounds = [const { (Vec::new(), Vec::new()) }; N];
    for round in 0..plan.rounds {
        for ((server, case), (rates, cpus)) in asked.iter().zip(&mut rounds) {
            let prefix = format!("{}:{round}:", case.name);
            let load = run(*server, *case, plan.round, &prefix).await?;
            let Load { rate, p50, p99, cpu, busy } = load;
            eprintln!(
                "{:12} {:10} {rate:8.0} /s, p50 {p50:.2} ms, p99 {p99:.2} ms; {cpu:.1} µs of CPU \
                 each, busy {:.0} %",
                case.name,
                server.name,
                busy * 100.0
            );
            rates.push(rate);
            cpus.push(cpu);
        }
    }
    Ok(rounds.map(|(rates, cpus)| Median { rate: median(rates), cpu: median(cpus) }))
}

/// Asks a server one case over and over. `prefix` has to be another one for each run at it.
async fn run(server: Server, case: Case, time: Duration, prefix: &str) -> Result<Load> {
    let Case { name: case, connections } = case;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/load.lua");
    let mut command = Command::new("wrk");
    let seconds = format!("{}s", time.as_secs());
    command.args(["-t", "1", "-c", &connections.to_string(), "-d", &seconds, "-s"]);
    command.arg(script).arg(format!("http://{}", server.api)).args(["--", case, prefix]);
    let before = kernel::cpu_time(server.pid)?;
    let output = command.output().await.context("wrk")?;
    let cpu = kernel::cpu_time(server.pid)?.saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    let told = || format!("wrk, {case}: {text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}", told());
    let line = text.lines().rfind(|line| line.starts_with('{')).with_context(told)?;
    let WrkReport { answers, microseconds, wrong, example, failed, p50, p99 } =
        serde_json::from_str(line).with_context(told)?;
    ensure!(answers > 0, "no answer: {}", told());
    ensure!(wrong == 0, "{case}: {wrong} of {answers} answers are wrong, such as {example:?}");
    ensure!(failed == 0, "{case}: {failed} requests or connections failed");
    let (answers, took) = (answers as f64, Duration::from_micros(microseconds).as_secs_f64());
    Ok(Load {
        rate: answers / took,
        p50: p50 / 1000.0,
        p99: p99 / 1000.0,
        cpu: cpu.as_secs_f64() * 1e6 / answers,
        busy: cpu.as_secs_f64() / took,
    })
}
