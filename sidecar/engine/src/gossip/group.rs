//! One group: what this member shares in it, and which members it knows.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::candidates::Candidates;
use super::context::Context;
use super::encode::encode;
use super::events::{GossipEffect, GossipEvent, GossipItem, GossipPeer};
use super::fresh::Fresh;
use super::limits::{GossipError, Priority};
use super::member::{Heard, Member};
use super::members::Members;
use super::message::{Delta, DigestEntry, GroupTag, Header, Key, Kind, Message, Suspect, Value};
use super::name::{MemberName, NAME_KEY};
use super::probes::Probes;
use super::replica::receipt::receipt_of;
use super::replica::{Changed, Replica};

/// This member is stopped, and not slow, if it is called this much too late.
const STOPPED: Duration = Duration::from_millis(400);
/// Most seeds of a group.
const MAX_SEEDS: usize = 64;
/// Least time between two generations that this member takes, since others hold more of it than it
/// knows.
const RAISE_PAUSE: Duration = Duration::from_secs(2);
/// Least time between two times that this member gives all of its keys new versions, since another
/// holds keys that are not its own.
const RENEW_PAUSE: Duration = Duration::from_secs(2);

/// A group that this member has joined.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    pub(super) tag: GroupTag,
    pub(super) generation: u64,
    pub(super) heartbeat: u32,
    raised: Option<Instant>,
    renewed: Option<Instant>,
    /// What this member's keys come to, and at which version. Others may send any number of receipts.
    own_receipt: Option<(u64, Value)>,
    pub(super) own: Replica,
    pub(super) members: Members,
    pub(super) candidates: Candidates,
    pub(super) probes: Probes,
    pub(super) fresh: Fresh,
    pub(super) seeds: Vec<SocketAddr>,
    /// When keys expire, of which member; of this one if none is named.
    expiries: BTreeSet<(Instant, Option<SocketAddr>, Key)>,
    pub(super) next_beat: Instant,
    /// Bytes that all states take, about.
    pub(super) held: usize,
}

/// What a message says after its header.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    pub(super) known: u16,
    pub(super) digest: Vec<DigestEntry>,
    pub(super) suspects: Vec<Suspect>,
    pub(super) deltas: Vec<Delta>,
}

impl Group {
    pub(super) fn new(
        name: Arc<str>,
        generation: u64,
        member: Option<&MemberName>,
        now: Instant,
    ) -> Self {
        Self {
            tag: tag(&name),
            name,
            generation,
            heartbeat: 0,
            raised: None,
            renewed: None,
            own_receipt: None,
            own: member.map(Replica::named).unwrap_or_default(),
            members: Members::new(),
            candidates: Candidates::default(),
            probes: Probes::default(),
            fresh: Fresh::new(now),
            seeds: Vec::new(),
            expiries: BTreeSet::new(),
            next_beat: now,
            held: 0,
        }
    }

    pub(super) fn set_seeds(&mut self, seeds: impl IntoIterator<Item = SocketAddr>) {
        let seeds = seeds.into_iter().filter_map(|seed| crate::addresses::seed(seed).ok());
        self.seeds = seeds.take(MAX_SEEDS).collect();
    }

    /// The address under which others reach this member is another, or not known.
    pub(super) fn moved(&mut self, own: Option<SocketAddr>, now: Instant) {
        self.next_beat = now;
        if let Some(own) = own {
            self.remove(own);
        }
    }

    /// This address is our own: nothing is kept of it as of another member.
    pub(super) fn remove(&mut self, addr: SocketAddr) {
        self.candidates.settle(&addr);
        self.members.remove(&addr);
        self.probes.end(&addr);
        self.fresh.forget(&addr);
        self.forget_expiries(addr);
    }

