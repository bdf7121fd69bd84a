//! Withdrawals: a service is withdrawn at the node that announces it, and nowhere else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Engine;
use super::timers::Timer;
use crate::closest::Closest;
use crate::distance::target_of;
use crate::failure_detector::Topic;
use crate::krpc::MAX_ANNOUNCERS;
use crate::lookup::{FoundPeers, OnComplete, Target};
use crate::peer_record::{Left, PeerRecord};
use crate::publish::{LONGEST_NAME, NOTIFIERS, Service};
use crate::storage::Peers;
use crate::{Answer, MAX_PEERS, Name, Operation, Outcome, Withdrawn};

/// Every holder should know before lookups ask them: time for a second and third try.
const HEAD_START: Duration = Duration::from_millis(300);
/// Time for the teller before.
const EACH_NOTIFIER: Duration = Duration::from_millis(400);

impl Engine {
    /// Withdraws an announce. Announces of the service at other nodes stay. If this node does not
    /// announce the service, nothing changes, and the answer says which node does.
    pub fn withdraw(&mut self, name: &[u8], port: u16, now: Instant) -> Answer<Withdrawn> {
        let service = self.service(name, port);
        let shown_at = self.publish.shown_at(&service);
        let Some(addr) = shown_at.filter(|_| self.publish.is_alive(&service, now)) else {
            return self.withdraw_unknown(service, now);
        };
        let believers = self.publish.remove(&service, now);
        self.take_back(&service, addr, now);
        if self.publish.is_empty() {
            self.release_monitors(now);
        }
        if self.routing.is_empty() {
            return Answer::Now(Withdrawn::Here(0));
        }
        let operation = self.operation();
        if !believers.more {
            self.store_withdrawal(service, believers.known, Some(operation), now);
            return Answer::Later(operation);
        }
        // Some tokens are too old: the closest nodes are asked for new ones.
        self.store_withdrawal(service.clone(), believers.known, None, now);
        let (name, port) = service;
        let then = OnComplete::Withdraw { port, operation: Some(operation) };
        self.start_lookup(Target::Peers(name), then, now);
        Answer::Later(operation)
    }

    /// This node does not announce the service. It may have done so before it restarted, and others
    /// may still store the announce: a lookup finds out.
    fn withdraw_unknown(&mut self, service: Service, now: Instant) -> Answer<Withdrawn> {
        if self.routing.is_empty() {
            return Answer::Now(self.announced_elsewhere(&service, &FoundPeers::default(), now));
        }
        let operation = self.operation();
        let (name, port) = service;
        self.start_lookup(Target::Peers(name), OnComplete::WithdrawFound { port, operation }, now);
        Answer::Later(operation)
    }

    /// The lookup is over that looked for who announces a service which this node does not.
    pub(super) fn withdraw_found(
        &mut self,
        service: Service,
        found: &FoundPeers,
        closest: Vec<Closest>,
        operation: Operation,
        now: Instant,
    ) {
        let addr = self.own.of_service(service.1, &self.routing);
        let is_ours = |record: &PeerRecord| {
            let own = self.own.node_to_others(&addr);
            own.is_some_and(|own| record.announcers(&addr).any(|by| by.addr == own))
        };
        // The service may have been announced again after the withdrawal.
        let announced = self.publish.is_alive(&service, now);
        if !announced && found.get(&addr).is_some_and(is_ours) {
            self.take_back(&service, addr, now);
            return self.store_withdrawal(service, closest, Some(operation), now);
        }
        let elsewhere = self.announced_elsewhere(&service, found, now);
        self.done(operation, Outcome::Withdrawn(elsewhere));
    }

    /// Who announces a service, of those that are known here and that a lookup has found.
    fn announced_elsewhere(
        &mut self,
        (name, port): &Service,
        found: &FoundPeers,
        now: Instant,
    ) -> Withdrawn {
        let own = |by: &SocketAddr| by.ip().is_unspecified();
        let stored = self.storage.peers(name, now).into_iter().flat_map(Peers::iter);
        let found = found.iter().map(|(addr, record)| (*addr, record));
        let (mut any, mut nodes) = (false, BTreeSet::new());
        for (addr, record) in stored.chain(found).filter(|(addr, _)| addr.port() == *port) {
            let by: Vec<_> = record.announcers(&addr).map(|by| by.addr).collect();
            any |= by.is_empty() || !by.iter().all(own);
            nodes.extend(by.into_iter().filter(|by| !own(by)));
        }
        match any {
            true => Withdrawn::Elsewhere(nodes.into_iter().take(MAX_ANNOUNCERS).collect()),
            false => Withdrawn::Nowhere,
        }
    }

