//! Runs GrapeClusters: on Kubernetes, and on this machine.
//!
//! | module | concern | knows nothing of |
//! |---|---|---|
//! | [`observe`] | what the Grapes of a cluster see, and whether they find each other | Kubernetes |
//! | [`desired`] | a cluster to the Kubernetes objects that it needs; pure | the API server |
//! | [`inject`] | the pod of a service to one with a Grape in it; pure | the API server |
//! | [`metrics`] | metrics for Prometheus, of the operator and of clusters | Kubernetes |
//! | [`server`] | HTTP connections, accepted within bounds | what they carry |
//! | [`admin`] | the pages `/healthz`, `/readyz` and `/metrics` | Kubernetes |
//! | [`leader`] | one leader among several replicas | Grapes |
//! | `api_client` | the way to the API server | what is asked |
//! | [`turn`] | which of several operators works | what they do |
//! | [`config`] | what the operator was started with | who reads it |
//! | [`informers`] | GrapeClusters and namespaces, watched once for all readers | who reads them |
//! | [`controller`] | what there is, made as clusters want it | HTTP, the Lease |
//! | [`webhook`] | pods that ask for a Grape, changed as they are made | the election |
//! | [`process`] | the life of `grape-operator run`: starts, leads, ends | what is reconciled |
//! | [`check`] | whether an installed operator works | how it works |
//! | [`cli`] | the command `grape-operator` | |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
mod api_client;
pub mod check;
pub mod cli;
pub mod config;
pub mod controller;
pub mod desired;
pub mod informers;
pub mod inject;
pub mod leader;
pub mod metrics;
pub mod observe;
pub mod process;
pub mod server;
pub mod turn;
pub mod webhook;
