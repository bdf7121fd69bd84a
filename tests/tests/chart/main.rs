//! The operator's Helm chart: what it renders, what it refuses, and how it is installed, with the
//! real helm, promtool and API server. No nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod check;
mod deployment;
mod helm;
mod host_network;
mod labels;
mod lifecycle;
mod names;
mod notes;
mod other_names;
mod package;
mod rights;
mod server;
mod switches;
mod values;
mod warnings;
mod webhook;
