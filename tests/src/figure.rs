//! What was measured, told also by tests that pass.

use std::io::Write;
use std::time::Duration;

/// Tells it in a line.
pub fn tell(figure: &str) {
    // Not by `eprintln`, which is kept back unless the test fails. Where standard error is closed
    // nobody is there to be told.
    let _ = writeln!(std::io::stderr(), "figure: {figure}");
}

/// Tells how long something took.
pub fn took(what: &str, time: Duration) {
    tell(&format!("{what}: {:.1} s", time.as_secs_f64()));
}
