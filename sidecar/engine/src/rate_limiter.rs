//! How much others may make us do: many at once, few in the long run.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::addresses::host_of;

/// At once, for whole racks that die …
const BURST: u32 = 256;
/// … and each second in the long run, so that forged notices cost little.
const EACH_SECOND: u32 = 20;

/// What is left of it.
#[derive(Debug)]
pub(super) struct RateLimiter {
    burst: u32,
    each_second: u32,
    left: u32,
    refilled: Instant,
}

impl RateLimiter {
    pub(super) fn new(now: Instant) -> Self {
        Self::of(BURST, EACH_SECOND, now)
    }

    /// So many at once, and so many each second in the long run.
    pub(super) fn of(burst: u32, each_second: u32, now: Instant) -> Self {
        Self { burst, each_second, left: burst, refilled: now }
    }

    /// Takes one, if there is one left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let seconds =
            u32::try_from(now.duration_since(self.refilled).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.refilled += Duration::from_secs(seconds.into());
            let refill = seconds.saturating_mul(self.each_second);
            self.left = self.left.saturating_add(refill).min(self.burst);
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// Most hosts of which a [`HostLimiter`] remembers what is left.
pub(super) const HOSTS: usize = 1024;

/// The same for each host; a public IPv6 address counts as its /64.
#[derive(Debug)]
pub(super) struct HostLimiter {
    burst: u32,
    each_second: u32,
    hosts: LruCache<IpAddr, RateLimiter>,
}

impl HostLimiter {
    /// So many at once, and so many each second in the long run, of each host.
    pub(super) fn of(burst: u32, each_second: u32) -> Self {
        // Unbounded with a bound of our own, so that an empty one takes no memory.
        Self { burst, each_second, hosts: LruCache::unbounded() }
    }

    /// Takes one, if there is one left of the host at this address.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        let new = || RateLimiter::of(self.burst, self.each_second, now);
        let taken = self.hosts.get_or_insert_mut(host_of(ip), new).take(now);
        if self.hosts.len() > HOSTS {
            self.hosts.pop_lru();
        }
        taken
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_let_through_by_the_drop() {
        let start = crate::clock::now();
        let mut limiter = RateLimiter::new(start);
        let mut taken = |now| (0..10_000).filter(|_| limiter.take(now)).count();
        assert_eq!(taken(start), BURST as usize);
        assert_eq!(taken(start + Duration::from_millis(999)), 0);
        assert_eq!(taken(start + Duration::from_millis(3100)), 3 * EACH_SECOND as usize);
        assert_eq!(taken(start + Duration::from_secs(1_000_000)), BURST as usize);
    }
}
