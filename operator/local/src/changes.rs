//! Which Grapes came and went, from what the cluster's Grapes see of the DHT. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use grape_engine::Status;

/// A Grape that came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipChange {
    /// Its UDP address.
    pub address: SocketAddr,
    /// Which of the two.
    pub kind: Kind,
}

/// Whether a Grape came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is seen, by so many Grapes of the cluster.
    Joined {
        /// How many see it.
        seen_by: usize,
        /// How many could.
        of: usize,
    },
    /// No Grape of the cluster sees it any more.
    Lost,
}

/// Follows what the Grapes of a cluster see, one observation after the other.
#[derive(Debug, Clone, Default)]
pub struct Watcher {
    seen: BTreeMap<SocketAddr, Sighting>,
}

/// What has been seen and printed of one Grape.
#[derive(Debug, Clone, Copy)]
enum Sighting {
    /// Seen by so many, and not printed yet: the others see it soon.
    Arriving { seen_by: usize },
    /// Printed as joined.
    Here,
    /// Printed as joined, and not seen the last time, which may be a lost datagram.
    Missed,
}

impl Watcher {
    /// Begins with a cluster whose Grapes are here and need not be printed.
    pub fn new(here: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { seen: here.into_iter().map(|address| (address, Sighting::Here)).collect() }
    }

    /// What has changed since the last observation. A join is printed once the number of Grapes
    /// that see the newcomer stays the same, a loss when none has seen it twice in a row.
    pub fn observe(&mut self, own: &[SocketAddr], statuses: &[Status]) -> Vec<MembershipChange> {
        let counts = sightings(statuses);
        for address in counts.keys() {
            self.seen.entry(*address).or_insert(Sighting::Arriving { seen_by: 0 });
        }
        let mut changes = Vec::new();
        self.seen.retain(|&address, sighting| {
            let now = counts.get(&address).copied().unwrap_or(0);
            // A Grape does not see itself.
            let of = statuses.len() - usize::from(own.contains(&address) && !statuses.is_empty());
            match (*sighting, now) {
                (Sighting::Arriving { .. }, 0) => return false,
                (Sighting::Arriving { seen_by }, now) if now > seen_by && now < of => {
                    *sighting = Sighting::Arriving { seen_by: now };
                }
                (Sighting::Arriving { .. }, seen_by) => {
                    changes.push(MembershipChange { address, kind: Kind::Joined { seen_by, of } });
                    *sighting = Sighting::Here;
                }
                // A Grape without others is not seen, and cannot be lost.
                (_, 0) if of == 0 => {}
                (Sighting::Here, 0) => *sighting = Sighting::Missed,
                (Sighting::Missed, 0) => {
                    changes.push(MembershipChange { address, kind: Kind::Lost });
                    return false;
                }
                (Sighting::Here | Sighting::Missed, _) => *sighting = Sighting::Here,
            }
            true
        });
        changes
    }
}

/// How many Grapes see each address. One that leaves their queries unanswered is not seen.
fn sightings(statuses: &[Status]) -> BTreeMap<SocketAddr, usize> {
    let mut counts = BTreeMap::new();
    for neighbour in statuses.iter().flat_map(|status| &status.neighbours) {
        if !neighbour.suspect {
            *counts.entry(neighbour.address).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{address, status};

    const A: u16 = 20001;
    const B: u16 = 20002;
    const NEW: u16 = 20009;

    struct Cluster {
        watcher: Watcher,
    }

    impl Cluster {
        fn new() -> Self {
            Self { watcher: Watcher::new([address(A), address(B)]) }
        }

        /// A sees the Grapes of its list of ports, B those of its own. Returns what is printed.
        fn sees(&mut self, a: &[u16], b: &[u16]) -> Vec<String> {
            let changes = self.watcher.observe(&[address(A), address(B)], &[status(a), status(b)]);
            let text = |change: &MembershipChange| match change.kind {
                Kind::Joined { seen_by, of } => {
                    format!("+{} {seen_by}/{of}", change.address.port())
                }
                Kind::Lost => format!("-{}", change.address.port()),
            };
            changes.iter().map(text).collect()
        }
    }

    #[test]
    fn a_cluster_at_rest_prints_nothing() {
        let mut cluster = Cluster::new();
        assert!(cluster.sees(&[B], &[A]).is_empty());
        assert!(cluster.sees(&[B], &[A]).is_empty());
    }

    #[test]
    fn a_newcomer_that_all_see_is_printed_at_once_and_once() {
        let mut cluster = Cluster::new();
        assert_eq!(cluster.sees(&[B, NEW], &[A, NEW]), ["+20009 2/2"]);
        assert!(cluster.sees(&[B, NEW], &[A, NEW]).is_empty());
    }

    #[test]
    fn a_newcomer_that_some_see_is_printed_when_no_more_do() {
        let mut cluster = Cluster::new();
        assert!(cluster.sees(&[B, NEW], &[A]).is_empty());
        assert_eq!(cluster.sees(&[B, NEW], &[A]), ["+20009 1/2"]);
        assert!(cluster.sees(&[B, NEW], &[A, NEW]).is_empty());
    }

    #[test]
    fn a_newcomer_that_leaves_before_it_was_printed_is_not_printed() {
        let mut cluster = Cluster::new();
        assert!(cluster.sees(&[B, NEW], &[A]).is_empty());
        assert!(cluster.sees(&[B], &[A]).is_empty());
        assert!(cluster.sees(&[B], &[A]).is_empty());
    }

    #[test]
    fn a_loss_is_printed_when_no_grape_saw_it_twice_in_a_row() {
        let mut cluster = Cluster::new();
        cluster.sees(&[B, NEW], &[A, NEW]);
        assert!(cluster.sees(&[B], &[A, NEW]).is_empty());
        assert!(cluster.sees(&[B], &[A]).is_empty());
        assert_eq!(cluster.sees(&[B], &[A]), ["-20009"]);
        assert!(cluster.sees(&[B], &[A]).is_empty());
        assert_eq!(cluster.sees(&[B, NEW], &[A, NEW]), ["+20009 2/2"]);
    }

    #[test]
    fn one_missed_observation_is_no_loss() {
        let mut cluster = Cluster::new();
        cluster.sees(&[B, NEW], &[A, NEW]);
        assert!(cluster.sees(&[B], &[A]).is_empty());
        assert!(cluster.sees(&[B, NEW], &[A]).is_empty());
        assert!(cluster.sees(&[B], &[A]).is_empty());
    }

    #[test]
    fn a_grape_of_the_cluster_can_be_lost_and_come_back_too() {
        let mut cluster = Cluster::new();
        cluster.sees(&[], &[A]);
        assert_eq!(cluster.sees(&[], &[A]), ["-20002"]);
        assert_eq!(cluster.sees(&[B], &[A]), ["+20002 1/1"]);
    }

    #[test]
    fn a_suspect_is_not_seen() {
        let mut watcher = Watcher::new([address(NEW)]);
        let mut suspecting = status(&[NEW]);
        suspecting.neighbours[0].suspect = true;
        watcher.observe(&[], std::slice::from_ref(&suspecting));
        let changes = watcher.observe(&[], &[suspecting]);
        assert_eq!(changes, [MembershipChange { address: address(NEW), kind: Kind::Lost }]);
    }

    #[test]
    fn nothing_at_all_is_no_panic() {
        let mut watcher = Watcher::new([address(A)]);
        assert!(watcher.observe(&[address(A)], &[]).is_empty());
    }
}
