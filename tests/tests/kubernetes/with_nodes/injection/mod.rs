//! Unchanged Node.js services in pods that have a Grape by one label: `stage::Stage`.

mod announced;
mod broadcast;
mod calls;
mod command;
mod deaths;
mod exchange;
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
