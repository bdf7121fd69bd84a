//! Runs GrapeClusters: on Kubernetes, and on this machine.
//!
//! | module | concern | knows nothing of |
//! |---|---|---|
//! | [`cluster`] | the `GrapeCluster` type: the API, its schema and its bounds | Grapes |
//! | [`manifest`] | YAML: a file to a `GrapeCluster`, and the CRD to a file | what is run |
//! | [`validate`] | a spec to a cluster that can run; pure | files, Kubernetes |
//! | [`local`] | a cluster's Grapes on this machine | Kubernetes |
//! | [`check`] | whether an installed operator works | how it works |
//! | [`cli`] | the command `grape-operator` | |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod check;
pub mod cli;
pub mod cluster;
pub mod local;
pub mod manifest;
pub mod validate;
