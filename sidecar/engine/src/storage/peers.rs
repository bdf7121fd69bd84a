//! The announced peers of one name, each with the nodes that announced it, and when it expires.

use std::hash::Hash;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Instant;

use ahash::RandomState;
use indexmap::IndexMap;
use rand::seq::index;
use rand::{Rng, RngExt};

use super::by_host::ByHost;
use crate::addresses::{host_of, means_the_same_to};
use crate::peer_record::{Announcer, Left, PeerRecord};

/// Most peers of one name and family; beyond it, one of a host that has many makes room.
const MAX_PEERS: usize = 20_000;
/// Peers among which the one that makes room is chosen.
const CHOICE: usize = 8;
/// Beyond so many peers of a name and family it is known which host has which. Fewer fit an answer.
const FEW: usize = 40;

/// The peers of one name.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    v4: Family<SocketAddrV4>,
    v6: Family<SocketAddrV6>,
    /// No announce expires before this.
    next_expiry: Option<Instant>,
}

/// Those of one address family.
#[derive(Debug)]
struct Family<A> {
    records: IndexMap<A, PeerRecord, RandomState>,
    by_host: Option<Box<ByHost<A>>>,
    /// Of all records.
    announces: usize,
}

impl<A> Default for Family<A> {
    fn default() -> Self {
        Self { records: IndexMap::default(), by_host: None, announces: 0 }
    }
}

impl<A: Copy + Eq + Hash + Into<SocketAddr>> Family<A> {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn iter(&self) -> impl Iterator<Item = (SocketAddr, &PeerRecord)> {
        self.records.iter().map(|(addr, record)| ((*addr).into(), record))
    }

    /// A random choice, in which each host has the same share.
    fn choose(&self, count: usize, rng: &mut impl Rng) -> Vec<(SocketAddr, &PeerRecord)> {
        let entry = |(addr, record): (&A, _)| ((*addr).into(), record);
        match &self.by_host {
            Some(by_host) if count < self.len() => {
                let chosen = by_host.choose(count, rng).into_iter();
                chosen.filter_map(|addr| self.records.get_key_value(&addr)).map(entry).collect()
            }
            _ => {
                let chosen = index::sample(rng, self.len(), count.min(self.len())).into_iter();
                chosen.filter_map(|at| self.records.get_index(at)).map(entry).collect()
            }
        }
    }

    /// A node announced a peer (again). Returns whether it is new, and one that makes room for it.
    fn put(&mut self, addr: A, by: Announcer, rng: &mut impl Rng) -> (bool, Option<SocketAddr>) {
        if let Some(record) = self.records.get_mut(&addr) {
            self.announces -= record.announces();
            record.announced(&addr.into(), by);
            self.announces += record.announces();
            return (false, None);
        }
        let full = self.len() >= MAX_PEERS;
        let gone = full.then(|| self.one_of_many(rng)).flatten();
        if let Some(gone) = gone {
            self.remove(gone);
        }
        self.records.insert(addr, PeerRecord::of(&addr.into(), by));
        self.announces += 1;
        match &mut self.by_host {
            Some(by_host) => by_host.add(addr),
            none if self.records.len() > FEW => {
                *none = Some(Box::new(ByHost::of(self.records.keys().copied())));
            }
            _ => {}
        }
        (true, gone.map(Into::into))
    }

    /// A random peer, of a host that probably has many.
    fn one_of_many(&self, rng: &mut impl Rng) -> Option<A> {
        let by_host = self.by_host.as_ref()?;
        let some = std::iter::repeat_with(|| rng.random_range(0..self.len())).take(CHOICE);
        let some = some.filter_map(|at| Some(*self.records.get_index(at)?.0));
        some.max_by_key(|addr| by_host.of_host(*addr))
    }

    fn remove(&mut self, addr: A) -> bool {
        let removed = self.records.swap_remove(&addr);
        self.announces -= removed.as_ref().map_or(0, PeerRecord::announces);
        if let Some(by_host) = self.by_host.as_mut().filter(|_| removed.is_some()) {
            by_host.remove(addr);
        }
        self.settle();
        removed.is_some()
    }

    /// A node announces a peer no more. A peer that nobody else announces is gone.
    fn strike(&mut self, addr: A, node: &SocketAddr) -> Left {
        let Some(record) = self.records.get_mut(&addr) else { return Left::All };
        self.announces -= record.announces();
        let left = record.strike(&addr.into(), node, false);
        self.announces += record.announces();
        if left == Left::Nobody {
            self.remove(addr);
        }
        left
    }

    /// Keeps those for which this holds. Returns the others.
    fn retain(
        &mut self,
        mut stays: impl FnMut(SocketAddr, &mut PeerRecord) -> bool,
    ) -> Vec<SocketAddr> {
        let mut gone = Vec::new();
        let (by_host, announces) = (&mut self.by_host, &mut self.announces);
        self.records.retain(|addr, record| {
            *announces -= record.announces();
            let keep = stays((*addr).into(), record);
            if keep {
                *announces += record.announces();
            } else {
                gone.push((*addr).into());
                if let Some(by_host) = by_host {
                    by_host.remove(*addr);
                }
            }
            keep
        });
        self.settle();
        gone
    }