    /// This node announces a service no more: what is known of it here follows.
    fn take_back(&mut self, (name, _): &Service, addr: SocketAddr, now: Instant) {
        self.storage.withdraw_peer(name, &addr, &self.own.node(&addr));
        let others = self.storage.has_peer(name, &addr);
        match self.own.node_beside(&addr) {
            Some(node) => self.lookups.strike(name, &addr, &node, !others),
            None if others => {}
            None => self.lookups.forget_peer(name, &addr),
        }
        self.subscriptions.touch(name);
        // A lookup under way may still find it at nodes that are only now being notified.
        self.doubt(name.clone(), addr, now);
    }

    /// A node took back a peer that it had announced. It stays while others announce it.
    pub(super) fn peer_withdrawn(
        &mut self,
        from: SocketAddr,
        name: &[u8],
        peer: SocketAddr,
        now: Instant,
    ) {
        let left = self.storage.withdraw_peer(name, &peer, &from);
        let unreported = left == Left::Nobody || !self.storage.has_peer(name, &peer);
        self.lookups.strike(name, &peer, &from, unreported);
        self.subscriptions.touch(name);
        // Where others announced it too, it is still there.
        if left != Left::Nobody || name.len() > LONGEST_NAME {
            return;
        }
        self.doubt(name.into(), peer, now);
        let target = target_of(name);
        let own = self.settings.id.xor(&target);
        let nodes = self.routing.nodes_of(peer.is_ipv6()).map(|node| (node.contact, node.ours));
        let others = nodes.filter(|(contact, ours)| *ours && contact.addr != from);
        let closer = others.filter(|(contact, _)| contact.id.xor(&target) < own).count();
        let rank = u32::try_from(closer).unwrap_or(u32::MAX);
        let at = now + HEAD_START + EACH_NOTIFIER * rank.min(NOTIFIERS);
        if rank < NOTIFIERS && self.publish.notify_later(at, name.into(), peer) {
            self.set_timer(at, Timer::Withdrawals);
        }
    }

    /// Sends the notices that are due, unless others sent them, or the service was announced again.
    pub(super) fn notify_of_withdrawals(&mut self, now: Instant) {
        for (name, peer) in self.publish.take_notices(now) {
            if !self.storage.has_peer(&name, &peer) {
                self.notify_of_withdrawal(&Topic::Withdrawn { name, peer }, now);
            }
        }
    }

    /// A node notified us that a peer was withdrawn.
    pub(super) fn on_withdrawn(
        &mut self,
        from: &SocketAddr,
        name: &[u8],
        peer: SocketAddr,
        depth: u8,
        now: Instant,
    ) {
        if name.len() > LONGEST_NAME {
            return;
        }
        let topic = Topic::Withdrawn { name: name.into(), peer };
        if self.pass_on(from, &topic, depth, now) {
            self.doubt(name.into(), peer, now);
        }
    }

    /// Somebody says that this peer is no more.
    pub(super) fn doubt(&mut self, name: Name, peer: SocketAddr, now: Instant) {
        self.publish.doubt(name.clone(), peer);
        self.look_for(name, peer, now);
    }

    /// Looks for the doubtful peers that are shown nevertheless. Due every second.
    pub(super) fn look_again(&mut self, now: Instant) {
        for (name, peer) in self.publish.take_doubted() {
            self.look_for(name, peer, now);
        }
    }

    fn look_for(&mut self, name: Name, peer: SocketAddr, now: Instant) {
        let service: Service = (name, peer.port());
        let ours = self.is_own_peer(&service, &peer, now);
        let (name, _) = service;
        let under_way = self.is_looked_up(&name);
        let shown = self.lookups.has_kept(&name, &peer) || self.storage.has_peer(&name, &peer);
        if !ours && (shown || under_way) {
            // What is under way may have asked before the withdrawal.
            let then = OnComplete::Doubt { peer, again: under_way };
            self.start_lookup(Target::Peers(name), then, now);
        }
    }

    /// A lookup for a doubtful peer is over: the nodes that it asked return the peer, unless it was
    /// withdrawn, or not all peers fit into the answers.
    pub(super) fn doubt_settled(
        &mut self,
        name: &Name,
        peer: SocketAddr,
        found: bool,
        peers: usize,
        now: Instant,
    ) {
        let ours = self.is_own_peer(&(name.clone(), peer.port()), &peer, now);
        if !found && !ours && peers < MAX_PEERS {
            self.forget_peer(name, &peer);
        }
    }
}
