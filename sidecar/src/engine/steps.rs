//! Walks under way, and what follows when they settle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;
use rand::Rng;

use super::announcers::{Belief, Left};
use super::distance::point;
use super::item::Item;
use super::lookups;
use super::node::Engine;
use super::routing::K;
use super::serve::signed_item;
use super::timers::Timer;
use super::transactions::{Pending, Purpose};
use super::walk::{Standing, Walk};
use super::{Found, MAX_PEERS, Name, Operation, Outcome};
use crate::krpc::{Contact, Method, Response};

/// Buckets that are filled by a walk of their own when a node joins a large network.
const BUCKETS_FILLED: usize = 8;

/// A walk settles with what it has after this: Grenache's clients give up after 2.5 seconds.
const LONGEST: Duration = Duration::from_secs(2);

/// What a walk is about. One walk a subject is under way at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Nodes close to an id.
    Node(Id),
    /// Peers of a name.
    Peers(Name),
    /// A BEP 44 item.
    Item { target: Id, salt: Box<[u8]> },
}

impl Subject {
    fn point(&self) -> Id {
        match self {
            Self::Node(id) => *id,
            Self::Peers(name) => point(name),
            Self::Item { target, .. } => *target,
        }
    }

    fn method(&self) -> Method<'_> {
        match self {
            Self::Node(id) => Method::FindNode { target: id.as_bytes().as_slice().into() },
            Self::Peers(name) => Method::GetPeers { info_hash: name.as_ref().into() },
            Self::Item { target, .. } => {
                Method::Get { target: target.as_bytes().as_slice().into(), seq: None }
            }
        }
    }
}

/// What is to be done when a walk settles.
#[derive(Debug)]
pub(super) enum Then {
    /// The node has joined, or found nobody.
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
    /// Somebody says that this peer is no more. `again` says that the walk was under way before.
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

/// A walk under way.
#[derive(Debug)]
pub(super) struct Running {
    subject: Subject,
    walk: Walk,
    then: Vec<Then>,
    settled: bool,
    out_of_time: bool,
    pub(super) peers: lookups::Found,
    /// Which peers each node told.
    told: Vec<(Id, Vec<SocketAddr>)>,
    item: Option<Box<Found>>,
}

impl Running {
    /// Whether a hasty end could miss what there is to find.
    pub(super) fn found_nothing(&self) -> bool {
        match self.subject {
            Subject::Node(_) => true,
            Subject::Peers(_) => self.peers.is_empty(),
            Subject::Item { .. } => self.item.is_none(),
        }
    }

    /// The peers that were found. Where they are more than a lookup returns, these are a choice
    /// already: an even one, of at most so many, of what the closest nodes told. Nodes on the way
    /// know of themselves and little else, which every answer would show again.
    fn choice(&self, most: usize, rng: &mut impl Rng) -> lookups::Found {
        if self.peers.len() <= MAX_PEERS {
            return self.peers.clone();
        }
        let closest = self.walk.closest();
        let is_close = |id: &Id| closest.iter().any(|node| node.contact.id == *id);
        let told = self.told.iter().filter(|(id, _)| is_close(id)).flat_map(|(_, peers)| peers);
        let told = told.filter_map(|peer| Some((*peer, self.peers.get(peer)?.clone())));
        let told: lookups::Found = told.collect();
        if told.len() < MAX_PEERS {
            return self.peers.clone();
        }
        let chosen = rand::seq::index::sample(rng, told.len(), told.len().min(most));
        let chosen = chosen.into_iter().filter_map(|at| told.get_index(at));
        chosen.map(|(peer, belief)| (*peer, belief.clone())).collect()
    }

    /// An immutable item is what it is: nobody can tell better.
    fn found_all(&self) -> bool {
        self.item.as_ref().is_some_and(|found| found.item.signed().is_none())
    }
}

impl Engine {
    /// Walks towards a subject, or goes along with a walk that is under way.
    pub(super) fn walk(&mut self, subject: Subject, then: Then, now: Instant) {
        let joins = matches!(then, Then::Join);
        if self.joining && !joins {
            return self.waiting.push((subject, then));
        }
        if let Some(number) = self.subjects.get(&subject).copied()
            && let Some(running) = self.walks.get_mut(&number)
            && !running.settled
        {
            if joins {
                self.seeds.iter().for_each(|seed| running.walk.add_seed(*seed));
            }
            running.then.push(then);
            return self.advance(number, now);
        }
        let point = subject.point();
        let mut walk = Walk::new(self.settings.id, point, self.settings.concurrency);
        for table in [&self.v4, &self.v6] {
            table.closest(&point, K, |_| false).into_iter().for_each(|node| walk.add(node));
        }
        if joins {
            self.seeds.iter().for_each(|seed| walk.add_seed(*seed));
        }
        let number = self.number();
        self.subjects.insert(subject.clone(), number);
        let running = Running {
            subject,
            walk,
            then: vec![then],
            settled: false,
            out_of_time: false,
            peers: lookups::Found::default(),
            told: Vec::new(),
            item: None,
        };
        self.walks.insert(number, running);
        self.set_timer(now + LONGEST, Timer::WalkEnds(number));
        self.advance(number, now);
    }

