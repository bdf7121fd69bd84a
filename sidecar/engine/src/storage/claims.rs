//! Services that are reached at another IP than their Grape's datagrams come from: behind a NAT,
//! say. A Grape claims such an IP for all that it announces.
//!
//! A claim cannot be proved, so it is kept narrow: one IP of its family for each source address,
//! and few for each host. What is announced under the claim counts as the source's, and is dropped
//! with the source's withdrawal, death, or next claim.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::Bound;
use crate::rate_limiter::RateLimiter;

/// Most source addresses whose claims are kept.
const CAPACITY: usize = 4096;
/// Most source addresses of one host whose claims are kept.
const PER_HOST: usize = 64;
/// Most different IPs that one host may claim.
const IPS_PER_HOST: usize = 8;

/// An IP that a source address claims.
#[derive(Debug)]
struct Claim {
    ip: IpAddr,
    /// When the last announce under it ends.
    until: Instant,
}

/// The claims that are alive, by their source addresses.
#[derive(Debug)]
pub(super) struct Claims {
    claims: BTreeMap<SocketAddr, Claim>,
    /// A change has all announces of the source looked for.
    changes: RateLimiter,
}

/// There are too many claims, or they change too often.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyClaims;

impl Claims {
    pub(super) fn new(now: Instant) -> Self {
        Self { claims: BTreeMap::new(), changes: RateLimiter::new(now) }
    }

    pub(super) fn forget(&mut self, source: &SocketAddr) {
        self.claims.remove(source);
    }

    pub(super) fn bound(&self) -> Bound {
        Bound { used: self.claims.len(), most: CAPACITY }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.claims.retain(|_, claim| claim.until > now);
    }

    /// A source announces something until then, under this claim or none. Returns its former
    /// claim, if that was another.
    pub(super) fn announced(
        &mut self,
        source: SocketAddr,
        ip: Option<IpAddr>,
        until: Instant,
        now: Instant,
    ) -> Result<Option<IpAddr>, TooManyClaims> {
        let former = self.claims.get_mut(&source);
        if former.is_none() && ip.is_none() {
            return Ok(None);
        }
        if let Some(claim) = former {
            if Some(claim.ip) == ip {
                claim.until = claim.until.max(until);
                return Ok(None);
            }
            if !self.changes.take(now) {
                return Err(TooManyClaims);
            }
        }
        if ip.is_some_and(|ip| !self.has_room(&source, ip)) {
            return Err(TooManyClaims);
        }
        let former = match ip {
            Some(ip) => self.claims.insert(source, Claim { ip, until }),
            None => self.claims.remove(&source),
        };
        Ok(former.map(|claim| claim.ip))
    }

    /// Whether there is room for a claim of this source beside those of the others.
    fn has_room(&self, source: &SocketAddr, ip: IpAddr) -> bool {
        let host = source.ip();
        let ports = SocketAddr::new(host, 0)..=SocketAddr::new(host, u16::MAX);
        let others = self.claims.range(ports).filter(|(other, _)| *other != source);
        let ips: Vec<IpAddr> = others.map(|(_, claim)| claim.ip).collect();
        let different: BTreeSet<_> = ips.iter().chain([&ip]).collect();
        let others = self.claims.len() - usize::from(self.claims.contains_key(source));
        others < CAPACITY && ips.len() < PER_HOST && different.len() <= IPS_PER_HOST
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn a_source_claims_one_ip_at_a_time() {
        let now = crate::clock::now();
        let until = now + Duration::from_secs(9);
        let mut claims = Claims::new(now);
        let mut announce = |ip| claims.announced(source(1, 7), ip, until, now);
        assert_eq!(announce(Some(ip(1))), Ok(None));
        assert_eq!(announce(Some(ip(1))), Ok(None));
        assert_eq!(announce(Some(ip(2))), Ok(Some(ip(1))));
        assert_eq!(announce(None), Ok(Some(ip(2))));
        assert_eq!(announce(None), Ok(None));
        assert!(claims.claims.is_empty());
    }

    #[test]
    fn claims_end_with_their_announces() {
        let now = crate::clock::now();
        let mut claims = Claims::new(now);
        let later = |s| now + Duration::from_secs(s);
        claims.announced(source(1, 7), Some(ip(1)), later(9), now).unwrap();
        claims.announced(source(1, 7), Some(ip(1)), later(5), now).unwrap();
        claims.expire(later(8));
        assert_eq!(claims.claims.len(), 1);
        claims.expire(later(9));
        assert!(claims.claims.is_empty());
    }

    #[test]
    fn one_host_claims_few_ips_and_all_hosts_no_more_than_there_is_room_for() {
        let now = crate::clock::now();
        let until = now + Duration::from_secs(9);
        let mut claims = Claims::new(now);
        let mut taken = 0;
        for n in 0..200 {
            let claimed = claims.announced(source(1, 1000 + u16::from(n)), Some(ip(n)), until, now);
            taken += usize::from(claimed.is_ok());
        }
        assert_eq!(taken, IPS_PER_HOST);
        for port in 0..200 {
            let _ = claims.announced(source(2, 1000 + port), Some(ip(1)), until, now);
        }
        assert_eq!(claims.claims.len(), IPS_PER_HOST + PER_HOST);
        for host in 3..=255 {
            for port in 0..100 {
                let _ = claims.announced(source(host, port + 1), Some(ip(1)), until, now);
            }
        }
        assert_eq!(claims.claims.len(), CAPACITY);
    }

    #[test]
    fn a_source_that_changes_its_claim_again_and_again_is_refused() {
        let now = crate::clock::now();
        let until = now + Duration::from_secs(9);
        let mut claims = Claims::new(now);
        let mut changes = 0;
        for n in 0..1000u16 {
            let claimed = claims.announced(source(1, 7), Some(ip((n % 2) as u8)), until, now);
            changes += usize::from(matches!(claimed, Ok(Some(_))));
        }
        assert!((1..300).contains(&changes), "{changes}");
    }
}
