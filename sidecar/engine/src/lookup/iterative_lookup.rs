//! An iterative lookup of a target: which node to ask next, and when enough have answered.
//!
//! A lookup *settles* when the closest live nodes have answered. A node that is silent beyond our
//! timeout is passed over, so that a dead one never holds a lookup up; a lookup whose every node is
//! silent waits for the last of them. One that is late by what is usual is still waited for, while
//! the next closest is asked as well. Late answers are still taken: a lookup *finishes* when no
//! query is out any more.

mod shortlist;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;

use crate::closest::Closest;
use crate::distance::Distance;
use crate::diversity::Diversity;
use crate::krpc::Contact;

use shortlist::Shortlist;

/// How often a bootstrap address is asked while no node answers.
const SEED_TRIES: u32 = 4;
/// Bootstrap addresses that a lookup waits for at a time, beside the nodes that it waits for.
const SEEDS_AT_ONCE: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not asked yet.
    New,
    /// Asked, and waited for.
    Asked,
    /// Asked, and waited for, but others are asked in its place meanwhile.
    Late,
    /// Asked, and not waited for any more.
    Slow,
    /// Answered.
    Answered,
    /// Never answered, or not to be asked.
    Failed,
}

/// A bootstrap address, whose node's id is not known yet.
#[derive(Debug)]
struct Seed {
    addr: SocketAddr,
    state: State,
    asked: u32,
}

/// A node to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) addr: SocketAddr,
    /// None for a bootstrap address.
    pub(crate) id: Option<Id>,
    /// Whether the lookup waits for the answer.
    pub(crate) waited_for: bool,
}

/// What is known of a node before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ask and wait.
    Good,
    /// Ask, but do not wait: it was silent lately.
    Doubtful,
    /// Do not ask: it was silent just now.
    Silent,
}

/// One lookup, over both address families at once.
#[derive(Debug)]
pub(super) struct IterativeLookup {
    target: Id,
    own: Id,
    concurrency: usize,
    seeds: Vec<Seed>,
    /// Places in `seeds` of those that are to be asked, in order.
    seeds_left: VecDeque<usize>,
    v4: Shortlist,
    v6: Shortlist,
    /// Nodes that are waited for, without the seeds.
    waited_for: usize,
    /// Nodes that are waited for while others are asked in their places.
    late: usize,
    seeds_waited_for: usize,
    out: usize,
    /// Queries that were sent.
    asked: usize,
    answers: usize,
}

impl IterativeLookup {
    pub(super) fn new(own: Id, target: Id, concurrency: usize, diversity: &Diversity) -> Self {
        Self {
            target,
            own,
            concurrency: concurrency.max(1),
            seeds: Vec::new(),
            seeds_left: VecDeque::new(),
            v4: Shortlist::new(diversity.clone()),
            v6: Shortlist::new(diversity.clone()),
            waited_for: 0,
            late: 0,
            seeds_waited_for: 0,
            out: 0,
            asked: 0,
            answers: 0,
        }
    }

    /// Adds a bootstrap address; one that failed is tried again.
    pub(super) fn add_seed(&mut self, addr: SocketAddr) {
        let seed = Seed { addr, state: State::New, asked: 0 };
        let place = match self.seeds.iter().position(|seed| seed.addr == addr) {
            None => {
                self.seeds.push(seed);
                self.seeds.len() - 1
            }
            Some(place) if self.seeds[place].state == State::Failed => {
                self.seeds[place] = seed;
                place
            }
            Some(_) => return,
        };
        self.seeds_left.push_back(place);
    }

    /// Whether there are bootstrap addresses that are still to be asked.
    pub(super) fn has_seeds_left(&self) -> bool {
        !self.seeds_left.is_empty()
    }

    /// Adds a node that another one returned. Returns whether it is new to the lookup, and close
    /// enough.
    pub(super) fn add(&mut self, contact: Contact) -> bool {
        if contact.id == self.own {
            return false;
        }
        let distance = Distance::new(&contact.id, &self.target);
        self.shortlist_mut(contact.addr.is_ipv6()).add(contact, distance)
    }

