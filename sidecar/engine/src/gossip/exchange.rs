//! Exchanges: Syn, SynAck, Ack. Two members compare what they know, and each sends what the other
//! lacks.
//!
//! A message proves its address by our cookie. A Syn without the cookie is answered by a challenge,
//! which is no longer than the Syn: a forger gets no more sent to its victim than it sends itself.
//! Other messages without the cookie are dropped.

use std::net::SocketAddr;

use super::context::Context;
use super::cookies::Cookie;
use super::delta::{Request, fill, lacks};
use super::digest::Digest;
use super::encode::encode;
use super::events::GossipEvent;
use super::group::{Group, Lists};
use super::limits::{MAX_DATAGRAM, Priority};
use super::member::{Heard, Member};
use super::members::{Evicted, Hearsay, Presence};
use super::message::{Delta, DigestEntry, ENOUGH, Kind, Message, ROOM};
use super::name::NAME_KEY;

/// Most datagrams with what another member lacks, for each of its messages.
const MOST_DATAGRAMS: usize = 8;
/// A member with fewer others asks for more of them when it meets one.
const FEW: usize = 8;
/// A heartbeat is passed on in an answer if it is so much later than what the other member knows.
const LATER: u32 = 2;

impl Group {
    /// A message came. `cx.own` may be unknown: then it is only remembered who is there.
    pub(super) fn handle_message(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        message: &Message,
    ) {
        let header = &message.header;
        let cookie = cx.cookies.of(from);
        if header.mine == cookie {
            // Nobody else can expect this from the address: it is our own.
            self.is_own(from);
            return;
        }
        if header.yours != cookie || cx.own.is_none() {
            cx.counters.unproved += 1;
            self.challenge(cx, from, message);
            return;
        }
        match self.members.heard(from, header, cx.now) {
            Presence::Full => {
                cx.counters.members_left_out += 1;
                return;
            }
            Presence::Outdated(generation) => {
                return self.outdate(cx, from, generation, header.mine);
            }
            Presence::Known(Heard::Outdated) => {
                let known = self.members.get(&from).map_or(0, |member| member.generation);
                return self.outdate(cx, from, known, header.mine);
            }
            Presence::Known(Heard::Known) => {}
            Presence::Known(how) => self.appeared(cx, from, Some(how)),
            Presence::New { evicted } => {
                if let Some(evicted) = evicted {
                    self.evicted(cx, evicted);
                }
                self.appeared(cx, from, None);
            }
        }
        self.probes.settle(&from);
        self.fresh.settle(&from);
        self.candidates.settle(&from);
        match header.kind {
            Kind::Challenge => self.introduce(cx, from),
            Kind::Syn => {
                self.take_in(cx, from, message);
                self.answer(cx, from, message);
            }
            Kind::SynAck => {
                self.take_in(cx, from, message);
                self.complete(cx, from, message);
            }
            Kind::Ack => self.take_in(cx, from, message),
        }
    }

    /// A member made room for another.
    fn evicted(&mut self, cx: &mut Context<'_>, Evicted { addr, was_live }: Evicted) {
        self.remove(addr);
        if was_live {
            self.event(cx, GossipEvent::PeerFailed { peer: addr });
        }
    }

    fn is_own(&mut self, addr: SocketAddr) {
        self.remove(addr);
        self.seeds.retain(|seed| *seed != addr);
    }

    /// An address has not proved itself: it is asked to repeat a cookie.
    fn challenge(&mut self, cx: &mut Context<'_>, from: SocketAddr, message: &Message) {
        if message.header.kind != Kind::Syn {
            return;
        }
        if cx.own.is_none() {
            self.candidates.add(from);
            return;
        }
        let header = self.header(cx, from, Kind::Challenge, message.header.mine);
        let (digest, suspects, deltas) = (Vec::new(), Vec::new(), Vec::new());
        let challenge = Message { header, known: ENOUGH, digest, suspects, deltas };
        // Anyone can send a Syn from any address: what is kept for members is not for them.
        cx.send(from, encode(&challenge), Priority::State);
    }

    /// A member's generation is below the one that it had before: it gets an entry of that one.
    fn outdate(&self, cx: &mut Context<'_>, to: SocketAddr, generation: u64, cookie: Cookie) {
        let entry = DigestEntry {
            addr: to,
            generation,
            heartbeat: 0,
            version: 0,
            collected: 0,
            parts: None,
        };
        // The cookie of the member that we know is its former self's.
        let header = self.header(cx, to, Kind::Ack, cookie);
        let (digest, suspects, deltas) = (vec![entry], Vec::new(), Vec::new());
        let message = Message { header, known: ENOUGH, digest, suspects, deltas };
        cx.send(to, encode(&message), Priority::Life);
    }

    /// A member proved its address, and does not know this one yet.
    fn introduce(&mut self, cx: &mut Context<'_>, to: SocketAddr) {
        let Some(own) = cx.own else { return };
        let few = self.members.live() < FEW;
        let known = if few { self.known_count() } else { ENOUGH };
        let digest =
            if few { self.full_digest(own, to, cx.rng) } else { self.mutual_digest(own, to) };
        let lists = Lists { known, digest: digest.into_entries(), ..Lists::default() };
        self.send(cx, to, Kind::Syn, lists, Priority::Life);
    }

    /// Takes in what a member says of others, and the changes that it brings.
    fn take_in(&mut self, cx: &mut Context<'_>, from: SocketAddr, message: &Message) {
        for entry in &message.digest {
            self.hearsay(cx, from, entry);
        }
        for suspect in &message.suspects {
            self.suspected(cx, from, suspect);
        }
        let mut gaps = Digest::new(from, ROOM);
        for delta in &message.deltas {
            if self.apply(cx, from, delta)
                && let Some((entry, _)) = self.known(&delta.addr, None)
            {
                gaps.add(entry);
            }
        }
        if gaps.len() > 0 {
            let digest = gaps.into_entries();
            let lists = Lists { known: ENOUGH, digest, ..Lists::default() };
            self.send(cx, from, Kind::Syn, lists, Priority::State);
        }
    }

