//! The API server alone: no nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod control;
mod controller;
mod controllers;
mod definition;
mod desired;
mod kubectl;
mod leader;
mod lifetime;
mod process;
mod proxy;
