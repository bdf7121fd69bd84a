//! Services in pods that have a Grape by one label: `stage::Stage`. Those in Node.js are unchanged.

mod announced;
mod broadcast;
mod calls;
mod command;
mod deaths;
mod exchange;
mod gossip;
mod job;
mod mirrored;
mod offers;
mod own_dns;
mod parts;
mod ports;
mod prices;
mod release_before;
mod rolling_update;
mod stage;
mod stalled;
mod webhook_away;
