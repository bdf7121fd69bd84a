//! Kademlia's routing table: buckets of nodes that have answered, by their distance from our own
//! id.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use crate::distance::Distance;
use crate::krpc::Contact;
use crate::rpc::RoundTrip;

/// Nodes in a bucket, and in an answer (k of Kademlia, as in the Node.js Grape).
pub(crate) const K: usize = 20;
/// Nodes that wait for a place in a full bucket: Kademlia's replacement cache.
const REPLACEMENTS: usize = 4;

/// A node that has answered.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) contact: Contact,
    pub(crate) heard: Instant,
    pub(crate) round_trip: Option<RoundTrip>,
    /// It is a Grape of our kind, and knows our extensions.
    pub(crate) ours: bool,
    /// The write token that it gave last, and when.
    pub(crate) token: Option<(Box<[u8]>, Instant)>,
}

#[derive(Debug, Default)]
struct Bucket {
    nodes: Vec<Node>,
    /// The most recently seen is last.
    replacement_cache: Vec<Contact>,
}

/// What came of hearing a node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was not in the table, and there is a place for it.
    New,
    /// It was there.
    Known,
    /// Its bucket is full: it waits for a place.
    Full,
}

/// The nodes of one address family.
#[derive(Debug)]
pub(super) struct Table {
    own: Id,
    /// Bucket `i` holds the nodes that share `i` leading bits with our own id.
    buckets: Vec<Bucket>,
    len: usize,
}

impl Table {
    pub(super) fn new(own: Id) -> Self {
        Self { own, buckets: Vec::new(), len: 0 }
    }