    /// Gives back room that many took.
    fn settle(&mut self) {
        if self.len() <= FEW / 2 && self.by_host.take().is_some() {
            self.records.shrink_to(FEW);
        }
    }
}

/// What an announce changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) is_new: bool,
    /// A peer that made room.
    pub(super) gone: Option<SocketAddr>,
}

impl Peers {
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// How many announces made them: a peer may be announced through several nodes.
    pub(super) fn announces(&self) -> usize {
        self.v4.announces + self.v6.announces
    }

    pub(crate) fn contains(&self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.records.contains_key(addr),
            SocketAddr::V6(addr) => self.v6.records.contains_key(addr),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &PeerRecord)> {
        self.v4.iter().chain(self.v6.iter())
    }

    /// A random choice of at most `count` peers of the asker's address family, of those that it can
    /// reach: loopback peers are for askers on loopback, link-local ones for those of the same link.
    /// Each host has the same share of it.
    pub(crate) fn sample(
        &self,
        count: usize,
        asker: &SocketAddr,
        rng: &mut impl Rng,
    ) -> Vec<(SocketAddr, &PeerRecord)> {
        let mut chosen = match asker {
            SocketAddr::V4(_) => self.v4.choose(count, rng),
            SocketAddr::V6(_) => self.v6.choose(count, rng),
        };
        chosen.retain(|(addr, _)| means_the_same_to(asker, addr));
        chosen
    }

    /// The same of one family, whoever asks.
    pub(crate) fn choose(&self, ipv6: bool, count: usize, rng: &mut impl Rng) -> Vec<SocketAddr> {
        let chosen = if ipv6 { self.v6.choose(count, rng) } else { self.v4.choose(count, rng) };
        chosen.into_iter().map(|(addr, _)| addr).collect()
    }

    pub(super) fn announced(
        &mut self,
        addr: SocketAddr,
        by: Announcer,
        rng: &mut impl Rng,
    ) -> Announced {
        let (is_new, gone) = match addr {
            SocketAddr::V4(addr) => self.v4.put(addr, by, rng),
            SocketAddr::V6(addr) => self.v6.put(addr, by, rng),
        };
        self.next_expiry = Some(self.next_expiry.map_or(by.until, |next| next.min(by.until)));
        Announced { is_new, gone }
    }

    pub(super) fn remove(&mut self, addr: &SocketAddr) -> bool {
        match addr {
            SocketAddr::V4(addr) => self.v4.remove(*addr),
            SocketAddr::V6(addr) => self.v6.remove(*addr),
        }
    }

    /// A node announces a peer no more.
    pub(super) fn strike(&mut self, addr: &SocketAddr, node: &SocketAddr) -> Left {
        match addr {
            SocketAddr::V4(addr) => self.v4.strike(*addr, node),
            SocketAddr::V6(addr) => self.v6.strike(*addr, node),
        }
    }

    /// Drops the announces that expired; returns the peers that are gone with them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<SocketAddr> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut gone = self.v4.retain(|addr, record| record.expire(&addr, now));
        gone.extend(self.v6.retain(|addr, record| record.expire(&addr, now)));
        let records = self.v4.records.values().chain(self.v6.records.values());
        self.next_expiry = records.map(PeerRecord::next_expiry).min();
        gone
    }

    /// Drops what the node at this address announced. Returns whether there was anything, and the
    /// peers that are gone.
    pub(super) fn remove_from(&mut self, node: &SocketAddr) -> (bool, Vec<SocketAddr>) {
        let mut any = false;
        let stays = |peer: SocketAddr, record: &mut PeerRecord| {
            let left = record.strike(&peer, node, false);
            any |= left != Left::All;
            left != Left::Nobody
        };
        let gone = match node {
            SocketAddr::V4(_) => self.v4.retain(stays),
            SocketAddr::V6(_) => self.v6.retain(stays),
        };
        (any, gone)
    }

    /// Drops the peers of a host, but for those that our own node announced. Returns how many.
    pub(super) fn remove_host(&mut self, host: IpAddr) -> usize {
        let is_own = |by: Announcer| by.addr.ip().is_unspecified();
        let stays = |peer: SocketAddr, record: &mut PeerRecord| {
            host_of(peer.ip()) != host || record.announcers(&peer).any(is_own)
        };
        match host {
            IpAddr::V4(_) => self.v4.retain(stays).len(),
            IpAddr::V6(_) => self.v6.retain(stays).len(),
        }
    }

    /// Whether this holds for any peer of an address family.
    pub(super) fn any(&self, ipv6: bool, holds: impl Fn(&SocketAddr, &PeerRecord) -> bool) -> bool {
        match ipv6 {
            false => self.v4.iter().any(|(addr, record)| holds(&addr, record)),
            true => self.v6.iter().any(|(addr, record)| holds(&addr, record)),
        }
    }
}
