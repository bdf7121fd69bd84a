//! What the process costs: CPU time, and memory.

use std::process;
use std::time::{Duration, Instant};

use anyhow::Result;
use grape_tests::kernel;
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
    /// In bytes.
    resident: f64,
}

impl Meter {
    /// Reads them.
    ///
    /// # Errors
    /// Without `/proc`.
    pub(super) fn read() -> Result<Self> {
        let own = process::id();
        let (cpu, resident) = (kernel::cpu_time_of_all_threads(own)?, kernel::resident(own)?);
        Ok(Self { wall: grape::clock::now(), cpu, resident })
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
        let cpu = now.cpu.saturating_sub(self.cpu).as_secs_f64();
        let grape_seconds = passed.as_secs_f64() * living as f64;
        Ok(Cost {
            grapes: living,
            phase,
            virtual_seconds: passed.as_secs_f64(),
            wall_seconds: now.wall.duration_since(self.wall).as_secs_f64(),
            cpu_seconds: cpu,
            cpu_percent_a_grape: 100.0 * cpu / grape_seconds,
            resident_mb: now.resident / 1e6,
            kb_a_grape: (now.resident - first.resident) / 1e3 / grapes as f64,
        })
    }
}