    fn hearsay(&mut self, cx: &mut Context<'_>, from: SocketAddr, entry: &DigestEntry) {
        let Some(addr) = cx.admit(entry.addr, from) else { return };
        if Some(addr) == cx.own {
            return self.check_own(cx, entry);
        }
        let entry = DigestEntry { addr, ..entry.clone() };
        let asks = self.members.hearsay(&entry, cx.now) == Hearsay::Ask && addr != from;
        if asks && !self.candidates.add(addr) {
            cx.counters.candidates_left_out += 1;
        }
    }

    /// Takes changes in. Returns whether changes before them are missing, and are to be asked for.
    fn apply(&mut self, cx: &mut Context<'_>, from: SocketAddr, delta: &Delta) -> bool {
        let Some(addr) = cx.admit(delta.addr, from) else { return false };
        if Some(addr) == cx.own {
            // Only this member changes its keys, but the sender holds changes of them.
            self.check_copy(cx, delta);
            let Delta { generation, to, collected, .. } = *delta;
            let (heartbeat, parts) = (0, None);
            let entry = DigestEntry { addr, generation, heartbeat, version: to, collected, parts };
            self.check_own(cx, &entry);
            return false;
        }
        if self.members.live_of(&addr, delta.generation).is_none() {
            return false;
        }
        let apply = |member: &mut Member, room: usize| {
            let (version, cost) = (member.replica.version(), member.replica.cost());
            let applied = member.replica.apply(delta, room.min(cx.room), cx.now);
            let grown = member.replica.cost().saturating_sub(cost);
            let advanced = (member.replica.version() > version).then_some(version);
            let pulls = applied.gap && member.may_pull(cx.now);
            (applied, grown, advanced, pulls)
        };
        let changed = self.members.change(&addr, apply);
        let Some((applied, grown, advanced, pulls)) = changed else { return false };
        cx.room = cx.room.saturating_sub(grown);
        self.held += grown;
        cx.counters.keys_left_out += applied.left_out;
        let keys = applied.changed.into_iter().filter(|changed| *changed.key != *NAME_KEY);
        for changed in keys {
            self.reschedule(Some(addr), &changed);
            let event = GossipEvent::Update { peer: addr, key: changed.key, value: changed.value };
            self.event(cx, event);
        }
        if delta.fresh && advanced.is_some() {
            self.fresh.change(addr, advanced, self.members.live());
        }
        pulls
    }

    /// Answers a Syn: with what the other lacks, and with what is known of members of which the
    /// other knows more, or less.
    fn answer(&mut self, cx: &mut Context<'_>, to: SocketAddr, message: &Message) {
        let member = self.members.get_mut(&to);
        if !member.is_some_and(|member| member.may_answer(cx.now)) {
            cx.counters.throttled += 1;
            return;
        }
        if !cx.budget.has_bytes(MAX_DATAGRAM, cx.now) {
            // Only a sign of life, so that many are answered.
            let lists = Lists { known: ENOUGH, ..Lists::default() };
            return self.send(cx, to, Kind::SynAck, lists, Priority::Life);
        }
        let mut digest = Digest::new(to, self.digest_room());
        for entry in &message.digest {
            let Some((known, replica)) = self.known(&entry.addr, cx.own) else { continue };
            let same = known.generation == entry.generation;
            let later = known.heartbeat >= entry.heartbeat.saturating_add(LATER);
            let behind = entry.version > replica.version();
            if known.generation > entry.generation || same && (later || behind) {
                digest.add(known);
            }
        }
        if message.known < self.known_count() {
            self.add_random(&mut digest, &message.digest, cx.rng);
        }
        let digest = digest.into_entries();
        let used = digest.iter().map(DigestEntry::encoded_len).sum::<usize>();
        let mut datagrams = self.lacking(cx, &message.digest, ROOM - used).into_iter();
        let deltas = datagrams.next().unwrap_or_default();
        let lists = Lists { known: ENOUGH, digest, deltas, ..Lists::default() };
        self.send(cx, to, Kind::SynAck, lists, Priority::Life);
        self.send_deltas(cx, to, datagrams);
    }

    /// Answers a SynAck with what the other lacks.
    fn complete(&mut self, cx: &mut Context<'_>, to: SocketAddr, message: &Message) {
        let datagrams = self.lacking(cx, &message.digest, ROOM);
        self.send_deltas(cx, to, datagrams.into_iter());
    }

    /// What a member lacks that has said what it has.
    fn lacking(&self, cx: &Context<'_>, digest: &[DigestEntry], room: usize) -> Vec<Vec<Delta>> {
        let requests = digest.iter().filter_map(|entry| {
            let (known, replica) = self.known(&entry.addr, cx.own)?;
            let fresh = self.fresh.is_fresh(&entry.addr);
            let lacks = known.generation == entry.generation && lacks(entry, replica);
            lacks.then(|| Request { replica, entry: entry.clone(), fresh })
        });
        fill(requests.collect(), room, MOST_DATAGRAMS, cx.now)
    }

    fn send_deltas(
        &self,
        cx: &mut Context<'_>,
        to: SocketAddr,
        datagrams: impl Iterator<Item = Vec<Delta>>,
    ) {
        for deltas in datagrams.filter(|deltas| !deltas.is_empty()) {
            let lists = Lists { known: ENOUGH, deltas, ..Lists::default() };
            self.send(cx, to, Kind::Ack, lists, Priority::State);
        }
    }
}
