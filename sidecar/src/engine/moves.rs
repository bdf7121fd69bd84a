//! This host gets another address while the node runs: the new one is announced from, and the old
//! one is taken back.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand::seq::IteratorRandom;

use super::Effect;
use super::announces::Service;
use super::node::Engine;
use super::steps::{Subject, Then};

impl Engine {
    /// The address of this host that other nodes see. Of no account where the settings name one.
    /// Returns the address that was given up for it, which this host does not have any more.
    pub fn set_external(&mut self, ip: IpAddr, now: Instant) -> Option<IpAddr> {
        if self.settings.advertise.is_some() || self.external == Some(ip) {
            return None;
        }
        if self.external_is_gone() {
            return self.move_to(ip, now);
        }
        self.replace_external(ip, now);
        None
    }

    /// Other nodes see another address of this host from now on, whether it still has the old one
    /// or not. Of no account where the settings name one. Returns the address that was given up.
    pub fn move_to(&mut self, ip: IpAddr, now: Instant) -> Option<IpAddr> {
        let given_up = self.external.filter(|old| *old != ip)?;
        if self.settings.advertise.is_some() {
            return None;
        }
        self.replace_external(ip, now);
        // What others tell of the old address is what we announced from there …
        self.tombstones.forget(&SocketAddr::new(ip, self.settings.port));
        let old = SocketAddr::new(given_up, self.settings.port);
        self.died(old, now);
        // … and who asks there finds that nobody answers.
        self.tell_everybody_of_death(old, now);
        // Write tokens are good for the address that they were given to.
        self.v4.forget_tokens();
        self.v6.forget_tokens();
        self.heartbeats.moved(now);
        if self.announces.moved_house(now) {
            self.store_again_soon(now);
        }
        // Those who were out of reach meanwhile may be back.
        if !self.joining {
            self.walk(Subject::Node(self.settings.id), Then::Join, now);
        }
        Some(given_up)
    }

    /// The addresses of this host at which this node is reached; to be called again every few
    /// seconds, since they change.
    pub fn set_host_addresses(&mut self, mut addresses: Vec<IpAddr>, _now: Instant) {
        addresses.sort_unstable();
        self.host_addresses = addresses;
        if self.external_is_gone()
            && let Some(node) = self.any_node_beyond_this_host()
        {
            self.effect(Effect::Neighbour(node));
        }
    }

    /// Whether this host has lost the address that others saw. Where its addresses cannot be read,
    /// it has not.
    fn external_is_gone(&self) -> bool {
        self.settings.advertise.is_none()
            && !self.host_addresses.is_empty()
            && self.external.is_some_and(|ip| !self.host_addresses.contains(&ip))
    }

    /// A node, or else a bootstrap address, to which a route is looked for: of the address family
    /// of the address that is gone, if there is any.
    fn any_node_beyond_this_host(&mut self) -> Option<SocketAddr> {
        let ipv6 = self.external.is_some_and(|ip| ip.is_ipv6());
        let nodes = self.v4.nodes().chain(self.v6.nodes()).map(|node| node.contact.addr);
        let beyond =
            nodes.chain(self.seeds.iter().copied()).filter(|addr| !addr.ip().is_loopback());
        let beyond: Vec<_> = beyond.collect();
        let alike = beyond.iter().filter(|addr| addr.is_ipv6() == ipv6).choose(&mut self.rng);
        alike.or_else(|| beyond.iter().choose(&mut self.rng)).copied()
    }

    /// What was announced here is shown at the new address.
    fn replace_external(&mut self, ip: IpAddr, now: Instant) {
        let before = self.advertised();
        self.external = Some(ip);
        let services: Vec<(Service, Instant)> =
            self.announces.iter().map(|(s, expires, _)| (s.clone(), expires)).collect();
        for ((name, port), expires) in services.into_iter().filter(|(_, at)| *at > now) {
            self.peers.remove(&name, &SocketAddr::new(before, port));
            let belief = self.own_belief(expires);
            self.peers.insert(&name, SocketAddr::new(ip, port), belief, &mut self.rng);
            self.watches.touch(&name);
        }
    }
}
