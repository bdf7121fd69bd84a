//! The nodes that were told of an announce: which hold it, and which may.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use super::distance::point;
use super::routing::K;
use super::walk::Closest;
use crate::krpc::Contact;

/// A token is used for this long without asking for a new one: nodes believe theirs for five
/// minutes at least.
pub(super) const TOKENS_LAST: Duration = Duration::from_secs(240);
/// Most that are remembered: the closest of now, and those that were before.
const CAPACITY: usize = 4 * K;

#[derive(Debug)]
struct Told {
    node: Closest,
    token_since: Instant,
    /// Until when it may believe the announce.
    until: Instant,
    /// It confirmed.
    confirmed: bool,
}

/// The nodes that were told.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// The closest, as of the last store.
    closest: Vec<Told>,
    /// Those that were the closest before.
    former: Vec<Told>,
}

impl Holders {
    /// A store told these nodes to believe it until then; some have confirmed so far.
    pub(super) fn stored(
        &mut self,
        nodes: &[Closest],
        confirmed: &[SocketAddr],
        until: Instant,
        now: Instant,
    ) {
        let before = std::mem::take(&mut self.closest);
        let told = nodes.iter().map(|node| {
            let known = before.iter().find(|told| told.node == *node);
            Told {
                node: node.clone(),
                token_since: known.map_or(now, |known| known.token_since),
                until,
                confirmed: confirmed.contains(&node.contact.addr),
            }
        });
        self.closest = told.collect();
        let closest = &self.closest;
        self.former.extend(before);
        self.former.retain(|former| {
            let contact = former.node.contact;
            former.until > now && !closest.iter().any(|told| told.node.contact == contact)
        });
        let surplus = (self.closest.len() + self.former.len()).saturating_sub(CAPACITY);
        self.former.drain(..surplus.min(self.former.len()));
    }

    /// How many nodes hold it: one with an IPv4 and an IPv6 address is one node.
    pub(super) fn count(&self) -> usize {
        count(self.holding().map(|told| told.node.contact.id))
    }

    fn holding(&self) -> impl Iterator<Item = &Told> {
        self.closest.iter().filter(|told| told.confirmed)
    }

    /// The closest nodes with their tokens, where all of them confirmed the last store, so that
    /// the next needs no walk.
    pub(super) fn to_store(&self, now: Instant) -> Option<Vec<Closest>> {
        let good = |told: &Told| told.confirmed && has_token(told, now);
        let known = !self.closest.is_empty() && self.closest.iter().all(good);
        known.then(|| self.closest.iter().map(|told| told.node.clone()).collect())
    }

    /// All nodes that may believe it, where the tokens of the closest are good; whether they
    /// confirmed or not, since it may have been their word that was lost.
    pub(super) fn to_withdraw(&self, now: Instant) -> Option<Vec<Closest>> {
        let known =
            !self.closest.is_empty() && self.closest.iter().all(|told| has_token(told, now));
        let former = self.former.iter().filter(|told| told.until > now && has_token(told, now));
        known.then(|| self.closest.iter().chain(former).map(|told| told.node.clone()).collect())
    }

    /// Whether this node was told.
    pub(super) fn has(&self, node: &Contact) -> bool {
        self.closest.iter().chain(&self.former).any(|told| told.node.contact == *node)
    }

    /// Whether a node belongs to the k closest to a name, and may not know.
    pub(super) fn lack(&self, node: &Contact, name: &[u8]) -> bool {
        if self.has(node) {
            // It came back, perhaps with nothing in its memory.
            return true;
        }
        let contacts = self.holding().map(|told| told.node.contact);
        let family = contacts.filter(|contact| contact.addr.is_ipv6() == node.addr.is_ipv6());
        let distances: Vec<Id> = family.map(|contact| contact.id.xor(&point(name))).collect();
        distances.len() < K
            || distances.iter().max().is_some_and(|far| node.id.xor(&point(name)) < *far)
    }

    /// A node is gone. Returns whether its place is to be filled: below k holders everybody holds
    /// it who can.
    pub(super) fn left(&mut self, node: &Contact) -> bool {
        let before = self.holding().count();
        self.closest.retain(|told| told.node.contact != *node);
        self.former.retain(|told| told.node.contact != *node);
        before > self.holding().count() && before >= K
    }
}

fn has_token(told: &Told, now: Instant) -> bool {
    now.duration_since(told.token_since) < TOKENS_LAST
}

/// How many different nodes these are.
pub(super) fn count(ids: impl Iterator<Item = Id>) -> usize {
    let mut ids: Vec<Id> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(120);

    fn node(n: u8) -> Closest {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        Closest {
            contact: Contact { id: Id::from([n; 20]), addr },
            token: Box::from(b"t".as_slice()),
        }
    }

    fn addrs(nodes: &[Closest]) -> Vec<SocketAddr> {
        nodes.iter().map(|node| node.contact.addr).collect()
    }

    #[test]
    fn tokens_serve_again_until_they_are_old_or_somebody_did_not_confirm() {
        let start = crate::clock::now();
        let mut holders = Holders::default();
        assert_eq!(holders.to_store(start), None, "nobody was told");
        let nodes = [node(1), node(2)];
        holders.stored(&nodes, &addrs(&nodes[..1]), start + AGE, start);
        assert_eq!((holders.count(), holders.to_store(start)), (1, None));
        holders.stored(&nodes, &addrs(&nodes), start + AGE, start);
        let later = start + TOKENS_LAST - Duration::from_secs(1);
        assert_eq!(holders.to_store(later), Some(nodes.to_vec()));
        holders.stored(&nodes, &addrs(&nodes), later + AGE, later);
        assert_eq!(holders.to_store(start + TOKENS_LAST), None, "the tokens are the old ones");
        assert_eq!(holders.to_withdraw(start + TOKENS_LAST), None);
    }

    #[test]
    fn all_that_may_believe_it_hear_of_its_end() {
        let start = crate::clock::now();
        let mut holders = Holders::default();
        holders.stored(&[node(1), node(2)], &addrs(&[node(1)]), start + AGE, start);
        let second = start + AGE / 2;
        holders.stored(&[node(2), node(3)], &[], second + AGE, second);
        let told = |now| addrs(&holders.to_withdraw(now).unwrap());
        assert_eq!(told(second), addrs(&[node(2), node(3), node(1)]));
        assert_eq!(told(start + AGE), addrs(&[node(2), node(3)]), "the first believes it no more");
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut holders = Holders::default();
        for n in 0..250 {
            holders.stored(&[node(n)], &[], now + AGE, now);
        }
        assert_eq!(holders.former.len() + holders.closest.len(), CAPACITY);
        assert!(holders.has(&node(249).contact) && !holders.has(&node(0).contact));
    }
}
