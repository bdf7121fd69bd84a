//! Gossip: who is alive in a group, and small state that its members share.
//!
//! Each member has keys of its own, which all others see. Members exchange what they know with
//! random others (Scuttlebutt; van Renesse et al., "Efficient reconciliation and flow control for
//! anti-entropy protocols", 2008), and push what is new at once. Members that fall silent are found
//! by a φ accrual failure detector and asked before they count as failed. The original is npm's
//! `grapevine` 1.0.6.
//!
//! The machine does no I/O. It gets datagrams that begin with [`GOSSIP_FIRST_BYTE`] and the time,
//! and gives effects, as [`Engine`](crate::Engine) does. A machine without groups has no timer.
//!
//! ```
#![doc = include_str!("../../examples/two_gossips.rs")]
//! ```
//!
//! | file | concern |
//! |---|---|
//! | `group.rs`, `context.rs` | one group, and what it shares with others |
//! | `exchange.rs`, `digest.rs`, `delta.rs` | what two members tell each other |
//! | `beat.rs`, `fresh.rs` | what happens five times a second, and what is pushed at once |
//! | `detect.rs`, `probes.rs`, `phi.rs` | who does not answer |
//! | `members.rs`, `member.rs`, `hosts.rs`, `candidates.rs` | who is there, and who may be |
//! | `replica.rs`, `assembly.rs`, `name.rs` | a member's keys, and its name |
//! | `message.rs`, `encode.rs`, `decode.rs`, `cookies.rs` | messages, and the proof of an address |
//! | `limits.rs`, `events.rs` | bounds, and what is reported |

mod assembly;
mod beat;
mod candidates;
mod context;
mod cookies;
mod decode;
mod delta;
mod detect;
mod digest;
mod encode;
mod events;
mod exchange;
mod fresh;
mod group;
mod hosts;
mod limits;
mod member;
mod members;
mod message;
mod name;
mod phi;
mod probes;
mod replica;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::Bound;
use crate::addresses::canonical;
use crate::network::NetworkName;
use context::Context;
use cookies::Cookies;
pub use events::{GossipCounters, GossipEffect, GossipEvent, GossipItem, GossipPeer};
use group::Group;
use limits::Budget;
pub use limits::{
    GossipError, MAX_DATAGRAM, MAX_GOSSIP_VALUE, MAX_GROUP_NAME, MAX_GROUPS, MAX_KEY, MAX_KEYS,
    MAX_MEMBERS, MAX_MEMORY, MAX_STATE, check_group_name,
};
pub use message::{Key, Value};
pub use name::{InvalidMemberName, MAX_MEMBER_NAME, MemberName};

/// The first byte of each datagram of gossip. KRPC's is `d`.
pub const GOSSIP_FIRST_BYTE: u8 = message::FIRST_BYTE;

/// Most addresses of other networks that are remembered, so that each is reported once.
const MAX_REPORTED: usize = 256;

/// The groups of a Grape, without I/O.
#[derive(Debug)]
pub struct Gossip {
    network: Option<NetworkName>,
    generation: u64,
    name: Option<MemberName>,
    own: Option<SocketAddr>,
    groups: Vec<Group>,
    cookies: Cookies,
    rng: StdRng,
    budget: Budget,
    effects: VecDeque<GossipEffect>,
    counters: GossipCounters,
    reported: BTreeSet<SocketAddr>,
}

impl Gossip {
    /// A machine in no group. `generation` is the start time in milliseconds since 1970, by whatever
    /// clock there is: a member whose clock went back takes a higher one by itself. `seed` makes all
    /// that is random.
    pub fn new(
        network: Option<NetworkName>,
        generation: u64,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut rng = StdRng::from_seed(seed);
        Self {
            network,
            generation,
            name: None,
            own: None,
            groups: Vec::new(),
            cookies: Cookies::new(&mut rng),
            rng,
            budget: Budget::new(now),
            effects: VecDeque::new(),
            counters: GossipCounters::default(),
            reported: BTreeSet::new(),
        }
    }

    /// The same machine, under a name that the other members of its groups see.
    #[must_use]
    pub fn named(self, name: MemberName) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Under which address others reach this machine. Until it is known, and whenever it is
    /// not, nothing is sent.
    pub fn set_own_address(&mut self, own: Option<SocketAddr>, now: Instant) {
        let own = own.map(canonical);
        if own == self.own {
            return;
        }
        self.own = own;
        for group in &mut self.groups {
            group.moved(own, now);
        }
    }

    /// Joins a group, or gives a joined one other seeds: addresses at which members may be. They
    /// are asked while no member is known, and one of them now and then.
    ///
    /// # Errors
    /// [`GossipError::GroupName`] and [`GossipError::Groups`].
    pub fn join(
        &mut self,
        group: &str,
        seeds: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
    ) -> Result<(), GossipError> {
        check_group_name(group)?;
        if self.find(group).is_none() {
            if self.groups.len() >= MAX_GROUPS {
                return Err(GossipError::Groups);
            }
            let name = self.name.as_ref();
            self.groups.push(Group::new(group.into(), self.generation, name, now));
        }
        if let Some(at) = self.find(group) {
            self.groups[at].set_seeds(seeds);
        }
        Ok(())
    }

