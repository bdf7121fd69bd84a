//! The node's status and its counters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use crate::krpc::Contact;
use crate::{Announced, Bound, MAX_LISTED, Neighbour, RESOURCES, Stats, Status};

impl Engine {
    /// A picture for people.
    pub fn status(&mut self, now: Instant) -> Status {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        // First of all: it drops the names that are of no account any more.
        let brief = self.brief_status(now);
        let names: BTreeSet<_> = self
            .storage
            .names()
            .cloned()
            .chain(self.lookups.kept_names().cloned())
            .take(MAX_LISTED)
            .collect();
        let mut peers = BTreeMap::new();
        for name in names {
            let mut known = self.known_peers(&name, now);
            known.sort_unstable();
            if !known.is_empty() {
                peers.insert(text(&name), known);
            }
        }
        let announced = self.publish.iter().filter(|(_, expires, _)| *expires > now);
        let announced = announced.take(MAX_LISTED).map(|((name, port), _, stored_at)| Announced {
            name: text(name),
            port: *port,
            stored_at,
        });
        Status { announced: announced.collect(), peers, errors: self.errors.list(now), ..brief }
    }

    /// A picture without what services and strangers fill: `announced`, `peers` and `errors` are
    /// empty.
    pub fn brief_status(&mut self, now: Instant) -> Status {
        self.storage.expire_peers(now);
        let held = self.storage.held();
        let mut neighbours: Vec<Neighbour> = self
            .routing
            .nodes()
            .map(|node| {
                let Contact { id, addr } = node.contact;
                let round_trip_us = node
                    .round_trip
                    .map(|rtt| rtt.smoothed().as_micros().try_into().unwrap_or(u64::MAX));
                Neighbour {
                    id: hex::encode(id.as_bytes()),
                    address: addr,
                    round_trip_us,
                    suspect: self.routing.is_suspect(&addr),
                }
            })
            .collect();
        neighbours.sort_by_key(|neighbour| neighbour.address);
        neighbours.truncate(MAX_LISTED);
        Status {
            id: hex::encode(self.settings.id.as_bytes()),
            ready: self.bootstrap.is_ready(),
            draining: self.publish.is_draining(),
            advertised: self.advertised(),
            network: self.settings.network.as_ref().map(ToString::to_string),
            other_networks: self.other_networks.some(),
            nodes: self.routing.len(),
            neighbours,
            names_held: held.names,
            items_held: held.items,
            lookups_kept: self.lookups.kept(),
            announced: Vec::new(),
            peers: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    /// Counters since the start, and gauges of now.
    pub fn stats(&self) -> Stats {
        let held = self.storage.held();
        Stats {
            nodes: self.routing.len(),
            names_held: held.names,
            peers_held: held.peers,
            names_dropped: held.names_dropped,
            items_held: held.items,
            announced: self.publish.len(),
            bounds: self.bounds(),
            ..self.stats
        }
    }

    /// The addresses of all nodes in the routing table: each has answered.
    pub fn neighbours(&self) -> Vec<SocketAddr> {
        self.routing.nodes().map(|node| node.contact.addr).collect()
    }

    /// In the order of [`RESOURCES`].
    fn bounds(&self) -> [Bound; RESOURCES.len()] {
        let [names, name_bytes, peers, items, claims] = self.storage.bounds();
        let announces = Bound { used: self.publish.len(), most: self.settings.max_names };
        let [monitored, probes] = self.failure_detector.bounds();
        let [proven, strangers] = self.rpc.bounds();
        let [lookups, lookup_bytes] = self.lookups.bounds();
        [
            names,
            name_bytes,
            peers,
            items,
            claims,
            announces,
            lookups,
            lookup_bytes,
            monitored,
            probes,
            proven,
            strangers,
        ]
    }
}
