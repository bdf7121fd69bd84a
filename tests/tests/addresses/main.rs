//! Addresses as hosts have them: several at once, ones that change, ones of a link, and ones at
//! which nobody can be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod changed;
mod impossible;
mod zones;
