//! An iterative walk towards a point: which node to ask next, and when enough have answered.
//!
//! A walk *settles* when the closest live nodes have answered. A node that is silent beyond our
//! patience is passed over, so that a dead one never holds a walk up; a walk whose every node is
//! silent waits for the last of them. Late answers are still taken: a walk *finishes* when no
//! query is out any more.

use std::net::SocketAddr;

use mainline::Id;

use super::distance::Distance;
use super::routing::K;
use crate::krpc::Contact;

/// Candidates that are remembered beyond the k closest.
const MEMORY: usize = 3 * K;

/// How often a bootstrap address is asked while nobody answers.
const SEED_TRIES: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not asked yet.
    New,
    /// Asked, and waited for.
    Asked,
    /// Asked, and not waited for any more.
    Slow,
    /// Answered.
    Answered,
    /// Never answered, or not to be asked.
    Failed,
}

#[derive(Debug)]
struct Candidate {
    contact: Contact,
    distance: Distance,
    state: State,
    token: Option<Box<[u8]>>,
}

/// A bootstrap address, whose node's id is not known yet.
#[derive(Debug)]
struct Seed {
    addr: SocketAddr,
    state: State,
    asked: u32,
}

/// A node that answered, with the token that it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closest {
    pub(super) contact: Contact,
    pub(super) token: Box<[u8]>,
}

/// Who to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) addr: SocketAddr,
    /// None for a bootstrap address.
    pub(super) id: Option<Id>,
    /// Whether the walk waits for the answer.
    pub(super) waited_for: bool,
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

/// The candidates of one address family.
#[derive(Debug, Default)]
struct Front {
    /// Sorted by distance.
    candidates: Vec<Candidate>,
}

/// One walk, over both address families at once.
#[derive(Debug)]
pub(super) struct Walk {
    point: Id,
    own: Id,
    concurrency: usize,
    seeds: Vec<Seed>,
    v4: Front,
    v6: Front,
    waited_for: usize,
    out: usize,
    answers: usize,
}

impl Walk {
    pub(super) fn new(own: Id, point: Id, concurrency: usize) -> Self {
        Self {
            point,
            own,
            concurrency: concurrency.max(1),
            seeds: Vec::new(),
            v4: Front::default(),
            v6: Front::default(),
            waited_for: 0,
            out: 0,
            answers: 0,
        }
    }

    /// Adds a bootstrap address; one that failed is tried again.
    pub(super) fn add_seed(&mut self, addr: SocketAddr) {
        match self.seeds.iter_mut().find(|seed| seed.addr == addr) {
            Some(seed) if seed.state == State::Failed => {
                (seed.state, seed.asked) = (State::New, 0);
            }
            Some(_) => {}
            None => self.seeds.push(Seed { addr, state: State::New, asked: 0 }),
        }
    }

    /// Adds a node that somebody told of.
    pub(super) fn add(&mut self, contact: Contact) {
        if contact.id == self.own {
            return;
        }
        let distance = Distance::new(&contact.id, &self.point);
        let front = self.front(contact.addr.is_ipv6());
        let at = front.candidates.partition_point(|c| c.distance < distance);
        let known = front.candidates.get(at).is_some_and(|c| c.distance == distance);
        if known || at >= MEMORY {
            return;
        }
        let candidate = Candidate { contact, distance, state: State::New, token: None };
        front.candidates.insert(at, candidate);
        // What is forgotten was never asked: queries go to the closest only.
        if front.candidates.last().is_some_and(|c| c.state == State::New) {
            front.candidates.truncate(MEMORY);
        }
    }

    fn front(&mut self, ipv6: bool) -> &mut Front {
        if ipv6 { &mut self.v6 } else { &mut self.v4 }
    }

    /// Who to ask next, if anybody; that node counts as asked from now on.
    pub(super) fn next(&mut self, standing: impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        if self.waited_for >= self.concurrency {
            return None;
        }
        let alone = self.nobody_else(&standing);
        let weigh = |addr: &SocketAddr| match standing(addr) {
            // Where there is nobody better, the silent are asked and waited for.
            _ if alone => Standing::Good,
            standing => standing,
        };
        let ask = self
            .next_seed(&weigh)
            .or_else(|| self.v4.next(&weigh).or_else(|| self.v6.next(&weigh)))?;
        self.out += 1;
        self.waited_for += usize::from(ask.waited_for);
        Some(ask)
    }

    fn next_seed(&mut self, standing: &impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        let nobody = self.answers == 0;
        let seed = self.seeds.iter_mut().find(|seed| seed.state == State::New)?;
        // A seed is what the user named: it is always asked.
        let waited_for = nobody || standing(&seed.addr) == Standing::Good;
        seed.asked += 1;
        seed.state = if waited_for { State::Asked } else { State::Slow };
        Some(Ask { addr: seed.addr, id: None, waited_for })
    }

