//! What the tests of Grapes stand on: real peers, as processes that end with their test.
//!
//! | module | concern |
//! |---|---|
//! | [`grape`] | a running Grape, npm's or ours, and what a service asks of it |
//! | [`npm_grape`], [`our_grape`] | how the Node.js Grape and ours are started |
//! | [`our_operator`] | how `grape-operator run` is started, and its log |
//! | [`binaries`] | where the project's binaries are |
//! | [`chart`] | the values of the operator's chart |
//! | [`lab`] | Grapes at addresses of their own, and honest use of them |
//! | [`link`] | a connection that can be cut |
//! | [`hosts`] | hosts that a test makes, with interfaces and addresses of their own |
//! | [`network`] | several Grapes that have joined each other |
//! | [`programs`] | Grenache clients in Node.js, and their output |
//! | [`gossipers`] | programs of npm's `grapevine`, through its module and through ours |
//! | [`scenarios`] | what several of them do together |
//! | [`peers`] | the npm packages, installed once |
//! | [`pages`] | programs that the pages for people show |
//! | [`process`] | child processes |
//! | [`http`] | requests as they are, byte by byte |
//! | [`ports`] | ports that no other test has |
//! | [`namespace`] | tests in a network of their own |
//! | [`items`] | signed BEP 44 items, as JSON |
//! | [`simulation`] | networks of engines under virtual time, with the faults that a test wants |
//! | [`kernel`] | what the kernel reports of a process: memory, CPU time |
//! | [`kubernetes`] | a real API server, and a real cluster |
//! | [`histogram`] | Prometheus' histograms, read |
//! | [`results`] | the result of a measurement, beside its goal |
//! | [`figure`] | measured figures, printed |
//! | [`release`] | a release, pushed to a registry |
//! | [`wait`] | until something holds |

pub mod binaries;
pub mod chart;
pub mod figure;
pub mod gossipers;
pub mod grape;
pub mod histogram;
pub mod hosts;
pub mod http;
pub mod items;
pub mod kernel;
pub mod kubernetes;
pub mod lab;
pub mod link;
pub mod namespace;
pub mod network;
pub mod npm_grape;
pub mod our_grape;
pub mod our_operator;
pub mod pages;
pub mod peers;
pub mod ports;
pub mod process;
pub mod programs;
pub mod release;
pub mod results;
pub mod scenarios;
pub mod simulation;
pub mod wait;