    pub(super) fn own(&self) -> &Id {
        &self.own
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn index(&self, id: &Id) -> usize {
        usize::from(self.own.xor(id).leading_zeros())
    }

    /// This node answered: it enters where there is a place. `ours` says that it is a Grape of our
    /// kind.
    pub(super) fn heard(&mut self, contact: Contact, ours: bool, now: Instant) -> Heard {
        let heard = self.asked_by(contact, ours, now);
        if heard == Heard::New {
            let index = self.index(&contact.id);
            let nodes = &mut self.buckets[index].nodes;
            if nodes.len() == nodes.capacity() {
                // Doubled, but with room for no more than there will ever be.
                nodes.reserve_exact(nodes.len().max(4).min(K - nodes.len()));
            }
            nodes.push(Node { contact, heard: now, round_trip: None, ours, token: None });
            self.len += 1;
        }
        heard
    }

    /// A query came in this node's name, which anyone can use: it enters only once it has answered.
    pub(super) fn asked_by(&mut self, contact: Contact, ours: bool, now: Instant) -> Heard {
        let index = self.index(&contact.id);
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Bucket::default);
        }
        let bucket = &mut self.buckets[index];
        if let Some(node) = bucket.nodes.iter_mut().find(|node| node.contact.id == contact.id) {
            // An id stays with its address, lest a stranger's claim moves it away.
            if node.contact.addr == contact.addr {
                node.heard = now;
                node.ours = ours;
            }
            return Heard::Known;
        }
        if bucket.nodes.len() < K {
            return Heard::New;
        }
        bucket.replacement_cache.retain(|replacement| replacement.id != contact.id);
        if bucket.replacement_cache.len() == REPLACEMENTS {
            bucket.replacement_cache.remove(0);
        }
        bucket.replacement_cache.push(contact);
        Heard::Full
    }

    /// Whether a node of this id could enter: it is not there, and its bucket is not full.
    pub(super) fn has_place_for(&self, id: &Id) -> bool {
        let bucket = self.buckets.get(self.index(id));
        bucket.is_none_or(|bucket| bucket.nodes.len() < K) && self.get(id).is_none()
    }

    /// An answer came after this time.
    pub(super) fn measured(&mut self, id: &Id, round_trip: Duration) {
        let index = self.index(id);
        let nodes = self.buckets.get_mut(index).map(|bucket| &mut bucket.nodes);
        if let Some(node) = nodes.and_then(|n| n.iter_mut().find(|node| node.contact.id == *id)) {
            node.round_trip = Some(RoundTrip::measure(node.round_trip, round_trip));
        }
    }

    /// A node gave a write token, or refused the one that it gave.
    pub(super) fn gave_token(&mut self, contact: &Contact, token: Option<&[u8]>, now: Instant) {
        let index = self.index(&contact.id);
        let nodes = self.buckets.get_mut(index).map(|bucket| &mut bucket.nodes);
        if let Some(node) = nodes.and_then(|n| n.iter_mut().find(|n| n.contact == *contact)) {
            node.token = token.map(|token| (token.into(), now));
        }
    }

    /// The write tokens that nodes gave are good no more.
    pub(super) fn forget_tokens(&mut self) {
        for node in self.buckets.iter_mut().flat_map(|bucket| &mut bucket.nodes) {
            node.token = None;
        }
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Node> {
        self.buckets.get(self.index(id))?.nodes.iter().find(|node| node.contact.id == *id)
    }

    /// Takes a node out. Returns the newcomer that waited for its place, to be asked.
    pub(super) fn remove(&mut self, contact: &Contact) -> Removed {
        let index = self.index(&contact.id);
        let Some(bucket) = self.buckets.get_mut(index) else { return Removed::default() };
        let before = bucket.nodes.len();
        bucket.nodes.retain(|node| node.contact != *contact);
        bucket.replacement_cache.retain(|replacement| replacement != contact);
        let removed = bucket.nodes.len() < before;
        self.len -= usize::from(removed);
        Removed {
            removed,
            replacement: if removed { bucket.replacement_cache.pop() } else { None },
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The nodes that share just `index` leading bits with our own id.
    pub(super) fn bucket(&self, index: usize) -> impl Iterator<Item = &Node> {
        self.buckets.get(index).into_iter().flat_map(|bucket| &bucket.nodes)
    }

    pub(super) fn node_at(&self, addr: &SocketAddr) -> Option<&Node> {
        self.nodes().find(|node| node.contact.addr == *addr)
    }

    /// The nodes closest to a target, closest first, but for those left out.
    pub(super) fn closest(
        &self,
        target: &Id,
        count: usize,
        leave_out: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<Contact> {
        // The target's own bucket is nearer to it than any other; then come the deeper ones, all
        // alike; then the shallower, one after the other.
        let buckets = self.buckets.len();
        let own = self.index(target).min(buckets);
        let deeper = (own + 1).min(buckets);
        let shallower = (0..own).rev().map(|bucket| bucket..bucket + 1);
        let mut contacts: Vec<(Distance, Contact)> = Vec::with_capacity(count + K);
        for group in [own..deeper, deeper..buckets].into_iter().chain(shallower) {
            if contacts.len() >= count {
                break;
            }
            let nodes = self.buckets[group].iter().flat_map(|bucket| &bucket.nodes);
            let fit = nodes.map(|node| node.contact).filter(|contact| !leave_out(&contact.addr));
            contacts.extend(fit.map(|contact| (Distance::new(&contact.id, target), contact)));
        }
        let distance = |(distance, _): &(Distance, Contact)| *distance;
        if contacts.len() > count {
            contacts.select_nth_unstable_by_key(count, distance);
            contacts.truncate(count);
        }
        contacts.sort_unstable_by_key(distance);
        contacts.into_iter().map(|(_, contact)| contact).collect()
    }

    /// How many leading bits the closest node shares with us: how deep the table goes.
    pub(super) fn depth(&self) -> usize {
        self.buckets.iter().rposition(|bucket| !bucket.nodes.is_empty()).unwrap_or(0)
    }
}

/// What came of taking a node out.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Whether it was there.
    pub(crate) removed: bool,
    /// A newcomer that waited for the place.
    pub(crate) replacement: Option<Contact>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first: u8, last: u8) -> Contact {
        let mut id = [0; 20];
        (id[0], id[19]) = (first, last);
        let addr = SocketAddr::from(([10, 0, first, last], 1));
        Contact { id: Id::from(id), addr }
    }

    #[test]
    fn a_node_that_only_asks_is_not_in_the_table() {
        let now = crate::clock::now();
        let mut table = Table::new(Id::from([0xff; 20]));
        assert_eq!(table.asked_by(contact(1, 1), true, now), Heard::New);
        assert_eq!((table.len(), table.nodes().count()), (0, 0));
        assert_eq!(table.heard(contact(1, 1), true, now), Heard::New);
        assert_eq!(table.asked_by(contact(1, 1), true, now), Heard::Known);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn closest_first_by_xor() {
        let now = crate::clock::now();
        let mut table = Table::new(Id::from([0xff; 20]));
        for i in 30..50 {
            table.heard(contact(i, i), false, now);
        }
        let target = contact(33, 0).id;
        let closest: Vec<_> =
            table.closest(&target, 3, |_| false).iter().map(|c| c.id.as_bytes()[0]).collect();
        assert_eq!(closest, [33, 32, 35]);
        let all = table.closest(&target, 100, |_| false);
        assert!(all.is_sorted_by_key(|c| c.id.xor(&target)));
        assert_eq!(all.len(), table.len());
    }

    #[test]
    fn no_nearer_one_is_passed_over() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let now = crate::clock::now();
        for nodes in [0, 1, 19, 20, 60, 1000] {
            let own = Id::from(rng.random::<[u8; 20]>());
            let mut table = Table::new(own);
            for n in 0..nodes {
                // Some share many leading bits with us, as in a large network.
                let mut id: [u8; 20] = rng.random();
                let shared = n % 4;
                id[..shared].copy_from_slice(&own.as_bytes()[..shared]);
                table.heard(Contact { id: Id::from(id), ..contact(0, 0) }, false, now);
            }
            for n in 0..50 {
                let mut target: [u8; 20] = rng.random();
                let shared = n % 5;
                target[..shared].copy_from_slice(&own.as_bytes()[..shared]);
                let target = if n == 49 { own } else { Id::from(target) };
                let mut all: Vec<Contact> = table.nodes().map(|node| node.contact).collect();
                all.sort_by_key(|contact| contact.id.xor(&target));
                all.truncate(K);
                assert_eq!(table.closest(&target, K, |_| false), all);
            }
        }
    }

    #[test]
    fn a_full_bucket_keeps_its_nodes_and_caches_replacements() {
        let now = crate::clock::now();
        let mut table = Table::new(Id::from([0xff; 20]));
        for i in 0..20 {
            assert_eq!(table.heard(contact(0, i), false, now), Heard::New);
        }
        assert_eq!(table.heard(contact(0, 99), false, now), Heard::Full);
        assert_eq!(table.len(), 20);
        assert_eq!(table.buckets[0].nodes.capacity(), K);
        let removed = table.remove(&contact(0, 0));
        assert_eq!((removed.removed, removed.replacement), (true, Some(contact(0, 99))));
        assert_eq!(table.len(), 19);
    }

    #[test]
    fn an_id_does_not_move_to_a_stranger() {
        let now = crate::clock::now();
        let mut table = Table::new(Id::from([0xff; 20]));
        table.heard(contact(1, 1), false, now);
        let stranger = Contact { addr: SocketAddr::from(([6, 6, 6, 6], 6)), ..contact(1, 1) };
        assert_eq!(table.heard(stranger, false, now), Heard::Known);
        assert_eq!(table.get(&stranger.id).unwrap().contact, contact(1, 1));
        assert!(!table.remove(&stranger).removed);
    }
}
