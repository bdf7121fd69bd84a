//! The nodes to which an announce was sent: which store it, and which may.

use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;

use crate::closest::Closest;
use crate::distance::target_of;
use crate::krpc::Contact;
use crate::routing::K;

/// Most nodes that are remembered: the closest of now, and those that were before.
const CAPACITY: usize = 4 * K;

#[derive(Debug)]
struct Holder {
    node: Closest,
    /// Until when it may store the announce.
    until: Instant,
    /// It is one of the closest, as of the last store that ended.
    closest: bool,
    /// It confirmed that store.
    confirmed: bool,
    /// It said that it dropped the announce, and was not sent it since.
    dropped: bool,
}

/// The nodes to which a withdrawal is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PossibleHolders {
    /// Nodes that may store the announce, with good tokens.
    pub(crate) known: Vec<Closest>,
    /// There are others, whose tokens are too old or which are not known: a lookup may find them.
    pub(crate) more: bool,
}

/// The nodes to which the announce was sent, the first first. A node that has left the routing
/// table may only be slow and still store the announce, so it stays among them.
#[derive(Debug, Default)]
pub(super) struct Holders {
    holders: Vec<Holder>,
}

impl Holders {
    /// A store begins: it is sent to these nodes, and expires at `until`.
    pub(super) fn store_began(&mut self, nodes: &[Closest], until: Instant, now: Instant) {
        self.holders.retain(|holder| holder.closest || holder.until > now);
        for node in nodes {
            match self.holders.iter_mut().find(|holder| holder.node.contact == node.contact) {
                Some(holder) => {
                    if node.token_since > holder.node.token_since {
                        holder.node = node.clone();
                    }
                    holder.until = holder.until.max(until);
                    holder.dropped = false;
                }
                None => self.holders.push(Holder {
                    node: node.clone(),
                    until,
                    closest: false,
                    confirmed: false,
                    dropped: false,
                }),
            }
        }
        while self.holders.len() > CAPACITY {
            let former = self.holders.iter().position(|holder| !holder.closest);
            self.holders.remove(former.unwrap_or_default());
        }
    }

    /// A store ended, or goes on with the rest: these nodes are the closest, and some have confirmed
    /// so far.
    pub(super) fn stored(&mut self, nodes: &[Closest], confirmed: &[SocketAddr]) {
        for holder in &mut self.holders {
            let contact = holder.node.contact;
            holder.closest = nodes.iter().any(|node| node.contact == contact);
            holder.confirmed = confirmed.contains(&contact.addr);
        }
    }

    /// How many nodes hold it: one with an IPv4 and an IPv6 address is one node.
    pub(super) fn count(&self) -> usize {
        count(self.holding().map(|holder| holder.node.contact.id))
    }

    fn closest(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(|holder| holder.closest)
    }

    fn holding(&self) -> impl Iterator<Item = &Holder> {
        self.closest().filter(|holder| holder.confirmed)
    }

    /// The closest nodes with their tokens, where all of them confirmed the last store, so that the
    /// next needs no lookup. Their tokens are still good when this store expires.
    pub(super) fn to_store(&self, until: Instant) -> Option<Vec<Closest>> {
        let good = |holder: &Holder| holder.confirmed && holder.node.has_good_token(until);
        let known = self.closest().next().is_some() && self.closest().all(good);
        known.then(|| self.closest().map(|holder| holder.node.clone()).collect())
    }

    /// All nodes that may store it, whether they confirmed or not: their confirmation may have been
    /// lost.
    pub(super) fn to_withdraw(&self, now: Instant) -> PossibleHolders {
        let (good, old): (Vec<_>, Vec<_>) = self
            .holders
            .iter()
            .filter(|holder| holder.until > now)
            .partition(|holder| holder.node.has_good_token(now));
        let known: Vec<_> = good.into_iter().map(|holder| holder.node.clone()).collect();
        PossibleHolders { more: known.is_empty() || !old.is_empty(), known }
    }

    /// A node says that it dropped the announce. Returns whether it is to have it again.
    pub(super) fn dropped_by(&mut self, node: &Contact, now: Instant) -> bool {
        let holder = self.holders.iter_mut().find(|holder| holder.node.contact == *node);
        let holder = holder.filter(|holder| holder.node.has_good_token(now));
        holder.map(|holder| holder.dropped = true).is_some()
    }

    /// The nodes that dropped the announce and are not sent it yet.
    pub(super) fn without(&self) -> impl Iterator<Item = &Closest> {
        self.holders.iter().filter(|holder| holder.dropped).map(|holder| &holder.node)
    }

