//! Runs GrapeClusters: on Kubernetes, and on this machine.
//!
//! | module | concern | knows nothing of |
//! |---|---|---|
//! | [`cluster`] | the `GrapeCluster` type: the API, its schema and its bounds | Grapes |
//! | [`manifest`] | YAML: a file to a `GrapeCluster`, and the CRD to a file | what is run |
//! | [`validate`] | a spec to a cluster that can run; pure | files, Kubernetes |
//! | [`observe`] | what the Grapes of a cluster see, and whether they find each other | Kubernetes |
//! | [`local`] | a cluster's Grapes on this machine | Kubernetes |
//! | [`desired`] | a cluster to the Kubernetes objects that it needs; pure | the API server |
//! | [`inject`] | the pod of a service to one with a Grape in it; pure | the API server |
//! | [`metrics`] | what Prometheus is told, of the operator and of clusters | Kubernetes |
//! | [`server`] | HTTP connections, accepted within bounds | what they carry |
//! | [`admin`] | the pages `/healthz`, `/readyz` and `/metrics` | Kubernetes |
//! | [`leader`] | one leader among several replicas | Grapes |
//! | `api_client` | the way to the API server | what is asked |
//! | [`turn`] | which of several operators works | what they do |
//! | [`config`] | what the operator was started with | who reads it |
//! | [`controller`] | what there is, made as clusters want it | HTTP, the Lease |
//! | [`webhook`] | pods that ask for a Grape, changed as they are made | the election |
//! | [`process`] | the life of `grape-operator run`: starts, leads, ends | clusters |
//! | [`check`] | whether an installed operator works | how it works |
//! | [`stop`] | signals that ask the command to end | |
//! | [`cli`] | the command `grape-operator` | |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
mod api_client;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod desired;
pub mod inject;
pub mod leader;
pub mod local;
pub mod manifest;
pub mod metrics;
mod nearest;
pub mod observe;
pub mod process;
pub mod screen;
pub mod server;
pub mod stop;
pub mod turn;
pub mod validate;
pub mod webhook;
