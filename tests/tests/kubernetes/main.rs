//! Pods on real nodes. These take root: `tests/run --no-root` leaves them out by the name of
//! their module.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod with_nodes;
