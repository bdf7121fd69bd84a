//! The other members of a group: live ones, failed ones, and the generations of forgotten ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use indexmap::IndexMap;
use rand::Rng;
use rand::seq::{IteratorRandom, SliceRandom, index};

use super::hosts::Hosts;
use super::limits::MAX_MEMBERS;
use super::member::{Heard, Member};
use super::message::{DigestEntry, Header};
use crate::addresses::host_of;

/// How long a failed member is kept and probed, and how long its generation is remembered after.
const FAILED_KEPT: Duration = Duration::from_secs(600);
/// Most generations that are remembered.
const MAX_FORGOTTEN: usize = 1024;
/// Most other members.
const MAX_OTHERS: usize = MAX_MEMBERS - 1;

/// The other members of a group by their addresses.
#[derive(Debug)]
pub(super) struct Members {
    members: IndexMap<SocketAddr, Member, RandomState>,
    hosts: Hosts,
    live: usize,
    /// Members that are to be asked in turn, the next one last.
    turns: Vec<SocketAddr>,
    /// Up to which place the silence of members was judged.
    judged: usize,
    forgotten: BTreeMap<SocketAddr, Forgotten>,
}

/// A member that failed long ago: what others still say of this generation is no news.
#[derive(Debug)]
struct Forgotten {
    generation: u64,
    heartbeat: u32,
    since: Instant,
}

/// What a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Of a member that was not known. In a full group it took the place of a failed one, or of a live
    /// one of the host that has the most members.
    New { evicted: Option<Evicted> },
    /// Of a known one.
    Known(Heard),
    /// It was forgotten with this generation, which its own is below.
    Outdated(u64),
    /// The group has as many members as it may have.
    Full,
}

/// A member that made room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) addr: SocketAddr,
    pub(super) was_live: bool,
}

