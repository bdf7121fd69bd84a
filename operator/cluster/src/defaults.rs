//! What each field is when it is left out: the documented defaults of the Node.js Grape.
//!
//! Functions, a field each: `KubeSchema` copies a struct field by field, and a default of the whole
//! struct is lost on it.

use super::DurationText;

pub(super) fn replicas() -> i32 {
    3
}

pub(super) fn dht_port() -> i32 {
    20001
}

pub(super) fn concurrency() -> i32 {
    24
}

pub(super) fn peer_max_age() -> DurationText {
    DurationText::from("120s")
}

pub(super) fn node_liveness() -> DurationText {
    DurationText::from("300s")
}

pub(super) fn max_tables() -> i32 {
    5000
}

pub(super) fn max_values() -> i32 {
    5000
}

pub(super) fn api_port() -> i32 {
    30001
}

pub(super) fn max_payload_size() -> i32 {
    8192
}

pub(super) fn enabled() -> bool {
    true
}
