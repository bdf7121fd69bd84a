//! Networks of our Grapes, npm's, and mainline's nodes: what one stores, all others find.
//!
//! A network is named by its nodes, in the order in which they start: `n` for npm's Grape, `o` for
//! ours. Those of npm's alone are a control: they check the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod advertised;
mod ages;
mod families;
mod items;
mod leaving;
mod mainline;
mod names;
mod started;
