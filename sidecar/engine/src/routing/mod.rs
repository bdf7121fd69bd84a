//! Which other nodes there are, of each address family, and which of them were silent lately.
//!
//! | file | concern |
//! |---|---|
//! | `table.rs` | Kademlia's routing table, with its replacement cache |
//! | `suspects.rs` | addresses that left a query unanswered |

mod suspects;
mod table;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use crate::closest::{Closest, is_good_token};
use crate::diversity::Diversity;
use crate::krpc::Contact;

use suspects::Suspects;
pub(crate) use suspects::Verdict;
use table::Table;
pub(crate) use table::{Heard, K, Node, Removed};

/// No node is asked more often than this whether it is there …
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// … and each further node adds this, so that the rate of questions is the same however many
/// nodes there are.
const KEEP_ALIVE_EACH: Duration = Duration::from_millis(500);

/// After a node found others, it looks itself up once more: nodes that joined at the same moment
/// are returned by no node before they have answered. It also does so after it found a node at an
/// address of a seed or an introduction, however many nodes it knows by then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The nodes that are known.
#[derive(Debug)]
pub(crate) struct Routing {
    v4: Table,
    v6: Table,
    suspects: Suspects,
    node_liveness: Duration,
    refreshed: Instant,
    /// When the node looks once more who is there, after it found the others.
    looks_again: Option<Instant>,
}

/// What is to be looked up, so that the table follows the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refresh {
    /// Our own id, after somebody was found.
    pub(crate) own: bool,
    /// Our own id, and a random one.
    pub(crate) whole: bool,
}

impl Routing {
    /// An empty table. `node_liveness` is how often it is refreshed.
    pub(crate) fn new(
        own: Id,
        node_liveness: Duration,
        diversity: Diversity,
        now: Instant,
    ) -> Self {
        Self {
            v4: Table::new(own, diversity.clone()),
            v6: Table::new(own, diversity),
            suspects: Suspects::new(),
            node_liveness,
            refreshed: now,
            looks_again: None,
        }
    }

    fn table(&self, ipv6: bool) -> &Table {
        if ipv6 { &self.v6 } else { &self.v4 }
    }

    fn table_mut(&mut self, addr: &SocketAddr) -> &mut Table {
        if addr.is_ipv6() { &mut self.v6 } else { &mut self.v4 }
    }

    pub(crate) fn own_id(&self) -> &Id {
        self.v4.own()
    }

    /// How many nodes are known. One with an IPv4 and an IPv6 address counts twice.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes of an address family are known.
    pub(crate) fn len_of(&self, ipv6: bool) -> usize {
        self.table(ipv6).len()
    }

    pub(crate) fn has_both_families(&self) -> bool {
        self.v4.len() > 0 && self.v6.len() > 0
    }

    /// How many leading bits the closest node shares with us: how deep the tables go.
    pub(crate) fn depth(&self) -> usize {
        self.v4.depth().max(self.v6.depth())
    }

    /// How many buckets an address family has.
    pub(crate) fn buckets(&self, ipv6: bool) -> usize {
        self.table(ipv6).buckets()
    }

    /// The nodes of an address family that share just `index` leading bits with our own id.
    pub(crate) fn bucket(&self, ipv6: bool, index: usize) -> impl Iterator<Item = &Node> {
        self.table(ipv6).bucket(index)
    }

