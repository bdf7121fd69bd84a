//! Pods that ask for a Grape, at a real API server that asks our operator. No pod runs.

mod again;
mod away;
mod beside;
mod certificates;
mod components;
mod namespace_gone;
mod others;
mod owner;
mod pods;
pub mod scene;
mod two_operators;
