//! Lookups under way, and what follows when they settle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;
use rand::Rng;

use super::distance::target_of;
use super::engine::Engine;
use super::errors::Errand;
use super::item::Item;
use super::iterative_lookup::{IterativeLookup, Standing};
use super::lookup_cache::{self, FoundPeers};
use super::peer_record::{Left, PeerRecord};
use super::routing::K;
use super::rpc::{Pending, Purpose};
use super::serve::signed_item;
use super::timers::Timer;
use super::{Found, MAX_PEERS, Name, Operation, Outcome};
use crate::krpc::{Contact, Method, Response};

/// A lookup settles with what it has after this: Grenache's clients give up after 2.5 seconds.
const LONGEST: Duration = Duration::from_secs(2);

/// What is looked up. One lookup a target is under way at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// Nodes close to an id.
    Node(Id),
    /// Peers of a name.
    Peers(Name),
    /// A BEP 44 item.
    Item { target: Id, salt: Box<[u8]> },
}

impl Target {
    fn id(&self) -> Id {
        match self {
            Self::Node(id) => *id,
            Self::Peers(name) => target_of(name),
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

/// What is to be done when a lookup settles.
#[derive(Debug)]
pub(super) enum OnComplete {
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
pub(super) struct ActiveLookup {
    target: Target,
    lookup: IterativeLookup,
    /// Whether our table may have nodes that the lookup does not know of: of IPv4, of IPv6.
    has_more: [bool; 2],
    then: Vec<OnComplete>,
    settled: bool,
    out_of_time: bool,
    pub(super) peers: FoundPeers,
    /// Which peers each node told.
    told: Vec<(Id, Vec<SocketAddr>)>,
    item: Option<Box<Found>>,
}

impl ActiveLookup {
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

    /// The peers that were found. Where they are more than a lookup returns, these are a choice
    /// already: an even one, of at most so many, of what the closest nodes told. Nodes on the way
    /// know of themselves and little else, which every answer would show again.
    fn choice(&self, most: usize, rng: &mut impl Rng, now: Instant) -> FoundPeers {
        if self.peers.len() <= MAX_PEERS {
            return self.peers.clone();
        }
        let closest = self.lookup.closest(now);
        let is_close = |id: &Id| closest.iter().any(|node| node.contact.id == *id);
        let told = self.told.iter().filter(|(id, _)| is_close(id)).flat_map(|(_, peers)| peers);
        let told = told.filter_map(|peer| Some((*peer, self.peers.get(peer)?.clone())));
        let told: FoundPeers = told.collect();
        if told.len() < MAX_PEERS {
            return self.peers.clone();
        }
        let chosen = rand::seq::index::sample(rng, told.len(), told.len().min(most));
        let chosen = chosen.into_iter().filter_map(|at| told.get_index(at));
        chosen.map(|(peer, record)| (*peer, record.clone())).collect()
    }

    /// An immutable item is what it is: nobody can tell better.
    fn found_all(&self) -> bool {
        self.item.as_ref().is_some_and(|found| found.item.signed().is_none())
    }
}

impl Engine {
    /// Looks a target up, or goes along with a lookup of it that is under way.
    pub(super) fn start_lookup(&mut self, target: Target, then: OnComplete, now: Instant) {
        let joins = matches!(then, OnComplete::Join);
        if self.joining && !joins {
            return self.waiting.push((target, then));
        }
        let seeds = if joins { self.seeds_to_ask() } else { Vec::new() };
        let number = self.open_lookup(target, now);
        if let Some(active) = self.lookups.get_mut(&number) {
            seeds.into_iter().for_each(|seed| active.lookup.add_seed(seed));
            active.then.push(then);
        }
        self.advance(number, now);
    }

    /// Adds nodes to the lookup of a target that is under way, or to a new one.
    pub(super) fn start_lookup_through(
        &mut self,
        target: Target,
        then: OnComplete,
        contacts: &[Contact],
        now: Instant,
    ) {
        let number = self.open_lookup(target, now);
        let Some(mut active) = self.lookups.remove(&number) else { return };
        for contact in contacts.iter().filter(|contact| self.may_ask(&contact.addr)) {
            active.lookup.add(*contact);
        }
        if active.then.is_empty() {
            active.then.push(then);
        }
        self.lookups.insert(number, active);
        self.advance(number, now);
    }

    /// The lookup of a target that is under way, or a new one.
    fn open_lookup(&mut self, target: Target, now: Instant) -> u64 {
        if let Some(number) = self.targets.get(&target)
            && self.lookups.get(number).is_some_and(|active| !active.settled)
        {
            return *number;
        }
        let id = target.id();
        let mut lookup = IterativeLookup::new(self.settings.id, id, self.settings.concurrency);
        for node in self.routing.first_to_ask(&id) {
            lookup.add(node);
        }
        let has_more = [false, true].map(|ipv6| self.routing.len_of(ipv6) > K);
        let number = self.number();
        self.targets.insert(target.clone(), number);
        let active = ActiveLookup {
            target,
            lookup,
            has_more,
            then: Vec::new(),
            settled: false,
            out_of_time: false,
            peers: FoundPeers::default(),
            told: Vec::new(),
            item: None,
        };
        self.lookups.insert(number, active);
        self.set_timer(now + LONGEST, Timer::LookupEnds(number));
        number
    }

    /// Whether a node that others tell of is worth asking.
    fn may_ask(&self, addr: &SocketAddr) -> bool {
        !self.is_itself(addr)
            && !self.failure_detector.is_dead(addr)
            && !self.other_networks.answered(addr)
    }

    /// Whether a lookup for the peers of a name is under way.
    pub(super) fn is_looked_up(&self, name: &Name) -> bool {
        let number = self.targets.get(&Target::Peers(name.clone()));
        number.and_then(|number| self.lookups.get(number)).is_some_and(|active| !active.settled)
    }

    /// A peer is no more: what lookups under way found of it is of no account.
    pub(super) fn forget_in_lookups(&mut self, name: &[u8], peer: &SocketAddr) {
        for active in self.lookups.values_mut() {
            if matches!(&active.target, Target::Peers(looked_up) if **looked_up == *name) {
                active.peers.swap_remove(peer);
            }
        }
    }

    /// A node announces a peer no more: what lookups found of it follows, and lookups under way.
    /// `untold` is as in [`PeerRecord::strike`].
    pub(super) fn strike_found(
        &mut self,
        name: &[u8],
        peer: &SocketAddr,
        node: &SocketAddr,
        untold: bool,
    ) {
        self.lookup_cache.strike(name, peer, node, untold);
        for active in self.lookups.values_mut() {
            if matches!(&active.target, Target::Peers(looked_up) if **looked_up == *name)
                && let Some(record) = active.peers.get_mut(peer)
                && record.strike(peer, node, untold) == Left::Nobody
            {
                active.peers.swap_remove(peer);
            }
        }
    }

    pub(super) fn end_lookup(&mut self, number: u64, now: Instant) {
        let Some(mut active) = self.lookups.remove(&number) else { return };
        if !active.settled && active.lookup.has_seeds_left() {
            // Those who wait for it go on without. The other seeds are still to be asked.
            self.settle(&mut active, now);
            active.then.push(OnComplete::Join);
            self.set_timer(now + LONGEST, Timer::LookupEnds(number));
        } else {
            active.out_of_time = true;
        }
        self.lookups.insert(number, active);
        self.advance(number, now);
    }

    /// Asks whom there is to ask, and ends what is at its end.
    fn advance(&mut self, number: u64, now: Instant) {
        // Out of the map, so that the lookup and the rest of the engine can be used side by side.
        let Some(mut active) = self.lookups.remove(&number) else { return };
        // A settled lookup takes late answers, but asks nobody more.
        while !active.settled && !active.out_of_time {
            let routing = &self.routing;
            let ask = active.lookup.next(|addr| {
                if !routing.is_suspect(addr) {
                    Standing::Good
                } else if routing.may_ask(addr, now) {
                    Standing::Doubtful
                } else {
                    Standing::Silent
                }
            });
            let Some(ask) = ask else {
                if self.widen(&mut active) {
                    continue;
                }
                break;
            };
            let purpose = Purpose::Lookup(number);
            self.query(ask.addr, ask.id, active.target.method(), purpose, ask.waited_for, now);
        }
        let settles = active.lookup.is_settled() || active.found_all() || active.out_of_time;
        if settles && !active.settled {
            active.settled = true;
            self.settle(&mut active, now);
        }
        if active.lookup.is_finished() {
            if self.targets.get(&active.target) == Some(&number) {
                self.targets.remove(&active.target);
            }
        } else {
            self.lookups.insert(number, active);
        }
    }

    /// Adds further nodes of our table in the places of those that are silent. Returns whether there
    /// were any.
    fn widen(&self, active: &mut ActiveLookup) -> bool {
        let id = active.target.id();
        let mut widened = false;
        for ipv6 in [false, true] {
            let (lookup, has_more) = (&mut active.lookup, &mut active.has_more[usize::from(ipv6)]);
            let lacks = if *has_more { lookup.lacks(ipv6) } else { 0 };
            if lacks == 0 {
                continue;
            }
            let known = |addr: &SocketAddr| self.routing.is_suspect(addr) || lookup.has(addr);
            *has_more = false;
            for node in self.routing.closest(ipv6, &id, lacks, known) {
                *has_more |= lookup.add(node);
            }
            widened |= *has_more;
        }
        widened
    }

    pub(super) fn lookup_answered(
        &mut self,
        number: u64,
        pending: &Pending,
        from: Contact,
        response: &Response<'_>,
        now: Instant,
    ) {
        let Some(mut active) = self.lookups.remove(&number) else { return };
        active.lookup.answered(pending.id, from, response.token.as_deref());
        for node in &response.nodes {
            let Ok(addr) = self.told(node.addr, &from.addr) else { continue };
            if self.may_ask(&addr) {
                active.lookup.add(Contact { addr, ..*node });
            }
        }
        match &active.target {
            Target::Node(_) => {}
            Target::Peers(name) => {
                let mut dead = None;
                let mut told = Vec::with_capacity(response.peers.len());
                for peer in &response.peers {
                    let until = self.lookup_cache.expiry(peer.ttl, now);
                    let Some(peer) = &self.told_peer(peer, &from.addr) else { continue };
                    let mut record = PeerRecord::told(peer, from.addr, until);
                    let announcer = self.failure_detector.dead_announcer(
                        &peer.addr,
                        &record,
                        &self.routing,
                        now,
                    );
                    if announcer.is_some() {
                        dead = announcer.filter(|_| record.is_told()).or(dead);
                        continue;
                    }
                    dead = self.failure_detector.strike_dead(&peer.addr, &mut record, now).or(dead);
                    self.ask_after_announcer(&peer.addr, &record, now);
                    told.push(peer.addr);
                    if active.settled && active.peers.len() <= MAX_PEERS {
                        self.lookup_cache.add(name, peer.addr, record.clone());
                        self.subscriptions.touch(name);
                    }
                    lookup_cache::merge(&mut active.peers, peer.addr, record);
                }
                if !active.settled && !told.is_empty() {
                    active.told.push((from.id, told));
                }
                if let Some(dead) = dead {
                    self.remind(from, dead, now);
                }
            }
            Target::Item { target, salt } => {
                if let Some(found) = found_item(response, target, salt)
                    && active.item.as_ref().is_none_or(|best| found.item.seq() > best.item.seq())
                {
                    active.item = Some(Box::new(found));
                }
            }
        }
        self.lookups.insert(number, active);
        self.advance(number, now);
    }

    pub(super) fn lookup_late(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(active) = self.lookups.get_mut(&number) {
            active.lookup.late(pending.id, pending.to);
            self.advance(number, now);
        }
    }

    pub(super) fn lookup_slow(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(active) = self.lookups.get_mut(&number) {
            active.lookup.slow(pending.id, pending.to);
            self.advance(number, now);
        }
    }

    pub(super) fn lookup_failed(&mut self, number: u64, pending: &Pending, now: Instant) {
        if let Some(active) = self.lookups.get_mut(&number) {
            active.lookup.failed(pending.id, pending.to);
            self.advance(number, now);
        }
    }

    /// The closest live nodes have answered.
    fn settle(&mut self, active: &mut ActiveLookup, now: Instant) {
        if let Target::Peers(name) = &active.target
            && (active.lookup.answers() > 0 || self.routing.is_empty())
        {
            // Who follows a name wants to know of all its peers.
            let most = if self.subscriptions.has(name) { usize::MAX } else { lookup_cache::CHOICE };
            self.lookup_cache.replace(name, active.choice(most, &mut self.rng, now), now);
            self.subscriptions.touch(name);
        }
        if let Some(found) = &active.item {
            // Closer to those who ask here next; an older copy gives way to a newer one. A
            // conflict means that ours is the newer.
            let _ = self.storage.put_item(found.item.clone(), None);
        }
        for then in std::mem::take(&mut active.then) {
            self.follow(active, then, now);
        }
    }

    fn follow(&mut self, active: &ActiveLookup, then: OnComplete, now: Instant) {
        match (then, &active.target) {
            (OnComplete::Join, _) => self.joined(now),
            (OnComplete::Lookup(operation), Target::Peers(name)) => {
                let peers = self.known_peers(name, now);
                self.stats.lookups_empty += u64::from(peers.is_empty());
                let asked = active.lookup.asked();
                self.done(operation, Outcome::Peers { peers, asked });
            }
            (OnComplete::Announce { port, operation }, Target::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_announce(service, active.lookup.closest(now), true, operation, now);
            }
            (OnComplete::Withdraw { port, operation }, Target::Peers(name)) => {
                let service = (name.clone(), port);
                self.store_withdrawal(service, active.lookup.closest(now), operation, now);
            }
            (OnComplete::WithdrawFound { port, operation }, Target::Peers(name)) => {
                let (service, closest) = ((name.clone(), port), active.lookup.closest(now));
                self.withdraw_found(service, &active.peers, closest, operation, now);
            }
            (OnComplete::Doubt { peer, again: true }, Target::Peers(name)) => {
                let then = OnComplete::Doubt { peer, again: false };
                self.start_lookup(Target::Peers(name.clone()), then, now);
            }
            (OnComplete::Doubt { peer, again: false }, Target::Peers(name)) => {
                if active.lookup.answers() > 0 {
                    let found = active.peers.contains_key(&peer);
                    self.doubt_settled(name, peer, found, active.peers.len(), now);
                }
            }
            (OnComplete::Get { operation, held }, _) => {
                let ours = held.as_ref().map(|held| held.item.seq());
                let theirs = active.item.as_ref().map(|found| found.item.seq());
                let best = if theirs >= ours { active.item.clone() } else { held };
                self.done(operation, Outcome::Got(best));
            }
            (OnComplete::Put { operation, item, cas }, _) => {
                self.store_item(item, cas, active.lookup.closest(now), true, operation, now);
            }
            (
                OnComplete::Refresh
                | OnComplete::Lookup(_)
                | OnComplete::Announce { .. }
                | OnComplete::Withdraw { .. }
                | OnComplete::WithdrawFound { .. }
                | OnComplete::Doubt { .. },
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
