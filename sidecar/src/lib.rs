//! A Grape: a node of the Grenache DHT with a small HTTP API.
//!
//! Services of the [Grenache](https://github.com/bitfinexcom/grenache) framework find each other
//! through Grapes. A Grape speaks KRPC (BEP 5 and BEP 44) over UDP with its peers, the Node.js
//! Grape among them, and HTTP with the services beside it.
//!
//! The node itself is a state machine without I/O, in a crate of its own: [`grape_engine`].
//!
//! | module | concern | knows nothing of |
//! |---|---|---|
//! | [`dht`] | the engine on UDP sockets, as an async handle | HTTP |
//! | [`services`] | the services beside it: which are announced, and which are held back | HTTP's API, KRPC |
//! | [`gossip`] | groups whose members share small state | HTTP |
//! | [`cluster_entry`] | what a cluster's Grape tells the others of itself, for the operator | |
//! | [`http`] | the API, the WebSocket, the admin pages | KRPC |
//! | [`discovery`] | bootstrap names to addresses | HTTP |
//! | [`metrics`] | metrics for Prometheus, of the Grape and of its process | |
//! | [`lifecycle`] | start, readiness, drain | |
//! | [`log`] | lines on standard error | |
//! | [`nonblocking`] | writing that never blocks | |
//! | [`variables`] | environment variables that are not settings | |
//! | [`cli`] | the command `grape` | |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod clock;
pub mod cluster_entry;
pub mod config;
pub mod dht;
pub mod discovery;
pub mod gossip;
pub mod http;
pub mod lifecycle;
pub mod log;
pub mod metrics;
pub mod nonblocking;
pub mod printable;
pub mod services;
pub mod variables;
