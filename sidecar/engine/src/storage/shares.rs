//! Which hosts the things belong to that are held: where there are too many, those of the host that
//! has the most make room.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use ahash::RandomState;
use lru::LruCache;

use crate::addresses::host_of;

/// How many things each host has, of which kinds: peers, by their names; or items, by their ids.
#[derive(Debug)]
pub(super) struct Shares<K: Eq + Hash> {
    hosts: HashMap<IpAddr, Share<K>, RandomState>,
    /// The hosts by how many they have, the most last.
    by_size: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug)]
struct Share<K: Eq + Hash> {
    size: usize,
    /// How many of each kind; the one that was used least recently goes first.
    kinds: LruCache<K, usize, RandomState>,
}

impl<K: Eq + Hash> Default for Shares<K> {
    fn default() -> Self {
        Self { hosts: HashMap::default(), by_size: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// One more of this kind is held of the host at `ip`.
    pub(super) fn add(&mut self, kind: &K, ip: IpAddr) {
        let host = host_of(ip);
        let share = self.hosts.entry(host).or_insert_with(|| Share {
            size: 0,
            kinds: LruCache::unbounded_with_hasher(RandomState::new()),
        });
        *share.kinds.get_or_insert_mut(kind.clone(), || 0) += 1;
        self.by_size.remove(&(share.size, host));
        share.size += 1;
        self.by_size.insert((share.size, host));
    }

    /// What is held was used again.
    pub(super) fn renew<Q: Eq + Hash + ?Sized>(&mut self, kind: &Q, ip: IpAddr)
    where
        K: Borrow<Q>,
    {
        if let Some(share) = self.hosts.get_mut(&host_of(ip)) {
            share.kinds.promote(kind);
        }
    }

    /// One of this kind is held no more.
    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, kind: &Q, ip: IpAddr)
    where
        K: Borrow<Q>,
    {
        let host = host_of(ip);
        let Some(share) = self.hosts.get_mut(&host) else { return };
        // It is not there if it made room before.
        let Some(left) = share.kinds.peek_mut(kind) else { return };
        *left -= 1;
        if *left == 0 {
            share.kinds.pop(kind);
        }
        self.shrink(host, 1);
    }

    /// The host that has the most, and the kind of which it used its own least recently. Those count no
    /// more.
    pub(super) fn make_room(&mut self) -> Option<(IpAddr, K)> {
        let (_, host) = *self.by_size.last()?;
        let (kind, count) = self.hosts.get_mut(&host)?.kinds.pop_lru()?;
        self.shrink(host, count);
        Some((host, kind))
    }

    fn shrink(&mut self, host: IpAddr, by: usize) {
        let Some(share) = self.hosts.get_mut(&host) else { return };
        self.by_size.remove(&(share.size, host));
        share.size = share.size.saturating_sub(by);
        if share.kinds.is_empty() {
            self.hosts.remove(&host);
        } else {
            self.by_size.insert((share.size, host));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_kind_of_the_host_with_the_most_makes_room() {
        let [one, two] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let mut shares = Shares::default();
        shares.add(&'a', one);
        shares.add(&'b', two);
        shares.add(&'b', two);
        shares.add(&'c', two);
        shares.renew(&'b', two);
        assert_eq!(shares.make_room(), Some((two, 'c')));
        shares.remove(&'b', two);
        shares.add(&'b', one);
        assert_eq!(shares.make_room(), Some((one, 'a')));
        let left: Vec<_> = std::iter::from_fn(|| shares.make_room()).collect();
        assert_eq!(left, [(two, 'b'), (one, 'b')]);
        assert!(shares.hosts.is_empty() && shares.by_size.is_empty());
    }
}
