//! The HTTP API over real sockets, on Grapes in this process.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod admin;
mod cluster_group;
mod command;
mod cors;
mod crowd;
mod drain;
mod environment;
mod flood;
mod framing;
mod gossip;
mod gossip_socket;
mod grapes;
mod introduce;
mod limits;
mod log;
mod printable;
mod raw;
mod services;
mod stopping;
mod verbs;
mod watch;
mod web_pages;
mod websocket;

use std::io::Write;
use std::time::Duration;

/// Prints how long something took, also when the test passes.
fn figure(what: &str, time: Duration) {
    let _ = writeln!(std::io::stderr(), "figure: {what}: {:.1} s", time.as_secs_f64());
}
