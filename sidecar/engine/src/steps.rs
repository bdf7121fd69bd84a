//! Walks under way, and what follows when they settle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;
use rand::Rng;

use super::announcers::{Belief, Left};
use super::distance::point;
use super::errors::Errand;
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
    /// A service that this node does not announce is to be withdrawn.
    WithdrawFound {
        port: u16,
        operation: Operation,
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
    /// Whether our table may have nodes that the walk does not know of: of IPv4, of IPv6.
    has_more: [bool; 2],
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

    /// What the walk is for.
    pub(super) fn errand(&self) -> Errand<'_> {
        match &self.subject {
            Subject::Node(_) => Errand::Join,
            Subject::Peers(name) => Errand::Lookup(name),
            Subject::Item { target, .. } => Errand::Get(*target),
        }
    }

    /// The peers that were found. Where they are more than a lookup returns, these are a choice
    /// already: an even one, of at most so many, of what the closest nodes told. Nodes on the way
    /// know of themselves and little else, which every answer would show again.
    fn choice(&self, most: usize, rng: &mut impl Rng, now: Instant) -> lookups::Found {
        if self.peers.len() <= MAX_PEERS {
            return self.peers.clone();
        }
        let closest = self.walk.closest(now);
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
        let seeds = if joins { self.seeds_to_ask() } else { Vec::new() };
        let number = self.open_walk(subject, now);
        if let Some(running) = self.walks.get_mut(&number) {
            seeds.into_iter().for_each(|seed| running.walk.add_seed(seed));
            running.then.push(then);
        }
        self.advance(number, now);
    }

    /// Adds nodes to the walk towards a subject that is under way, or to a new one.
    pub(super) fn walk_through(
        &mut self,
        subject: Subject,
        then: Then,
        contacts: &[Contact],
        now: Instant,
    ) {
        let number = self.open_walk(subject, now);
        let Some(mut running) = self.walks.remove(&number) else { return };
        for contact in contacts.iter().filter(|contact| self.may_walk_to(&contact.addr)) {
            running.walk.add(*contact);
        }
        if running.then.is_empty() {
            running.then.push(then);
        }
        self.walks.insert(number, running);
        self.advance(number, now);
    }

    /// The walk towards a subject that is under way, or a new one.
    fn open_walk(&mut self, subject: Subject, now: Instant) -> u64 {
        if let Some(number) = self.subjects.get(&subject)
            && self.walks.get(number).is_some_and(|running| !running.settled)
        {
            return *number;
        }
        let point = subject.point();
        let mut walk = Walk::new(self.settings.id, point, self.settings.concurrency);
        for table in [&self.v4, &self.v6] {
            let mut closest = table.closest(&point, K, |_| false);
            if closest.iter().any(|node| self.suspects.contains(&node.addr)) {
                closest.extend(table.closest(&point, K, |addr| self.suspects.contains(addr)));
            }
            for node in closest {
                walk.add(node);
            }
        }
        let has_more = [&self.v4, &self.v6].map(|table| table.len() > K);
        let number = self.number();
        self.subjects.insert(subject.clone(), number);
        let running = Running {
            subject,
            walk,
            has_more,
            then: Vec::new(),
            settled: false,
            out_of_time: false,
            peers: lookups::Found::default(),
            told: Vec::new(),
            item: None,
        };
        self.walks.insert(number, running);
        self.set_timer(now + LONGEST, Timer::WalkEnds(number));
        number
    }

    /// Whether a node that others tell of is worth asking.
    fn may_walk_to(&self, addr: &SocketAddr) -> bool {
        !self.is_itself(addr)
            && !self.tombstones.contains(addr)
            && !self.other_networks.answered(addr)
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
        let Some(mut running) = self.walks.remove(&number) else { return };
        if !running.settled && running.walk.has_seeds_left() {
            // Those who wait for it go on without. The other seeds are still to be asked.
            self.settle(&mut running, now);
            running.then.push(Then::Join);
            self.set_timer(now + LONGEST, Timer::WalkEnds(number));
        } else {
            running.out_of_time = true;
        }
        self.walks.insert(number, running);
        self.advance(number, now);
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
            let Some(ask) = ask else {
                if self.widen(&mut running) {
                    continue;
                }
                break;
            };
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

    /// Adds further nodes of our table in the places of those that are silent. Returns whether there
    /// were any.
    fn widen(&self, running: &mut Running) -> bool {
        let point = running.subject.point();
        let mut widened = false;
        for (table, ipv6) in [(&self.v4, false), (&self.v6, true)] {
            let (walk, has_more) = (&mut running.walk, &mut running.has_more[usize::from(ipv6)]);
            let lacks = if *has_more { walk.lacks(ipv6) } else { 0 };
            if lacks == 0 {
                continue;
            }
            let known = |addr: &SocketAddr| self.suspects.contains(addr) || walk.has(addr);
            *has_more = false;
            for node in table.closest(&point, lacks, known) {
                *has_more |= walk.add(node);
            }
            widened |= *has_more;
        }
        widened
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
            let Ok(addr) = self.told(node.addr, &from.addr) else { continue };
            if self.may_walk_to(&addr) {
                running.walk.add(Contact { addr, ..*node });
            }
        }
        match &running.subject {
            Subject::Node(_) => {}
            Subject::Peers(name) => {
                let mut dead = None;
                let mut told = Vec::with_capacity(response.peers.len());
                for peer in &response.peers {
                    let until = self.lookups.expiry(peer.ttl, now);
                    let Some(peer) = &self.told_peer(peer, &from.addr) else { continue };
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

    pub(super) fn walk_late(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(running) = self.walks.get_mut(&number) {
            running.walk.late(pending.id, pending.to);
            self.advance(number, now);
        }
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
            self.lookups.replace(name, running.choice(most, &mut self.rng, now), now);
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
                self.stats.lookups_empty += u64::from(peers.is_empty());
                let asked = running.walk.asked();
                self.done(operation, Outcome::Peers { peers, asked });
            }
            (Then::Announce { port, operation }, Subject::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_announce(service, running.walk.closest(now), true, operation, now);
            }
            (Then::Withdraw { port, operation }, Subject::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_withdrawal(service, running.walk.closest(now), operation, now);
            }
            (Then::WithdrawFound { port, operation }, Subject::Peers(name)) => {
                let (service, closest) = ((name.clone(), port), running.walk.closest(now));
                self.withdraw_found(service, &running.peers, closest, operation, now);
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
                self.store_item(item, cas, running.walk.closest(now), true, operation, now);
            }
            (
                Then::Refresh
                | Then::Lookup(_)
                | Then::Announce { .. }
                | Then::Withdraw { .. }
                | Then::WithdrawFound { .. }
                | Then::Doubt { .. },
                _,
            ) => {}
        }
    }
}

/// The item in an answer, if it is what was asked for.
fn found_item(response: &Response<'_>, target: &Id, salt: &[u8]) -> Option<Found> {
    let value = response.value.as_ref()?.to_vec();
    let item = match &response.signed {
        None => Item::immutable(value),
        Some(signed) => signed_item(value, signed, salt),
    };
    let item = item.ok().filter(|item| item.id() == *target)?;
    Some(Found { from: response.id, token: response.token.as_deref().map(Vec::from), item })
}

#[cfg(test)]
mod tests;
