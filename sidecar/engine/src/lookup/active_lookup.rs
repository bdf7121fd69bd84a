//! A lookup under way: what is looked up, what was found so far, and what follows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use ahash::RandomState;
use mainline::Id;
use rand::Rng;

use super::iterative_lookup::{Ask, IterativeLookup, Standing};
use super::lookup_cache::{FoundPeers, merge};
use crate::closest::Closest;
use crate::distance::target_of;
use crate::errors::Errand;
use crate::item::Item;
use crate::krpc::{Contact, Method, Response};
use crate::peer_record::{Left, PeerRecord};
use crate::routing::{K, Routing};
use crate::storage::take_turns;
use crate::{Found, MAX_PEERS, Name, Operation};

/// What is looked up. One lookup a target is under way at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// Nodes close to an id.
    Node(Id),
    /// Peers of a name.
    Peers(Name),
    /// A BEP 44 item.
    Item { target: Id, salt: Box<[u8]> },
}

impl Target {
    pub(crate) fn id(&self) -> Id {
        match self {
            Self::Node(id) => *id,
            Self::Peers(name) => target_of(name),
            Self::Item { target, .. } => *target,
        }
    }

    pub(crate) fn method(&self) -> Method<'_> {
        match self {
            Self::Node(id) => Method::FindNode { target: id.as_bytes().as_slice().into() },
            Self::Peers(name) => Method::GetPeers { info_hash: name.as_ref().into() },
            Self::Item { target, .. } => {
                Method::Get { target: target.as_bytes().as_slice().into(), seq: None }
            }
        }
    }
}

/// What is to be done when a lookup settles.
#[derive(Debug)]
pub(crate) enum OnComplete {
    /// The node has joined, or found no other node.
    Join,
    /// Nothing more: what was found is kept.
    Refresh,
    Lookup(Operation),
    Announce {
        port: u16,
        operation: Option<Operation>,
    },
    Withdraw {
        port: u16,
        operation: Option<Operation>,
    },
    /// A service that this node does not announce is to be withdrawn.
    WithdrawFound {
        port: u16,
        operation: Operation,
    },
    /// Somebody says that this peer is no more. `again` says that the lookup was under way before.
    Doubt {
        peer: SocketAddr,
        again: bool,
    },
    /// `held` is our own copy of a mutable item, which may be out of date.
    Get {
        operation: Operation,
        held: Option<Box<Found>>,
    },
    Put {
        operation: Operation,
        item: Box<Item>,
        cas: Option<i64>,
    },
}

/// A lookup under way.
#[derive(Debug)]
pub(crate) struct ActiveLookup {
    target: Target,
    lookup: IterativeLookup,
    /// Whether our table may have nodes that the lookup does not know of: of IPv4, of IPv6.
    has_more: [bool; 2],
    then: Vec<OnComplete>,
    settled: bool,
    out_of_time: bool,
    peers: FoundPeers,
    /// Which peers each node returned.
    answers: Vec<(Id, Vec<SocketAddr>)>,
    item: Option<Box<Found>>,
}

