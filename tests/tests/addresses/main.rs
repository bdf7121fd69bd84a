//! Addresses as hosts have them: several at once, changing, link-local, and impossible ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod bound_ids;
mod changed;
mod elsewhere;
mod impossible;
mod zones;
