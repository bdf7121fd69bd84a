//! Reconciles GrapeClusters.

pub mod roll;
