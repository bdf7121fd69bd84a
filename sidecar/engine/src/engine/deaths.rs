//! Deaths: how one is detected, what is dropped with the node, which nodes are notified, and what
//! happens when the node comes back.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::Engine;
use super::timers::Timer;
use crate::Name;
use crate::failure_detector::{
    FAN_OUT, NOBODY_ELSE, OTHER_ADDRESS_TRIES, PROBE_TIMEOUT, RUMOR_TRIES, Rumor, SWEPT, Source,
    Tell, Topic, Try, VERIFIED,
};
use crate::krpc::{Contact, Method};
use crate::lookup::{Age, OnComplete, Target};
use crate::peer_record::PeerRecord;
use crate::rpc::{Pending, Purpose};

impl Engine {
    /// Asks a node up to `tries` times whether it is there, and takes it for dead if it is not.
    pub(super) fn probe(&mut self, addr: SocketAddr, tries: u8, tell: Tell, now: Instant) {
        if !self.is_itself(&addr) && self.failure_detector.probe(addr, tries, tell, now) {
            self.on_probe(addr, now);
        }
    }

    /// Time for an answer is over: the next try, or none.
    pub(super) fn on_probe(&mut self, addr: SocketAddr, now: Instant) {
        let node = self.routing.node_at(&addr);
        let id = node.map(|node| node.contact.id);
        let round_trip = node.and_then(|node| node.round_trip);
        let timeout = self.rpc.timeout_of_at_least(PROBE_TIMEOUT, round_trip);
        match self.failure_detector.next_try(&addr, timeout, now) {
            None => {}
            Some(Try::Ask(decided)) => {
                self.set_timer(decided, Timer::Probe(addr));
                self.query(addr, id, Method::Ping { watch: None }, Purpose::Ping, true, now);
            }
            Some(Try::Dead(tell)) => {
                let announced = self.died(addr, now);
                if tell == Tell::Always || tell == Tell::IfItAnnounced && announced {
                    self.notify_of_death(addr, now);
                }
            }
        }
    }

    /// A node is dead: what it announced goes. Returns whether there was anything.
    pub(super) fn died(&mut self, addr: SocketAddr, now: Instant) -> bool {
        self.failure_detector.died(addr, now);
        let mut ids = Vec::new();
        while let Some(contact) = self.routing.node_at(&addr).map(|node| node.contact) {
            ids.push(contact.id);
            self.remove(&contact, now);
        }
        let sole = !self.routing.has_host(addr.ip());
        let names = self.forget_announces(&addr, sole, now);
        self.storage.forget_claim(&addr);
        // It may have another address, of the other family.
        let others = ids.iter().filter_map(|id| self.routing.get(id, !addr.is_ipv6()));
        let others: Vec<_> = others.map(|node| node.contact.addr).collect();
        for other in others {
            self.probe(other, OTHER_ADDRESS_TRIES, Tell::IfItAnnounced, now);
        }
        !names.is_empty()
    }

    /// What the node at this address announced is no more; what others announced too stays. `sole`
    /// says that no other node of its host is known. Returns the names.
    pub(super) fn forget_announces(
        &mut self,
        node: &SocketAddr,
        sole: bool,
        now: Instant,
    ) -> Vec<Name> {
        let mut names = self.storage.remove_peers_of(node);
        names.extend(self.lookups.remove_peers_of(node, sole, |name| self.subscriptions.has(name)));
        for name in &names {
            self.subscriptions.touch(name);
            if self.subscriptions.has(name) && self.lookups.age(name, now) == Age::Stale {
                self.start_lookup(Target::Peers(name.clone()), OnComplete::Refresh, now);
            }
        }
        names
    }

    /// A datagram came from this node. If it was marked dead, it is notified, because its announces
    /// were dropped.
    pub(super) fn risen(&mut self, contact: Contact, ours: bool, now: Instant) {
        if !self.failure_detector.is_back(&contact.addr) {
            return;
        }
        if ours {
            self.send_rumor(contact, &Rumor::Forgotten, 0, now);
        }
        let count = self.failure_detector.wave(now);
        if count > 0 {
            self.ask_for_the_dead(count, now);
        }
    }

    /// Asks some of the dead whether they are back.
    pub(super) fn ask_for_the_dead(&mut self, count: usize, now: Instant) {
        for addr in self.failure_detector.some_dead(count, &mut self.rng) {
            self.query(addr, None, Method::Ping { watch: None }, Purpose::Ping, false, now);
        }
    }

    /// Whether we know a node at this address, or a peer that it may have announced: whether its
    /// death would change anything here.
    pub(super) fn knows_of(&mut self, addr: &SocketAddr) -> bool {
        let may_be =
            |peer: &SocketAddr, record: &PeerRecord| record.is_from(peer, addr) != Some(false);
        self.routing.node_at(addr).is_some()
            || self.storage.any_peer(addr.is_ipv6(), may_be)
            || self.lookups.any_peer(may_be)
    }

