//! Peers that were withdrawn: who held one tells all nodes, whose lookups may still show it.
//!
//! Nobody believes such a notice: who shows the peer looks its name up anew, and asks no more than
//! whether anybody still holds it. A withdrawal itself comes with a token, to those who hold the
//! peer; one of them tells the others, since the node that withdrew it may be gone by then.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::announcers::Left;
use super::announces::Service;
use super::distance::point;
use super::node::Engine;
use super::notices::Topic;
use super::steps::{Subject, Then};
use super::timers::Timer;
use super::{MAX_PEERS, Name};

/// The nodes closest to a name that tell of what was withdrawn from it: each but the first only
/// if it heard nothing of those before it.
const TELLERS: u32 = 3;
/// Every holder should know before lookups ask them: time for a second and third try.
const HEAD_START: Duration = Duration::from_millis(300);
/// Time for the teller before.
const EACH_TELLER: Duration = Duration::from_millis(400);
/// Longest name that is told of, in bytes; other lookups go stale by themselves.
const LONGEST_NAME: usize = 256;
/// Most that are remembered, of each kind.
const CAPACITY: usize = 256;
/// How often a doubtful peer is looked for, at once and each second: a holder may know it late.
const LOOKS: u8 = 3;

/// What is to be told, and what was heard.
#[derive(Debug, Default)]
pub(super) struct Withdrawals {
    to_tell: VecDeque<(Instant, Name, SocketAddr)>,
    doubted: Vec<(Name, SocketAddr, u8)>,
}

impl Engine {
    /// A node took back a peer that it had announced. It stays while others announce it.
    pub(super) fn peer_withdrawn(
        &mut self,
        from: SocketAddr,
        name: &[u8],
        peer: SocketAddr,
        now: Instant,
    ) {
        let left = self.peers.withdrawn(name, &peer, &from);
        let untold = left == Left::Nobody || !self.peers.has(name, &peer);
        self.strike_found(name, &peer, &from, untold);
        self.watches.touch(name);
        // Where others announced it too, it is still there.
        if left != Left::Nobody || name.len() > LONGEST_NAME {
            return;
        }
        self.doubt(name.into(), peer, now);
        let target = point(name);
        let own = self.settings.id.xor(&target);
        let nodes = self.table(&peer).nodes().map(|node| (node.contact, node.ours));
        let others = nodes.filter(|(contact, ours)| *ours && contact.addr != from);
        let closer = others.filter(|(contact, _)| contact.id.xor(&target) < own).count();
        let rank = u32::try_from(closer).unwrap_or(u32::MAX);
        if rank < TELLERS && self.withdrawals.to_tell.len() < CAPACITY {
            let at = now + HEAD_START + EACH_TELLER * rank;
            self.withdrawals.to_tell.push_back((at, name.into(), peer));
            self.set_timer(at, Timer::Withdrawals);
        }
    }

    /// Tells what is due, unless others told it, or it was announced again meanwhile.
    pub(super) fn tell_of_withdrawals(&mut self, now: Instant) {
        let due = |(at, ..): &(Instant, Name, SocketAddr)| *at <= now;
        let (due, later): (VecDeque<_>, _) = self.withdrawals.to_tell.drain(..).partition(due);
        self.withdrawals.to_tell = later;
        for (_, name, peer) in due {
            if !self.peers.has(&name, &peer) {
                self.tell_of_withdrawal(Topic::Withdrawn { name, peer }, now);
            }
        }
    }

    /// A node told us that a peer was withdrawn.
    pub(super) fn on_withdrawn(&mut self, name: &[u8], peer: SocketAddr, depth: u8, now: Instant) {
        if name.len() > LONGEST_NAME {
            return;
        }
        let topic = Topic::Withdrawn { name: name.into(), peer };
        if self.take_notice(topic, depth, now) {
            self.doubt(name.into(), peer, now);
        }
    }

    /// Somebody says that this peer is no more.
    pub(super) fn doubt(&mut self, name: Name, peer: SocketAddr, now: Instant) {
        let doubted = &mut self.withdrawals.doubted;
        doubted.retain(|(doubtful, addr, _)| *addr != peer || *doubtful != name);
        if doubted.len() < CAPACITY {
            doubted.push((name.clone(), peer, LOOKS - 1));
        }
        self.look_for(name, peer, now);
    }

    /// Looks for the doubtful peers that are shown nevertheless. Due every second.
    pub(super) fn look_again(&mut self, now: Instant) {
        for (name, peer, left) in std::mem::take(&mut self.withdrawals.doubted) {
            if let Some(left) = left.checked_sub(1) {
                self.withdrawals.doubted.push((name.clone(), peer, left));
            }
            self.look_for(name, peer, now);
        }
    }

    fn look_for(&mut self, name: Name, peer: SocketAddr, now: Instant) {
        let service: Service = (name, peer.port());
        let ours = self.is_own_peer(&service, &peer, now);
        let (name, _) = service;
        let under_way = self.is_walked_for(&name);
        let shown = self.lookups.has(&name, &peer) || self.peers.has(&name, &peer);
        if !ours && (shown || under_way) {
            // What is under way may have asked before the withdrawal.
            let then = Then::Doubt { peer, again: under_way };
            self.walk(Subject::Peers(name), then, now);
        }
    }

    /// A walk is over that a doubtful peer was looked for by: whoever is asked knows it, unless it
    /// is no more, or not all peers fit the answers.
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