    /// How many more nodes of a family it could wait for, when [`IterativeLookup::next`] has none to ask.
    pub(super) fn lacks(&self, ipv6: bool) -> usize {
        if self.waited_for >= self.concurrency {
            return 0;
        }
        self.shortlist(ipv6).lacks()
    }

    /// Whether it knows of a node at this address.
    pub(super) fn has(&self, addr: &SocketAddr) -> bool {
        self.shortlist(addr.is_ipv6()).iter().any(|candidate| candidate.contact.addr == *addr)
    }

    fn shortlist(&self, ipv6: bool) -> &Shortlist {
        if ipv6 { &self.v6 } else { &self.v4 }
    }

    fn shortlist_mut(&mut self, ipv6: bool) -> &mut Shortlist {
        if ipv6 { &mut self.v6 } else { &mut self.v4 }
    }

    /// The node to ask next, if any; it counts as asked from now on.
    pub(super) fn next(&mut self, standing: impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        // Seeds and nodes have limits of their own, so that neither holds the other up.
        let asks_seed = self.has_seeds_left() && self.seeds_waited_for < SEEDS_AT_ONCE;
        let asks_node = self.waited_for < self.concurrency;
        if !asks_seed && !asks_node {
            return None;
        }
        let alone = self.nobody_else(&standing);
        let weigh = |addr: &SocketAddr| match standing(addr) {
            // If there are no better nodes, the silent ones are asked and waited for.
            _ if alone => Standing::Good,
            standing => standing,
        };
        let mut ask = if asks_seed { self.next_seed(&weigh) } else { None };
        if ask.is_none() && asks_node {
            ask = self.v4.next(&weigh).or_else(|| self.v6.next(&weigh));
            self.waited_for += usize::from(ask.is_some_and(|ask| ask.waited_for));
        }
        self.out += usize::from(ask.is_some());
        self.asked += usize::from(ask.is_some());
        ask
    }

    fn next_seed(&mut self, standing: &impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        let nobody = self.answers == 0;
        // One that was to be asked again may have answered since.
        let place = loop {
            let place = self.seeds_left.pop_front()?;
            if self.seeds[place].state == State::New {
                break place;
            }
        };
        let seed = &mut self.seeds[place];
        // The user named the seeds, so they are always asked.
        let waited_for = nobody || standing(&seed.addr) == Standing::Good;
        seed.asked += 1;
        seed.state = if waited_for { State::Asked } else { State::Slow };
        self.seeds_waited_for += usize::from(waited_for);
        Some(Ask { addr: seed.addr, id: None, waited_for })
    }

    /// Whether every node that could be asked was silent lately, and none has answered.
    fn nobody_else(&self, standing: &impl Fn(&SocketAddr) -> Standing) -> bool {
        let good = |addr: &SocketAddr, state: State| {
            matches!(state, State::New | State::Asked | State::Late)
                && standing(addr) == Standing::Good
        };
        self.answers == 0
            && !self.seeds.iter().any(|seed| good(&seed.addr, seed.state))
            && !self.v4.iter().chain(self.v6.iter()).any(|c| good(&c.contact.addr, c.state))
    }

    /// An answer came. `asked` is the id that the query was sent to, if it was known.
    pub(super) fn answered(&mut self, asked: Option<Id>, from: Contact, token: Option<&[u8]>) {
        self.answers += 1;
        self.closed(asked, from.addr, State::Answered);
        if asked != Some(from.id) {
            // Another node than was asked for lives at this address.
            if asked.is_some() {
                self.set(asked, from.addr, State::Failed);
            }
            self.add(from);
        }
        if let Some(candidate) = self.shortlist_mut(from.addr.is_ipv6()).find(from) {
            // It may have been asked as a node as well as as a seed.
            let before = std::mem::replace(&mut candidate.state, State::Answered);
            candidate.token = token.map(Box::from);
            self.waits_no_more(Some(from.id), before);
        }
    }