    /// All nodes, those of IPv4 first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.v4.nodes().chain(self.v6.nodes())
    }

    pub(crate) fn nodes_of(&self, ipv6: bool) -> impl Iterator<Item = &Node> {
        self.table(ipv6).nodes()
    }

    /// The node of this id, of an address family.
    pub(crate) fn get(&self, id: &Id, ipv6: bool) -> Option<&Node> {
        self.table(ipv6).get(id)
    }

    pub(crate) fn node_at(&self, addr: &SocketAddr) -> Option<&Node> {
        self.table(addr.is_ipv6()).node_at(addr)
    }

    /// What is known of this node, by this id and at this address.
    pub(crate) fn node(&self, contact: &Contact) -> Option<&Node> {
        self.table(contact.addr.is_ipv6()).node(contact)
    }

    /// Whether this node is known, by this id and at this address.
    pub(crate) fn has(&self, contact: &Contact) -> bool {
        self.node(contact).is_some()
    }

    /// Whether a node of this id could enter: it is not there, and its bucket is not full.
    pub(crate) fn has_place_for(&self, contact: &Contact) -> bool {
        self.table(contact.addr.is_ipv6()).has_place_for(contact)
    }

    /// Whether a node of this host is known.
    pub(crate) fn has_host(&self, ip: IpAddr) -> bool {
        self.nodes().any(|node| node.contact.addr.ip() == ip)
    }

    /// How many nodes of one address, and of one network, count.
    pub(crate) fn diversity(&self) -> &Diversity {
        self.v4.diversity()
    }

    /// From now on, nodes beyond the most of their address or network have a place, or have none. Returns
    /// those that lose theirs.
    pub(crate) fn set_strict(&mut self, strict: bool) -> Vec<Contact> {
        let mut beyond = self.v4.set_strict(strict);
        beyond.extend(self.v6.set_strict(strict));
        beyond
    }

    /// The node that makes room for this one: the bucket is full, and has too many of its address.
    pub(crate) fn makes_room_for(&self, contact: &Contact) -> Option<Contact> {
        self.table(contact.addr.is_ipv6()).makes_room_for(contact)
    }

    /// The nodes of an address family that are closest to a target, closest first, but for those
    /// left out. Of one address, or network, are no more than [`Diversity`] allows while there are
    /// others.
    pub(crate) fn closest(
        &self,
        ipv6: bool,
        target: &Id,
        count: usize,
        leave_out: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<Contact> {
        self.table(ipv6).closest(target, count, leave_out)
    }

    /// The nodes that a lookup of a target begins with: of each address family the k closest, and
    /// where some of them are suspects, the k closest of the others.
    pub(crate) fn first_to_ask(&self, target: &Id) -> Vec<Contact> {
        let is_suspect = |addr: &SocketAddr| self.suspects.contains(addr);
        let mut all = Vec::new();
        for table in [&self.v4, &self.v6] {
            let closest = table.closest(target, K, |_| false);
            let any_suspect = closest.iter().any(|node| is_suspect(&node.addr));
            all.extend(closest);
            if any_suspect {
                all.extend(table.closest(target, K, is_suspect));
            }
        }
        all
    }

    /// All nodes there are, with their tokens, in a network so small that each is among the closest
    /// to every target. `None` if a lookup is needed: there may be other nodes, or one of them is
    /// silent, or has given no token lately.
    pub(crate) fn small_network(&self, now: Instant) -> Option<Vec<Closest>> {
        let all_known = |table: &Table| table.len() < K;
        if self.is_empty() || !all_known(&self.v4) || !all_known(&self.v6) {
            return None;
        }
        let closest = |node: &Node| {
            let (token, since) = node.token.as_ref()?;
            let good = is_good_token(*since, now) && !self.suspects.contains(&node.contact.addr);
            let (contact, token_since) = (node.contact, *since);
            good.then(|| Closest { contact, token: token.clone(), token_since })
        };
        self.nodes().map(closest).collect()
    }

    /// This node answered: it enters where there is a place. `ours` says that it is a Grape of our
    /// kind.
    pub(crate) fn heard(&mut self, contact: Contact, ours: bool, now: Instant) -> Heard {
        self.table_mut(&contact.addr).heard(contact, ours, now)
    }

    /// A query came in this node's name, which anyone can use: it enters only once it has answered.
    pub(crate) fn asked_by(&mut self, contact: Contact, ours: bool, now: Instant) -> Heard {
        self.table_mut(&contact.addr).asked_by(contact, ours, now)
    }

    /// A node's answer came after this time.
    pub(crate) fn measured(&mut self, contact: &Contact, round_trip: Duration) {
        self.table_mut(&contact.addr).measured(contact, round_trip);
    }

    /// A node gave a write token, or refused the one that it gave.
    pub(crate) fn gave_token(&mut self, contact: &Contact, token: Option<&[u8]>, now: Instant) {
        self.table_mut(&contact.addr).gave_token(contact, token, now);
    }

    /// The write tokens that nodes gave are good no more.
    pub(crate) fn forget_tokens(&mut self) {
        self.v4.forget_tokens();
        self.v6.forget_tokens();
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, contact: &Contact) -> Removed {
        self.table_mut(&contact.addr).remove(contact)
    }

    /// A datagram came from this address: it is one like any other again.
    pub(crate) fn alive(&mut self, addr: &SocketAddr) {
        self.suspects.heard(addr);
    }

    /// An answer did not come from there, or not in time.
    pub(crate) fn missed(&mut self, addr: SocketAddr, now: Instant) -> Verdict {
        self.suspects.missed(addr, now)
    }

    /// A suspect is asked once more: others need not do so at the same time.
    pub(crate) fn asked(&mut self, addr: &SocketAddr, now: Instant) {
        self.suspects.asked(addr, now);
    }

    /// Whether this address left a query unanswered, and has sent nothing since.
    pub(crate) fn is_suspect(&self, addr: &SocketAddr) -> bool {
        self.suspects.contains(addr)
    }

    /// Whether the address was silent more than once: after a first miss, which may be a lost
    /// datagram or a slow moment, the node is still returned to others.
    pub(crate) fn is_repeated_suspect(&self, addr: &SocketAddr) -> bool {
        self.suspects.is_repeated(addr)
    }

    /// Whether it is time to ask this address, which may be a suspect.
    pub(crate) fn may_ask(&self, addr: &SocketAddr, now: Instant) -> bool {
        self.suspects.may_ask(addr, now)
    }

    /// The nodes to be pinged: those that have sent nothing for a while, and the suspects.
    pub(crate) fn to_keep_alive(&self, now: Instant) -> Vec<Contact> {
        let nodes = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let silence = KEEP_ALIVE.max(KEEP_ALIVE_EACH.saturating_mul(nodes));
        let is_due = |node: &&Node| {
            if self.suspects.contains(&node.contact.addr) {
                self.suspects.may_ask(&node.contact.addr, now)
            } else {
                now.duration_since(node.heard) >= silence
            }
        };
        self.nodes().filter(is_due).map(|node| node.contact).collect()
    }

    /// A node is known through which others may be found.
    pub(crate) fn look_again_soon(&mut self, now: Instant) {
        self.looks_again.get_or_insert(now + LOOK_AGAIN);
    }

    /// What is to be looked up by now. To be asked every second.
    pub(crate) fn due_refresh(&mut self, now: Instant) -> Refresh {
        let own = self.looks_again.take_if(|at| *at <= now).is_some();
        let due = now.duration_since(self.refreshed) >= self.node_liveness;
        if due {
            self.refreshed = now;
        }
        Refresh { own, whole: due && !self.is_empty() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVENESS: Duration = Duration::from_secs(300);
    const SECOND: Duration = Duration::from_secs(1);

    fn contact(n: u8) -> Contact {
        Contact { id: Id::from([n; 20]), addr: SocketAddr::from(([10, 0, 0, n], 1)) }
    }

    fn routing(nodes: u8, now: Instant) -> Routing {
        let diversity = Diversity::default();
        let mut routing = Routing::new(Id::from([0xff; 20]), LIVENESS, diversity, now);
        for n in 0..nodes {
            routing.heard(contact(n), true, now);
        }
        routing
    }

    #[test]
    fn a_network_is_small_while_all_nodes_gave_tokens_and_answer() {
        let now = crate::clock::now();
        let mut routing = routing(2, now);
        assert_eq!(routing.small_network(now), None, "nobody gave a token");
        routing.gave_token(&contact(0), Some(b"t"), now);
        routing.gave_token(&contact(1), Some(b"t"), now);
        assert_eq!(routing.small_network(now).map(|all| all.len()), Some(2));
        assert_eq!(routing.small_network(now + LIVENESS), None, "the tokens are old");
        routing.missed(contact(1).addr, now);
        assert_eq!(routing.small_network(now), None, "one of them is silent");
        routing.alive(&contact(1).addr);
        assert!(routing.small_network(now).is_some());
    }

    #[test]
    fn a_lookup_begins_with_others_beside_suspects() {
        let now = crate::clock::now();
        let mut routing = routing(3, now);
        let target = contact(0).id;
        assert_eq!(routing.first_to_ask(&target), [contact(0), contact(1), contact(2)]);
        routing.missed(contact(0).addr, now);
        let all = [0, 1, 2, 1, 2].map(contact);
        assert_eq!(routing.first_to_ask(&target), all);
    }

    #[test]
    fn the_silent_are_asked_and_suspects_once_it_is_time() {
        let now = crate::clock::now();
        let mut routing = routing(2, now);
        assert_eq!(routing.to_keep_alive(now + SECOND), []);
        assert_eq!(routing.to_keep_alive(now + KEEP_ALIVE), [contact(0), contact(1)]);
        routing.missed(contact(0).addr, now);
        assert_eq!(routing.to_keep_alive(now), []);
        assert_eq!(routing.to_keep_alive(now + SECOND), [contact(0)]);
    }

    #[test]
    fn the_table_is_refreshed_every_so_often_and_after_somebody_was_found() {
        let now = crate::clock::now();
        let mut routing = routing(1, now);
        let nothing = Refresh { own: false, whole: false };
        assert_eq!(routing.due_refresh(now), nothing);
        routing.look_again_soon(now);
        routing.look_again_soon(now + SECOND);
        assert_eq!(routing.due_refresh(now + SECOND), nothing);
        assert_eq!(routing.due_refresh(now + LOOK_AGAIN), Refresh { own: true, ..nothing });
        assert_eq!(routing.due_refresh(now + LIVENESS), Refresh { whole: true, ..nothing });
        assert_eq!(routing.due_refresh(now + LIVENESS + SECOND), nothing);
    }
}
