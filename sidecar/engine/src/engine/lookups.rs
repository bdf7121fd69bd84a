//! Lookups under way, and what follows when they settle.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::timers::Timer;
use crate::krpc::{Contact, Peer, Response};
use crate::lookup::{ActiveLookup, CHOICE, LONGEST, OnComplete, Target};
use crate::peer_record::PeerRecord;
use crate::routing::K;
use crate::rpc::{Pending, Purpose};
use crate::{Name, Outcome};

/// Most peers that are taken of one answer: what fits a datagram of the path MTU, and twice as many as a
/// Node.js Grape returns.
const MOST_RETURNED: usize = 200;

impl Engine {
    /// Looks a target up, or goes along with a lookup of it that is under way.
    pub(super) fn start_lookup(&mut self, target: Target, then: OnComplete, now: Instant) {
        let joins = matches!(then, OnComplete::Join);
        if self.bootstrap.is_joining() && !joins {
            return self.lookups.wait(target, then);
        }
        let seeds = if joins { self.seeds_to_ask() } else { Vec::new() };
        let number = self.open_lookup(target, now);
        let Some(mut active) = self.lookups.take(number) else { return };
        seeds.into_iter().for_each(|seed| active.add_seed(seed));
        active.then(then);
        self.advance(number, active, now);
    }

    /// Adds nodes to the lookup of a target that is under way, or to a new one.
    pub(super) fn start_lookup_through(
        &mut self,
        target: Target,
        then: OnComplete,
        contacts: &[Contact],
        now: Instant,
    ) {
        let number = self.open_lookup(target, now);
        let Some(mut active) = self.lookups.take(number) else { return };
        for contact in contacts.iter().filter(|contact| self.may_ask(&contact.addr)) {
            active.add(*contact);
        }
        if !active.is_awaited() {
            active.then(then);
        }
        self.advance(number, active, now);
    }

    /// The lookup of a target that is under way, or a new one.
    fn open_lookup(&mut self, target: Target, now: Instant) -> u64 {
        if let Some(number) = self.lookups.under_way(&target) {
            return number;
        }
        let number = self.number();
        self.lookups.begin(number, target, &self.routing);
        self.set_timer(now + LONGEST, Timer::LookupEnds(number));
        number
    }

    /// Whether a node that others returned is worth asking.
    fn may_ask(&self, addr: &SocketAddr) -> bool {
        !self.is_itself(addr)
            && !self.failure_detector.is_dead(addr)
            && !self.other_networks.answered(addr)
    }

    /// Whether a lookup for the peers of a name is under way.
    pub(super) fn is_looked_up(&self, name: &Name) -> bool {
        self.lookups.under_way(&Target::Peers(name.clone())).is_some()
    }

    pub(super) fn end_lookup(&mut self, number: u64, now: Instant) {
        let Some(mut active) = self.lookups.take(number) else { return };
        if active.time_is_over() {
            self.settle(&mut active, now);
            active.then(OnComplete::Join);
            self.set_timer(now + LONGEST, Timer::LookupEnds(number));
        }
        self.advance(number, active, now);
    }

    /// Sends the queries that are due, and ends the lookup if it is finished.
    fn advance(&mut self, number: u64, mut active: ActiveLookup, now: Instant) {
        while let Some(ask) = active.next(&self.routing, now) {
            let (purpose, method) = (Purpose::Lookup(number), active.target().method());
            self.query(ask.addr, ask.id, method, purpose, ask.waited_for, now);
        }
        if active.settles() {
            self.settle(&mut active, now);
        }
        self.lookups.put_back(number, active);
    }

    pub(super) fn lookup_answered(
        &mut self,
        number: u64,
        pending: &Pending,
        from: Contact,
        response: &Response<'_>,
        now: Instant,
    ) {
        let Some(mut active) = self.lookups.take(number) else { return };
        active.answered(pending.id, from, response.token.as_deref());
        // An honest answer has k nodes of a family.
        let mut left = [2 * K; 2];
        for node in &response.nodes {
            let left = &mut left[usize::from(node.addr.is_ipv6())];
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let Ok(addr) = self.admit(node.addr, &from.addr) else { continue };
            if self.may_ask(&addr) {
                active.add(Contact { addr, ..*node });
            }
        }
        match active.target().clone() {
            Target::Node(_) => {}
            Target::Peers(name) => {
                self.take_peers(&mut active, &name, from, &response.peers, now);
            }
            Target::Item { .. } => active.find_item(response),
        }
        self.advance(number, active, now);
    }

