//! The API server alone: no nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controller;
mod controllers;
mod definition;
mod desired;
mod leader;
mod lifetime;
mod process;
mod proxy;