    /// Whether a walk for the peers of a name is under way.
    pub(super) fn is_walked_for(&self, name: &Name) -> bool {
        let number = self.subjects.get(&Subject::Peers(name.clone()));
        number.and_then(|number| self.walks.get(number)).is_some_and(|running| !running.settled)
    }

    /// A peer is no more: what walks under way found of it is of no account.
    pub(super) fn forget_on_walks(&mut self, name: &[u8], peer: &SocketAddr) {
        for running in self.walks.values_mut() {
            if matches!(&running.subject, Subject::Peers(walked) if **walked == *name) {
                running.peers.swap_remove(peer);
            }
        }
    }

    /// A node announces a peer no more: what lookups found of it follows, and walks under way.
    /// `untold` is as in [`Belief::strike`].
    pub(super) fn strike_found(
        &mut self,
        name: &[u8],
        peer: &SocketAddr,
        node: &SocketAddr,
        untold: bool,
    ) {
        self.lookups.strike(name, peer, node, untold);
        for running in self.walks.values_mut() {
            if matches!(&running.subject, Subject::Peers(walked) if **walked == *name)
                && let Some(belief) = running.peers.get_mut(peer)
                && belief.strike(peer, node, untold) == Left::Nobody
            {
                running.peers.swap_remove(peer);
            }
        }
    }

    pub(super) fn end_walk(&mut self, number: u64, now: Instant) {
        if let Some(running) = self.walks.get_mut(&number) {
            running.out_of_time = true;
            self.advance(number, now);
        }
    }

    /// Asks whom there is to ask, and ends what is at its end.
    fn advance(&mut self, number: u64, now: Instant) {
        // Out of the map, so that the walk and the rest of the engine can be used side by side.
        let Some(mut running) = self.walks.remove(&number) else { return };
        // A settled walk takes late answers, but asks nobody more.
        while !running.settled && !running.out_of_time {
            let suspects = &self.suspects;
            let ask = running.walk.next(|addr| {
                if !suspects.contains(addr) {
                    Standing::Good
                } else if suspects.may_ask(addr, now) {
                    Standing::Doubtful
                } else {
                    Standing::Silent
                }
            });
            let Some(ask) = ask else { break };
            let purpose = Purpose::Walk(number);
            self.query(ask.addr, ask.id, running.subject.method(), purpose, ask.waited_for, now);
        }
        let settles = running.walk.is_settled() || running.found_all() || running.out_of_time;
        if settles && !running.settled {
            running.settled = true;
            self.settle(&mut running, now);
        }
        if running.walk.is_finished() {
            if self.subjects.get(&running.subject) == Some(&number) {
                self.subjects.remove(&running.subject);
            }
        } else {
            self.walks.insert(number, running);
        }
    }

    pub(super) fn walk_answered(
        &mut self,
        number: u64,
        pending: &Pending,
        from: Contact,
        response: &Response<'_>,
        now: Instant,
    ) {
        let Some(mut running) = self.walks.remove(&number) else { return };
        running.walk.answered(pending.id, from, response.token.as_deref());
        for node in &response.nodes {
            if !self.own_addrs.contains(&node.addr) && !self.tombstones.contains(&node.addr) {
                running.walk.add(*node);
            }
        }
        match &running.subject {
            Subject::Node(_) => {}
            Subject::Peers(name) => {
                let mut dead = None;
                let mut told = Vec::with_capacity(response.peers.len());
                for peer in &response.peers {
                    let until = self.lookups.expiry(peer.ttl, now);
                    let mut belief = Belief::told(peer, from.addr, until);
                    let announcer = self.dead_announcer(&peer.addr, &belief, now);
                    if announcer.is_some() {
                        dead = announcer.filter(|_| belief.is_told()).or(dead);
                        continue;
                    }
                    dead = self.strike_dead(&peer.addr, &mut belief, now).or(dead);
                    self.ask_after_announcer(&peer.addr, &belief, now);
                    told.push(peer.addr);
                    if running.settled && running.peers.len() <= MAX_PEERS {
                        self.lookups.add(name, peer.addr, belief.clone());
                        self.watches.touch(name);
                    }
                    lookups::merge(&mut running.peers, peer.addr, belief);
                }
                if !running.settled && !told.is_empty() {
                    running.told.push((from.id, told));
                }
                if let Some(dead) = dead {
                    self.remind(from, dead, now);
                }
            }
            Subject::Item { target, salt } => {
                if let Some(found) = found_item(response, target, salt)
                    && running.item.as_ref().is_none_or(|best| found.item.seq() > best.item.seq())
                {
                    running.item = Some(Box::new(found));
                }
            }
        }
        self.walks.insert(number, running);
        self.advance(number, now);
    }

