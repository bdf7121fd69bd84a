//! Measured figures, printed also by tests that pass.

use std::io::Write;
use std::time::Duration;

/// Prints a line.
pub fn tell(figure: &str) {
    // Not by `eprintln`, whose output is captured unless the test fails. A closed standard error is
    // ignored.
    let _ = writeln!(std::io::stderr(), "figure: {figure}");
}

/// Prints how long something took.
pub fn took(what: &str, time: Duration) {
    tell(&format!("{what}: {:.1} s", time.as_secs_f64()));
}
