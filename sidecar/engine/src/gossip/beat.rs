//! What a member does five times a second, and what it pushes in between.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::context::Context;
use super::delta::{Request, fill};
use super::digest::Digest;
use super::fresh::FAN_OUT;
use super::group::{Group, Lists};
use super::limits::Priority;
use super::message::{DigestEntry, ENOUGH, Kind, PART, ROOM, Suspect};

/// Milliseconds between beats: about 200, so that members do not beat in step.
const BEAT: RangeInclusive<u64> = 180..=220;
/// Beats in a second.
const A_SECOND: u32 = 5;
/// A group with live members asks a seed this seldom, so that the parts of one that was cut in two
/// find each other: half a minute.
const SEEDS_EVERY: u32 = 150;
/// Most addresses that are asked at a beat whether they are members.
const ASKED: usize = 6;
/// Most suspects in a message.
const MAX_SUSPECTS: usize = 16;
/// Bytes that a member takes in memory beside its keys, about.
const MEMBER: usize = 512;
/// Bytes in a push for what others are only to hear of.
const ADVERTS: usize = 400;

impl Group {
    /// Begins an exchange with the member whose turn it is, and looks for members that are new,
    /// silent, or back.
    pub(super) fn beat(&mut self, cx: &mut Context<'_>) {
        self.heartbeat = self.heartbeat.saturating_add(1);
        self.next_beat = cx.now + Duration::from_millis(cx.rng.random_range(BEAT));
        self.exchange(cx);
        self.judge(cx);
        for addr in self.candidates.take(ASKED, cx.now) {
            self.ask(cx, addr);
        }
        if self.heartbeat.is_multiple_of(A_SECOND) || self.heartbeat == 1 {
            self.each_second(cx);
        }
    }

    fn exchange(&mut self, cx: &mut Context<'_>) {
        let Some(own) = cx.own else { return };
        let turn = (0..3).find_map(|_| {
            self.members.next_turn(cx.rng).filter(|addr| !self.probes.is_probed(addr))
        });
        let Some(to) = turn else { return };
        let digest = self.full_digest(own, to, cx.rng).into_entries();
        let copy = self.members.get(&to);
        let receipt = copy.and_then(|member| member.replica.receipt_to(to, member.generation));
        let deltas = receipt.into_iter().collect();
        let lists = Lists { known: self.known_count(), digest, deltas, ..Lists::default() };
        self.send(cx, to, Kind::Syn, lists, Priority::Life);
        if let Some(member) = self.members.get(&to) {
            self.probes.begin(to, member.heartbeat, cx.now);
        }
    }

    fn each_second(&mut self, cx: &mut Context<'_>) {
        if self.members.live() == 0 {
            for seed in self.seeds.clone() {
                self.ask_if_other(cx, seed);
            }
        } else if self.heartbeat.is_multiple_of(SEEDS_EVERY)
            && let Some(seed) = self.seeds.choose(cx.rng).copied()
        {
            self.ask_if_other(cx, seed);
        }
        if let Some(failed) = self.members.some_failed(cx.rng) {
            self.ask(cx, failed);
        }
        self.candidates.expire(cx.now);
        for gone in self.members.expire(cx.now) {
            self.forget_expiries(gone);
        }
        self.own.collect(cx.now);
        let states = self.members.collect(cx.now);
        self.held = self.own.cost() + self.members.iter().count() * MEMBER + states;
    }

    fn ask_if_other(&self, cx: &mut Context<'_>, seed: SocketAddr) {
        if Some(seed) != cx.own && self.members.get(&seed).is_none_or(|member| !member.live) {
            self.ask(cx, seed);
        }
    }

    /// Sends what is fresh to a few random members.
    pub(super) fn push(&mut self, cx: &mut Context<'_>) {
        let (changes, suspects) = self.fresh.take(cx.now);
        let suspects: Vec<_> = suspects.into_iter().take(MAX_SUSPECTS).collect();
        let used: usize = suspects.iter().map(Suspect::encoded_len).sum();
        let targets: Vec<_> = self.members.some_live(FAN_OUT, cx.rng).map(|(to, _)| *to).collect();
        for to in targets {
            let mut digest = Digest::new(to, ADVERTS);
            let (mut requests, mut kind) = (Vec::new(), Kind::Ack);
            for (addr, from) in changes.iter().filter(|(addr, _)| *addr != to) {
                let Some((known, replica)) = self.known(addr, cx.own) else { continue };
                let Some(from) = *from else {
                    digest.add(known);
                    continue;
                };
                if replica.has_longer_than(PART, from) || replica.is_incomplete() {
                    // Too much for those that may have it: they ask for it.
                    kind = Kind::Syn;
                    digest.add(known);
                } else {
                    let entry = DigestEntry { version: from, ..known };
                    requests.push(Request { replica, entry, fresh: true });
                }
            }
            let digest = digest.into_entries();
            let adverts: usize = digest.iter().map(DigestEntry::encoded_len).sum();
            let deltas = fill(requests, ROOM - used - adverts, 1, cx.now).swap_remove(0);
            let lists = Lists { known: ENOUGH, digest, suspects: suspects.clone(), deltas };
            self.send(cx, to, kind, lists, Priority::State);
        }
    }
}
