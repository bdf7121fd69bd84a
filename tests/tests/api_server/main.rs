//! The API server alone: no nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controllers;
mod definition;
mod kubectl;
mod lifetime;
mod proxy;
