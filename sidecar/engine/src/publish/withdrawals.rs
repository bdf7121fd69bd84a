//! Peers that were withdrawn: a node that stored one notifies all nodes, whose lookups may still
//! return it.
//!
//! Such a notice could be forged, so a node that receives it drops nothing: it looks the name up
//! again, to see whether any node still stores the peer. The withdrawal itself goes, with a token,
//! to the nodes that store the peer; one of them notifies the others, since the node that withdrew
//! the peer may be gone by then.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::Name;

/// How many of the nodes closest to a name send notices of withdrawals: each but the first only if
/// it received none from those before it.
pub(crate) const NOTIFIERS: u32 = 3;
/// Longest name that notices have, in bytes; lookups of longer names go stale by themselves.
pub(crate) const LONGEST_NAME: usize = 256;
/// Most that are remembered, of each kind.
const CAPACITY: usize = 256;
/// How often a doubtful peer is looked for, at once and each second: a holder may know it late.
const LOOKS: u8 = 3;

/// Notices to be sent, and notices that were received.
#[derive(Debug, Default)]
pub(super) struct Withdrawals {
    to_tell: VecDeque<(Instant, Name, SocketAddr)>,
    doubted: Vec<(Name, SocketAddr, u8)>,
}

impl Withdrawals {
    pub(super) fn notify_later(&mut self, at: Instant, name: Name, peer: SocketAddr) -> bool {
        let has_room = self.to_tell.len() < CAPACITY;
        if has_room {
            self.to_tell.push_back((at, name, peer));
        }
        has_room
    }

    pub(super) fn take_notices(&mut self, now: Instant) -> Vec<(Name, SocketAddr)> {
        let (due, later): (Vec<_>, _) = self.to_tell.drain(..).partition(|(at, ..)| *at <= now);
        self.to_tell = later.into();
        due.into_iter().map(|(_, name, peer)| (name, peer)).collect()
    }

    pub(super) fn doubt(&mut self, name: Name, peer: SocketAddr) {
        self.doubted.retain(|(doubtful, addr, _)| *addr != peer || *doubtful != name);
        if self.doubted.len() < CAPACITY {
            self.doubted.push((name, peer, LOOKS - 1));
        }
    }

    pub(super) fn take_doubted(&mut self) -> Vec<(Name, SocketAddr)> {
        let doubted = self.doubted.iter().map(|(name, peer, _)| (name.clone(), *peer)).collect();
        self.doubted.retain_mut(|(.., left)| match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                true
            }
            None => false,
        });
        doubted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn name() -> Name {
        b"rpc_test".as_slice().into()
    }

    #[test]
    fn notices_of_withdrawals_are_sent_once_when_they_are_due() {
        let now = crate::clock::now();
        let mut withdrawals = Withdrawals::default();
        let second = Duration::from_secs(1);
        assert!(withdrawals.notify_later(now + second, name(), peer(1)));
        assert!(withdrawals.notify_later(now, name(), peer(2)));
        assert_eq!(withdrawals.take_notices(now), [(name(), peer(2))]);
        assert_eq!(withdrawals.take_notices(now + second), [(name(), peer(1))]);
        assert_eq!(withdrawals.take_notices(now + second), []);
    }

    #[test]
    fn a_doubted_peer_is_looked_for_a_few_times() {
        let mut withdrawals = Withdrawals::default();
        withdrawals.doubt(name(), peer(1));
        let looks = std::iter::from_fn(|| withdrawals.take_doubted().pop()).count();
        assert_eq!(looks, usize::from(LOOKS));
    }
}