    /// Whether the announce was sent to this node.
    pub(super) fn has(&self, node: &Contact) -> bool {
        self.holders.iter().any(|holder| holder.node.contact == *node)
    }

    /// Whether a node belongs to the k closest to a name, and may not know.
    pub(super) fn lack(&self, node: &Contact, name: &[u8]) -> bool {
        if self.has(node) {
            // It came back, perhaps with nothing in its memory.
            return true;
        }
        let contacts = self.holding().map(|holder| holder.node.contact);
        let family = contacts.filter(|contact| contact.addr.is_ipv6() == node.addr.is_ipv6());
        let distances: Vec<Id> = family.map(|contact| contact.id.xor(&target_of(name))).collect();
        distances.len() < K
            || distances.iter().max().is_some_and(|far| node.id.xor(&target_of(name)) < *far)
    }

    /// A node left the table. Returns whether its place is to be filled: below k holders everybody
    /// holds it who can.
    pub(super) fn left(&mut self, node: &Contact) -> bool {
        let before = self.holding().count();
        for holder in self.holders.iter_mut().filter(|holder| holder.node.contact == *node) {
            holder.closest = false;
        }
        before > self.holding().count() && before >= K
    }
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
    use std::time::Duration;

    use super::*;
    use crate::closest::TOKENS_LAST;

    const AGE: Duration = Duration::from_secs(120);

    fn node(n: u8, token_since: Instant) -> Closest {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        let contact = Contact { id: Id::from([n; 20]), addr };
        Closest { contact, token: Box::from(b"t".as_slice()), token_since }
    }

    fn addrs(nodes: &[Closest]) -> Vec<SocketAddr> {
        nodes.iter().map(|node| node.contact.addr).collect()
    }

    #[test]
    fn tokens_serve_again_until_they_are_old_or_somebody_did_not_confirm() {
        let start = crate::clock::now();
        let mut holders = Holders::default();
        assert_eq!(holders.to_store(start + AGE), None, "no node has it");
        let nodes = [node(1, start), node(2, start)];
        holders.store_began(&nodes, start + AGE, start);
        holders.stored(&nodes, &addrs(&nodes[..1]));
        assert_eq!((holders.count(), holders.to_store(start + AGE)), (1, None));
        holders.stored(&nodes, &addrs(&nodes));
        let last = start + TOKENS_LAST - Duration::from_secs(1);
        assert_eq!(holders.to_store(last), Some(nodes.to_vec()));
        holders.store_began(&nodes, last, last - AGE);
        assert_eq!(holders.to_store(start + TOKENS_LAST), None, "the tokens are the old ones");
        let all = PossibleHolders { known: nodes.to_vec(), more: false };
        assert_eq!(holders.to_withdraw(last - AGE), all, "every node that may store it is known");
        let anew = nodes.map(|node| Closest { token_since: last, ..node });
        holders.store_began(&anew, last + AGE, last);
        assert_eq!(holders.to_store(last + AGE), Some(anew.to_vec()));
        let nobody = PossibleHolders { known: Vec::new(), more: true };
        assert_eq!(holders.to_withdraw(last + AGE), nobody);
    }

    #[test]
    fn a_withdrawal_goes_to_all_that_may_store_the_announce() {
        let start = crate::clock::now();
        let mut holders = Holders::default();
        let node = |n| node(n, start);
        holders.store_began(&[node(1), node(2)], start + AGE, start);
        let all = |holders: &Holders, now| addrs(&holders.to_withdraw(now).known);
        assert_eq!(all(&holders, start), addrs(&[node(1), node(2)]), "the store is under way");
        holders.stored(&[node(1), node(2)], &addrs(&[node(1)]));
        let second = start + AGE / 2;
        holders.store_began(&[node(2), node(3)], second + AGE, second);
        holders.stored(&[node(2), node(3)], &[]);
        holders.left(&node(3).contact);
        assert_eq!(all(&holders, second), addrs(&[node(1), node(2), node(3)]));
        let later = start + AGE;
        assert_eq!(
            all(&holders, later),
            addrs(&[node(2), node(3)]),
            "the first believes it no more"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let now = crate::clock::now();
        let mut holders = Holders::default();
        let node = |n| node(n, now);
        holders.store_began(&[node(250)], now + AGE, now);
        holders.stored(&[node(250)], &[]);
        for n in 0..250 {
            holders.store_began(&[node(n)], now + AGE, now);
        }
        assert_eq!(holders.holders.len(), CAPACITY);
        assert!(holders.has(&node(249).contact) && !holders.has(&node(0).contact));
        assert!(holders.has(&node(250).contact), "it is one of the closest");
    }
}
