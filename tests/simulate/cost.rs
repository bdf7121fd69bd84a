//! What the process costs: CPU time, and memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What a phase cost. No two runs have the same figures.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cost {
    pub(super) grapes: usize,
    pub(super) phase: &'static str,
    pub(super) virtual_seconds: f64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    /// CPU time for each second of a Grape's, in percent of a core. The simulator's is in it.
    pub(super) cpu_percent_a_grape: f64,
    /// Resident memory of the process at the end, in MB.
    pub(super) resident_mb: f64,
    /// What the process has grown by since before the first Grape, by the number of Grapes that
    /// there were, the dead among them, in kB.
    pub(super) kb_a_grape: f64,
}

/// The figures of a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    wall: Instant,
    cpu: Duration,
    resident: f64,
}

impl Meter {
    /// Reads them.
    ///
    /// # Errors
    /// Without `/proc`.
    pub(super) fn read() -> Result<Self> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::new(cpu.tv_sec.try_into()?, cpu.tv_nsec.try_into()?);
        Ok(Self { wall: grape::clock::now(), cpu, resident: resident_kb()? })
    }

    /// What `grapes` nodes, of which `living` live, cost since then.
    ///
    /// # Errors
    /// Without `/proc`.
    pub(super) fn since(
        &self,
        first: &Self,
        phase: &'static str,
        (grapes, living): (usize, usize),
        passed: Duration,
    ) -> Result<Cost> {
        let now = Self::read()?;
        let cpu = (now.cpu - self.cpu).as_secs_f64();
        let grape_seconds = passed.as_secs_f64() * living as f64;
        Ok(Cost {
            grapes: living,
            phase,
            virtual_seconds: passed.as_secs_f64(),
            wall_seconds: now.wall.duration_since(self.wall).as_secs_f64(),
            cpu_seconds: cpu,
            cpu_percent_a_grape: 100.0 * cpu / grape_seconds,
            resident_mb: now.resident / 1000.0,
            kb_a_grape: (now.resident - first.resident) / grapes as f64,
        })
    }
}

/// Resident memory in kB.
fn resident_kb() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes = line.trim().strip_suffix(" kB").context("VmRSS in kB")?;
    Ok(kibibytes.trim().parse::<f64>()? * 1.024)
}
