//! The controller of `grape-operator run`, as a process: it makes what GrapeClusters want, keeps it
//! so, and writes nothing else. No pod runs, unless a test makes one look so.
//!
//! | module | concern |
//! |---|---|
//! | [`scene`] | a namespace with clusters in it, and operators that run them |
//! | [`objects`] | which objects a cluster has |
//! | [`drift`] | what somebody else changes |
//! | [`changed`] | how many writes a change costs |
//! | [`rest`] | nothing is written where nothing changes |
//! | [`hints`] | what Grapes say of each other, and what is asked nevertheless |
//! | [`killed`] | the operator killed at any of its calls |
//! | [`refusals`] | calls that fail once |
//! | [`blocked`] | pods that are refused to StatefulSets |
//! | [`ends`] | clusters that are deleted |
//! | [`remade`] | what cannot be changed in place |
//! | [`names`] | names that somebody else has |
//! | [`unusable`] | specs that the API server or the operator does not take |
//! | [`paused`] | clusters that are left as they are |
//! | [`several`] | several operators, and several namespaces |
//! | [`events`] | which events are published, and how often |
//! | [`sidecars`] | pods of services: counted, found without their Grape, evicted |
//! | [`strangers`] | pods of others that have the labels of Grapes |
//! | [`unresolved`] | Grapes in whose pods a name does not resolve |

mod blocked;
mod changed;
mod drift;
mod ends;
mod events;
mod hints;
mod killed;
mod names;
mod objects;
mod paused;
mod refusals;
mod remade;
mod rest;
mod scene;
mod several;
mod sidecars;
mod strangers;
mod unresolved;
mod unusable;
