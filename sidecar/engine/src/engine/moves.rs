//! This host gets another address while the node runs: the new one is announced from, and the old
//! one is taken back.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand::seq::IteratorRandom;

use super::Engine;
use crate::Effect;
use crate::lookup::{OnComplete, Target};

impl Engine {
    /// The address of this host that other nodes see, of its address family. Returns the address
    /// that was given up for it, which this host does not have any more.
    pub fn set_external(&mut self, ip: IpAddr, now: Instant) -> Option<IpAddr> {
        if self.own.external_is_gone(ip.is_ipv6()) {
            return self.move_to(ip, now);
        }
        if self.own.set_external(ip) {
            self.show_own(now);
        }
        None
    }

    /// Other nodes see another address of this host from now on, whether it still has the old one
    /// or not. Returns the address of its family that was given up.
    pub fn move_to(&mut self, ip: IpAddr, now: Instant) -> Option<IpAddr> {
        let given_up = self.own.external(ip.is_ipv6()).filter(|old| *old != ip)?;
        self.own.set_external(ip);
        self.show_own(now);
        // What others return for the old address is what we announced from there …
        self.failure_detector.is_back(&SocketAddr::new(ip, self.settings.port));
        let old = SocketAddr::new(given_up, self.settings.port);
        self.died(old, now);
        // … and a node that probes it gets no answer.
        self.notify_all_of_death(old, now);
        // Write tokens are good for the address that they were given to.
        self.routing.forget_tokens();
        self.failure_detector.moved(now);
        if self.publish.moved_house(now) {
            self.store_again_soon(now);
        }
        // Those who were out of reach meanwhile may be back.
        if !self.bootstrap.is_joining() {
            self.start_lookup(Target::Node(self.settings.id), OnComplete::Join, now);
        }
        Some(given_up)
    }

    /// The addresses of this host at which this node is reached; to be called again every few
    /// seconds, since they change.
    pub fn set_host_addresses(&mut self, addresses: Vec<IpAddr>) {
        self.own.set_host(addresses);
        for ipv6 in [false, true] {
            if self.own.external_is_gone(ipv6)
                && let Some(node) = self.any_node_beyond_this_host(ipv6)
            {
                self.effect(Effect::Neighbour(node));
            }
        }
    }

    /// A node, or else a bootstrap address, of an address family, to which a route is looked for.
    fn any_node_beyond_this_host(&mut self, ipv6: bool) -> Option<SocketAddr> {
        let seeds = self.seeds_to_ask();
        let nodes = self.routing.nodes_of(ipv6).map(|node| node.contact.addr);
        let seeds = seeds.into_iter().filter(|addr| addr.is_ipv6() == ipv6);
        let beyond = nodes.chain(seeds).filter(|addr| !addr.ip().is_loopback());
        beyond.choose(&mut self.rng)
    }
}
