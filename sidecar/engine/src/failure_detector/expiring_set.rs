//! Addresses, each with a time, in bounded memory: the oldest goes first.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Most that are remembered.
const CAPACITY: usize = 1024;

/// Addresses with the times at which they were noted.
#[derive(Debug, Default)]
pub(super) struct ExpiringSet {
    addrs: BTreeMap<SocketAddr, Instant>,
}

impl ExpiringSet {
    pub(super) fn insert(&mut self, addr: SocketAddr, now: Instant) {
        self.addrs.insert(addr, now);
        if self.addrs.len() > CAPACITY {
            let oldest = self.addrs.iter().min_by_key(|(_, noted)| **noted).map(|(addr, _)| *addr);
            oldest.map(|addr| self.addrs.remove(&addr));
        }
    }

    /// Whether the address was noted.
    pub(super) fn remove(&mut self, addr: &SocketAddr) -> bool {
        !self.addrs.is_empty() && self.addrs.remove(addr).is_some()
    }

    pub(super) fn contains(&self, addr: &SocketAddr) -> bool {
        !self.addrs.is_empty() && self.addrs.contains_key(addr)
    }

    /// When the address was noted.
    pub(super) fn since(&self, addr: &SocketAddr) -> Option<Instant> {
        if self.addrs.is_empty() { None } else { self.addrs.get(addr).copied() }
    }

    /// Drops what was noted this long ago, or longer.
    pub(super) fn expire(&mut self, age: Duration, now: Instant) {
        self.addrs.retain(|_, noted| now.duration_since(*noted) < age);
    }

    pub(super) fn addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.addrs.keys().copied()
    }

    /// Those of one host, with their times.
    pub(super) fn of_host(&self, ip: IpAddr) -> impl Iterator<Item = (SocketAddr, Instant)> {
        let ports = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        self.addrs.range(ports).map(|(addr, noted)| (*addr, *noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_ends() {
        let now = crate::clock::now();
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut dated = ExpiringSet::default();
        for port in 1..=2000 {
            dated.insert(addr(port), now + Duration::from_millis(port.into()));
        }
        assert_eq!(dated.addrs().count(), CAPACITY);
        assert!(!dated.contains(&addr(1)) && dated.contains(&addr(2000)));
        dated.expire(Duration::from_secs(10), now + Duration::from_secs(12));
        assert_eq!(dated.addrs().count(), 0);
    }
}
