//! How many members each host has, and how much memory their states take: a host can have as many
//! members as ports. Those of one host crowd out those of others in no group.

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;

use super::limits::MAX_MEMORY;
use crate::addresses::host_of;

/// Most bytes that the members of one host take in a group. Loopback has no bound of its own: there, all
/// members are of one host.
const MAX_OF_HOST: usize = MAX_MEMORY / 16;

/// What one host has.
#[derive(Debug, Default)]
struct Share {
    members: usize,
    bytes: usize,
}

/// The hosts of a group.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<IpAddr, Share, RandomState>);

impl Hosts {
    /// A member came.
    pub(super) fn entered(&mut self, ip: IpAddr) {
        self.0.entry(host_of(ip)).or_default().members += 1;
    }

    /// A member is gone, whose state took so many bytes.
    pub(super) fn left(&mut self, ip: IpAddr, bytes: usize) {
        let host = host_of(ip);
        if let Some(share) = self.0.get_mut(&host) {
            share.members -= 1;
            share.bytes = share.bytes.saturating_sub(bytes);
            if share.members == 0 {
                self.0.remove(&host);
            }
        }
    }

    /// The state of a member took so many bytes, and now takes so many.
    pub(super) fn changed(&mut self, ip: IpAddr, before: usize, after: usize) {
        if let Some(share) = self.0.get_mut(&host_of(ip)) {
            share.bytes = share.bytes.saturating_sub(before) + after;
        }
    }

    /// By how many bytes the states of a host's members may grow.
    pub(super) fn room(&self, ip: IpAddr) -> usize {
        if ip.is_loopback() {
            return usize::MAX;
        }
        let bytes = self.0.get(&host_of(ip)).map_or(0, |share| share.bytes);
        MAX_OF_HOST.saturating_sub(bytes)
    }

    /// The host that has the most members, if one of them is to make room for a new one at `ip`.
    pub(super) fn crowd(&self, ip: IpAddr) -> Option<IpAddr> {
        let shares = self.0.iter().filter(|(host, _)| !host.is_loopback());
        let (host, most) = shares.max_by_key(|(_, share)| share.members)?;
        let members = self.0.get(&host_of(ip)).map_or(0, |share| share.members);
        (most.members > members + 1).then_some(*host)
    }
}
