//! Groups of gossip machines under virtual time.

mod figures;
mod keys;
mod members;
mod names;
mod network;
