//! Kademlia's routing table: buckets of nodes that have answered, by their distance from our own
//! id.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use crate::distance::Distance;
use crate::diversity::{Diversity, Tally};
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

impl Bucket {
    fn tally(&self, diversity: &Diversity) -> Tally {
        let mut tally = Tally::new(diversity.clone());
        self.nodes.iter().for_each(|node| tally.add(&node.contact));
        tally
    }

    /// Whether a node may be here that is not yet. An id stays with its address, lest a stranger's claim
    /// moves it away; the stranger may be right, and has a place beside the first, on another host.
    fn admits(&self, contact: &Contact, diversity: &Diversity) -> bool {
        let mut claimants = self.nodes.iter().filter(|node| node.contact.id == contact.id);
        let first = claimants.next().map(|node| node.contact.addr.ip());
        let claims = first != Some(contact.addr.ip()) && claimants.next().is_none();
        claims && (!diversity.is_strict() || self.tally(diversity).has_place(contact))
    }

    /// The nodes that have no place beside those before them.
    fn beyond<'a>(&'a self, diversity: &Diversity) -> impl Iterator<Item = &'a Node> + use<'a> {
        let mut tally = Tally::new(diversity.clone());
        self.nodes.iter().filter(move |node| !tally.take(&node.contact))
    }
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
    /// Its bucket has as many nodes of its address, its network, or its id, as it may have.
    Crowded,
}

/// The nodes of one address family.
#[derive(Debug)]
pub(super) struct Table {
    own: Id,
    diversity: Diversity,
    /// Bucket `i` holds the nodes that share `i` leading bits with our own id.
    buckets: Vec<Bucket>,
    len: usize,
}

impl Table {
    pub(super) fn new(own: Id, diversity: Diversity) -> Self {
        Self { own, diversity, buckets: Vec::new(), len: 0 }
    }

    pub(super) fn own(&self) -> &Id {
        &self.own
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn diversity(&self) -> &Diversity {
        &self.diversity
    }

    /// From now on, nodes beyond the most of their address or network have a place, or have none. Returns
    /// those that lose theirs.
    pub(super) fn set_strict(&mut self, strict: bool) -> Vec<Contact> {
        self.diversity.set_strict(strict);
        let beyond = self.buckets.iter().filter(|_| strict).flat_map(|b| b.beyond(&self.diversity));
        beyond.map(|node| node.contact).collect()
    }

    /// The node that makes room for this one: the bucket is full, and has too many of its address.
    pub(super) fn makes_room_for(&self, contact: &Contact) -> Option<Contact> {
        let bucket = self.buckets.get(self.index(&contact.id))?;
        let is_known = || bucket.nodes.iter().any(|node| node.contact == *contact);
        if bucket.nodes.len() < K || is_known() || !bucket.admits(contact, &self.diversity) {
            return None;
        }
        let beyond = bucket.beyond(&self.diversity).last()?;
        let has_place = bucket.tally(&self.diversity).has_place(contact);
        has_place.then_some(beyond.contact)
    }

    fn index(&self, id: &Id) -> usize {
        usize::from(self.own.xor(id).leading_zeros())
    }

    /// This node answered: it enters where there is a place. `ours` says that it is a Grape of our
    /// kind. Whoever makes room for it was taken out.
    pub(super) fn heard(&mut self, contact: Contact, ours: bool, now: Instant) -> Heard {
        let heard = self.asked_by(contact, ours, now);
        let index = self.index(&contact.id);
        let nodes = &mut self.buckets[index].nodes;
        if heard == Heard::New && nodes.len() < K {
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
        if let Some(node) = bucket.nodes.iter_mut().find(|node| node.contact == contact) {
            node.heard = now;
            node.ours = ours;
            return Heard::Known;
        }
        if !bucket.admits(&contact, &self.diversity) {
            return Heard::Crowded;
        }
        if bucket.nodes.len() < K || self.makes_room_for(&contact).is_some() {
            return Heard::New;
        }
        let bucket = &mut self.buckets[index];
        bucket.replacement_cache.retain(|replacement| *replacement != contact);
        if bucket.replacement_cache.len() == REPLACEMENTS {
            bucket.replacement_cache.remove(0);
        }
        bucket.replacement_cache.push(contact);
        Heard::Full
    }

    /// Whether this node could enter: it is not there, and its bucket has a place for it.
    pub(super) fn has_place_for(&self, contact: &Contact) -> bool {
        let Some(bucket) = self.buckets.get(self.index(&contact.id)) else { return true };
        let has_room = bucket.nodes.len() < K && bucket.admits(contact, &self.diversity);
        has_room && self.node(contact).is_none()
    }

    /// An answer came after this time.
    pub(super) fn measured(&mut self, contact: &Contact, round_trip: Duration) {
        let index = self.index(&contact.id);
        let nodes = self.buckets.get_mut(index).map(|bucket| &mut bucket.nodes);
        if let Some(node) = nodes.and_then(|n| n.iter_mut().find(|n| n.contact == *contact)) {
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

    pub(super) fn node(&self, contact: &Contact) -> Option<&Node> {
        self.buckets.get(self.index(&contact.id))?.nodes.iter().find(|n| n.contact == *contact)
    }

    /// A node of this id, of which there may be two at different addresses.
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

    /// The nodes closest to a target, closest first, but for those left out. Those beyond the most of
    /// their address or network take no other's place.
    pub(super) fn closest(
        &self,
        target: &Id,
        count: usize,
        leave_out: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<Contact> {
        let tally = Tally::new(self.diversity.clone());
        let nearest = self.nearest(target, count, &leave_out);
        let mut all = tally.clone();
        if nearest.iter().all(|contact| all.take(contact)) {
            return nearest;
        }
        let mut chosen = tally;
        let nearest = self.nearest(target, usize::MAX, &leave_out).into_iter();
        let (mut closest, mut beyond): (Vec<_>, Vec<_>) =
            nearest.partition(|contact| chosen.take(contact));
        closest.truncate(count);
        if !self.diversity.is_strict() {
            beyond.truncate(count - closest.len());
            closest.append(&mut beyond);
            closest.sort_unstable_by_key(|contact| Distance::new(&contact.id, target));
        }
        closest
    }

    fn nearest(
        &self,
        target: &Id,
        count: usize,
        leave_out: &impl Fn(&SocketAddr) -> bool,
    ) -> Vec<Contact> {
        // The target's own bucket is nearer to it than any other; then come the deeper ones, all
        // alike; then the shallower, one after the other.
        let buckets = self.buckets.len();
        let own = self.index(target).min(buckets);
        let deeper = (own + 1).min(buckets);
        let shallower = (0..own).rev().map(|bucket| bucket..bucket + 1);
        let mut contacts: Vec<(Distance, Contact)> = Vec::with_capacity(count.min(self.len) + K);
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
mod tests;