    /// An answer takes longer than is usual: another node is asked as well. Returns whether it was not
    /// late before.
    pub(super) fn late(&mut self, asked: Option<Id>, addr: SocketAddr) -> bool {
        let is_new = asked.is_some() && self.state(asked, addr) == Some(State::Asked);
        if is_new {
            self.set(asked, addr, State::Late);
            self.waited_for -= 1;
            self.late += 1;
        }
        is_new
    }

    /// One that is late is asked once more: the query, or its answer, may have been lost.
    pub(super) fn asks_again(&mut self) {
        self.out += 1;
        self.asked += 1;
    }

    /// An answer takes longer than is waited for.
    pub(super) fn slow(&mut self, asked: Option<Id>, addr: SocketAddr) {
        match self.state(asked, addr) {
            Some(before @ (State::Asked | State::Late)) => self.waits_no_more(asked, before),
            _ => return,
        }
        self.set(asked, addr, State::Slow);
        // Grapes that start together ask each other before all of them listen.
        let alone = asked.is_none() && self.answers == 0;
        let place = self.seeds.iter().position(|seed| alone && seed.addr == addr);
        if let Some(place) = place.filter(|place| self.seeds[*place].asked < SEED_TRIES) {
            self.seeds[place].state = State::New;
            self.seeds_left.push_back(place);
        }
    }

    /// What was asked, and was in this state, is not waited for any more. Seeds are asked without an
    /// id.
    fn waits_no_more(&mut self, asked: Option<Id>, before: State) {
        match (before, asked) {
            (State::Asked, Some(_)) => self.waited_for -= 1,
            (State::Asked, None) => self.seeds_waited_for -= 1,
            (State::Late, _) => self.late -= 1,
            _ => {}
        }
    }

    /// No answer came, or a refusal.
    pub(super) fn failed(&mut self, asked: Option<Id>, addr: SocketAddr) {
        self.closed(asked, addr, State::Failed);
    }

    fn closed(&mut self, asked: Option<Id>, addr: SocketAddr, state: State) {
        self.out = self.out.saturating_sub(1);
        match self.state(asked, addr) {
            // It answered another query of this lookup.
            Some(State::Answered) => return,
            Some(before) => self.waits_no_more(asked, before),
            None => {}
        }
        self.set(asked, addr, state);
    }

    fn state(&mut self, asked: Option<Id>, addr: SocketAddr) -> Option<State> {
        match asked {
            Some(id) => {
                self.shortlist_mut(addr.is_ipv6()).find(Contact { id, addr }).map(|c| c.state)
            }
            None => self.seeds.iter().find(|seed| seed.addr == addr).map(|seed| seed.state),
        }
    }

    fn set(&mut self, asked: Option<Id>, addr: SocketAddr, state: State) {
        match asked {
            Some(id) => {
                if let Some(candidate) =
                    self.shortlist_mut(addr.is_ipv6()).find(Contact { id, addr })
                {
                    candidate.state = state;
                }
            }
            None => {
                if let Some(seed) = self.seeds.iter_mut().find(|seed| seed.addr == addr) {
                    seed.state = state;
                }
            }
        }
    }

    /// Whether the closest live nodes have answered. Holds only once [`IterativeLookup::next`]
    /// returns no more nodes.
    pub(super) fn is_settled(&self) -> bool {
        let waits = self.waited_for > 0 || self.late > 0 || self.seeds_waited_for > 0;
        !waits && (self.answers > 0 || self.out == 0)
    }

    /// Whether no query is out any more.
    pub(super) fn is_finished(&self) -> bool {
        self.out == 0
    }

    /// How many queries were sent.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// How many nodes answered.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// The k closest nodes that answered with a token, of each address family.
    pub(super) fn closest(&self, now: Instant) -> Vec<Closest> {
        self.v4.closest(now).chain(self.v6.closest(now)).collect()
    }
}

#[cfg(test)]
mod tests;
