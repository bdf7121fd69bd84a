//! The observer at real Grapes in this process, each with a loopback address of its own, and at
//! listeners that are none.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod answers;
mod canaries;
mod hints;
mod introductions;
mod outside;
mod partitions;
mod sidecars;
mod targets;