    /// When something is to be done. Without an address of its own, a member only keeps its keys.
    pub(super) fn next_timeout(&self, has_address: bool) -> Option<Instant> {
        let expiry = self.expiries.first().map(|(at, ..)| *at);
        let spoken = [Some(self.next_beat), self.probes.next(), self.fresh.next()];
        let spoken = spoken.into_iter().flatten().filter(|_| has_address);
        spoken.chain(expiry).min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.expire_keys(cx);
        if cx.own.is_none() {
            return;
        }
        if cx.now.saturating_duration_since(self.next_beat) > STOPPED {
            self.wake(cx.now);
        }
        self.ask_again(cx);
        if self.next_beat <= cx.now {
            self.beat(cx);
        }
        if self.fresh.next().is_some_and(|at| at <= cx.now) {
            self.push(cx);
        }
    }

    /// This member was stopped: answers may wait to be read, and silence means nothing.
    fn wake(&mut self, now: Instant) {
        self.probes.clear();
        self.members.iter_mut().for_each(|(_, member)| member.phi.skip(now));
    }

    pub(super) fn set(
        &mut self,
        cx: &Context<'_>,
        key: &str,
        value: Value,
        expires: Option<Instant>,
    ) -> Result<u64, GossipError> {
        let from = self.own.version();
        if let Some(expired) = self.own.set(key, value, expires)? {
            self.expiries.remove(&(expired, None, key.into()));
        }
        if let Some(at) = expires {
            self.expiries.insert((at, None, key.into()));
        }
        self.own_changed(cx, from);
        Ok(self.own.version())
    }

    pub(super) fn unset(&mut self, cx: &Context<'_>, key: &str) -> bool {
        let from = self.own.version();
        let Some(changed) = self.own.unset(key, cx.now) else { return false };
        self.reschedule(None, &changed);
        self.own_changed(cx, from);
        true
    }

    fn own_changed(&mut self, cx: &Context<'_>, from: u64) {
        if let Some(own) = cx.own {
            self.fresh.change(own, Some(from), self.members.live());
        }
    }

    /// A key changed: the time at which it expires is another.
    pub(super) fn reschedule(&mut self, of: Option<SocketAddr>, changed: &Changed) {
        if let Some(at) = changed.expired {
            self.expiries.remove(&(at, of, changed.key.clone()));
        }
        if let Some(at) = changed.expires {
            self.expiries.insert((at, of, changed.key.clone()));
        }
    }

    fn expire_keys(&mut self, cx: &mut Context<'_>) {
        while let Some((at, of, key)) = self.expiries.first().cloned()
            && at <= cx.now
        {
            self.expiries.pop_first();
            match of {
                None => drop(self.own.expire(&key, at)),
                Some(peer) => {
                    let expire = |member: &mut Member, _| member.replica.expire(&key, at);
                    if self.members.change(&peer, expire) == Some(true) {
                        self.event(cx, GossipEvent::Expire { peer, key });
                    }
                }
            }
        }
    }

    /// A member's keys are gone, and expire no more.
    pub(super) fn forget_expiries(&mut self, of: SocketAddr) {
        self.expiries.retain(|(_, member, _)| *member != Some(of));
    }

    pub(super) fn event(&self, cx: &mut Context<'_>, event: GossipEvent) {
        cx.effects.push_back(GossipEffect::Event { group: self.name.clone(), event });
    }

    /// Sends a message to a member, or to an address that may be one.
    pub(super) fn send(
        &self,
        cx: &mut Context<'_>,
        to: SocketAddr,
        kind: Kind,
        lists: Lists,
        priority: Priority,
    ) {
        let yours = self.members.get(&to).map(|member| member.cookie).unwrap_or_default();
        let Lists { known, digest, suspects, deltas } = lists;
        let header = self.header(cx, to, kind, yours);
        let message = Message { header, known, digest, suspects, deltas };
        cx.send(to, encode(&message), priority);
    }

    pub(super) fn header(
        &self,
        cx: &Context<'_>,
        to: SocketAddr,
        kind: Kind,
        yours: [u8; 8],
    ) -> Header {
        Header {
            kind,
            network: cx.network,
            group: self.tag,
            generation: self.generation,
            heartbeat: self.heartbeat,
            yours,
            mine: cx.cookies.of(to),
        }
    }