    pub(super) fn walk_slow(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(running) = self.walks.get_mut(&number) {
            running.walk.slow(pending.id, pending.to);
            self.advance(number, now);
        }
    }

    pub(super) fn walk_failed(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(running) = self.walks.get_mut(&number) {
            running.walk.failed(pending.id, pending.to);
            self.advance(number, now);
        }
    }

    /// The closest live nodes have answered.
    fn settle(&mut self, running: &mut Running, now: Instant) {
        if let Subject::Peers(name) = &running.subject
            && (running.walk.answers() > 0 || self.nodes() == 0)
        {
            // Who follows a name wants to know of all its peers.
            let most = if self.watches.has(name) { usize::MAX } else { lookups::CHOICE };
            self.lookups.replace(name, running.choice(most, &mut self.rng), now);
            self.watches.touch(name);
        }
        if let Some(found) = &running.item {
            // Closer to those who ask here next; an older copy gives way to a newer one. A
            // conflict means that ours is the newer.
            let _ = self.items.put(found.item.clone(), None);
        }
        for then in std::mem::take(&mut running.then) {
            self.follow(running, then, now);
        }
    }

    fn follow(&mut self, running: &Running, then: Then, now: Instant) {
        match (then, &running.subject) {
            (Then::Join, _) => self.joined(now),
            (Then::Lookup(operation), Subject::Peers(name)) => {
                let peers = self.known_peers(name, now);
                self.done(operation, Outcome::Peers(peers));
            }
            (Then::Announce { port, operation }, Subject::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_announce(service, running.walk.closest(), true, operation, now);
            }
            (Then::Withdraw { port, operation }, Subject::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_withdrawal(service, running.walk.closest(), operation, now);
            }
            (Then::Doubt { peer, again: true }, Subject::Peers(name)) => {
                let then = Then::Doubt { peer, again: false };
                self.walk(Subject::Peers(name.clone()), then, now);
            }
            (Then::Doubt { peer, again: false }, Subject::Peers(name)) => {
                if running.walk.answers() > 0 {
                    let found = running.peers.contains_key(&peer);
                    self.doubt_settled(name, peer, found, running.peers.len(), now);
                }
            }
            (Then::Get { operation, held }, _) => {
                let ours = held.as_ref().map(|held| held.item.seq());
                let theirs = running.item.as_ref().map(|found| found.item.seq());
                let best = if theirs >= ours { running.item.clone() } else { held };
                self.done(operation, Outcome::Got(best));
            }
            (Then::Put { operation, item, cas }, _) => {
                self.store_item(item, cas, running.walk.closest(), true, operation, now);
            }
            (
                Then::Refresh
                | Then::Lookup(_)
                | Then::Announce { .. }
                | Then::Withdraw { .. }
                | Then::Doubt { .. },
                _,
            ) => {}
        }
    }

    /// Somebody found us before our bootstrap nodes answered: they may never do.
    pub(super) fn join_through(&mut self, contact: Contact, now: Instant) {
        let number = self.subjects.get(&Subject::Node(self.settings.id)).copied();
        if let Some(number) = number
            && let Some(running) = self.walks.get_mut(&number)
        {
            running.walk.add(contact);
            self.advance(number, now);
        }
    }

    /// The walk to ourselves is over.
    fn joined(&mut self, now: Instant) {
        self.joining = false;
        self.settle_readiness();
        for (subject, then) in std::mem::take(&mut self.waiting) {
            self.walk(subject, then, now);
        }
        // Where all nodes answered, all are known; a larger network's other regions are not.
        if self.nodes() >= K {
            for bucket in 0..self.v4.depth().max(self.v6.depth()).min(BUCKETS_FILLED) {
                let target = self.id_in_bucket(bucket);
                self.walk(Subject::Node(target), Then::Refresh, now);
            }
        }
    }

    /// A random id that shares just `bucket` leading bits with ours.
    pub(super) fn id_in_bucket(&mut self, bucket: usize) -> Id {
        let own = *self.settings.id.as_bytes();
        let mut id = *self.random_id().as_bytes();
        let (byte, bit) = (bucket / 8, 0x80u8 >> (bucket % 8));
        id[..byte].copy_from_slice(&own[..byte]);
        let kept = !(bit | (bit - 1));
        id[byte] = (own[byte] & kept) | (!own[byte] & bit) | (id[byte] & (bit - 1));
        Id::from(id)
    }
}

/// The item in an answer, if it is what was asked for.
fn found_item(response: &Response<'_>, target: &Id, salt: &[u8]) -> Option<Found> {
    let value = response.value.clone()?;
    let item = match &response.signed {
        None => Item::immutable(value),
        Some(signed) => signed_item(value, signed, salt),
    };
    let item = item.ok().filter(|item| item.id() == *target)?;
    Some(Found { from: response.id, token: response.token.as_deref().map(Vec::from), item })
}

#[cfg(test)]
mod tests;
