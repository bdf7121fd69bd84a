//! The shortlist of a lookup: the closest nodes of one address family, and what became of each.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Ask, Standing, State};
use crate::closest::Closest;
use crate::distance::Distance;
use crate::diversity::{Diversity, Tally};
use crate::krpc::Contact;
use crate::routing::K;

/// Candidates that are remembered, without the silent ones and those beyond the most of an address or a
/// network.
pub(super) const MEMORY: usize = 3 * K;
/// Most of those, which are remembered beside them. This bounds the futile queries of a lookup:
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
#[derive(Debug)]
pub(super) struct Shortlist {
    /// Sorted by distance.
    candidates: Vec<Candidate>,
    /// Of what addresses they are.
    tally: Tally,
    /// Where candidates were asked.
    asked: Vec<SocketAddr>,
}

impl Shortlist {
    pub(super) fn new(diversity: Diversity) -> Self {
        Self { candidates: Vec::new(), tally: Tally::new(diversity), asked: Vec::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// Adds a node at its place. Returns whether it is new, and close enough.
    pub(super) fn add(&mut self, contact: Contact, distance: Distance) -> bool {
        let at = self.candidates.partition_point(|c| c.distance < distance);
        // Who claims another's id may be right: it is asked beside the first.
        let mut same_id = self.candidates[at..].iter().take_while(|c| c.distance == distance);
        let first = same_id.next().map(|c| c.contact.addr);
        let known =
            first.is_some_and(|addr| addr.ip() == contact.addr.ip()) || same_id.next().is_some();
        if known || (at >= MEMORY && at >= self.most()) {
            return false;
        }
        let candidate = Candidate { contact, distance, state: State::New, token: None };
        self.candidates.insert(at + usize::from(first.is_some()), candidate);
        self.tally.add(&contact);
        while self.candidates.len() > MEMORY && self.candidates.len() > self.most() {
            let Some(at) = self.least_worth() else { break };
            let candidate = self.candidates.remove(at);
            self.tally.remove(&candidate.contact);
        }
        true
    }

    /// The candidate that makes room: where they are too many of one address, the farthest of these.
    /// Those that may still answer stay.
    fn least_worth(&self) -> Option<usize> {
        let is_done =
            |c: &Candidate| matches!(c.state, State::New | State::Answered | State::Failed);
        let is_crowded = |c: &Candidate| c.state == State::New && self.tally.is_crowded(&c.contact);
        let crowded = match self.tally.beyond() > MOST_SILENT {
            true => self.candidates.iter().rposition(is_crowded),
            false => None,
        };
        crowded.or_else(|| {
            self.candidates.last().is_some_and(is_done).then(|| self.candidates.len() - 1)
        })
    }

    /// How many candidates short of k are the nodes that answered or are waited for; none, if no more
    /// are asked anyway.
    pub(super) fn lacks(&self) -> usize {
        if self.asked.len() == MOST_ASKED {
            return 0;
        }
        let mut places = self.places();
        let live = |c: &&Candidate| matches!(c.state, State::Asked | State::Answered);
        let counted = |c: &&Candidate| places.take(&c.contact) == Place::AmongClosest;
        K.saturating_sub(self.candidates.iter().filter(live).filter(counted).count())
    }

    fn places(&self) -> Places {
        let counted = self.tally.beyond() > 0;
        let tally = counted.then(|| Tally::new(self.tally.diversity().clone()));
        Places { tally, beside: 0 }
    }

    /// The k closest nodes that answered, without those that gave no token; and beside them as many
    /// that are beyond the most of their address, where these have a place.
    pub(super) fn closest(&self, now: Instant) -> impl Iterator<Item = Closest> {
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered);
        let (mut places, mut closest) = (self.places(), 0);
        let placed = answered.filter(move |c| match places.take(&c.contact) {
            Place::AmongClosest => {
                closest += 1;
                closest <= K
            }
            place => place == Place::Beside && closest < K,
        });
        placed.filter_map(move |c| {
            let token = c.token.clone()?;
            Some(Closest { contact: c.contact, token, token_since: now })
        })
    }

    /// How many candidates it may hold.
    fn most(&self) -> usize {
        let silent = |c: &&Candidate| matches!(c.state, State::Late | State::Slow | State::Failed);
        let silent = self.candidates.iter().filter(silent).count();
        MEMORY + (silent + self.tally.beyond()).min(MOST_SILENT)
    }

    pub(super) fn find(&mut self, contact: Contact) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|c| c.contact == contact)
    }

    /// The first of the k closest that was not asked yet. Those that failed or are slow have no
    /// place among the k.
    pub(super) fn next(&mut self, standing: &impl Fn(&SocketAddr) -> Standing) -> Option<Ask> {
        let (mut live, mut places) = (0, self.places());
        for at in 0..self.candidates.len() {
            if live == K || self.asked.len() == MOST_ASKED {
                return None;
            }
            let contact = self.candidates[at].contact;
            let Contact { addr, id } = contact;
            match self.candidates[at].state {
                State::Asked | State::Answered => {
                    live += usize::from(places.take(&contact) == Place::AmongClosest);
                }
                State::Late | State::Slow | State::Failed => {}
                State::New => {
                    if places.of(&contact) == Place::None {
                        continue;
                    }
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

/// Where a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is one of the closest.
    AmongClosest,
    /// There are enough of its address or network, but not yet many nodes in all: it is asked as well.
    Beside,
    None,
}

/// The places that candidates take, the closest first.
struct Places {
    /// None where there are not too many candidates of any address.
    tally: Option<Tally>,
    beside: usize,
}

impl Places {
    fn of(&self, contact: &Contact) -> Place {
        match &self.tally {
            None => Place::AmongClosest,
            Some(tally) if tally.has_place(contact) => Place::AmongClosest,
            Some(tally) if tally.diversity().is_strict() || self.beside >= K => Place::None,
            Some(_) => Place::Beside,
        }
    }

    fn take(&mut self, contact: &Contact) -> Place {
        let place = self.of(contact);
        match (place, &mut self.tally) {
            (Place::AmongClosest, Some(tally)) => tally.add(contact),
            (Place::Beside, _) => self.beside += 1,
            _ => {}
        }
        place
    }
}