/// What others say of a member, against what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearsay {
    /// It is known to be live, of this generation.
    Known,
    /// It is not known, or not to be live with that generation: it is to be asked itself.
    Ask,
    /// It is old news.
    Old,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            members: IndexMap::default(),
            hosts: Hosts::default(),
            live: 0,
            turns: Vec::new(),
            judged: 0,
            forgotten: BTreeMap::new(),
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn get(&self, addr: &SocketAddr) -> Option<&Member> {
        self.members.get(addr)
    }

    pub(super) fn get_mut(&mut self, addr: &SocketAddr) -> Option<&mut Member> {
        self.members.get_mut(addr)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SocketAddr, &Member)> {
        self.members.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&SocketAddr, &mut Member)> {
        self.members.iter_mut()
    }

    /// A live member of this generation.
    pub(super) fn live_of(&self, addr: &SocketAddr, generation: u64) -> Option<&Member> {
        self.get(addr).filter(|member| member.live && member.generation == generation)
    }

    /// A message with our cookie came from this address.
    pub(super) fn heard(&mut self, from: SocketAddr, header: &Header, now: Instant) -> Presence {
        if let Some(member) = self.members.get_mut(&from) {
            let before = member.replica.cost();
            let heard = member.heard(header, now);
            self.hosts.changed(from.ip(), before, member.replica.cost());
            self.live += usize::from(heard == Heard::Back);
            return Presence::Known(heard);
        }
        if let Some(old) = self.forgotten.get(&from)
            && header.generation < old.generation
        {
            return Presence::Outdated(old.generation);
        }
        let mut evicted = None;
        if self.members.len() >= MAX_OTHERS {
            evicted = self.evict_failed(now).or_else(|| self.evict_of_crowd(&from));
            if evicted.is_none() {
                return Presence::Full;
            }
        }
        self.forgotten.remove(&from);
        self.members.insert(from, Member::new(header, now));
        self.hosts.entered(from.ip());
        self.live += 1;
        let turn = self.turns.len();
        self.turns.insert(turn / 2, from);
        Presence::New { evicted }
    }

    /// Another member says this of one.
    pub(super) fn hearsay(&mut self, entry: &DigestEntry, now: Instant) -> Hearsay {
        let is_news = |generation: u64, heartbeat: u32| {
            (entry.generation, entry.heartbeat) > (generation, heartbeat)
        };
        match self.members.get_mut(&entry.addr) {
            Some(member) if member.live && member.generation == entry.generation => {
                member.progress(entry.heartbeat, now);
                Hearsay::Known
            }
            Some(member) if is_news(member.generation, member.heartbeat) => Hearsay::Ask,
            Some(_) => Hearsay::Old,
            None => {
                let old = self.forgotten.get(&entry.addr);
                let news = old.is_none_or(|old| is_news(old.generation, old.heartbeat));
                if news { Hearsay::Ask } else { Hearsay::Old }
            }
        }
    }

    /// A member does not answer. Returns whether it was live.
    pub(super) fn fail(&mut self, addr: &SocketAddr, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(addr).filter(|member| member.live) else {
            return false;
        };
        member.fail(now);
        self.live -= 1;
        true
    }

    /// This address is our own.
    pub(super) fn remove(&mut self, addr: &SocketAddr) {
        if let Some(member) = self.take(addr) {
            self.live -= usize::from(member.live);
        }
    }

    fn take(&mut self, addr: &SocketAddr) -> Option<Member> {
        let member = self.members.swap_remove(addr)?;
        self.hosts.left(addr.ip(), member.replica.cost());
        Some(member)
    }

    /// Changes the copy of a member's keys. It may grow by what is left for its host.
    pub(super) fn change<T>(
        &mut self,
        addr: &SocketAddr,
        change: impl FnOnce(&mut Member, usize) -> T,
    ) -> Option<T> {
        let member = self.members.get_mut(addr)?;
        let (before, room) = (member.replica.cost(), self.hosts.room(addr.ip()));
        let result = change(member, room);
        self.hosts.changed(addr.ip(), before, member.replica.cost());
        Some(result)
    }

    /// Drops old tombstones. Returns how many bytes all states take.
    pub(super) fn collect(&mut self, now: Instant) -> usize {
        let mut held = 0;
        for (addr, member) in &mut self.members {
            let before = member.replica.cost();
            member.replica.collect(now);
            let after = member.replica.cost();
            self.hosts.changed(addr.ip(), before, after);
            held += after;
        }
        held
    }

    /// Forgets the member that failed first.
    fn evict_failed(&mut self, now: Instant) -> Option<Evicted> {
        let failed = self.members.iter().filter(|(_, member)| !member.live);
        let addr = *failed.min_by_key(|(_, member)| member.since)?.0;
        self.forget(&addr, now);
        Some(Evicted { addr, was_live: false })
    }

    /// Forgets a member of the host that has the most, for one at this address.
    fn evict_of_crowd(&mut self, new: &SocketAddr) -> Option<Evicted> {
        let host = self.hosts.crowd(new.ip())?;
        let addr = *self.members.keys().rev().find(|addr| host_of(addr.ip()) == host)?;
        self.remove(&addr);
        Some(Evicted { addr, was_live: true })
    }

    fn forget(&mut self, addr: &SocketAddr, now: Instant) {
        let Some(member) = self.take(addr) else { return };
        let Member { generation, heartbeat, .. } = member;
        self.forgotten.insert(*addr, Forgotten { generation, heartbeat, since: now });
        if self.forgotten.len() > MAX_FORGOTTEN {
            let oldest = self.forgotten.iter().min_by_key(|(_, old)| old.since);
            if let Some(addr) = oldest.map(|(addr, _)| *addr) {
                self.forgotten.remove(&addr);
            }
        }
    }

    /// Forgets members that failed long ago. Returns their addresses.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<SocketAddr> {
        let passed = |since| now.saturating_duration_since(since) >= FAILED_KEPT;
        let over = self.members.iter().filter(|(_, member)| !member.live && passed(member.since));
        let over: Vec<_> = over.map(|(addr, _)| *addr).collect();
        over.iter().for_each(|addr| self.forget(addr, now));
        self.forgotten.retain(|_, old| !passed(old.since));
        over
    }

    /// The live member whose turn it is: each is asked once before any is asked twice.
    pub(super) fn next_turn(&mut self, rng: &mut impl Rng) -> Option<SocketAddr> {
        for _ in 0..2 {
            while let Some(addr) = self.turns.pop() {
                if self.get(&addr).is_some_and(|member| member.live) {
                    return Some(addr);
                }
            }
            let live = self.members.iter().filter(|(_, member)| member.live);
            self.turns = live.map(|(addr, _)| *addr).collect();
            self.turns.shuffle(rng);
        }
        None
    }

    /// The next members whose silence is judged: a fifth of all.
    pub(super) fn next_judged(&mut self) -> impl Iterator<Item = (&SocketAddr, &Member)> {
        let count = self.members.len().div_ceil(5);
        let from = if self.judged >= self.members.len() { 0 } else { self.judged };
        let to = (from + count).min(self.members.len());
        self.judged = to;
        (from..to).filter_map(|place| self.members.get_index(place)).filter(|(_, m)| m.live)
    }

    /// Random live members, each once.
    pub(super) fn some_live(
        &self,
        count: usize,
        rng: &mut impl Rng,
    ) -> impl Iterator<Item = (&SocketAddr, &Member)> {
        let all = self.members.len();
        let drawn = (count + all - self.live).min(all);
        let places = index::sample(rng, all, drawn).into_iter();
        let members = places.filter_map(|place| self.members.get_index(place));
        members.filter(|(_, member)| member.live).take(count)
    }

    /// A random member that failed.
    pub(super) fn some_failed(&self, rng: &mut impl Rng) -> Option<SocketAddr> {
        if self.live == self.members.len() {
            return None;
        }
        self.members.iter().filter(|(_, m)| !m.live).map(|(addr, _)| *addr).choose(rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::message::Kind;

    fn addr(n: u32) -> SocketAddr {
        SocketAddr::from((n.to_be_bytes(), 20001))
    }

    #[test]
    fn in_a_full_group_a_new_member_takes_the_place_of_the_one_that_failed_first() {
        let now = crate::clock::now();
        let kind = Kind::Syn;
        let (network, group, yours, mine) = (None, [0; 8], [0; 8], [0; 8]);
        let header = Header { kind, network, group, generation: 1, heartbeat: 1, yours, mine };
        let mut members = Members::new();
        for n in 0..999 {
            let new = members.heard(addr(n), &header, now);
            assert_eq!(new, Presence::New { evicted: None });
        }
        assert_eq!(members.heard(addr(1000), &header, now), Presence::Full);
        members.fail(&addr(7), now + Duration::from_secs(1));
        members.fail(&addr(3), now + Duration::from_secs(2));
        let new = members.heard(addr(1000), &header, now + Duration::from_secs(3));
        assert_eq!(
            new,
            Presence::New { evicted: Some(Evicted { addr: addr(7), was_live: false }) }
        );
        assert!(members.get(&addr(7)).is_none() && members.get(&addr(3)).is_some());
    }

    /// One host has as many ports as it likes.
    #[test]
    fn in_a_full_group_a_host_with_many_members_makes_room() {
        let now = crate::clock::now();
        let kind = Kind::Syn;
        let (network, group, yours, mine) = (None, [0; 8], [0; 8], [0; 8]);
        let header = Header { kind, network, group, generation: 1, heartbeat: 1, yours, mine };
        let mut members = Members::new();
        for n in 0..100 {
            members.heard(addr(n), &header, now);
        }
        let crowd = |port: u16| SocketAddr::from(([10, 0, 0, 9], port));
        for port in 1..2000 {
            members.heard(crowd(port), &header, now);
        }
        assert_eq!(members.heard(crowd(3000), &header, now), Presence::Full);
        for n in 100..400 {
            let Presence::New { evicted } = members.heard(addr(n), &header, now) else { panic!() };
            assert!(evicted.is_some_and(|it| it.was_live && it.addr.ip() == crowd(1).ip()));
        }
        assert!((0..400).all(|n| members.get(&addr(n)).is_some()));
        assert_eq!((members.live(), members.iter().count()), (999, 999));
    }
}
