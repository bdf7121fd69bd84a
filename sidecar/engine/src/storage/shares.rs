//! Which hosts the peers that are held belong to: where there are too many, those of the host that
//! has the most make room.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use ahash::RandomState;
use lru::LruCache;

use crate::Name;
use crate::addresses::host_of;

/// How many peers of which names each host has.
#[derive(Debug, Default)]
pub(super) struct Shares {
    hosts: HashMap<IpAddr, Share, RandomState>,
    /// The hosts by their peers, the most last.
    by_size: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug)]
struct Share {
    peers: usize,
    /// How many of each name; the name that was announced least recently goes first.
    names: LruCache<Name, usize, RandomState>,
}

impl Shares {
    /// A peer of this name is held from now on.
    pub(super) fn add(&mut self, name: &Name, peer: &SocketAddr) {
        let host = host_of(peer.ip());
        let share = self.hosts.entry(host).or_insert_with(|| Share {
            peers: 0,
            names: LruCache::unbounded_with_hasher(RandomState::new()),
        });
        *share.names.get_or_insert_mut(name.clone(), || 0) += 1;
        self.by_size.remove(&(share.peers, host));
        share.peers += 1;
        self.by_size.insert((share.peers, host));
    }

    /// A peer that is held was announced again.
    pub(super) fn renew(&mut self, name: &[u8], peer: &SocketAddr) {
        if let Some(share) = self.hosts.get_mut(&host_of(peer.ip())) {
            share.names.promote(name);
        }
    }

    /// A peer of this name is held no more.
    pub(super) fn remove(&mut self, name: &[u8], peer: &SocketAddr) {
        let host = host_of(peer.ip());
        let Some(share) = self.hosts.get_mut(&host) else { return };
        // It is not there if it made room before.
        let Some(of_name) = share.names.peek_mut(name) else { return };
        *of_name -= 1;
        if *of_name == 0 {
            share.names.pop(name);
        }
        self.shrink(host, 1);
    }

    /// The host with the most peers, and the name that it announced least recently. Its peers of this
    /// name count no more.
    pub(super) fn make_room(&mut self) -> Option<(IpAddr, Name)> {
        let (_, host) = *self.by_size.last()?;
        let (name, peers) = self.hosts.get_mut(&host)?.names.pop_lru()?;
        self.shrink(host, peers);
        Some((host, name))
    }

    fn shrink(&mut self, host: IpAddr, by: usize) {
        let Some(share) = self.hosts.get_mut(&host) else { return };
        self.by_size.remove(&(share.peers, host));
        share.peers = share.peers.saturating_sub(by);
        if share.names.is_empty() {
            self.hosts.remove(&host);
        } else {
            self.by_size.insert((share.peers, host));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn the_oldest_name_of_the_host_with_the_most_peers_makes_room() {
        let mut shares = Shares::default();
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Name::from(name.as_slice()));
        shares.add(&a, &addr(1, 1));
        shares.add(&b, &addr(2, 1));
        shares.add(&b, &addr(2, 2));
        shares.add(&c, &addr(2, 1));
        shares.renew(&b, &addr(2, 1));
        assert_eq!(shares.make_room(), Some((addr(2, 1).ip(), c)));
        shares.remove(&b, &addr(2, 2));
        shares.add(&b, &addr(1, 1));
        assert_eq!(shares.make_room(), Some((addr(1, 1).ip(), a)));
        let left: Vec<_> = std::iter::from_fn(|| shares.make_room()).collect();
        assert_eq!(left, [(addr(2, 1).ip(), b.clone()), (addr(1, 1).ip(), b)]);
        assert!(shares.hosts.is_empty() && shares.by_size.is_empty());
    }
}
