//! The shortlist of a lookup: the closest nodes of one address family, and what became of each.

use std::net::SocketAddr;
use std::time::Instant;

use mainline::Id;

use super::{Ask, Standing, State};
use crate::closest::Closest;
use crate::distance::Distance;
use crate::krpc::Contact;
use crate::routing::K;

/// Candidates that are remembered, without the silent ones.
pub(super) const MEMORY: usize = 3 * K;
/// Silent candidates that are remembered beside them. This bounds the futile queries of a lookup:
/// other nodes may return nodes that do not exist.
pub(super) const MOST_SILENT: usize = 12 * K;
/// Most candidates that are asked, whatever they answer: a node may return ever closer ones.
pub(super) const MOST_ASKED: usize = MEMORY + MOST_SILENT;

#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) contact: Contact,
    distance: Distance,
    pub(super) state: State,
    pub(super) token: Option<Box<[u8]>>,
}

/// The candidates of one address family.
#[derive(Debug, Default)]
pub(super) struct Shortlist {
    /// Sorted by distance.
    candidates: Vec<Candidate>,
    /// Where candidates were asked.
    asked: Vec<SocketAddr>,
}

impl Shortlist {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// Adds a node at its place. Returns whether it is new, and close enough.
    pub(super) fn add(&mut self, contact: Contact, distance: Distance) -> bool {
        let at = self.candidates.partition_point(|c| c.distance < distance);
        let known = self.candidates.get(at).is_some_and(|c| c.distance == distance);
        if known || (at >= MEMORY && at >= self.most()) {
            return false;
        }
        let candidate = Candidate { contact, distance, state: State::New, token: None };
        self.candidates.insert(at, candidate);
        // Those that may still answer stay.
        let is_done =
            |c: &Candidate| matches!(c.state, State::New | State::Answered | State::Failed);
        while self.candidates.len() > MEMORY
            && self.candidates.len() > self.most()
            && self.candidates.last().is_some_and(is_done)
        {
            self.candidates.pop();
        }
        true
    }

    /// How many candidates short of k are the nodes that answered or are waited for; none, if no more
    /// are asked anyway.
    pub(super) fn lacks(&self) -> usize {
        if self.asked.len() == MOST_ASKED {
            return 0;
        }
        let live = |c: &&Candidate| matches!(c.state, State::Asked | State::Answered);
        K.saturating_sub(self.candidates.iter().filter(live).count())
    }

    /// The k closest nodes that answered, without those that gave no token.
    pub(super) fn closest(&self, now: Instant) -> impl Iterator<Item = Closest> {
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered).take(K);
        answered.filter_map(move |c| {
            let token = c.token.clone()?;
            Some(Closest { contact: c.contact, token, token_since: now })
        })
    }

    /// How many candidates it may hold.
    fn most(&self) -> usize {
        let silent = |c: &&Candidate| matches!(c.state, State::Late | State::Slow | State::Failed);
        MEMORY + self.candidates.iter().filter(silent).count().min(MOST_SILENT)
    }

    pub(super) fn find(&mut self, id: Id) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|c| c.contact.id == id)
    }

    /// The first of the k closest that was not asked yet. Those that failed or are slow have no
    /// place among the k.
    pub(super) fn next(&mut self, standing: &impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        let mut live = 0;
        for at in 0..self.candidates.len() {
            if live == K || self.asked.len() == MOST_ASKED {
                return None;
            }
            let Contact { addr, id } = self.candidates[at].contact;
            match self.candidates[at].state {
                State::Asked | State::Answered => live += 1,
                State::Late | State::Slow | State::Failed => {}
                State::New => {
                    // Who has one socket is one node, whatever its ids.
                    let standing = match self.asked.contains(&addr) {
                        true => Standing::Silent,
                        false => standing(&addr),
                    };
                    let (state, waited_for) = match standing {
                        Standing::Good => (State::Asked, true),
                        Standing::Doubtful => (State::Slow, false),
                        Standing::Silent => (State::Failed, false),
                    };
                    self.candidates[at].state = state;
                    if state != State::Failed {
                        self.asked.push(addr);
                        return Some(Ask { addr, id: Some(id), waited_for });
                    }
                }
            }
        }
        None
    }
}