    /// A peer was found: if the node which announced it is said to be dead, that node is asked.
    pub(super) fn ask_after_announcer(
        &mut self,
        peer: &SocketAddr,
        record: &PeerRecord,
        now: Instant,
    ) {
        if let Some(addr) = self.failure_detector.take_unconfirmed(peer, record) {
            self.probe(addr, VERIFIED, Tell::Never, now);
        }
    }

    /// We found a node dead: notifies all others, and probes the nodes that may have died with it.
    pub(super) fn notify_of_death(&mut self, addr: SocketAddr, now: Instant) {
        self.notify_all_of_death(addr, now);
        for other in self.failure_detector.sweep(&addr, &self.routing, &mut self.rng, now) {
            self.probe(other, SWEPT, Tell::Always, now);
        }
    }

    /// No node answers at this address any more: notifies all others.
    pub(super) fn notify_all_of_death(&mut self, addr: SocketAddr, now: Instant) {
        let topic = Topic::Dead(addr);
        if let Some(spread) = self.failure_detector.spread(&topic, 0, Source::Found, now) {
            self.spread(&topic, spread.buckets, now);
        }
    }

    /// A peer that we stored was withdrawn: notifies all others, unless another node notified us.
    pub(super) fn notify_of_withdrawal(&mut self, topic: &Topic, now: Instant) {
        if !self.failure_detector.was_told(topic, now)
            && let Some(spread) = self.failure_detector.spread(topic, 0, Source::Own, now)
        {
            self.spread(topic, spread.buckets, now);
        }
    }

    /// A node notified us of a death.
    pub(super) fn on_dead(&mut self, from: &SocketAddr, addr: SocketAddr, depth: u8, now: Instant) {
        if self.is_itself(&addr)
            || !self.pass_on(from, &Topic::Dead(addr), depth, now)
            || self.failure_detector.is_dead(&addr)
        {
            return;
        }
        if self.knows_of(&addr) {
            self.probe(addr, VERIFIED, Tell::Never, now);
        } else {
            self.failure_detector.note_unconfirmed(addr, now);
        }
    }

    /// Passes a notice on. Returns whether it is news.
    pub(super) fn pass_on(
        &mut self,
        from: &SocketAddr,
        topic: &Topic,
        depth: u8,
        now: Instant,
    ) -> bool {
        let spread = self.failure_detector.spread(topic, depth, Source::Node(from.ip()), now);
        spread.is_some_and(|spread| {
            self.spread(topic, spread.buckets, now);
            spread.is_news
        })
    }

    /// A node still returns peers of a dead node: it may have missed the notice.
    pub(super) fn remind(&mut self, to: Contact, dead: SocketAddr, now: Instant) {
        if to.addr != dead {
            let rumor = Rumor::Notice { topic: Topic::Dead(dead), depth: NOBODY_ELSE };
            self.send_rumor(to, &rumor, 0, now);
        }
    }

    fn spread(&mut self, topic: &Topic, buckets: Range<u8>, now: Instant) {
        let deepest = self.routing.buckets(topic.addr().is_ipv6());
        let deepest = u8::try_from(deepest).unwrap_or(NOBODY_ELSE);
        for bucket in buckets.start..buckets.end.min(deepest) {
            let rumor = Rumor::Notice { topic: topic.clone(), depth: bucket + 1 };
            for contact in self.recipients(topic, bucket, FAN_OUT) {
                self.send_rumor(contact, &rumor, 0, now);
            }
        }
    }

    fn recipients(&mut self, topic: &Topic, bucket: u8, count: usize) -> Vec<Contact> {
        self.failure_detector.recipients(topic, bucket, count, &self.routing, &mut self.rng)
    }

    fn send_rumor(&mut self, to: Contact, rumor: &Rumor, tried: u8, now: Instant) {
        let purpose = Purpose::Rumor { rumor: rumor.clone(), tried };
        let method = match rumor {
            Rumor::Notice { topic: Topic::Dead(addr), depth } => {
                Method::Dead { addr: *addr, depth: *depth }
            }
            Rumor::Notice { topic: Topic::Withdrawn { name, peer }, depth } => {
                Method::Withdrawn { info_hash: name.as_ref().into(), addr: *peer, depth: *depth }
            }
            Rumor::Forgotten => Method::Forgotten,
        };
        self.query(to.addr, Some(to.id), method, purpose, true, now);
    }

    /// A rumor was not answered in time.
    pub(super) fn rumor_missed(
        &mut self,
        pending: &Pending,
        rumor: &Rumor,
        tried: u8,
        now: Instant,
    ) {
        let (tried, Some(id)) = (tried + 1, pending.id) else { return };
        if tried >= RUMOR_TRIES {
            return;
        }
        // A packet may have been lost …
        self.send_rumor(Contact { id, addr: pending.to }, rumor, tried, now);
        // … or the node is dead as well, and another node has to notify its subtree.
        if let Rumor::Notice { topic, depth } = rumor
            && *depth != NOBODY_ELSE
        {
            for other in self.recipients(topic, depth.saturating_sub(1), 1) {
                self.send_rumor(other, rumor, tried, now);
            }
        }
    }
}