    /// Leaves a group, and forgets all of it. Returns whether it was joined.
    pub fn leave(&mut self, group: &str) -> bool {
        let found = self.find(group);
        found.map(|at| self.groups.remove(at)).is_some()
    }

    /// The groups that were joined.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| &*group.name)
    }

    /// Sets a key of this member, for all members of the group to see. It is gone at `expires_at`,
    /// at all of them. Returns the version.
    ///
    /// # Errors
    /// The group was not joined, or a bound would be passed.
    pub fn set(
        &mut self,
        group: &str,
        key: &str,
        value: Value,
        expires_at: Option<Instant>,
        now: Instant,
    ) -> Result<u64, GossipError> {
        let at = self.find(group).ok_or(GossipError::NotJoined)?;
        if self.room() < key.len() + value.len() {
            return Err(GossipError::Memory);
        }
        let longest = now + message::MAX_EXPIRY;
        let expires_at = expires_at.map(|at| at.min(longest));
        self.with(at, now, |group, cx| group.set(cx, key, value, expires_at))
    }

    /// Unsets a key of this member. Returns whether it was set.
    ///
    /// # Errors
    /// [`GossipError::NotJoined`].
    pub fn unset(&mut self, group: &str, key: &str, now: Instant) -> Result<bool, GossipError> {
        let at = self.find(group).ok_or(GossipError::NotJoined)?;
        Ok(self.with(at, now, |group, cx| group.unset(cx, key)))
    }

    /// The other members of a group, live and failed; none if it was not joined.
    pub fn peers(&self, group: &str, now: Instant) -> Option<Vec<GossipPeer>> {
        Some(self.groups[self.find(group)?].peers(now))
    }

    /// The value of a key at each other member that has set it; none if the group was not joined.
    pub fn values(&self, group: &str, key: &str) -> Option<Vec<(SocketAddr, Value)>> {
        Some(self.groups[self.find(group)?].values(key))
    }

    /// The keys of a member, or of this one where none is named, in order; none if the group or the
    /// member is not known.
    pub fn state(
        &self,
        group: &str,
        peer: Option<SocketAddr>,
        now: Instant,
    ) -> Option<Vec<GossipItem>> {
        let peer = peer.map(canonical).filter(|peer| Some(*peer) != self.own);
        self.groups[self.find(group)?].state(peer.as_ref(), now)
    }

    /// This member's generation in a group, as others see it.
    pub fn generation(&self, group: &str) -> Option<u64> {
        self.find(group).map(|at| self.groups[at].generation)
    }

    /// What was counted.
    pub fn counters(&self) -> GossipCounters {
        self.counters
    }

    /// Takes a datagram in that begins with [`GOSSIP_FIRST_BYTE`].
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        let from = canonical(from);
        let Ok(from) = crate::addresses::seed(from) else { return };
        let Ok(message) = decode::decode(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        let own = self.network.as_ref().map(NetworkName::tag);
        if own.zip(message.header.network).is_some_and(|(own, theirs)| own != theirs) {
            self.counters.other_network += 1;
            if self.reported.len() < MAX_REPORTED && self.reported.insert(from) {
                self.effects.push_back(GossipEffect::OtherNetwork(from));
            }
            return;
        }
        let group = self.groups.iter().position(|group| group.tag == message.header.group);
        let Some(at) = group else {
            self.counters.other_group += 1;
            return;
        };
        self.with(at, now, |group, cx| group.handle_message(cx, from, &message));
    }

    /// Lets time pass: to be called at [`Gossip::poll_timeout`], or later.
    pub fn handle_timeout(&mut self, now: Instant) {
        for at in 0..self.groups.len() {
            if self.groups[at].next_timeout(self.own.is_some()).is_some_and(|due| due <= now) {
                self.with(at, now, Group::handle_timeout);
            }
        }
    }

    /// When [`Gossip::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| group.next_timeout(self.own.is_some())).min()
    }

    /// The next thing to be done, in order; none when all is done.
    pub fn poll_effect(&mut self) -> Option<GossipEffect> {
        self.effects.pop_front()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| *group.name == *name)
    }

    /// Bytes of the states of all members, and how many there may be.
    pub fn memory(&self) -> Bound {
        Bound { used: self.groups.iter().map(|group| group.held).sum(), most: MAX_MEMORY }
    }

    /// How many bytes the states of members may still grow by.
    fn room(&self) -> usize {
        let Bound { used, most } = self.memory();
        most.saturating_sub(used)
    }

    fn with<T>(
        &mut self,
        at: usize,
        now: Instant,
        act: impl FnOnce(&mut Group, &mut Context<'_>) -> T,
    ) -> T {
        let mut cx = Context {
            now,
            own: self.own,
            network: self.network.as_ref().map(NetworkName::tag),
            room: self.room(),
            cookies: &self.cookies,
            rng: &mut self.rng,
            budget: &mut self.budget,
            effects: &mut self.effects,
            counters: &mut self.counters,
        };
        act(&mut self.groups[at], &mut cx)
    }
}

#[cfg(test)]
mod tests;
