//! The operator's Helm chart: what it renders, what it refuses, and how it is installed, with the
//! real helm, promtool and API server. No nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod check;
mod deployment;
mod helm;
mod lifecycle;
mod names;
mod notes;
mod package;
mod rights;
mod server;
mod switches;
mod values;
mod warnings;
mod webhook;
