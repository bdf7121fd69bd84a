//! The API server alone: no nodes, no root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controller;
mod definition;
mod desired;
mod examples;
mod gitops;
mod injected;
mod kubectl;
mod kubernetes_controllers;
mod leader;
mod leadership;
mod lifetime;
mod process;
mod proxy;
mod webhook;
