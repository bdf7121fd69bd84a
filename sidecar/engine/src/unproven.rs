//! Whole answers to addresses that have proved nothing. A source address can be forged: whoever forges
//! it has a node send to a third party what is many times as long as the query.

use std::net::IpAddr;
use std::time::Instant;

use crate::rate_limiter::{HostLimiter, RateLimiter};

/// Whole answers each second to one host: a client that asks each node once gets them.
const EACH: u32 = 3;
/// Whole answers each second to all.
const ALL: u32 = 200;
/// Beyond that, an answer has at most so many times the bytes of its query.
const TIMES: usize = 3;

/// What is left of them.
#[derive(Debug)]
pub(super) struct Unproven {
    each: HostLimiter,
    all: RateLimiter,
}

impl Unproven {
    pub(super) fn new(now: Instant) -> Self {
        Self { each: HostLimiter::of(EACH, EACH), all: RateLimiter::of(ALL, ALL, now) }
    }

    /// How many bytes the answer to a query of this length may have; `None` if it may be whole.
    pub(super) fn most(&mut self, ip: IpAddr, query: usize, now: Instant) -> Option<usize> {
        let whole = self.each.take(ip, now) && self.all.take(now);
        (!whole).then_some(TIMES * query)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limiter::HOSTS;

    #[test]
    fn each_host_has_few_whole_answers_and_all_together_have_not_many() {
        let now = crate::clock::now();
        let mut unproven = Unproven::new(now);
        let host = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + n));
        for _ in 0..3 {
            assert_eq!(unproven.most(host(1), 100, now), None);
        }
        assert_eq!(unproven.most(host(1), 100, now), Some(300));
        let whole = (2..10_000).filter(|n| unproven.most(host(*n), 100, now).is_none());
        assert_eq!(whole.count(), 197);
        assert_eq!(unproven.each.len(), HOSTS);
        let later = now + Duration::from_secs(1);
        assert_eq!(unproven.most(host(1), 100, later), None);
    }
}
