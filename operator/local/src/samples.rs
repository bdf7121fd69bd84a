//! Statuses for the tests of this folder.

use std::net::SocketAddr;

use grape_engine::{Neighbour, Status};

use super::plan::HOST;

/// The DHT address of a Grape at this port.
pub fn address(port: u16) -> SocketAddr {
    SocketAddr::new(HOST, port)
}

/// A Grape that sees the Grapes at these ports.
pub fn status(sees: &[u16]) -> Status {
    let neighbour = |&port: &u16| Neighbour {
        id: format!("{port:040x}"),
        address: address(port),
        round_trip_us: Some(120),
        suspect: false,
    };
    Status {
        id: "8c1fd30a5be2970d5a1e4c3b2a1908f7e6d5c4b3".to_owned(),
        ready: true,
        draining: false,
        advertised: Some(HOST),
        network: None,
        other_networks: Vec::new(),
        nodes: sees.len(),
        neighbours: sees.iter().map(neighbour).collect(),
        names_held: 0,
        items_held: 0,
        lookups_kept: 0,
        announced: Vec::new(),
        peers: Default::default(),
        errors: Vec::new(),
    }
}