impl ActiveLookup {
    /// Begins with the closest nodes that are known.
    pub(super) fn new(target: Target, own: Id, concurrency: usize, routing: &Routing) -> Self {
        let id = target.id();
        let mut lookup = IterativeLookup::new(own, id, concurrency, routing.diversity());
        for node in routing.first_to_ask(&id) {
            lookup.add(node);
        }
        Self {
            target,
            lookup,
            has_more: [false, true].map(|ipv6| routing.len_of(ipv6) > K),
            then: Vec::new(),
            settled: false,
            out_of_time: false,
            peers: FoundPeers::default(),
            answers: Vec::new(),
            item: None,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// This follows when it settles, after what was to follow before.
    pub(crate) fn then(&mut self, then: OnComplete) {
        self.then.push(then);
    }

    /// What is to follow. It follows once.
    pub(crate) fn take_then(&mut self) -> Vec<OnComplete> {
        std::mem::take(&mut self.then)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        !self.then.is_empty()
    }

    /// Adds a bootstrap address.
    pub(crate) fn add_seed(&mut self, addr: SocketAddr) {
        self.lookup.add_seed(addr);
    }

    /// Adds a node that another one returned.
    pub(crate) fn add(&mut self, contact: Contact) {
        self.lookup.add(contact);
    }

    /// The node to ask next; it counts as asked from now on. A settled lookup takes late answers,
    /// but asks no more nodes.
    pub(crate) fn next(&mut self, routing: &Routing, now: Instant) -> Option<Ask> {
        while !self.settled && !self.out_of_time {
            let ask = self.lookup.next(|addr| {
                if !routing.is_suspect(addr) {
                    Standing::Good
                } else if routing.may_ask(addr, now) {
                    Standing::Doubtful
                } else {
                    Standing::Silent
                }
            });
            if ask.is_some() || !self.widen(routing) {
                return ask;
            }
        }
        None
    }

    /// Adds further nodes of our table in the places of those that are silent. Returns whether
    /// there were any.
    fn widen(&mut self, routing: &Routing) -> bool {
        let id = self.target.id();
        let mut widened = false;
        for ipv6 in [false, true] {
            let (lookup, has_more) = (&mut self.lookup, &mut self.has_more[usize::from(ipv6)]);
            let lacks = if *has_more { lookup.lacks(ipv6) } else { 0 };
            if lacks == 0 {
                continue;
            }
            let known = |addr: &SocketAddr| routing.is_suspect(addr) || lookup.has(addr);
            *has_more = false;
            for node in routing.closest(ipv6, &id, lacks, known) {
                *has_more |= lookup.add(node);
            }
            widened |= *has_more;
        }
        widened
    }

    /// Whether it settles just now: the closest live nodes have answered, or the time is up. True
    /// once.
    pub(crate) fn settles(&mut self) -> bool {
        let settled = self.lookup.is_settled() || self.found_all() || self.out_of_time;
        settled && !std::mem::replace(&mut self.settled, true)
    }

    /// Its time is over. Returns whether bootstrap addresses are still to be asked: then those who
    /// wait for it go on without, and it goes on itself.
    pub(crate) fn time_is_over(&mut self) -> bool {
        let goes_on = !self.settled && self.lookup.has_seeds_left();
        self.out_of_time |= !goes_on;
        goes_on
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether no query is out any more.
    pub(super) fn is_finished(&self) -> bool {
        self.lookup.is_finished()
    }

    /// An answer came. `asked` is the id that the query was sent to, if it was known.
    pub(crate) fn answered(&mut self, asked: Option<Id>, from: Contact, token: Option<&[u8]>) {
        self.lookup.answered(asked, from, token);
    }

    /// An answer takes longer than is usual: another node is asked as well. Returns whether the same
    /// node is to be asked once more.
    pub(crate) fn late(&mut self, asked: Option<Id>, addr: SocketAddr) -> bool {
        let again = self.lookup.late(asked, addr);
        if again {
            self.lookup.asks_again();
        }
        again
    }

    /// An answer takes longer than is waited for.
    pub(super) fn slow(&mut self, asked: Option<Id>, addr: SocketAddr) {
        self.lookup.slow(asked, addr);
    }

    /// No answer came, or a refusal.
    pub(super) fn failed(&mut self, asked: Option<Id>, addr: SocketAddr) {
        self.lookup.failed(asked, addr);
    }

    /// Whether a peer that is found now adds to what is kept of a lookup that has settled.
    pub(crate) fn is_late_news(&self) -> bool {
        self.settled && self.peers.len() <= MAX_PEERS
    }

    /// A node returned a peer.
    pub(crate) fn found_peer(&mut self, addr: SocketAddr, record: PeerRecord) {
        merge(&mut self.peers, addr, record);
    }

    /// Notes the peers that a node returned before the lookup settled.
    pub(crate) fn answered_by(&mut self, node: Id, peers: Vec<SocketAddr>) {
        if !self.settled && !peers.is_empty() {
            self.answers.push((node, peers));
        }
    }

    /// A node's answer may have the item that is looked up.
    pub(crate) fn find_item(&mut self, response: &Response<'_>) {
        if let Target::Item { target, salt } = &self.target
            && let Some(found) = found_item(response, target, salt)
            && self.item.as_ref().is_none_or(|best| found.item.seq() > best.item.seq())
        {
            self.item = Some(Box::new(found));
        }
    }

    /// The item that was found.
    pub(crate) fn item(&self) -> Option<&Found> {
        self.item.as_deref()
    }

    /// All peers that were found.
    pub(crate) fn peers(&self) -> &FoundPeers {
        &self.peers
    }

    /// The k closest nodes that answered with a token, of each address family.
    pub(crate) fn closest(&self, now: Instant) -> Vec<Closest> {
        self.lookup.closest(now)
    }

    /// How many queries were sent.
    pub(crate) fn asked(&self) -> usize {
        self.lookup.asked()
    }

    /// Whether any node answered.
    pub(crate) fn was_answered(&self) -> bool {
        self.lookup.answers() > 0
    }

    /// Whether it looks for the peers of this name.
    pub(super) fn is_for(&self, name: &[u8]) -> bool {
        matches!(&self.target, Target::Peers(looked_up) if **looked_up == *name)
    }

    /// A peer is no more: what was found of it is of no account.
    pub(super) fn forget_peer(&mut self, peer: &SocketAddr) {
        self.peers.swap_remove(peer);
    }

    /// A node announces a peer no more; others may go on. `unreported` is as in
    /// [`PeerRecord::strike`].
    pub(super) fn strike(&mut self, peer: &SocketAddr, node: &SocketAddr, unreported: bool) {
        if let Some(record) = self.peers.get_mut(peer)
            && record.strike(peer, node, unreported) == Left::Nobody
        {
            self.peers.swap_remove(peer);
        }
    }

    /// Drops what the node at this address announced.
    pub(super) fn remove_peers_of(&mut self, node: &SocketAddr, sole: bool) {
        self.peers.retain(|peer, record| record.strike(peer, node, sole) != Left::Nobody);
    }

    /// Whether a hasty end could miss what there is to find.
    pub(super) fn found_nothing(&self) -> bool {
        match self.target {
            Target::Node(_) => true,
            Target::Peers(_) => self.peers.is_empty(),
            Target::Item { .. } => self.item.is_none(),
        }
    }

    /// What the lookup is for.
    pub(super) fn errand(&self) -> Errand<'_> {
        match &self.target {
            Target::Node(_) => Errand::Join,
            Target::Peers(name) => Errand::Lookup(name),
            Target::Item { target, .. } => Errand::Get(*target),
        }
    }

    /// The peers that were found. If there are more than a lookup returns, this is a choice of them in
    /// which each host has the same share. First come those that several of the closest nodes returned,
    /// since one node alone can return what it likes; then those that one of them returned. Nodes on the
    /// way mostly know only their own peers, which would else be in every answer: they come last.
    pub(crate) fn choice(&self, most: usize, rng: &mut impl Rng, now: Instant) -> FoundPeers {
        if self.peers.len() <= MAX_PEERS {
            return self.peers.clone();
        }
        let closest = self.lookup.closest(now);
        let is_close = |id: &Id| closest.iter().any(|node| node.contact.id == *id);
        let near = self.answers.iter().filter(|(id, _)| is_close(id)).flat_map(|(_, peers)| peers);
        let mut times = HashMap::<SocketAddr, usize, RandomState>::default();
        near.for_each(|peer| *times.entry(*peer).or_default() += 1);
        let mut classes: [Vec<_>; 3] = Default::default();
        for peer in self.peers.keys() {
            let times = times.get(peer).copied().unwrap_or_default();
            classes[2 - times.min(2)].push(*peer);
        }
        let mut chosen = Vec::new();
        for mut class in classes {
            // What a class lacks of a whole answer is all that the next one adds.
            let room =
                if chosen.is_empty() { most } else { MAX_PEERS.saturating_sub(chosen.len()) };
            take_turns(&mut class, rng);
            chosen.extend(class.into_iter().take(room));
        }
        chosen.into_iter().filter_map(|peer| Some((peer, self.peers.get(&peer)?.clone()))).collect()
    }

    /// An immutable item has no newer version.
    fn found_all(&self) -> bool {
        self.item.as_ref().is_some_and(|found| found.item.signed().is_none())
    }
}

/// The item in an answer, if it is what was asked for.
fn found_item(response: &Response<'_>, target: &Id, salt: &[u8]) -> Option<Found> {
    let value = response.value.as_ref()?.to_vec();
    let item = match &response.signed {
        None => Item::immutable(value),
        Some(signed) => Item::from_fields(value, signed, salt),
    };
    let item = item.ok().filter(|item| item.id() == *target)?;
    Some(Found { from: response.id, token: response.token.as_deref().map(Vec::from), item })
}