    /// A node returned peers of a name. Those that dead nodes announced are left out.
    fn take_peers(
        &mut self,
        active: &mut ActiveLookup,
        name: &Name,
        from: Contact,
        peers: &[Peer],
        now: Instant,
    ) {
        let mut dead = None;
        let mut addrs = Vec::with_capacity(peers.len());
        for peer in peers.iter().take(MOST_RETURNED) {
            let until = self.lookups.expiry(peer.ttl, now);
            let Some(peer) = &self.admit_peer(peer, &from.addr) else { continue };
            let mut record = PeerRecord::reported(peer, from.addr, until);
            let announcer =
                self.failure_detector.dead_announcer(&peer.addr, &record, &self.routing, now);
            if announcer.is_some() {
                dead = announcer.filter(|_| record.is_reported()).or(dead);
                continue;
            }
            dead = self.failure_detector.strike_dead(&peer.addr, &mut record, now).or(dead);
            self.ask_after_announcer(&peer.addr, &record, now);
            addrs.push(peer.addr);
            if active.is_late_news() {
                self.lookups.keep_late(name, peer.addr, record.clone());
                self.subscriptions.touch(name);
            }
            active.found_peer(peer.addr, record);
        }
        active.answered_by(from.id, addrs);
        if let Some(dead) = dead {
            self.remind(from, dead, now);
        }
    }

    pub(super) fn lookup_late(&mut self, number: u64, pending: &Pending, now: Instant) {
        let Some(mut active) = self.lookups.take(number) else { return };
        if active.late(pending.id, pending.to) {
            let (purpose, method) = (Purpose::Lookup(number), active.target().method());
            self.query(pending.to, pending.id, method, purpose, false, now);
        }
        self.advance(number, active, now);
    }

    pub(super) fn lookup_slow(&mut self, number: u64, pending: &Pending, now: Instant) {
        self.lookups.slow(number, pending.id, pending.to);
        self.go_on(number, now);
    }

    pub(super) fn lookup_failed(&mut self, number: u64, pending: &Pending, now: Instant) {
        self.lookups.failed(number, pending.id, pending.to);
        self.go_on(number, now);
    }

    fn go_on(&mut self, number: u64, now: Instant) {
        if let Some(active) = self.lookups.take(number) {
            self.advance(number, active, now);
        }
    }

    /// The closest live nodes have answered.
    fn settle(&mut self, active: &mut ActiveLookup, now: Instant) {
        if let Target::Peers(name) = active.target()
            && (active.was_answered() || self.routing.is_empty())
        {
            // Who follows a name wants to know of all its peers.
            let most = if self.subscriptions.has(name) { usize::MAX } else { CHOICE };
            self.lookups.keep(name, active.choice(most, &mut self.rng, now), now);
            self.subscriptions.touch(name);
        }
        if let Some(found) = active.item() {
            // Closer to those who ask here next; an older copy gives way to a newer one. A
            // conflict means that ours is the newer.
            let _ = self.storage.put_item(found.item.clone(), None, None);
        }
        for then in active.take_then() {
            self.follow(active, then, now);
        }
    }

    fn follow(&mut self, active: &ActiveLookup, then: OnComplete, now: Instant) {
        match (then, active.target()) {
            (OnComplete::Join, _) => self.joined(now),
            (OnComplete::Lookup(operation), Target::Peers(name)) => {
                let peers = self.known_peers(name, now);
                self.stats.lookups_empty += u64::from(peers.is_empty());
                let asked = active.asked();
                self.done(operation, Outcome::Peers { peers, asked });
            }
            (OnComplete::Announce { port, operation }, Target::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_announce(service, active.closest(now), true, operation, now);
            }
            (OnComplete::Withdraw { port, operation }, Target::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_withdrawal(service, active.closest(now), operation, now);
            }
            (OnComplete::WithdrawFound { port, operation }, Target::Peers(name)) => {
                let (service, closest) = ((name.clone(), port), active.closest(now));
                self.withdraw_found(service, active.peers(), closest, operation, now);
            }
            (OnComplete::Doubt { peer, again: true }, Target::Peers(name)) => {
                let then = OnComplete::Doubt { peer, again: false };
                self.start_lookup(Target::Peers(name.clone()), then, now);
            }
            (OnComplete::Doubt { peer, again: false }, Target::Peers(name)) => {
                if active.was_answered() {
                    let found = active.peers().contains_key(&peer);
                    self.doubt_settled(name, peer, found, active.peers().len(), now);
                }
            }
            (OnComplete::Get { operation, held }, _) => {
                let ours = held.as_ref().map(|held| held.item.seq());
                let theirs = active.item().map(|found| found.item.seq());
                let best = if theirs >= ours { active.item().cloned().map(Box::new) } else { held };
                self.done(operation, Outcome::Got(best));
            }
            (OnComplete::Put { operation, item, cas }, _) => {
                self.store_item(item, cas, active.closest(now), true, operation, now);
            }
            (
                OnComplete::Refresh
                | OnComplete::Lookup(_)
                | OnComplete::Announce { .. }
                | OnComplete::Withdraw { .. }
                | OnComplete::WithdrawFound { .. }
                | OnComplete::Doubt { .. },
                _,
            ) => {}
        }
    }
}

#[cfg(test)]
mod tests;
