//! What the kernel reports of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Resident memory in bytes.
///
/// # Errors
/// When the process has ended.
pub fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kibibytes: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kibibytes * 1024.0)
}

/// CPU time that a process has taken, with threads that have ended, to a hundredth of a second.
///
/// # Errors
/// When the process has ended.
pub fn cpu_time_of_all_threads(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which is in brackets and may hold anything: proc_pid_stat(5).
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<_, _>>()?;
    // USER_HZ is 100 wherever Rust runs.
    Ok(Duration::from_millis(ticks * 10))
}

/// CPU time that its threads have taken, to the nanosecond. A thread that has ended is forgotten.
///
/// # Errors
/// When the process has ended, or the kernel keeps no such account (`CONFIG_SCHED_INFO`).
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = told.split_whitespace().next().context("an empty schedstat")?;
        sum += Duration::from_nanos(nanoseconds.parse()?);
    }
    Ok(sum)
}