    /// Whether every node that could be asked was silent lately, and none has answered.
    fn nobody_else(&self, standing: &impl Fn(&SocketAddr) -> Standing) -> bool {
        let good = |addr: &SocketAddr, state: State| {
            matches!(state, State::New | State::Asked) && standing(addr) == Standing::Good
        };
        self.answers == 0
            && !self.seeds.iter().any(|seed| good(&seed.addr, seed.state))
            && !self.candidates().any(|c| good(&c.contact.addr, c.state))
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.v4.candidates.iter().chain(&self.v6.candidates)
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
        let front = self.front(from.addr.is_ipv6());
        if let Some(candidate) = front.find(from.id) {
            // It may have been asked by its own name as well as by its address.
            let waited_for = candidate.state == State::Asked;
            candidate.state = State::Answered;
            candidate.token = token.map(Box::from);
            self.waited_for -= usize::from(waited_for);
        }
    }

    /// An answer takes longer than is waited for.
    pub(super) fn slow(&mut self, asked: Option<Id>, addr: SocketAddr) {
        if self.state(asked, addr) == Some(State::Asked) {
            self.set(asked, addr, State::Slow);
            self.waited_for -= 1;
        }
        // Grapes that start together ask each other before all of them listen.
        if let Some(seed) = self.seeds.iter_mut().find(|seed| asked.is_none() && seed.addr == addr)
            && seed.state == State::Slow
            && self.answers == 0
            && seed.asked < SEED_TRIES
        {
            seed.state = State::New;
        }
    }

    /// No answer came, or a refusal.
    pub(super) fn failed(&mut self, asked: Option<Id>, addr: SocketAddr) {
        self.closed(asked, addr, State::Failed);
    }

    fn closed(&mut self, asked: Option<Id>, addr: SocketAddr, state: State) {
        self.out = self.out.saturating_sub(1);
        match self.state(asked, addr) {
            // It answered another query of this walk.
            Some(State::Answered) => return,
            Some(State::Asked) => self.waited_for -= 1,
            _ => {}
        }
        self.set(asked, addr, state);
    }

    fn state(&mut self, asked: Option<Id>, addr: SocketAddr) -> Option<State> {
        match asked {
            Some(id) => self.front(addr.is_ipv6()).find(id).map(|c| c.state),
            None => self.seeds.iter().find(|seed| seed.addr == addr).map(|seed| seed.state),
        }
    }

    fn set(&mut self, asked: Option<Id>, addr: SocketAddr, state: State) {
        match asked {
            Some(id) => {
                if let Some(candidate) = self.front(addr.is_ipv6()).find(id) {
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

    /// Whether the closest live nodes have answered. Holds only once [`Walk::next`] has nobody
    /// more to ask.
    pub(super) fn is_settled(&self) -> bool {
        self.waited_for == 0 && (self.answers > 0 || self.out == 0)
    }

    /// Whether no query is out any more.
    pub(super) fn is_finished(&self) -> bool {
        self.out == 0
    }

    /// How many nodes answered.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// The k closest nodes that answered with a token, of each address family.
    pub(super) fn closest(&self) -> Vec<Closest> {
        let closest = |front: &Front| {
            front
                .candidates
                .iter()
                .filter(|c| c.state == State::Answered)
                .take(K)
                .filter_map(|c| Some(Closest { contact: c.contact, token: c.token.clone()? }))
                .collect::<Vec<_>>()
        };
        let mut all = closest(&self.v4);
        all.extend(closest(&self.v6));
        all
    }
}

impl Front {
    fn find(&mut self, id: Id) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|c| c.contact.id == id)
    }

    /// The first of the k closest that was not asked yet. Those that failed or are slow have no
    /// place among the k.
    fn next(&mut self, standing: &impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        let mut live = 0;
        for candidate in &mut self.candidates {
            if live == K {
                return None;
            }
            match candidate.state {
                State::Asked | State::Answered => live += 1,
                State::Slow | State::Failed => {}
                State::New => {
                    let (addr, id) = (candidate.contact.addr, Some(candidate.contact.id));
                    match standing(&addr) {
                        Standing::Good => {
                            candidate.state = State::Asked;
                            return Some(Ask { addr, id, waited_for: true });
                        }
                        Standing::Doubtful => {
                            candidate.state = State::Slow;
                            return Some(Ask { addr, id, waited_for: false });
                        }
                        Standing::Silent => candidate.state = State::Failed,
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
