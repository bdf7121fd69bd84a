//! The process' own figures, under the names that Prometheus' clients use for them everywhere.
//! Read from `/proc`; where there is none, there are none of these. And the lines that the log lost.

use std::fs;

use prometheus::proto::{MetricFamily, MetricType};

use super::families::{family, float};
use crate::nonblocking;

/// Ticks of the clock in which Linux counts a process' times; the same on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// The figures of now.
pub fn families() -> Vec<MetricFamily> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let figures = [
        (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            MetricType::COUNTER,
            cpu_seconds(&stat),
        ),
        ("process_open_fds", "Number of open file descriptors.", MetricType::GAUGE, open_files()),
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            MetricType::GAUGE,
            fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status)),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            MetricType::GAUGE,
            fs::read_to_string("/proc/stat").ok().and_then(|system| start_seconds(&stat, &system)),
        ),
        (
            "process_log_lines_dropped_total",
            "Lines of the log that were dropped, as its reader did not keep up.",
            MetricType::COUNTER,
            Some(float(nonblocking::lines_dropped())),
        ),
    ];
    figures
        .into_iter()
        .filter_map(|(name, help, kind, figure)| {
            Some(family(name, help, kind, vec![(None, figure?)]))
        })
        .collect()
}

/// A field of `/proc/self/stat`, counted from 1 as its manual does. The second field is the
/// command's name, which may hold anything, in parentheses.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + field(stat, 22)? / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 1 0 5000 1 2 3";

    #[test]
    fn figures_are_read() {
        assert_eq!(cpu_seconds(STAT), Some(4.0));
        assert_eq!(start_seconds(STAT, "cpu 1 2\nbtime 1000\n"), Some(1050.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    5120 kB\n"), Some(5_242_880.0));
    }

    #[test]
    fn other_texts_have_none() {
        for text in ["", ") ", "1 (x) S 1", "VmRSS: many kB", "btime x"] {
            assert_eq!((cpu_seconds(text), resident_bytes(text)), (None, None));
            assert_eq!(start_seconds(STAT, text), None);
        }
    }
}
