//! The gossip machine on the node's UDP port, with the events that it reports.

use std::net::SocketAddr;
use std::time::Instant;

use grape_engine::Engine;
use grape_engine::NetworkName;
use grape_engine::gossip::{Gossip, GossipEffect, MemberName};
use rand::RngExt;
use tokio::sync::watch;

use super::Dht;
use super::segmentation_offload::Outgoing;
use crate::clock;
use crate::gossip::{EventLog, News};

/// The machine of a node that is in a group, or was.
pub(super) struct GossipNode {
    pub(super) machine: Gossip,
    log: EventLog,
    last: watch::Sender<u64>,
}

impl GossipNode {
    fn new(network: Option<NetworkName>, name: Option<MemberName>, now: Instant) -> Self {
        let started = clock::unix_millis();
        let machine = Gossip::new(network, started, rand::rng().random(), now);
        let machine = match name {
            Some(name) => machine.named(name),
            None => machine,
        };
        let log = EventLog::after_number(started);
        Self { machine, last: watch::Sender::new(log.last()), log }
    }

    /// Gives the machine the node's address, and does what it wants done.
    pub(super) fn settle(&mut self, engine: &Engine, port: u16, outbox: &mut Vec<Outgoing>) {
        let ip = engine.advertised().or_else(|| engine.external().first().copied());
        let own = ip.map(|ip| SocketAddr::new(ip, port));
        self.machine.set_own_address(own, clock::now());
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                GossipEffect::Send { to, datagram } => outbox.push((to, datagram)),
                GossipEffect::Event { group, event } => self.log.push(group, event),
                GossipEffect::OtherNetwork(addr) => {
                    tracing::warn!(%addr, "refused gossip of a Grape of another network");
                }
            }
        }
        let last = self.log.last();
        self.last.send_if_modified(|known| std::mem::replace(known, last) != last);
    }
}

impl Dht {
    /// Does something with the gossip machine, which the first call makes.
    pub(crate) fn gossip<T>(&self, act: impl FnOnce(&mut Gossip, Instant) -> T) -> T {
        self.shared.with_state(|state, now| {
            let (network, name) = (state.network.clone(), state.pod_name.clone());
            let make = || Box::new(GossipNode::new(network, name, now));
            let node = state.gossip.get_or_insert_with(make);
            act(&mut node.machine, now)
        })
    }

    /// The same, unless there is no machine.
    pub(crate) fn gossip_if_any<T>(
        &self,
        act: impl FnOnce(&mut Gossip, Instant) -> T,
    ) -> Option<T> {
        self.shared.with_state(|state, now| {
            let node = state.gossip.as_mut()?;
            Some(act(&mut node.machine, now))
        })
    }

    /// The events of a group after this number.
    pub(crate) fn gossip_events(&self, group: &str, since: u64) -> News {
        self.shared.with_state(|state, _| match &state.gossip {
            Some(node) => node.log.after(group, since),
            None => News { gap: false, events: Vec::new() },
        })
    }

    /// The number of the last event of any group, followed.
    pub(crate) fn last_gossip_event(&self) -> watch::Receiver<u64> {
        self.shared.with_state(|state, _| match &state.gossip {
            Some(node) => node.last.subscribe(),
            None => watch::Sender::new(0).subscribe(),
        })
    }
}