    /// A member showed itself in another way than before.
    pub(super) fn appeared(&mut self, cx: &mut Context<'_>, peer: SocketAddr, how: Option<Heard>) {
        let Some(member) = self.members.get(&peer) else { return };
        let generation = member.generation;
        if member.replica.version() == 0 {
            self.forget_expiries(peer);
        }
        let event = match how {
            Some(Heard::Back) => GossipEvent::PeerAlive { peer, generation },
            _ => GossipEvent::NewPeer { peer, generation },
        };
        self.event(cx, event);
        self.fresh.forget(&peer);
        self.fresh.change(peer, None, self.members.live());
    }

    /// Others hold a state of this member that it does not know: an earlier process had a clock that
    /// was ahead, or the state was forged. A higher generation ends either.
    pub(super) fn check_own(&mut self, cx: &mut Context<'_>, entry: &DigestEntry) {
        let (version, heartbeat) = (self.own.version(), self.heartbeat);
        let unknown = entry.generation > self.generation
            || entry.generation == self.generation
                && (entry.version > version || entry.heartbeat > heartbeat);
        let recent = |at| cx.now.saturating_duration_since(at) < RAISE_PAUSE;
        if !unknown || self.raised.is_some_and(recent) {
            return;
        }
        // There is no number above the highest. Its holder accepts a lower one after a while.
        let Some(generation) = entry.generation.checked_add(1) else { return };
        self.generation = generation;
        self.raised = Some(cx.now);
        cx.counters.generations_raised += 1;
        self.own_changed(cx, 0);
    }

    /// Another says what its copy of this member's keys comes to. Keys that were forged at a version
    /// that this member has are gone once all have higher ones.
    pub(super) fn check_copy(&mut self, cx: &Context<'_>, delta: &Delta) {
        let recent = |at| cx.now.saturating_duration_since(at) < RENEW_PAUSE;
        let from = self.own.version();
        let is_of_now = delta.generation == self.generation && delta.to == from;
        let Some(receipt) = receipt_of(delta).filter(|_| is_of_now) else { return };
        if self.own_receipt.as_ref().is_none_or(|(version, _)| *version != from) {
            self.own_receipt = self.own.receipt().map(|own| (from, own));
        }
        let is_true = self.own_receipt.as_ref().is_none_or(|(_, own)| own == receipt);
        if is_true || self.renewed.is_some_and(recent) {
            return;
        }
        self.own.renew();
        self.renewed = Some(cx.now);
        self.own_changed(cx, from);
    }

    /// What is known of all members, as others see it.
    pub(super) fn peers(&self, now: Instant) -> Vec<GossipPeer> {
        let peers = self.members.iter().map(|(addr, member)| GossipPeer {
            addr: *addr,
            generation: member.generation,
            heartbeat: member.heartbeat,
            live: member.live,
            phi: member.phi.value(now),
            since: member.since,
            heartbeat_at: member.phi.last(),
            keys: member.replica.keys(),
            name: member.replica.name(),
        });
        peers.collect()
    }

    /// The value of a key at each other member that has set it.
    pub(super) fn values(&self, key: &str) -> Vec<(SocketAddr, Value)> {
        let values = self.members.iter();
        values
            .filter_map(|(addr, member)| Some((*addr, member.replica.get(key)?.clone())))
            .collect()
    }

    /// The keys of a member, or of this one.
    pub(super) fn state(&self, of: Option<&SocketAddr>, now: Instant) -> Option<Vec<GossipItem>> {
        let replica = match of {
            None => &self.own,
            Some(addr) => &self.members.get(addr)?.replica,
        };
        let keys = replica.entries().filter(|(key, _)| ***key != *NAME_KEY);
        let items = keys.filter_map(|(key, entry)| {
            let (value, expires) = entry.value()?;
            Some(GossipItem {
                key: key.clone(),
                value: value.clone(),
                version: entry.version,
                expires_in: expires.map(|at| at.saturating_duration_since(now)),
            })
        });
        Some(items.collect())
    }
}

/// A group on the wire.
pub(super) fn tag(name: &str) -> GroupTag {
    let digest = sha1_smol::Sha1::from(name).digest().bytes();
    std::array::from_fn(|i| digest[i])
}
